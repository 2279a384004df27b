"""One run of a network over one image, from plan to finished tiles."""

from __future__ import annotations

import gc
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srviewer.engine.automatic import Automatic
from srviewer.engine.backends import Backend, Runner, is_out_of_memory
from srviewer.engine.device import Device, free_memory
from srviewer.engine.exact import (
    HALO,
    SMALLEST_WINDOW,
    ExactPlan,
    Window,
    feature_bytes_per_pixel,
    has_statistics,
    in_focus,
    whole_image_plan,
    window_side,
    windowed_plan,
)
from srviewer.engine.footprint import (
    GENEROUS_BYTES_PER_PIXEL,
    Footprint,
    Surroundings,
    auto_side,
    footprint_of,
    memory_budget,
    staged_side,
)
from srviewer.engine.orientation import ORIENTATIONS
from srviewer.engine.request import (
    SMALLEST_TILE,
    Cancelled,
    FinishedTile,
    Precision,
    Progress,
    UpscaleError,
    UpscaleOptions,
)
from srviewer.engine.staged_run import GRID, Program
from srviewer.engine.telemetry import Stopwatch, memory_in_use, release_memory
from srviewer.engine.tiles import Box, Tile, in_view_first, largest_first, plan, refined
from srviewer.engine.tuning import Choice, fastest
from srviewer.engine.windows import make_ensemble, make_window
from srviewer.imaging.image import Pixels
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.tensors import to_pixels, to_tensor

Focus = tuple[float, float, float, float]
"""Left, top, right, bottom of the part in view, in 0..1 of the whole image."""

# Seconds between two looks at `paused`: cancelling a paused run must answer within 200 ms.
_PAUSE_POLL = 0.02
# Output pixels that are rounded at a time.
_STRIP_PIXELS = 1 << 16
# Networks that pool over a grid and cannot be cut into stages meet the grid of the whole image if tiles begin
# on multiples of it: SAFMN's coarsest level pools windows of 8 pixels.
_GRID = 8
# ITU-R BT.601, what Y of the papers is made of: a grey result keeps the Y that the colours would have had.
_LUMA = (65.481 / 219, 128.553 / 219, 24.966 / 219)
# Bytes of the result that wait to be written: two bands, one being made and one on its way to the disk.
_BANDS_BYTES = 1 << 29
# Bytes of features between stages beyond which a network is rather run in windows, on a CPU: the rest of the
# machine wants memory too, and windows cost a quarter more time at most.
_COMFORTABLE_FEATURES = 3 << 28


@dataclass(frozen=True, eq=False)
class Subject:
    """An image as a run sees it.

    Attributes
    ----------
    width, height : in pixels.
    dtype : uint8 or uint16.
    grey : whether the result is to be grey.
    read : returns the pixels of a rectangle, height x width x 3, R, G, B.
    """

    width: int
    height: int
    dtype: np.dtype[Any]
    grey: bool
    read: Callable[[Box], Pixels]


Keep = Callable[[Box, Pixels], None]
"""Gets a finished rectangle of the result, in output pixels, and its pixels."""


class _NotFiniteError(Exception):
    """The network gave NaN or infinity."""


