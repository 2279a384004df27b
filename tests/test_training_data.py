"""What a training looks at: the folder, its split, the patches and their orientations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from training_pictures import folder_of, picture

from srviewer.imaging.resize import downscale
from srviewer.training.data import VALIDATION_SIDE, find_pictures, load, split
from srviewer.training.errors import TrainingError
from srviewer.training.patches import Draw, PatchBank, PicturePair


def pair(name: str, height: int, width: int, scale: int) -> PicturePair:
    """A picture whose every reduced pixel is told apart, and whose pixels tell where they lie."""
    lr = np.zeros((height, width, 3), np.uint8)
    lr[..., 0], lr[..., 1] = np.mgrid[:height, :width]
    lr[..., 2] = sum(name.encode()) % 251
    hr = lr.repeat(scale, 0).repeat(scale, 1)
    hr[..., 2] = np.add.outer(np.arange(height * scale) * 7, np.arange(width * scale)) % 251
    return PicturePair(name, lr, hr)


def turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Flip and transpose as `Draw.orientation` says, by numpy."""
    if orientation & 4:
        return turned(pixels, orientation & 3).swapaxes(0, 1)
    if orientation & 2:
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation & 1 else pixels


@given(
    scale=st.sampled_from([2, 3, 4]),
    patch=st.integers(3, 9),
    orientation=st.integers(0, 7),
    image=st.integers(0, 2),
    data=st.data(),
)
def test_both_patches_show_the_same_place_in_the_same_orientation(
    scale: int, patch: int, orientation: int, image: int, data: st.DataObject
) -> None:
    pairs = [pair("a", 9, 12, scale), pair("b", 14, 10, scale), pair("c", 11, 11, scale)]
    bank = PatchBank(pairs, scale)
    chosen = pairs[image]
    row = data.draw(st.integers(0, chosen.lr.shape[0] - patch))
    column = data.draw(st.integers(0, chosen.lr.shape[1] - patch))
    draw = Draw(*(torch.tensor([value]) for value in (image, row, column, orientation)))
    lr, hr = bank.cut(draw, patch)
    lr_there = chosen.lr[row : row + patch, column : column + patch]
    hr_there = chosen.hr[row * scale : (row + patch) * scale, column * scale : (column + patch) * scale]
    assert lr.dtype == hr.dtype == torch.float32
    for found, there in ((lr, lr_there), (hr, hr_there)):
        expected = turned(there, orientation).transpose(2, 0, 1).astype(np.float32) / 255
        np.testing.assert_array_equal(found[0].numpy(), expected)


def test_the_eight_orientations_differ() -> None:
    bank = PatchBank([pair("a", 9, 9, 2)], 2)
    many = torch.arange(8)
    lr, _ = bank.cut(Draw(many * 0, many * 0, many * 0, many), 9)
    assert len({patch.numpy().tobytes() for patch in lr}) == 8


def test_every_place_is_as_likely_as_any_other() -> None:
    bank = PatchBank([pair("small", 9, 9, 2), pair("large", 12, 11, 2)], 2)  # 4 and 5 x 4 places
    drawn = bank.choose(24_000, 8, torch.Generator().manual_seed(1))
    places = torch.stack((drawn.image, drawn.row, drawn.column)).T
    found, counts = torch.unique(places, dim=0, return_counts=True)
    assert len(found) == 24
    assert counts.min() > 850
    assert counts.max() < 1150
    assert set(drawn.orientation.tolist()) == set(range(8))


def test_pictures_too_small_for_a_patch_are_not_drawn_from() -> None:
    bank = PatchBank([pair("small", 9, 30, 2), pair("large", 16, 16, 2)], 2)
    assert set(bank.choose(200, 12, torch.Generator()).image.tolist()) == {1}
    assert bank.fitting(48) == 16
    with pytest.raises(ValueError, match="no picture is large enough for patches of 20 pixels"):
        bank.choose(1, 20, torch.Generator())


def test_a_bank_checks_what_it_is_given() -> None:
    good = pair("a", 9, 9, 2)
    with pytest.raises(ValueError, match="at least one"):
        PatchBank([], 2)
    with pytest.raises(ValueError, match="is not 3 times"):
        PatchBank([good], 3)


