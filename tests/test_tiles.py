from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srviewer.engine.tiles import Box, Tile, in_view_first, largest_first, plan, refined

sides = st.integers(1, 400)
overlaps = st.integers(0, 40)
alignments = st.sampled_from([1, 2, 8])


def covered(tiles: tuple[Tile, ...], width: int, height: int) -> bool:
    """Whether the cores touch every pixel exactly once."""
    count = np.zeros((height, width), np.int64)
    for tile in tiles:
        core = tile.core
        assert core.x >= 0
        assert core.y >= 0
        count[core.y : core.bottom, core.x : core.right] += 1
    return bool((count == 1).all()) and sum(tile.core.pixels for tile in tiles) == width * height


@given(sides, sides, st.integers(1, 300), overlaps, alignments)
def test_cores_cover_exactly_once(width: int, height: int, side: int, overlap: int, align: int) -> None:
    assert covered(plan(width, height, side=side, overlap=overlap, align=align), width, height)


@given(sides, sides, st.integers(1, 300), overlaps, alignments)
def test_no_slivers_and_none_too_large(width: int, height: int, side: int, overlap: int, align: int) -> None:
    tiles = plan(width, height, side=side, overlap=overlap, align=align)
    for lengths, whole in (
        ({tile.core.width for tile in tiles}, width),
        ({tile.core.height for tile in tiles}, height),
    ):
        assert max(lengths) <= max(side, align)
        if align == 1:
            assert max(lengths) - min(lengths) <= 1
        elif whole % align == 0:
            assert max(lengths) - min(lengths) <= align
        else:
            assert max(lengths) - min(lengths) < 2 * align


@given(sides, sides, st.integers(1, 300), overlaps, alignments)
def test_crop_is_core_and_overlap_within_the_image(
    width: int, height: int, side: int, overlap: int, align: int
) -> None:
    for tile in plan(width, height, side=side, overlap=overlap, align=align):
        core, crop = tile.core, tile.crop
        assert crop.x >= 0
        assert crop.y >= 0
        assert crop.right <= width
        assert crop.bottom <= height
        assert core.x - crop.x >= min(overlap, core.x)
        assert core.y - crop.y >= min(overlap, core.y)
        assert crop.right - core.right >= min(overlap, width - core.right)
        assert crop.bottom - core.bottom >= min(overlap, height - core.bottom)
        assert crop.width <= core.width + 2 * (overlap + align - 1)
        for begin in (core.x, core.y, crop.x, crop.y):
            assert begin % align == 0


@given(sides, sides, overlaps, alignments)
def test_without_a_side_there_is_one_tile(width: int, height: int, overlap: int, align: int) -> None:
    whole = Box(0, 0, width, height)
    assert plan(width, height, side=None, overlap=overlap, align=align) == (Tile(whole, whole),)


@given(sides, sides, st.integers(32, 300), st.integers(1, 31), overlaps, alignments, st.data())
def test_refined_covers_what_was_left(
    width: int, height: int, side: int, smaller: int, overlap: int, align: int, data: st.DataObject
) -> None:
    tiles = plan(width, height, side=side, overlap=overlap, align=align)
    done = data.draw(st.integers(0, len(tiles)))
    rest = refined(tiles[done:], Box(0, 0, width, height), side=smaller, overlap=overlap, align=align)
    assert covered(tiles[:done] + rest, width, height)
    for tile in rest:
        assert max(tile.core.width, tile.core.height) <= max(smaller, align)
        assert tile.core.x % align == tile.core.y % align == 0


@given(
    sides,
    sides,
    st.integers(8, 100),
    st.tuples(*[st.floats(-0.5, 1.5, allow_nan=False)] * 4),
)
def test_order_by_view_keeps_every_tile(
    width: int, height: int, side: int, focus: tuple[float, float, float, float]
) -> None:
    tiles = plan(width, height, side=side, overlap=4)
    assert sorted(in_view_first(tiles, width, height, focus)) == sorted(tiles)


def test_tiles_in_view_come_first() -> None:
    tiles = plan(400, 400, side=100, overlap=8)
    ordered = in_view_first(tiles, 400, 400, (0.55, 0.55, 0.7, 0.7))
    assert ordered[0].core == Box(200, 200, 100, 100)
    assert ordered[-1].core == Box(0, 0, 100, 100)
    wide = in_view_first(tiles, 400, 400, (0.3, 0.0, 0.45, 1.0))
    assert {tile.core.x for tile in wide[:4]} == {100}


def test_the_largest_come_first() -> None:
    tiles = plan(300, 300, side=100, overlap=8)
    ordered = largest_first(tiles)
    assert sorted(ordered) == sorted(tiles)
    assert ordered[0].core == Box(100, 100, 100, 100)
    assert ordered[-1].core == Box(200, 200, 100, 100)


def test_boxes() -> None:
    box = Box(3, 4, 10, 20)
    assert (box.right, box.bottom, box.pixels) == (13, 24, 200)
    assert box.times(2) == Box(6, 8, 20, 40)
    assert box.within(Box(1, 2, 100, 100)) == Box(2, 2, 10, 20)


@pytest.mark.parametrize(
    ("width", "height", "side", "overlap", "align"),
    [(0, 5, 8, 0, 1), (5, 0, 8, 0, 1), (5, 5, 0, 0, 1), (5, 5, 8, -1, 1), (5, 5, 8, 0, 0)],
)
def test_nonsense_is_refused(width: int, height: int, side: int, overlap: int, align: int) -> None:
    with pytest.raises(ValueError, match="no "):
        plan(width, height, side=side, overlap=overlap, align=align)
