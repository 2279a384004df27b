from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srviewer.imaging.levels import halve
from srviewer.imaging.pyramid import Pyramid, TileIndex

pyramids = st.builds(Pyramid, st.integers(1, 5000), st.integers(1, 5000), st.sampled_from([16, 100, 256]))


@given(pyramids)
def test_levels_halve_until_one_tile_is_enough(pyramid: Pyramid) -> None:
    width, height = pyramid.width, pyramid.height
    for level in range(pyramid.levels):
        assert pyramid.level_size(level) == (width, height)
        assert (max(width, height) <= pyramid.tile_side) == (level == pyramid.levels - 1)
        width, height = (width + 1) // 2, (height + 1) // 2
    assert pyramid.grid(pyramid.levels - 1) == (1, 1)


@given(pyramids, st.data())
def test_tiles_cover_each_level_exactly(pyramid: Pyramid, data: st.DataObject) -> None:
    level = data.draw(st.integers(0, pyramid.levels - 1))
    width, height = pyramid.level_size(level)
    rows, columns = pyramid.grid(level)
    top = 0
    for row in range(rows):
        left = 0
        for column in range(columns):
            part = pyramid.tile_rectangle(TileIndex(level, row, column))
            assert (part.x, part.y) == (left, top)
            assert 1 <= part.width <= pyramid.tile_side
            assert 1 <= part.height <= pyramid.tile_side
            left += part.width
        assert left == width
        top += part.height
    assert top == height


@given(pyramids, st.data())
@settings(max_examples=200)
def test_visible_tiles_are_those_that_touch_the_view(pyramid: Pyramid, data: st.DataObject) -> None:
    level = data.draw(st.integers(0, pyramid.levels - 1))
    number = st.floats(-6000, 6000, allow_nan=False)
    left, right = sorted((data.draw(number), data.draw(number)))
    top, bottom = sorted((data.draw(number), data.draw(number)))
    rows, columns = pyramid.grid(level)
    expected = []
    for row in range(rows):
        for column in range(columns):
            tile = TileIndex(level, row, column)
            x0, y0, x1, y1 = pyramid.tile_in_image(tile)
            if max(x0, left) < min(x1, right) and max(y0, top) < min(y1, bottom):
                expected.append(tile)
    assert list(pyramid.visible_tiles(level, (left, top, right, bottom))) == expected


@given(pyramids, st.floats(1e-4, 64))
def test_level_for_zoom_never_blurs(pyramid: Pyramid, zoom: float) -> None:
    level = pyramid.level_for_zoom(zoom)
    assert level == 0 or zoom * 2**level <= 1
    assert level == pyramid.levels - 1 or zoom * 2 ** (level + 1) > 1


def test_a_known_pyramid() -> None:
    pyramid = Pyramid(6000, 4000)
    assert pyramid.levels == 6
    assert pyramid.level_size(5) == (188, 125)
    assert pyramid.grid(0) == (16, 24)
    assert pyramid.level_for_zoom(1.0) == 0
    assert pyramid.level_for_zoom(0.5) == 1
    assert pyramid.level_for_zoom(0.26) == 1
    assert pyramid.level_for_zoom(0.001) == 5
    last = pyramid.tile_rectangle(TileIndex(0, 15, 23))
    assert (last.x, last.y, last.width, last.height) == (5888, 3840, 112, 160)


@pytest.mark.parametrize("zoom", [0.0, -1.0, math.nan, math.inf])
def test_senseless_zooms_are_refused(zoom: float) -> None:
    with pytest.raises(ValueError, match="zoom"):
        Pyramid(10, 10).level_for_zoom(zoom)


def test_what_is_not_there_is_refused() -> None:
    pyramid = Pyramid(300, 300)
    with pytest.raises(ValueError, match="no level 2"):
        pyramid.level_size(2)
    with pytest.raises(ValueError, match="outside"):
        pyramid.tile_rectangle(TileIndex(0, 2, 0))
    with pytest.raises(ValueError, match="at least 1"):
        Pyramid(0, 5)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([(), (1,), (3,), (4,)]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_halving_averages_two_by_two(height: int, width: int, channels: tuple[int, ...], wide: bool) -> None:
    rng = np.random.default_rng(height * 41 + width)
    dtype: Any = np.uint16 if wide else np.uint8
    pixels = rng.integers(0, 65536 if wide else 256, (height, width, *channels)).astype(dtype)
    half = halve(pixels)
    rows, columns = (height + 1) // 2, (width + 1) // 2
    assert half.shape == (rows, columns, *channels)
    assert half.dtype == pixels.dtype
    padded = np.pad(pixels, [(0, height % 2), (0, width % 2), *[(0, 0)] * len(channels)], mode="edge")
    exact = padded.astype(np.float64).reshape(rows, 2, columns, 2, *channels).mean(axis=(1, 3))
    assert np.abs(half - exact).max() <= 0.5


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_halving_and_levels_agree_about_sizes(width: int, height: int) -> None:
    pyramid = Pyramid(width, height, 16)
    for level in range(1, pyramid.levels):
        before, after = pyramid.level_size(level - 1), pyramid.level_size(level)
        assert after == tuple((length + 1) // 2 for length in before)
