"""Small pictures of results that go to files."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srviewer.engine.request import FinishedTile
from srviewer.engine.tiles import plan
from srviewer.imaging.levels import halve
from srviewer.session.geometry import Size
from srviewer.session.previews import Preview


@pytest.mark.parametrize(
    ("result", "size", "halvings"),
    [
        (Size(100, 50), Size(100, 50), 0),
        (Size(4096, 2048), Size(4096, 2048), 0),
        (Size(4097, 2048), Size(2049, 1024), 1),
        (Size(40_000, 40_000), Size(2500, 2500), 4),
        (Size(1, 1 << 26), Size(1, 1 << 23), 3),
    ],
)
def test_a_preview_has_few_pixels(result: Size, size: Size, halvings: int) -> None:
    assert Preview.of(result) == Preview(size, halvings)


@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(0, 4), st.sampled_from([1, 16])
)
@settings(deadline=None)
def test_tiles_leave_no_gap(width: int, height: int, side: int, halvings: int, align: int) -> None:
    size = Size(-(-width >> halvings), -(-height >> halvings))
    preview = Preview(size, halvings)
    result = np.random.default_rng(width).integers(1, 256, (height, width, 3), np.uint8)
    canvas = np.zeros((size.height, size.width, 3), np.uint8)
    for tile in plan(width, height, side=side, overlap=0, align=align):
        core = tile.core
        pixels = result[core.y : core.bottom, core.x : core.right]
        small = preview.tile(FinishedTile(core.x, core.y, core.width, core.height, pixels))
        assert small.pixels.shape == (small.height, small.width, 3)
        assert small.x + small.width <= size.width
        assert small.y + small.height <= size.height
        canvas[small.y : small.y + small.height, small.x : small.x + small.width] = small.pixels
    assert (canvas > 0).all()
    if align == 16:
        for _ in range(halvings):
            result = halve(result)
        assert np.array_equal(canvas, result)
