"""One run of a network over one image, from plan to finished tiles."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from srviewer.engine.backends import Backend, Runner, is_out_of_memory
from srviewer.engine.cutting import Cutter, Focus, Subject, too_little
from srviewer.engine.device import Device
from srviewer.engine.exact import ExactPlan, Window
from srviewer.engine.footprint import SAFETY
from srviewer.engine.orientation import ORIENTATIONS
from srviewer.engine.request import (
    Cancelled,
    FinishedTile,
    Precision,
    Progress,
    UpscaleError,
    UpscaleOptions,
)
from srviewer.engine.staged_run import Program
from srviewer.engine.telemetry import PeakMeter, Stopwatch, memory_in_use, release_memory
from srviewer.engine.tiles import Box, Tile
from srviewer.engine.tuning import measured_cost
from srviewer.engine.windows import make_ensemble, make_window
from srviewer.imaging.image import Pixels
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.tensors import to_pixels, to_tensor

# Seconds between two looks at `paused`: cancelling a paused run must answer within 200 ms.
_PAUSE_POLL = 0.02
# Input pixels: most that the tile has by whose time that of the run is foretold.
_FORETELLING_SIDE = 384
# Output pixels that are rounded at a time: on a CPU they stay in its caches, a GPU needs many to be busy.
_STRIP_PIXELS = {"cpu": 1 << 18, "cuda": 1 << 22, "mps": 1 << 22}
# ITU-R BT.601, what Y of the papers is made of: a grey result keeps the Y that the colours would have had.
_LUMA = (65.481 / 219, 128.553 / 219, 24.966 / 219)

Keep = Callable[[Box, Pixels], None]
"""Gets a finished rectangle of the result, in output pixels, and its pixels."""


@dataclass(frozen=True)
class Cost:
    """What a run will take.

    Attributes
    ----------
    seconds : of time.
    memory_bytes : at the peak, in the sense of `srviewer.engine.telemetry.memory_in_use`.
    """

    seconds: float
    memory_bytes: int


class _NotFiniteError(Exception):
    """The network gave NaN or infinity."""


class Run:
    """One run. What is called back may be replaced before it begins.

    Parameters
    ----------
    held : bytes that are taken already, for the result.
    in_rows : whether the result is to come from top to bottom, band by band (`bands`).

    Attributes
    ----------
    progress, on_tile, cancelled, paused : as in `srviewer.engine.upscale.upscale`.
    side : of the tiles, once planned; None for the whole image at once.
    tiles : finished so far.
    exact : whether the result equals the untiled one.
    fp32_tiles : tiles that ran again in fp32.
    """

    def __init__(
        self,
        subject: Subject,
        model: LoadedModel,
        device: Device,
        precision: Precision,
        options: UpscaleOptions,
        backend: Backend,
        *,
        held: int = 0,
        in_rows: bool = False,
    ) -> None:
        self.subject = subject
        self.model = model
        self.device = device
        self.precision = precision
        self.options = options
        self.backend = backend
        self.progress: Callable[[Progress], None] = lambda _: None
        self.on_tile: Callable[[FinishedTile], None] = lambda _: None
        self.cancelled: Callable[[], bool] = lambda: False
        self.paused: Callable[[], bool] = lambda: False

        self.stopwatch = Stopwatch()
        self.side: int | None = None
        self.tiles = 0
        self.exact = True
        self.fp32_tiles = 0
        self._cutter = Cutter(subject, model, device, precision, options, backend, held=held, in_rows=in_rows)
        self._runners: dict[Precision, Runner] = {}
        self._plan: ExactPlan | tuple[Tile, ...] | None = None

    def plan(self, focus: Focus | None = None) -> None:
        """Decide how the image is cut; what is looked at (`focus`) comes first."""
        self.wait()
        self._plan = self._cutter.cut(focus)
        self.backend, self.side = self._cutter.backend, self._cutter.side

    def bands(self) -> tuple[tuple[int, int], ...]:
        """Return the input rows that become ready together, first and first behind the last, in order."""
        assert self._plan is not None
        if isinstance(self._plan, ExactPlan):
            return self._plan.bands()
        return tuple(sorted({(tile.core.y, tile.core.bottom) for tile in self._plan}))

    def make(self, keep: Keep) -> None:
        """Make all tiles, and hand each to `keep`."""
        assert self._plan is not None
        if isinstance(self._plan, ExactPlan):
            self._make_exact(self._plan, keep)
        else:
            self._make_tiles(self._plan, keep)

    def foretold(self, held: int) -> Cost:
        """Return what the planned run will take, from one tile of noise; `held` bytes are taken besides."""
        assert self._plan is not None
        whole = self._cutter.whole
        side = min(self.side or _FORETELLING_SIDE, _FORETELLING_SIDE, whole.width, whole.height)
        with self._faults(), PeakMeter(self.device) as meter:
            seconds = measured_cost(self.model, self.device, self.precision, self.backend, side)
        pixels, waiting = whole.pixels, 0
        if isinstance(self._plan, ExactPlan):
            pixels = sum(window.region.pixels for window in self._plan.windows)
            waiting = self._plan.feature_bytes(self._program(self.precision))
        added = meter.peak() - meter.before + waiting + held
        return Cost(seconds * pixels * self._cutter.orientations, meter.before + int(SAFETY * added))

    def wait(self) -> None:
        """Stop if the run is cancelled; hold on while it is paused."""
        if self.cancelled():
            raise Cancelled("cancelled")
        if not self.paused():
            return
        begin = self.stopwatch.now()
        idle = threading.Event()
        while self.paused():
            if self.cancelled():
                raise Cancelled("cancelled")
            idle.wait(_PAUSE_POLL)
        self.stopwatch.pause_ended(begin)

    # Tiles that each see all they need

    def _make_tiles(self, pending: tuple[Tile, ...], keep: Keep) -> None:
        """Make tile after tile, smaller ones where memory runs out."""
        self._tell(pending)
        while pending:
            self.wait()
            tile = pending[0]
            pixels = self._attempt(tile)
            if pixels is None:
                self._let_go()
                pending = self._cutter.cut_smaller(pending)
                self.side = self._cutter.side
                continue
            pending = pending[1:]
            self.stopwatch.tile_done(work=tile.crop.pixels, pixels=tile.core.pixels * self.model.scale**2)
            self._finished(tile.core, pixels, keep)
            self._tell(pending)
        self.exact = self.tiles == 1 or self._cutter.local
        if self.tiles == 1:
            self.side = None

    def _attempt(self, tile: Tile) -> Pixels | None:
        """Return the output pixels of a tile's core, or None if the memory did not suffice."""
        with self._faults():
            try:
                return self._make(tile)
            except (MemoryError, RuntimeError) as error:
                if is_out_of_memory(error):
                    return None
                raise

    def _make(self, tile: Tile) -> Pixels:
        """Return the output pixels of a tile's core: height x width x 3, of the image's dtype."""
        batch = to_tensor(self.subject.read(tile.crop))
        core = tile.core.within(tile.crop).times(self.model.scale)
        result = self._enlarged(self.precision, batch)[:, :, core.y : core.bottom, core.x : core.right]
        if not _all_finite(result):
            if self.precision == "fp32":
                raise self._unusable()
            result = self._enlarged("fp32", batch)[:, :, core.y : core.bottom, core.x : core.right]
            if not _all_finite(result):
                raise self._unusable()
            self.fp32_tiles += 1
        return self._rounded(result)

    def _enlarged(self, precision: Precision, batch: Tensor) -> Tensor:
        """Return the network's answer to a 1 x 3 x H x W batch, or the mean of eight if asked for."""
        runner = self._runner(precision)
        if not self.options.self_ensemble:
            return runner(batch)
        total: Tensor | None = None
        for orientation in ORIENTATIONS:
            self.wait()
            answer = orientation.undone(runner(orientation.of(batch)).float())
            total = answer if total is None else total + answer
        assert total is not None
        return total / len(ORIENTATIONS)

    def _runner(self, precision: Precision) -> Runner:
        """Return the network made ready in a precision."""
        if precision not in self._runners:
            self._runners[precision] = self.backend.prepare(self.model, self.device, precision)
        return self._runners[precision]

    # Tiles that meet where the network looks at the whole image

    def _make_exact(self, cut: ExactPlan, keep: Keep) -> None:
        """Run the stages over all windows; over one again in fp32 if low precision gave no numbers."""
        passes = cut.passes(self._program(self.precision)) * self._cutter.orientations
        done = 0

        def tick(_: Box) -> None:
            nonlocal done
            done += 1
            self.stopwatch.tile_done(
                work=1,
                pixels=self._cutter.whole.pixels * self.model.scale**2 / passes,
                share=cut.results / passes,
            )
            self._tell_exact(cut.results, max(0, passes - done))
            self.wait()

        self._tell_exact(cut.results, passes)
        for window in cut.windows:
            try:
                self._make_window(cut, window, self.precision, tick, keep)
            except _NotFiniteError:
                if self.precision == "fp32":
                    raise self._unusable() from None
                try:
                    self._make_window(cut, window, "fp32", tick, keep)
                except _NotFiniteError:
                    raise self._unusable() from None
                self.fp32_tiles += len(window.results)
            if window is not cut.windows[-1]:
                # Windows have many sizes: what one freed seldom fits the next, and kept it adds up.
                release_memory(self.device)
        self.tiles = cut.results

    def _make_window(
        self, cut: ExactPlan, window: Window, precision: Precision, tick: Callable[[Box], None], keep: Keep
    ) -> None:
        """Make one window."""

        def finished(box: Box, result: Tensor) -> None:
            if not _all_finite(result):
                raise _NotFiniteError
            self._finished(box, self._rounded(result), keep)

        make = make_ensemble if self.options.self_ensemble else make_window
        with self._faults():
            make(
                self._program(precision),
                cut,
                window,
                self._cutter.whole,
                lambda box: to_tensor(self.subject.read(box)),
                tick,
                finished,
            )

    def _program(self, precision: Precision) -> Program:
        program = self.backend.program(self.model, self.device, precision)
        assert program is not None
        return program

    def _tell_exact(self, tiles: int, passes_left: int) -> None:
        self.progress(
            self.stopwatch.progress(
                work_left=passes_left,
                tiles_left=max(0.0, tiles - self.stopwatch.tiles),
                memory_bytes=memory_in_use(self.device),
            )
        )

    # Both

    def _rounded(self, result: Tensor) -> Pixels:
        """Turn 1 x 3 x H x W of 0..1 into pixels of the image's dtype, grey ones if it is grey.

        In strips: several copies in fp32 of a large result would be the peak of the whole run.
        """
        height, width = result.shape[2:]
        pixels: Pixels = np.empty((height, width, 3), self.subject.dtype)
        step = max(1, _STRIP_PIXELS[result.device.type] // width)
        for top in range(0, height, step):
            strip = result[:, :, top : top + step]
            if self.subject.grey:
                weights = torch.tensor(_LUMA, device=strip.device)[None, :, None, None]
                strip = (strip.float() * weights).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)
            pixels[top : top + step] = to_pixels(strip, self.subject.dtype)
        return pixels

    def _finished(self, core: Box, pixels: Pixels, keep: Keep) -> None:
        """Hand a tile's pixels on."""
        place = core.times(self.model.scale)
        keep(place, pixels)
        pixels.flags.writeable = False
        self.tiles += 1
        self.on_tile(FinishedTile(place.x, place.y, place.width, place.height, pixels))

    def _tell(self, pending: tuple[Tile, ...]) -> None:
        """Report how far the run is."""
        self.progress(
            self.stopwatch.progress(
                work_left=sum(tile.crop.pixels for tile in pending),
                tiles_left=len(pending),
                memory_bytes=memory_in_use(self.device),
            )
        )

    def _let_go(self) -> None:
        """Free what a failed attempt held."""
        gc.collect()  # the error's traceback may hold features
        release_memory(self.device)

    def _unusable(self) -> UpscaleError:
        return UpscaleError(f"{self.model.id} gives values that are no numbers: its weights are unusable")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Tell the user of what torch raises, in one sentence."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise too_little(self.model, self.device, "what is left") from error
            reason = str(error).strip().partition("\n")[0]
            raise UpscaleError(f"{self.model.id} failed on {self.device.name}: {reason}") from error


def _all_finite(batch: Tensor) -> bool:
    # A sum that is finite has finite terms, and is had three times as fast as looking at each of them.
    return bool(batch.sum(dtype=torch.float32).isfinite()) or bool(batch.isfinite().all())
