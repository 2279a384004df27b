"""Recognising HR+LR pairs by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srviewer.session.geometry import Size
from srviewer.session.intake import take_in
from srviewer.session.pairs import Pair, common_scale, recognise, size_scale

LR, SCALES = Size(64, 48), (2, 3, 4)


def hr(scale: int) -> Size:
    return LR.times(scale)


@pytest.mark.parametrize(
    ("low", "high", "scale"),
    [
        ("img_001_LR.png", "img_001_HR.png", 4),
        ("img_001_LR.png", "img_001_HR.tif", 2),
        ("baby_lr.jpg", "baby_hr.png", 3),
        ("baby_LRx4.png", "baby_HR.png", 4),
        ("img_001_SRF_4_LR.png", "img_001_SRF_4_HR.png", 4),
        ("0801x4.png", "0801.png", 4),
        ("0801_x3.png", "0801.png", 3),
        ("Set5/LR/baby.png", "Set5/HR/baby.png", 4),
        ("Set5/lr/baby.png", "Set5/hr/baby.png", 4),
        ("Set5/LR_bicubic/X4/babyx4.png", "Set5/HR/baby.png", 4),
        ("Set5/LR_bicubic/4x/baby.png", "Set5/HR/baby.png", 4),
        ("DIV2K_valid_LR_bicubic/X2/0801x2.png", "DIV2K_valid_HR/0801.png", 2),
        ("DIV2K_valid_LR_bicubic_X2/0801x2.png", "DIV2K_valid_HR/0801.png", 2),
        ("data/LQ/a.png", "data/GT/a.png", 4),
        ("Set5_LR/a.png", "Set5_HR/a.png", 4),
        ("HR/x.png", "x.png", 0),
    ],
)
def test_names_that_are_known(low: str, high: str, scale: int) -> None:
    files = (Path(high), Path(low))
    found = recognise(files, {Path(low): LR, Path(high): hr(scale or 4)})
    if scale:
        assert found.pairs == (Pair(Path(low), Path(high), scale),)
        assert found.singles == ()
    else:
        assert found.pairs == ()
        assert found.singles == files


def test_a_name_without_the_right_size_is_no_pair() -> None:
    files = (Path("a_HR.png"), Path("a_LR.png"))
    for sizes in (
        {files[0]: Size(100, 100), files[1]: Size(64, 48)},
        {files[0]: LR, files[1]: LR},
        {files[0]: hr(5), files[1]: LR},
        {files[0]: LR, files[1]: hr(4)},
        {files[0]: hr(4)},
        {},
    ):
        assert recognise(files, sizes).singles == files


def test_an_upscaled_picture_is_not_taken_for_the_lr_of_its_source() -> None:
    source, result = Path("photo.png"), Path("photox4.png")
    assert recognise((source, result), {source: LR, result: hr(4)}).pairs == ()


def test_a_scale_in_the_name_has_to_be_the_sizes() -> None:
    low, high = Path("ax4.png"), Path("a.png")
    assert recognise((low, high), {low: LR, high: hr(2)}).pairs == ()


def test_one_hr_serves_all_its_lr_versions_and_others_stay_single() -> None:
    lows = [Path(f"set/LR_bicubic/X{scale}/ax{scale}.png") for scale in SCALES]
    high, other = Path("set/HR/a.png"), Path("set/notes.png")
    sizes = {low: Size(24 // scale * 10, 24 // scale * 10) for low, scale in zip(lows, SCALES, strict=True)}
    found = recognise([high, *lows, other], {**sizes, high: Size(240, 240), other: Size(9, 9)})
    assert found.pairs == tuple(Pair(low, high, scale) for low, scale in zip(lows, SCALES, strict=True))
    assert found.singles == (other,)
    assert common_scale(found.pairs) == 4
    assert common_scale(()) is None


def test_same_names_in_unrelated_folders_are_no_pair() -> None:
    low, high = Path("one/LR/a.png"), Path("two/HR/a.png")
    assert recognise((low, high), {low: LR, high: hr(4)}).pairs == ()
    low, high = Path("Set5_LR/a.png"), Path("Set14_HR/a.png")
    assert recognise((low, high), {low: LR, high: hr(4)}).pairs == ()


@given(st.integers(1, 500), st.integers(1, 500), st.sampled_from(SCALES), st.data())
def test_hr_may_keep_what_papers_cut_off(width: int, height: int, scale: int, data: st.DataObject) -> None:
    extra = st.integers(0, scale - 1)
    low = Size(width, height)
    high = Size(width * scale + data.draw(extra), height * scale + data.draw(extra))
    found = size_scale(low, high)
    assert found is not None
    # sizes of a few pixels may fit two scales; the one that is found has to fit as well
    assert (high.width // found, high.height // found) == (width, height)
    if min(width, height) >= 4:
        assert found == scale


names = st.sampled_from(
    [
        "a.png",
        "ax4.png",
        "a_HR.png",
        "a_LR.png",
        "HR/a.png",
        "LR/a.png",
        "LR/X4/ax4.png",
        "b_x2.png",
        "b.png",
        "x4.png",
    ]
)


@given(
    st.lists(names, unique=True),
    st.lists(st.sampled_from([LR, hr(2), hr(3), hr(4)]), min_size=10, max_size=10),
)
def test_every_file_has_one_place(listed: list[str], sizes: list[Size]) -> None:
    files = [Path(name) for name in listed]
    table = dict(zip(files, sizes, strict=False))
    found = recognise(files, table)
    lows = [pair.lr for pair in found.pairs]
    highs = {pair.hr for pair in found.pairs}
    assert len(set(lows)) == len(lows)
    assert not highs & set(lows)
    assert set(lows) | highs | set(found.singles) == set(files)
    assert not (set(lows) | highs) & set(found.singles)
    assert all(table[pair.hr] == table[pair.lr].times(pair.scale) for pair in found.pairs)


@pytest.mark.parametrize(("name", "scale"), [("Set5", 2), ("Set5", 3), ("Set5", 4), ("Set14", 4)])
def test_the_papers_test_sets_are_pairs(reference: Path, name: str, scale: int) -> None:
    intake = take_in([reference / name / f"image_SRF_{scale}"])
    assert intake.pairs
    assert {pair.scale for pair in intake.pairs} == {scale}
    assert {image.path for image in intake.images} == {pair.lr for pair in intake.pairs}
    assert intake.ignored == ()
