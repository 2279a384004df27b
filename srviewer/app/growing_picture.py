"""A result that is being made: finished tiles over the dimmed, enlarged input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srviewer.app.picture import TILE_SIDE, Picture, resampled
from srviewer.imaging.image import Pixels
from srviewer.imaging.levels import halve
from srviewer.imaging.pyramid import Pyramid, Rectangle, TileIndex
from srviewer.session.geometry import Size

_FIRST_KEPT = 2  # as in `ArrayPicture`: level 1 is made of level 0 when asked for
_DIMMED = 0.42  # of its brightness: plainly unfinished, and still to be recognised
_DIMMED_TOWARDS = 24.0  # of 255


class GrowingPicture:
    """A result as far as it is there; what is missing shows the input, enlarged and dimmed.

    Pieces are pasted on one thread (the GUI's); `read` may run on others meanwhile: what it then sees half is
    drawn again, because the revision has grown.

    Parameters
    ----------
    size : of the finished result in pixels, or of its preview.
    underlay : the input's picture, of any size.
    reduced : whether this is a preview: its pixels are not the result's, and none is told.
    """

    def __init__(self, size: Size, underlay: Picture, *, reduced: bool = False) -> None:
        self._size = size
        self._reduced = reduced
        self._underlay = underlay
        self._pyramid = Pyramid(size.width, size.height, TILE_SIDE)
        self._levels: dict[int, Pixels] = {}
        # Which pixels are there, by cells of an input pixel where those divide the result: pieces end there.
        across, down = size.width // underlay.size.width, size.height // underlay.size.height
        whole = across >= 1 and underlay.size.times(across) == size and across == down
        self._cell = across if whole else 1
        self._done: NDArray[np.bool_] | None = None  # nothing yet: of a huge result it takes a lot
        self._revisions: Counter[TileIndex] = Counter()
        self._revision = 0

    @property
    def size(self) -> Size:
        """Of the finished result in pixels."""
        return self._size

    @property
    def pyramid(self) -> Pyramid:
        """Its levels and tiles."""
        return self._pyramid

    @property
    def has_alpha(self) -> bool:
        """Whether the input has: the result will get it."""
        return self._underlay.has_alpha

    @property
    def revision(self) -> int:
        """How many pieces were pasted, and how far the input is there."""
        return self._revision + self._underlay.revision

    @property
    def is_prepared(self) -> bool:
        """Whether the input's coarse levels are there."""
        return self._underlay.is_prepared

    def paste(self, x: int, y: int, pixels: Pixels) -> None:
        """Put a finished piece in its place.

        Parameters
        ----------
        x, y : its top-left corner in the result's pixels.
        pixels : H x W x 3, R, G, B, uint8 or uint16 (all pieces alike), in sRGB; may be dropped afterwards.

        Raises
        ------
        ValueError
            If the piece does not lie within the result.
        """
        height, width = pixels.shape[:2]
        if x < 0 or y < 0 or x + width > self._size.width or y + height > self._size.height:
            raise ValueError(f"a piece of {width} x {height} at {x}, {y} is not within {self._size}")
        if not self._levels:
            self._levels = self._blank_levels(pixels.dtype)
        if self._done is None:
            cells = self._size.height // self._cell, self._size.width // self._cell
            self._done = np.zeros(cells, np.bool_)
        self._levels[0][y : y + height, x : x + width] = pixels
        self._reduce(x, y, width, height)
        cell = self._cell
        self._done[y // cell : -(-(y + height) // cell), x // cell : -(-(x + width) // cell)] = True
        self._revision += 1
        for level in range(self._pyramid.levels):
            reach = 2 << level  # tiles carry a margin of a pixel, and their last may be half a neighbour's
            view = (x - reach, y - reach, x + width + reach, y + height + reach)
            self._revisions.update(self._pyramid.visible_tiles(level, view))

    def tile_revision(self, tile: TileIndex) -> int:
        """Return how many pieces were pasted in or beside `tile`, and how far the input is there."""
        return self._revisions[tile] + self._underlay.revision

    def is_quick(self, level: int, area: Rectangle) -> bool:
        """Return False: the input has to be enlarged."""
        del level, area
        return False

    def read(self, level: int, area: Rectangle) -> Pixels | None:
        """Return a part of a level, as `Picture.read` says."""
        done = self._done_in(level, area)
        if done.all() and not self.has_alpha:
            return self._finished(level, area)
        below = resampled(self._underlay, self._size, level, area)
        if below is None:
            return None
        shown = _dimmed(below)
        if done.any():
            if shown.dtype != self._levels[0].dtype:
                shown = (
                    shown.astype(np.uint16) * np.uint16(257)
                    if self._levels[0].dtype == np.uint16
                    else (shown // 257).astype(np.uint8)
                )
            np.copyto(shown[..., :3], self._finished(level, area), where=done[..., None])
        return shown

    def values(self, area: Rectangle) -> NDArray[np.int32]:
        """Return R, G, B of the pixels of `area`: H x W x 3, int32; -1 where they are not finished."""
        known = np.full((area.height, area.width, 3), -1, np.int32)
        done = self._done_in(0, area)
        if done.any() and not self._reduced:
            np.copyto(known, self._finished(0, area), where=done[..., None])
        return known

    def pixel(self, x: int, y: int) -> tuple[int, int, int] | None:
        """Return R, G, B of a finished pixel; None where it is not finished, and beside the picture."""
        inside = 0 <= x < self._size.width and 0 <= y < self._size.height
        if (
            self._reduced
            or not inside
            or self._done is None
            or not self._done[y // self._cell, x // self._cell]
        ):
            return None
        red, green, blue = self._levels[0][y, x].tolist()
        return red, green, blue

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Build the input's coarse levels."""
        self._underlay.prepare(cancelled)

    def _blank_levels(self, dtype: np.dtype[np.uint8] | np.dtype[np.uint16]) -> dict[int, Pixels]:
        """Return zeros for the levels that are kept; the system gives memory only where they are written."""
        levels: dict[int, Pixels] = {}
        for level in (0, *range(_FIRST_KEPT, self._pyramid.levels)):
            width, height = self._pyramid.level_size(level)
            levels[level] = np.zeros((height, width, 3), dtype)
        return levels

    def _reduce(self, x: int, y: int, width: int, height: int) -> None:
        """Bring a change of level 0 into the kept levels."""
        right, bottom = x + width, y + height
        source = 0
        for level in range(_FIRST_KEPT, self._pyramid.levels):
            unit = 1 << level
            first_x, first_y, last_x, last_y = x // unit, y // unit, -(-right // unit), -(-bottom // unit)
            down = level - source
            part = self._levels[source][first_y << down : last_y << down, first_x << down : last_x << down]
            for _ in range(down):
                part = halve(part)
            self._levels[level][first_y:last_y, first_x:last_x] = part
            source = level

    def _finished(self, level: int, area: Rectangle) -> Pixels:
        """Return `area` of what was pasted: zeros where nothing was."""
        if level in self._levels:
            return self._levels[level][area.y : area.y + area.height, area.x : area.x + area.width]
        rows = slice(area.y << 1, (area.y + area.height) << 1)
        return halve(self._levels[0][rows, area.x << 1 : (area.x + area.width) << 1])

    def _done_in(self, level: int, area: Rectangle) -> NDArray[np.bool_]:
        """Return which pixels of `area` are finished, by their centres."""
        if self._done is None:
            return np.zeros((area.height, area.width), np.bool_)
        half = 1 << level >> 1
        rows = (((np.arange(area.y, area.y + area.height) << level) + half) // self._cell).clip(
            0, self._done.shape[0] - 1
        )
        columns = (((np.arange(area.x, area.x + area.width) << level) + half) // self._cell).clip(
            0, self._done.shape[1] - 1
        )
        done: NDArray[np.bool_] = (
            self._done[rows[0] : rows[-1] + 1].take(columns, axis=1).take(rows - rows[0], axis=0)
        )
        return done


def _dimmed(pixels: Pixels) -> Pixels:
    """Return a dimmer copy; an alpha stays as it is."""
    full = np.iinfo(pixels.dtype).max
    towards = (1 - _DIMMED) * _DIMMED_TOWARDS * (full / 255)
    table = (np.arange(full + 1) * _DIMMED + towards).round().astype(pixels.dtype)
    dimmed: NDArray[Any] = table.take(pixels)
    if pixels.shape[2] == 4:
        dimmed[..., 3] = pixels[..., 3]
    return dimmed
