"""Making a window of an image exactly, once or as the mean over all orientations."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from srviewer.engine.exact import ExactPlan, Window, bounds
from srviewer.engine.orientation import ORIENTATIONS, Orientation
from srviewer.engine.planes import Storage
from srviewer.engine.staged_run import Program, run_stages, tiles_of
from srviewer.engine.tiles import Box

Read = Callable[[Box], Tensor]
"""Returns a rectangle of the image, 1 x 3 x H x W, float32, 0..1, on the CPU."""

Emit = Callable[[Box, Tensor], None]
"""Gets a finished rectangle of the input, and its output, 1 x 3 x scale H x scale W, nominally 0..1."""


def make_window(
    program: Program,
    cut: ExactPlan,
    window: Window,
    whole: Box,
    read: Read,
    tick: Callable[[Box], None],
    emit: Emit,
) -> None:
    """Run a network over a window of the image `whole`; `tick` is called after each stage of each tile."""
    with _storage(program, cut) as storage:
        run_stages(
            program,
            read,
            whole,
            window.tiles,
            region=window.region,
            order=window.results,
            storage=storage,
            tick=tick,
            emit=emit,
        )


def make_ensemble(
    program: Program,
    cut: ExactPlan,
    window: Window,
    whole: Box,
    read: Read,
    tick: Callable[[Box], None],
    emit: Emit,
) -> None:
    """Make a window as the mean of the network's answers to all eight orientations of the image.

    The sums are kept in float32 on the CPU; the results come at the end.
    """
    scale = program.scale
    core = bounds(window.results)
    total = torch.zeros(1, 3, core.height * scale, core.width * scale)

    def run(orientation: Orientation, storage: Storage) -> None:
        def add(box: Box, result: Tensor) -> None:
            place = orientation.box_undone(box, whole).within(core).times(scale)
            part = total[:, :, place.y : place.bottom, place.x : place.right]
            part += orientation.undone(result).float().cpu()

        region = orientation.box(window.region, whole)
        run_stages(
            program,
            lambda box: orientation.of(read(orientation.box_undone(box, whole))),
            orientation.whole(whole),
            tiles_of(region, cut.side),
            region=region,
            order=tiles_of(orientation.box(core, whole), cut.side),
            storage=storage,
            tick=tick,
            emit=add,
        )

    with _storage(program, cut) as storage:
        for orientation in ORIENTATIONS:
            run(orientation, storage)
    total /= len(ORIENTATIONS)
    for box in window.results:
        place = box.within(core).times(scale)
        emit(box, total[:, :, place.y : place.bottom, place.x : place.right])


@contextmanager
def _storage(program: Program, cut: ExactPlan) -> Iterator[Storage]:
    """Provide the place where features wait."""
    if not cut.in_files:
        yield Storage(program.device)
        return
    with tempfile.TemporaryDirectory(prefix="srviewer-", ignore_cleanup_errors=True) as folder:
        yield Storage(program.device, Path(folder))
