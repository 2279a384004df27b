"""How an image is cut for a run: at once, in tiles, or in windows of tiles that meet."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from srviewer.engine.automatic import Automatic, without_compiling
from srviewer.engine.backends import Backend
from srviewer.engine.device import Device, free_memory
from srviewer.engine.exact import (
    HALO,
    SMALLEST_WINDOW,
    ExactPlan,
    feature_bytes_per_pixel,
    has_statistics,
    in_focus,
    whole_image_plan,
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
from srviewer.engine.request import SMALLEST_TILE, Precision, UpscaleError, UpscaleOptions
from srviewer.engine.staged_run import GRID, Program
from srviewer.engine.tiles import Box, Tile, in_view_first, largest_first, plan, refined
from srviewer.engine.tuning import Choice, fastest
from srviewer.imaging.image import Pixels
from srviewer.zoo.model import LoadedModel

Focus = tuple[float, float, float, float]
"""Left, top, right, bottom of the part in view, in 0..1 of the whole image."""

# Networks that pool over a grid and cannot be cut into stages meet the grid of the whole image if tiles begin
# on multiples of it: SAFMN's coarsest level pools windows of 8 pixels.
_GRID = 8
# Bytes of the result that wait to be written: two bands, one being made and one on its way to the disk.
_BANDS_BYTES = 1 << 29
# Bytes of features between stages beyond which a network is rather run in windows, on a CPU: the rest of the
# machine wants memory too. Two windows cost an eighth more time at a megapixel, many up to a quarter.
_COMFORTABLE_FEATURES = 5 << 27


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


class Cutter:
    """Decides how one image is cut for one network.

    Parameters
    ----------
    held : bytes that are taken already, for the result.
    in_rows : whether the result is to come from top to bottom, band by band.

    Attributes
    ----------
    backend : that is to run the plan; another than was given if it was found faster.
    side : of the tiles, once cut; None for the whole image at once.
    whole : the image.
    local : whether the network sees no farther than a number of pixels.
    orientations : how many of the image are run, for a self-ensemble.
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
        held: int,
        in_rows: bool,
    ) -> None:
        self.subject = subject
        self.model = model
        self.device = device
        self.precision = precision
        self.options = options
        limited = options.max_memory is not None
        # Where memory counts, torch runs everything: OpenVINO takes up to a gigabyte more for the same tiles.
        self.backend = without_compiling(backend) if in_rows or limited else backend
        self.in_rows = in_rows
        self.side: int | None = None
        self.whole = Box(0, 0, subject.width, subject.height)
        self.local = model.spec.reach is not None
        self.orientations = len(ORIENTATIONS) if options.self_ensemble else 1
        self._held = held
        # What is tried out could take more than a limit allows.
        self._tunes = isinstance(backend, Automatic) and not limited
        self._overlap = _overlap(model, precision)
        self._align = 1 if self.local else _GRID

    def cut(self, focus: Focus | None = None) -> ExactPlan | tuple[Tile, ...]:
        """Return the windows, or the tiles that each see all they need, in the order of their making."""
        subject = self.subject
        at_once = self.local or self.options.tile == "off"
        program = None if at_once else self.backend.program(self.model, self.device, self.precision)
        if program is not None:
            exact = self._exact_plan(program)
            if exact is not None:
                self.backend, self.side = without_compiling(self.backend), exact.side
                if focus is None or self.in_rows:
                    return exact
                return in_focus(exact, subject.width, subject.height, focus)
        self.side = self._tile_side(untiled_is_exact=program is not None)
        if self.local and self._in_bands():
            # One tile of all would hold the whole result in memory.
            limit = max(SMALLEST_TILE, self._band_rows())
            self.side = limit if self.side is None else min(self.side, limit)
        tiles = plan(subject.width, subject.height, side=self.side, overlap=self._overlap, align=self._align)
        if len(tiles) > 1:
            # They have up to nine shapes: OpenVINO would compile each, and keep memory for it.
            self.backend = without_compiling(self.backend)
        if self.in_rows:
            return tiles
        if focus is None:
            return largest_first(tiles)
        return in_view_first(tiles, subject.width, subject.height, focus)

    def cut_smaller(self, tiles: tuple[Tile, ...]) -> tuple[Tile, ...]:
        """Return smaller tiles to go on with after the first one found no memory.

        Raises
        ------
        UpscaleError
            If it was as small as tiles get.
        """
        core = tiles[0].core
        self.side = max(core.width, core.height) // 2
        if self.side < SMALLEST_TILE:
            raise too_little(self.model, self.device, f"a tile of {core.width} x {core.height} pixels")
        if self.in_rows:
            # Bands are settled: a smaller tile must not reach over the rows of its own.
            return (*self._refined(tiles[:1], self.side), *tiles[1:])
        return self._refined(tiles, self.side)

    def _refined(self, tiles: tuple[Tile, ...], side: int) -> tuple[Tile, ...]:
        return refined(tiles, self.whole, side=side, overlap=self._overlap, align=self._align)

    def _tile_side(self, *, untiled_is_exact: bool) -> int | None:
        """Return the side of the tiles' cores, None for the whole image."""
        subject, choice = self.subject, self.options.tile
        if choice == "off" or untiled_is_exact:
            return None
        if choice != "auto":
            return None if choice >= max(subject.width, subject.height) else choice
        place = self._surroundings()
        side = auto_side(place, self._footprint)
        if side is None or not self.local or not self._tunes:
            return side
        measured = self._measured(place, (without_compiling(self.backend),))
        return side if measured is None else measured.side

    def _surroundings(self) -> Surroundings:
        free = free_memory(self.device) - (self._held if self.device.kind == "cpu" else 0)
        return Surroundings(
            width=self.subject.width,
            height=self.subject.height,
            overlap=self._overlap,
            align=self._align,
            local=self.local,
            device=self.device,
            budget=memory_budget(self.options.max_memory, free),
            limited=self.options.max_memory is not None,
        )

    def _footprint(self) -> Footprint:
        """Return the memory that the network takes here, with the sums that a self-ensemble keeps."""
        backend = without_compiling(self.backend)
        measured = footprint_of(
            self.model.spec,
            self.device,
            self.precision,
            backend.name,
            lambda: backend.prepare(self.model, self.device, self.precision),
        )
        if not self.options.self_ensemble:
            return measured
        sums = 2 * 3 * 4 * self.model.scale**2
        return Footprint(measured.fixed, measured.per_pixel + sums)

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
        if self.device.kind == "cpu":
            room = min(room, _COMFORTABLE_FEATURES)
        if needed <= room and not self.options.self_ensemble:
            return whole_image_plan(width, height, side)
        windows = windowed_plan(width, height, side, pixels=int(room / features), rows=self._band_rows())
        if windows is None:
            needed = int(features * (SMALLEST_WINDOW + 2 * HALO) ** 2)
            raise too_little(
                self.model, self.device, f"the smallest windows, which take {needed / 1e6:.0f} MB"
            )
        return windows

    def _staged_side(self, place: Surroundings) -> int | None:
        """Return the automatic side of tiles for stages, and settle which backend runs them."""
        at_once = not self._in_bands() and self.backend.at_once(
            self.model, self.device, self.precision, self.whole.pixels
        )
        side = staged_side(place, self._footprint, at_once=at_once)
        if side is None or not self._tunes:
            return side
        backend = self.backend
        choice = self._measured(place, backend.candidates if isinstance(backend, Automatic) else (backend,))
        if choice is None:
            return side
        self.backend = choice.backend
        return choice.side

    def _measured(self, place: Surroundings, backends: tuple[Backend, ...]) -> Choice | None:
        """Return what is fastest here, if the job is large enough to find out or that was done before."""
        choice = fastest(
            self.model,
            self.device,
            self.precision,
            backends,
            pixels=self.whole.pixels * self.orientations,
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

    def _in_bands(self) -> bool:
        """Return whether the result is too large to be held."""
        return self.in_rows and self._band_rows() < self.subject.height

    def _band_rows(self) -> int:
        """Return how many input rows a band of the result may have, for two of them to take little memory."""
        if not self.in_rows:
            return self.subject.height
        row = self.subject.width * self.model.scale**2 * 3 * self.subject.dtype.itemsize
        return _BANDS_BYTES // (2 * row) // _GRID * _GRID


def _overlap(model: LoadedModel, precision: Precision) -> int:
    """Return the pixels around each tile that the network must see.

    In fp32 influence fades long before a local network's reach ends, and the measured overlap suffices. In
    16 bits a faint influence may tip a rounding: tiles that do not see all there is come out up to six levels
    off, and those that do are equal to the bit.
    """
    reach = model.spec.reach
    return model.spec.overlap if reach is None or precision == "fp32" else max(reach, model.spec.overlap)


def too_little(model: LoadedModel, device: Device, what: str) -> UpscaleError:
    """Return the error of a device whose memory does not even hold something."""
    return UpscaleError(f"{device.name} has too little memory for {model.id}, even for {what}")
