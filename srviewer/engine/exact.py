"""How a network that looks at the whole image is run over it within a bound of memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from srviewer.engine.planes import Storage
from srviewer.engine.staged_run import GRID, Program, run_stages, tiles_of
from srviewer.engine.tiles import Box, Tile, in_view_first, plan
from srviewer.networks.whole_image import PooledGrid

HALO = 64
"""Pixels around a window that stand for what lies outside: of the networks known here the one that feels
farthest, BSRN-S, changes by 0.02 of a level of 255, the others by nothing (benchmarks/exact.md).
"""

_PROBE_SIDE = 96
SMALLEST_WINDOW = 64
"""Pixels: below it nearly all work is for what surrounds the window."""


@dataclass(frozen=True)
class Window:
    """A part of the image that is made by itself.

    Attributes
    ----------
    region : what the network sees of the image.
    tiles : cover `region`; every stage but the last runs over these.
    results : what the last stage makes; the results of all windows cover the image once.
    """

    region: Box
    tiles: tuple[Box, ...]
    results: tuple[Box, ...]


@dataclass(frozen=True)
class ExactPlan:
    """How an image is cut for exact tiling.

    Attributes
    ----------
    side : largest side of a tile, in input pixels.
    windows : one of the whole image, if its features fit.
    in_files : whether features wait in files, since memory does not hold them.
    """

    side: int
    windows: tuple[Window, ...]
    in_files: bool

    @property
    def results(self) -> int:
        """How many pieces the result is made of."""
        return sum(len(window.results) for window in self.windows)

    def passes(self, program: Program) -> int:
        """Return how often a stage is run on a tile."""
        early = len(program.staged.stages) - 1
        return sum(early * len(window.tiles) + len(window.results) for window in self.windows)

    def feature_bytes(self, program: Program) -> int:
        """Return at most how many bytes of features are in memory between stages."""
        if self.in_files:
            return 0
        pixels = max(window.region.pixels for window in self.windows)
        return math.ceil(feature_bytes_per_pixel(program) * pixels)

    def bands(self) -> tuple[tuple[int, int], ...]:
        """Return the rows that become ready together, first and first behind the last, from top to bottom."""
        if len(self.windows) == 1:
            return tuple(sorted({(box.y, box.bottom) for box in self.windows[0].results}))
        cores = [bounds(window.results) for window in self.windows]
        return tuple(sorted({(core.y, core.bottom) for core in cores}))


def has_statistics(program: Program) -> bool:
    """Return whether some layer sums up over the whole image, so that no window can stand for it."""
    return any(not isinstance(layer, PooledGrid) for layer in program.staged.layers.values())


def feature_bytes_per_pixel(program: Program) -> float:
    """Return at most how many bytes of features wait between stages, per pixel of the region: measured.

    Must be called under ``torch.inference_mode``.
    """
    box = Box(0, 0, _PROBE_SIDE, _PROBE_SIDE)
    storage = Storage(program.device)
    blank = torch.zeros(1, 3, _PROBE_SIDE, _PROBE_SIDE)
    run_stages(
        program,
        lambda part: blank[:, :, part.y : part.bottom, part.x : part.right],
        box,
        (box,),
        storage=storage,
        tick=lambda _: None,
        emit=lambda *_: None,
    )
    return storage.peak_bytes / box.pixels


def whole_image_plan(width: int, height: int, side: int, *, in_files: bool = False) -> ExactPlan:
    """Return the plan in which one window is the image."""
    whole = Box(0, 0, width, height)
    tiles = tiles_of(whole, side)
    return ExactPlan(side, (Window(whole, tiles, tiles),), in_files)


def windowed_plan(
    width: int, height: int, side: int, *, pixels: int, rows: int | None = None
) -> ExactPlan | None:
    """Return the plan of windows with the least to compute around them; None if the room is too small.

    Parameters
    ----------
    width, height : of the image.
    side : of the tiles.
    pixels : most that a window may have, with its surroundings.
    rows : most that it may have without them.
    """
    size = _window_size(width, height, pixels, rows)
    if size is None:
        return None
    cut = plan(width, height, side=size[0], rows=size[1], overlap=HALO, align=GRID)
    windows = (Window(one.crop, tiles_of(one.crop, side), tiles_of(one.core, side)) for one in cut)
    return ExactPlan(side, tuple(windows), in_files=False)


def _window_size(width: int, height: int, pixels: int, most_rows: int | None) -> tuple[int, int] | None:
    """Return the largest width and height of windows, without what surrounds them."""
    best: tuple[int, int] | None = None
    least = math.inf
    for across, seen_across, all_across in _shares(width, None):
        for down, seen_down, all_down in _shares(height, most_rows):
            if seen_across * seen_down <= pixels:
                if all_across * all_down < least:
                    best, least = (across, down), all_across * all_down
                break  # more and lower windows only see more
    return best


def _shares(length: int, most: int | None) -> Iterator[tuple[int, int, int]]:
    """Yield each way to cut a length: of a part, its own pixels and those it sees; those that all see."""
    for count in range(1, -(-length // SMALLEST_WINDOW) + 1):
        own = -(-length // (count * GRID)) * GRID
        if most is None or own <= max(most, SMALLEST_WINDOW):
            # Each cut is seen from both of its sides.
            yield own, min(length, own + HALO * min(2, count - 1)), length + 2 * HALO * (count - 1)


def in_focus(
    plan_: ExactPlan, width: int, height: int, focus: tuple[float, float, float, float]
) -> ExactPlan:
    """Return a plan that makes first what is looked at (left, top, right, bottom in 0..1 of the image)."""
    windows = [
        Window(window.region, window.tiles, _nearest_first(window.results, width, height, focus))
        for window in plan_.windows
    ]
    order = _nearest_first([window.region for window in windows], width, height, focus)
    windows.sort(key=lambda window: order.index(window.region))
    return ExactPlan(plan_.side, tuple(windows), plan_.in_files)


def _nearest_first(
    boxes: Sequence[Box], width: int, height: int, focus: tuple[float, float, float, float]
) -> tuple[Box, ...]:
    return tuple(tile.core for tile in in_view_first([Tile(box, box) for box in boxes], width, height, focus))


def bounds(boxes: Sequence[Box]) -> Box:
    """Return the smallest rectangle that holds all boxes."""
    x, y = min(box.x for box in boxes), min(box.y for box in boxes)
    return Box(x, y, max(box.right for box in boxes) - x, max(box.bottom for box in boxes) - y)
