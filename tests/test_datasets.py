"""Finding test sets on disk, and refusing those that are not whole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srviewer.imaging.files import ImageFileError
from srviewer.imaging.resize import imresize
from srviewer.report.datasets import Dataset, DatasetError, Pair, find_dataset, read_pair


def picture(path: Path, width: int, height: int, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), values)
    return path


def described(dataset: Dataset) -> list[tuple[str, str, str | None]]:
    return [(pair.name, pair.hr.name, pair.lr.name if pair.lr else None) for pair in dataset.pairs]


def test_marked_pairs_in_one_folder(tmp_path: Path) -> None:
    folder = tmp_path / "Mine"
    for name in ("b", "a"):
        picture(folder / f"{name}_HR.png", 13, 10)
        picture(folder / f"{name}_LR.png", 6, 5)
    picture(folder / "a_bicubic.png", 12, 10)
    (folder / "notes_HR.txt").write_text("not a picture")
    picture(folder / ".hidden_HR.png", 3, 3)
    found = find_dataset(folder, 2)
    assert (found.name, found.scale, found.note) == ("Mine", 2, "")
    assert described(found) == [("a", "a_HR.png", "a_LR.png"), ("b", "b_HR.png", "b_LR.png")]
    lr, hr = read_pair(found.pairs[0], 2)
    assert (lr.width, lr.height, hr.width, hr.height) == (6, 5, 12, 10)


def test_folders_of_a_scale(tmp_path: Path) -> None:
    for scale in (2, 4):
        inside = tmp_path / "Set1" / f"image_SRF_{scale}"
        picture(inside / f"img_001_SRF_{scale}_HR.png", 24, 16)
        picture(inside / f"img_001_SRF_{scale}_LR.png", 24 // scale, 16 // scale)
    for scale in (2, 4):
        found = find_dataset(tmp_path / "Set1", scale)
        assert (found.name, found.note) == ("Set1", "")
        assert described(found) == [("img_001", f"img_001_SRF_{scale}_HR.png", f"img_001_SRF_{scale}_LR.png")]
        direct = find_dataset(tmp_path / "Set1" / f"image_SRF_{scale}", scale)
        assert (direct.name, described(direct)) == ("Set1", described(found))


@pytest.mark.parametrize("inside", ["", "image_SRF_4"])
def test_a_scale_that_is_not_stored_is_made_and_told(tmp_path: Path, inside: str) -> None:
    folder = tmp_path / "Set1" / "image_SRF_4"
    picture(folder / "img_001_SRF_4_HR.png", 28, 16)
    picture(folder / "img_001_SRF_4_LR.png", 7, 4)
    found = find_dataset(tmp_path / "Set1" / inside, 3)
    assert found.name == "Set1"
    assert described(found) == [("img_001", "img_001_SRF_4_HR.png", None)]
    assert "scale 4" in found.note
    lr, hr = read_pair(found.pairs[0], 3)
    assert (lr.width, lr.height, hr.width, hr.height) == (9, 5, 27, 15)


def test_the_smallest_stored_scale_serves_another(tmp_path: Path) -> None:
    for scale in (4, 2, 3):
        picture(tmp_path / f"image_SRF_{scale}" / "x_HR.png", 24, 24)
        picture(tmp_path / f"image_SRF_{scale}" / "x_LR.png", 24 // scale, 24 // scale)
    assert find_dataset(tmp_path, 8).pairs[0].hr.parent.name == "image_SRF_2"


def test_several_scales_in_one_folder(tmp_path: Path) -> None:
    for scale in (2, 4):
        picture(tmp_path / f"img_001_SRF_{scale}_HR.png", 16, 16)
        picture(tmp_path / f"img_001_SRF_{scale}_LR.png", 16 // scale, 16 // scale)
    assert described(find_dataset(tmp_path, 4)) == [
        ("img_001", "img_001_SRF_4_HR.png", "img_001_SRF_4_LR.png")
    ]


@pytest.mark.parametrize(("folder", "mark"), [("X4", "x4"), ("x4", "x4"), ("X4", "")])
def test_div2k_folders(tmp_path: Path, folder: str, mark: str) -> None:
    root = tmp_path / "DIV2K"
    for name in ("0001", "0002"):
        picture(root / "HR" / f"{name}.png", 18, 14)
        picture(root / "LR_bicubic" / folder / f"{name}{mark}.png", 4, 3)
    found = find_dataset(root, 4)
    assert (found.name, found.note) == ("DIV2K", "")
    assert described(found) == [(name, f"{name}.png", f"{name}{mark}.png") for name in ("0001", "0002")]
    made = find_dataset(root, 2)
    assert [pair.lr for pair in made.pairs] == [None, None]
    assert "LR_bicubic/X2" in made.note


def test_flat_folder(tmp_path: Path) -> None:
    picture(tmp_path / "flat" / "two.bmp", 17, 23)
    picture(tmp_path / "flat" / "one.png", 16, 20)
    (tmp_path / "flat" / "readme.txt").write_text("not a picture")
    found = find_dataset(tmp_path / "flat", 4)
    assert described(found) == [("one", "one.png", None), ("two", "two.bmp", None)]
    assert "MATLAB" in found.note
    lr, hr = read_pair(found.pairs[1], 4)
    assert (hr.width, hr.height) == (16, 20)
    assert np.array_equal(lr.pixels, imresize(hr.pixels, 1 / 4))


@settings(deadline=None, max_examples=20)
@given(width=st.integers(1, 40), height=st.integers(1, 40), scale=st.integers(2, 4))
def test_made_pairs_always_fit(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, scale: int
) -> None:
    path = picture(tmp_path_factory.mktemp("pairs") / "a.png", width, height)
    if min(width, height) < scale:
        with pytest.raises(DatasetError, match=rf"a\.png: {width} × {height} px are too small"):
            read_pair(Pair("a", path, None), scale)
        return
    lr, hr = read_pair(Pair("a", path, None), scale)
    assert (hr.height, hr.width) == (height // scale * scale, width // scale * scale)
    assert (lr.height * scale, lr.width * scale) == (hr.height, hr.width)


def test_a_missing_partner_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "one" / "a_HR.png", 8, 8)
    picture(tmp_path / "one" / "a_LR.png", 4, 4)
    picture(tmp_path / "one" / "b_HR.png", 8, 8)
    with pytest.raises(DatasetError, match=r"b_HR\.png: its low-resolution picture b_LR\.png is missing"):
        find_dataset(tmp_path / "one", 2)
    picture(tmp_path / "two" / "a_LR.png", 4, 4)
    picture(tmp_path / "two" / "b_HR.png", 4, 4)
    picture(tmp_path / "two" / "b_LR.png", 2, 2)
    with pytest.raises(DatasetError, match=r"a_LR\.png: its high-resolution picture a_HR\.png is missing"):
        find_dataset(tmp_path / "two", 2)
    picture(tmp_path / "three" / "only_LR.png", 4, 4)
    with pytest.raises(DatasetError, match="no high-resolution picture"):
        find_dataset(tmp_path / "three", 2)


def test_a_missing_partner_is_named_in_div2k_folders(tmp_path: Path) -> None:
    picture(tmp_path / "HR" / "0001.png", 8, 8)
    picture(tmp_path / "HR" / "0002.png", 8, 8)
    picture(tmp_path / "LR_bicubic" / "X2" / "0001x2.png", 4, 4)
    with pytest.raises(DatasetError, match=r"0002\.png: its low-resolution picture .*0002x2\.png is missing"):
        find_dataset(tmp_path, 2)
    picture(tmp_path / "LR_bicubic" / "X2" / "0002x2.png", 4, 4)
    assert len(find_dataset(tmp_path, 2).pairs) == 2
    picture(tmp_path / "LR_bicubic" / "X2" / "0002.png", 4, 4)
    with pytest.raises(DatasetError, match="two low-resolution pictures"):
        find_dataset(tmp_path, 2)
    (tmp_path / "LR_bicubic" / "X2" / "0002.png").unlink()
    picture(tmp_path / "LR_bicubic" / "X2" / "0003x2.png", 4, 4)
    with pytest.raises(DatasetError, match=r"0003x2\.png: its high-resolution picture"):
        find_dataset(tmp_path, 2)


def test_two_files_for_one_picture(tmp_path: Path) -> None:
    picture(tmp_path / "a_HR.png", 8, 8)
    picture(tmp_path / "a_HR.bmp", 8, 8)
    picture(tmp_path / "a_LR.png", 4, 4)
    with pytest.raises(DatasetError, match="the same picture"):
        find_dataset(tmp_path, 2)


def test_a_wrong_size_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "a_HR.png", 13, 12)
    picture(tmp_path / "a_LR.png", 6, 5)
    found = find_dataset(tmp_path, 2)
    with pytest.raises(
        DatasetError, match=r"a_LR\.png: 6 × 5 px, but a_HR\.png .* needs 6 × 6 px at scale 2"
    ):
        read_pair(found.pairs[0], 2)


def test_no_test_set(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        find_dataset(tmp_path / "nowhere", 4)
    with pytest.raises(DatasetError, match="holds no picture"):
        find_dataset(tmp_path, 4)
    with pytest.raises(DatasetError, match="not a folder"):
        find_dataset(picture(tmp_path / "a.png", 4, 4), 4)
    (tmp_path / "HR").mkdir()
    (tmp_path / "a.png").unlink()
    with pytest.raises(DatasetError, match="holds no picture"):
        find_dataset(tmp_path, 4)


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    with pytest.raises(ImageFileError, match=r"a\.png"):
        read_pair(find_dataset(tmp_path, 2).pairs[0], 2)


def test_the_folder_one_stands_in_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "Mine" / "a.png", 8, 8)
    monkeypatch.chdir(tmp_path / "Mine")
    assert find_dataset(Path(), 2).name == "Mine"
    (tmp_path / "Other").symlink_to(tmp_path / "Mine")
    assert find_dataset(tmp_path / "Other", 2).name == "Other"


def test_only_colour_counts(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    assert cv2.imwrite(str(tmp_path / "a.png"), values)
    assert cv2.imwrite(str(tmp_path / "b.png"), values[..., 0])
    for pair in find_dataset(tmp_path, 2).pairs:
        for image in read_pair(pair, 2):
            assert image.alpha is None
            assert not image.grey


@pytest.mark.parametrize(("name", "scale"), [("Set5", 2), ("Set5", 3), ("Set5", 4), ("Set14", 4)])
def test_reference_sets(reference: Path, name: str, scale: int) -> None:
    found = find_dataset(reference / name, scale)
    assert (found.name, found.note, len(found.pairs)) == (name, "", {"Set5": 5, "Set14": 14}[name])
    for pair in found.pairs:
        stored, hr = read_pair(pair, scale)
        made, _ = read_pair(Pair(pair.name, pair.hr, None), scale)
        assert np.array_equal(made.pixels, stored.pixels), pair.name
        assert (hr.height, hr.width) == (scale * stored.height, scale * stored.width)