class Run:
    """One run. What is called back may be replaced before it begins.

    Attributes
    ----------
    progress, on_tile, cancelled, paused : as in `srviewer.engine.upscale.upscale`.
    in_rows : whether the result is to come from top to bottom, band by band (`bands`).
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
        self.in_rows = in_rows
        self.progress: Callable[[Progress], None] = lambda _: None
        self.on_tile: Callable[[FinishedTile], None] = lambda _: None
        self.cancelled: Callable[[], bool] = lambda: False
        self.paused: Callable[[], bool] = lambda: False

        self.stopwatch = Stopwatch()
        self.side: int | None = None
        self.tiles = 0
        self.exact = True
        self.fp32_tiles = 0
        self._held = held
        self._local = model.spec.reach is not None
        self._overlap = _overlap(model, precision)
        self._align = 1 if self._local else _GRID
        self._whole = Box(0, 0, subject.width, subject.height)
        self._runners: dict[Precision, Runner] = {}
        self._plan: ExactPlan | tuple[Tile, ...] | None = None

    def plan(self, focus: Focus | None = None) -> None:
        """Decide how the image is cut."""
        self.wait()
        at_once = self._local or self.options.tile == "off"
        program = None if at_once else self.backend.program(self.model, self.device, self.precision)
        if program is not None:
            exact = self._exact_plan(program)
            if exact is not None:
                self.side = exact.side
                self._plan = (
                    exact
                    if focus is None or self.in_rows
                    else in_focus(exact, self.subject.width, self.subject.height, focus)
                )
                return
        self.side = self._tile_side(untiled_is_exact=program is not None)
        if self.in_rows and self._local and self._band_rows() < self.subject.height:
            # One tile of all would hold the whole result in memory.
            limit = max(SMALLEST_TILE, self._band_rows())
            self.side = limit if self.side is None else min(self.side, limit)
        tiles = plan(
            self.subject.width,
            self.subject.height,
            side=self.side,
            overlap=self._overlap,
            align=self._align,
        )
        if not self.in_rows:
            tiles = (
                largest_first(tiles)
                if focus is None
                else in_view_first(tiles, self.subject.width, self.subject.height, focus)
            )
        self._plan = tiles

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

    def probe(self, box: Box) -> None:
        """Run the network over a rectangle for the sake of the time that it takes."""
        with self._faults():
            self._runner(self.precision)(to_tensor(self.subject.read(box)))

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
        if len(pending) > 1 and isinstance(self.backend, Automatic):
            # Tiles have up to nine shapes: OpenVINO would compile each, and keep memory for it.
            self.backend = self.backend.candidates[0]
            self._runners.clear()
        self._tell(pending)
        while pending:
            self.wait()
            tile = pending[0]
            pixels = self._attempt(tile)
            if pixels is None:
                self._let_go()
                self.side = self._smaller(tile)
                if self.in_rows:
                    # Bands are settled: a smaller tile must not reach over the rows of its own.
                    parts = refined(
                        (tile,), self._whole, side=self.side, overlap=self._overlap, align=self._align
                    )
                    pending = (*parts, *pending[1:])
                else:
                    pending = self._cut_smaller(pending)
                continue
            pending = pending[1:]
            self.stopwatch.tile_done(work=tile.crop.pixels, pixels=tile.core.pixels * self.model.scale**2)
            self._finished(tile.core, pixels, keep)
            self._tell(pending)
        self.exact = self.tiles == 1 or self._local
        if self.tiles == 1:
            self.side = None

    def _cut_smaller(self, tiles: tuple[Tile, ...]) -> tuple[Tile, ...]:
        assert self.side is not None
        return refined(tiles, self._whole, side=self.side, overlap=self._overlap, align=self._align)

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

    def _tile_side(self, *, untiled_is_exact: bool) -> int | None:
        """Return the side of the tiles' cores, None for the whole image."""
        subject, choice = self.subject, self.options.tile
        if choice == "off" or untiled_is_exact:
            return None
        if choice != "auto":
            return None if choice >= max(subject.width, subject.height) else choice
        place = self._surroundings()
        side = auto_side(place, self._footprint)
        if side is None or not self._local or not isinstance(self.backend, Automatic):
            return side
        measured = self._measured(place, self.backend.candidates[:1])
        return side if measured is None else measured.side

    def _surroundings(self) -> Surroundings:
        free = free_memory(self.device) - (self._held if self.device.kind == "cpu" else 0)
        return Surroundings(
            width=self.subject.width,
            height=self.subject.height,
            overlap=self._overlap,
            align=self._align,
            local=self._local,
            device=self.device,
            budget=memory_budget(self.options.max_memory, free),
            limited=self.options.max_memory is not None,
        )

    def _footprint(self) -> Footprint:
        """Return the memory that the network takes here, with the sums that a self-ensemble keeps."""
        measured = footprint_of(
            self.model.spec,
            self.device,
            self.precision,
            self.backend.name,
            lambda: self._runner(self.precision),
        )
        if not self.options.self_ensemble:
            return measured
        sums = 2 * 3 * 4 * self.model.scale**2
        return Footprint(measured.fixed, measured.per_pixel + sums)

    def _smaller(self, tile: Tile) -> int:
        """Return the side to go on with after `tile` found no memory."""
        side = max(tile.core.width, tile.core.height) // 2
        if side < SMALLEST_TILE:
            raise self._too_little(f"a tile of {tile.core.width} x {tile.core.height} pixels")
        return side

    # Tiles that meet where the network looks at the whole image

    def _exact_plan(self, program: Program) -> ExactPlan | None:
        """Return how the image is run in stages; None if it is to run at once."""
        width, height, choice = self.subject.width, self.subject.height, self.options.tile
        smallest = self.model.spec.smallest_side
        if choice == "off" or min(width, height) < smallest:
            return None
        place = self._surroundings()
        side = choice if choice != "auto" else self._staged_side(place)
        if side is None or side >= max(width, height):
            return None
        features = feature_bytes_per_pixel(program)
        room = place.budget - self._tile_bytes(side)
        needed = int(features * width * height)
        if has_statistics(program):
            if needed <= room:
                return whole_image_plan(width, height, side)
            self._require_disk(needed)
            return whole_image_plan(width, height, side, in_files=True)
        comfortable = room if self.device.kind != "cpu" else min(room, _COMFORTABLE_FEATURES)
        if needed <= comfortable and not self.options.self_ensemble:
            return whole_image_plan(width, height, side)
        window = window_side(comfortable, features)
        if not window:
            needed = int(features * (SMALLEST_WINDOW + 2 * HALO) ** 2)
            raise self._too_little(f"the smallest windows, which take {needed / 1e6:.0f} MB")
        window = min(window, max(SMALLEST_WINDOW, self._band_rows()))
        return windowed_plan(width, height, side, window)

    def _staged_side(self, place: Surroundings) -> int | None:
        """Return the automatic side of tiles for stages, and settle which backend runs them."""
        in_bands = self.in_rows and self._band_rows() < self.subject.height
        at_once = self.backend.at_once_pixels(self.model, self.device, self.precision)
        side = staged_side(place, self._footprint, at_once_pixels=0 if in_bands else at_once)
        if side is None or not isinstance(self.backend, Automatic):
            return side
        choice = self._measured(place, self.backend.candidates)
        if choice is None:
            return side
        self.backend = choice.backend
        return choice.side

    def _measured(self, place: Surroundings, backends: tuple[Backend, ...]) -> Choice | None:
        """Return what is fastest here, if the job is large enough to find out or that was done before."""
        if place.limited:
            return None
        choice = fastest(
            self.model,
            self.device,
            self.precision,
            backends,
            pixels=self._whole.pixels * self._orientations(),
            fits=lambda _, side: (side + 2 * GRID) ** 2 * GENEROUS_BYTES_PER_PIXEL <= place.budget,
        )
        return choice if choice.measured else None

    def _tile_bytes(self, side: int) -> int:
        """Return at most what one stage takes on one tile, if memory is so scarce that it matters."""
        return self._footprint().at((side + 2 * _GRID) ** 2) if self.options.max_memory else 0

    def _require_disk(self, needed: int) -> None:
        """Refuse a run whose features would not fit on the disk either."""
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if needed > free or self.device.kind != "cpu":
            raise UpscaleError(
                f"{self.model.id} needs {needed / 1e9:.1f} GB for an image of {self.subject.width} x "
                f"{self.subject.height} pixels, more than memory and disk hold ({free / 1e9:.1f} GB are free)"
            )

    def _band_rows(self) -> int:
        """Return how many input rows a band of the result may have, for two of them to take little memory."""
        if not self.in_rows:
            return self.subject.height
        row = self.subject.width * self.model.scale**2 * 3 * self.subject.dtype.itemsize
        return _BANDS_BYTES // (2 * row) // _GRID * _GRID

    def _make_exact(self, cut: ExactPlan, keep: Keep) -> None:
        """Run the stages over all windows; over one again in fp32 if low precision gave no numbers."""
        passes = cut.passes(self._program(self.precision)) * self._orientations()
        done = 0

        def tick(_: Box) -> None:
            nonlocal done
            done += 1
            self.stopwatch.tile_done(
                work=1,
                pixels=self._whole.pixels * self.model.scale**2 / passes,
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
                self._whole,
                lambda box: to_tensor(self.subject.read(box)),
                tick,
                finished,
            )

    def _orientations(self) -> int:
        return len(ORIENTATIONS) if self.options.self_ensemble else 1

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
        step = max(1, _STRIP_PIXELS // width)
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

    def _too_little(self, what: str) -> UpscaleError:
        return UpscaleError(f"{self.device.name} has too little memory for {self.model.id}, even for {what}")

    def _unusable(self) -> UpscaleError:
        return UpscaleError(f"{self.model.id} gives values that are no numbers: its weights are unusable")

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Tell the user of what torch raises, in one sentence."""
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise self._too_little("what is left") from error
            reason = str(error).strip().partition("\n")[0]
            raise UpscaleError(f"{self.model.id} failed on {self.device.name}: {reason}") from error


def _overlap(model: LoadedModel, precision: Precision) -> int:
    """Return the pixels around each tile that the network must see.

    In fp32 influence fades long before a local network's reach ends, and the measured overlap suffices. In
    16 bits a faint influence may tip a rounding: tiles that do not see all there is come out up to six levels
    off, and those that do are equal to the bit.
    """
    reach = model.spec.reach
    return model.spec.overlap if reach is None or precision == "fp32" else max(reach, model.spec.overlap)


def _all_finite(batch: Tensor) -> bool:
    # A sum that is finite has finite terms, and is had three times as fast as looking at each of them.
    return bool(batch.sum(dtype=torch.float32).isfinite()) or bool(batch.isfinite().all())