def test_crops_of_one_photograph_stay_together() -> None:
    paths = [Path(f"{name}_{crop}.jpg") for name in "abcdefghij" for crop in range(4)]
    parts = split(paths, 2)
    assert len(parts.validation) == 2
    photographs = {path.stem.partition("_")[0] for path in parts.validation}
    assert len(photographs) == 2
    assert photographs.isdisjoint(path.stem.partition("_")[0] for path in parts.training)
    assert len(parts.training) == 32


def test_a_numbered_collection_is_no_photograph() -> None:
    parts = split([Path(f"img_{number:02d}.png") for number in range(100)], 3)
    assert (len(parts.training), len(parts.validation)) == (97, 3)


def test_the_split_is_the_same_wherever_the_folder_lies_and_whatever_is_added() -> None:
    names = [f"photo{number}" for number in range(60)]
    one = split([Path("/here") / f"{name}.png" for name in names], 6)
    other = split([Path("/there") / f"{name}.jpg" for name in reversed(names)], 6)
    assert {path.stem for path in one.validation} == {path.stem for path in other.validation}
    assert len(split([Path(f"{name}.png") for name in names[:4]], 6).validation) == 1
    assert split([Path("alone.png")], 6).validation == ()


def test_loading_reduces_sets_aside_and_says_what_it_skips(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {f"sub/p{number}.png": number for number in range(9)} | {"tiny.png": 1})
    (folder / "tiny.png").write_bytes((folder / "sub/p1.png").read_bytes()[:200])
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    seen: list[tuple[int, int]] = []
    found = load(folder, 4, validation=2, threads=2, progress=lambda *numbers: seen.append(numbers))
    names = {one.name for one in found.validation}
    assert len(found.bank) + len(names) + len(found.notes) == 10
    assert any("tiny.png" in note for note in found.notes)
    assert names.isdisjoint(found.bank.names)
    assert seen == [(number, 10) for number in range(1, 11)]
    lr, hr = found.bank.cut(Draw(*(torch.zeros(1, dtype=torch.int64) for _ in range(4))), 24)
    first = int(found.bank.names[0].removeprefix("p"))
    whole = picture(first)[..., ::-1]  # OpenCV writes blue first
    expected = downscale(whole, 4)[:24, :24].transpose(2, 0, 1)
    np.testing.assert_array_equal((lr[0] * 255).round().numpy().astype(np.uint8), expected)
    np.testing.assert_array_equal(
        (hr[0] * 255).round().numpy().astype(np.uint8), whole[:96, :96].transpose(2, 0, 1)
    )


def test_validation_pictures_are_centre_crops(tmp_path: Path) -> None:
    import cv2

    for number in range(5):
        assert cv2.imwrite(str(tmp_path / f"p{number}.png"), picture(number, 230, 211))
    (found,) = load(tmp_path, 2, validation=1).validation
    whole = picture(int(found.name.removeprefix("p")), 230, 211)[..., ::-1]
    assert found.lr.shape == (VALIDATION_SIDE, VALIDATION_SIDE, 3)
    top, left = (115 - 96) // 2, (105 - 96) // 2
    np.testing.assert_array_equal(found.hr, whole[2 * top : 2 * top + 192, 2 * left : 2 * left + 192])
    np.testing.assert_array_equal(found.lr, downscale(whole, 2)[top : top + 96, left : left + 96])


def test_a_limit_of_memory_takes_a_part_by_lot(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    one_picture = 112 * 96 * 3 * 2 * (1 + 1 / 16)
    some = load(folder, 4, validation=0, max_bytes=int(4.5 * one_picture), seed=3)
    again = load(folder, 4, validation=0, max_bytes=int(4.5 * one_picture), seed=3)
    other = load(folder, 4, validation=0, max_bytes=int(4.5 * one_picture), seed=4)
    assert some.bank.names == again.bank.names
    assert len(some.bank) == len(other.bank) == 4
    assert some.bank.names != other.bank.names
    assert some.notes == ("4 of 10 training pictures, chosen by lot, fill the memory allowed",)
    assert load(folder, 4, validation=0, max_bytes=1 << 30).notes == ()


def test_folders_without_pictures_are_told(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such folder"):
        find_pictures(tmp_path / "missing")
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(TrainingError, match="not a folder"):
        find_pictures(tmp_path / "file.txt")
    with pytest.raises(TrainingError, match="no images in it"):
        find_pictures(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(TrainingError, match=r"no image in it can be trained on \(skipped .*broken\.png"):
        load(tmp_path, 2)
