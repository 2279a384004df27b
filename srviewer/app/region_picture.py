"""Pictures that stay in their files: what a pane draws is read by region, from the best stored level."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srviewer.app.picture import TILE_SIDE, halved
from srviewer.imaging.faults import ImageFileError
from srviewer.imaging.image import Pixels
from srviewer.imaging.pyramid import Pyramid, Rectangle, TileIndex
from srviewer.session.geometry import PixelRect, Size
from srviewer.session.regions import RegionFile, RegionsClosedError, open_file

_FARTHEST = 3
"""Levels that are averaged over on the fly: 64 pixels are decoded for one, a second for a whole screen."""

_KEPT_BYTES = 128 << 20
"""Of the coarse levels that are made of a file that stores none."""

_BAND_PIXELS = 4 << 20
"""Pixels of the file that are decoded at a time for a tile of which several make one."""

_BAND_ROWS, _BAND_BYTES = 512, 256 << 20
"""Rows of the file that `prepare` decodes at a time, fewer where they take more than so many bytes: stored
tiles are no higher as a rule, so that each is decoded once.
"""

_UNREAD = 40  # of 255: what the rows show that are still to be read


class RegionPicture:
    """A picture over a file that is read by region.

    Where the file stores reduced levels (each half of the one before, rounded up or down), they are drawn
    from. Where it stores none, or none coarse enough, `prepare` goes through it once, band by band; what it
    has made by then can be seen, and `share` tells how far it is.

    Parameters
    ----------
    file : the open file.

    Attributes
    ----------
    share : how much of `prepare` is done, 0..1.
    missed : called, on the GUI thread, with the part of the full picture whose values were asked for and are
        not in memory; `fetch` reads them.
    faulted : called, on any thread, with one sentence when the file turns out to be unreadable; once.
    """

    def __init__(self, file: RegionFile) -> None:
        self.file = file
        self.share = 1.0
        self.missed: Callable[[PixelRect], object] = lambda _: None
        self.faulted: Callable[[str], object] = lambda _: None
        self._size = file.size
        self._pyramid = Pyramid(self._size.width, self._size.height, TILE_SIDE)
        self._stored = _stored_levels(file.levels, self._pyramid)
        self._first_kept = self._first_level_to_make()
        self._kept: dict[int, NDArray[Any]] = {}
        self._made_rows = 0  # of the first kept level
        self._is_made = self._first_kept is None
        if not self._is_made:
            self.share = 0.0
        self._lock = threading.Lock()  # guards what follows
        self._is_broken = False

    @property
    def size(self) -> Size:
        """Of the full picture in pixels."""
        return self._size

    @property
    def pyramid(self) -> Pyramid:
        """Its levels and tiles."""
        return self._pyramid

    @property
    def has_alpha(self) -> bool:
        """Whether the file stores an opacity."""
        return self.file.has_alpha

    @property
    def revision(self) -> int:
        """How many rows of the coarse levels were made."""
        return self._made_rows

    @property
    def is_prepared(self) -> bool:
        """Whether every level can be read."""
        return self._is_made

    @property
    def is_broken(self) -> bool:
        """Whether the file turned out to be unreadable."""
        return self._is_broken

    def tile_revision(self, tile: TileIndex) -> int:
        """Return a number that grows while `prepare` goes through what a coarse tile shows."""
        first = self._first_kept
        if first is None or tile.level < first:
            return 0
        down = tile.level - first
        reach = 2  # rows of the tile's level: its margin, and a half-made last one
        top = ((tile.row * TILE_SIDE) - reach) << down
        bottom = (((tile.row + 1) * TILE_SIDE) + reach) << down
        return min(max(self._made_rows - top, 0), bottom - top)

    def is_quick(self, level: int, area: Rectangle) -> bool:
        """Return False: files are read off the GUI thread."""
        del level, area
        return False

    def read(self, level: int, area: Rectangle) -> Pixels | None:
        """Return a part of a level, as `Picture.read` says; None as well where the file cannot be read."""
        first = self._first_kept
        if first is not None and level >= first:
            kept = self._kept.get(level)
            return None if kept is None else _cut(kept, area)
        source = max(stored for stored in self._stored if stored <= level)
        try:
            return self._shown(self._averaged(source, level, area))
        except RegionsClosedError:
            return None
        except (OSError, MemoryError, ImageFileError) as error:
            self._tell_fault(error)
            return None

    def values(self, area: Rectangle) -> NDArray[np.int32]:
        """Return R, G, B of the pixels of `area` in the file's own values; -1 where they are not read yet."""
        box = PixelRect(area.x, area.y, area.width, area.height)
        known = self.file.known(box)
        if not self._is_broken and bool((known[..., 0] < 0).any()):
            self.missed(box)
        return known

    def pixel(self, x: int, y: int) -> tuple[int, int, int] | None:
        """Return R, G, B of a pixel in the file's own values; None beside the picture, or if not read yet."""
        if not (0 <= x < self._size.width and 0 <= y < self._size.height):
            return None
        red, green, blue = self.file.known(PixelRect(x, y, 1, 1))[0, 0].tolist()
        if red >= 0:
            return red, green, blue
        if not self._is_broken:
            self.missed(PixelRect(x, y, 1, 1))
        return None

    def fetch(self, box: PixelRect) -> None:
        """Read a part of the full picture, so that `values` and `pixel` know it; off the GUI thread."""
        try:
            self.file.read(box)
        except RegionsClosedError:
            return
        except (OSError, MemoryError, ImageFileError) as error:
            self._tell_fault(error)

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Make the coarse levels that the file lacks, band by band from top to bottom."""
        first = self._first_kept
        if self._is_made or first is None:
            return
        try:
            self._make_levels(first, cancelled)
        except RegionsClosedError:
            return
        except (OSError, MemoryError, ImageFileError) as error:
            self._tell_fault(error)

    # Inside

    def _first_level_to_make(self) -> int | None:
        """Return the finest level that has to be kept in memory; None if all can be read when wanted."""
        coarsest = max(self._stored)
        last = self._pyramid.levels - 1
        if last - coarsest <= _FARTHEST:
            return None
        channels = 4 if self.has_alpha else 3
        for level in range(coarsest + 2, last):
            width, height = self._pyramid.level_size(level)
            if width * height * channels * (self.file.bits // 8) * 4 // 3 <= _KEPT_BYTES:
                return level
        return last

    def _make_levels(self, first: int, cancelled: Callable[[], bool]) -> None:
        source = max(self._stored)
        width, height = self._pyramid.level_size(first)
        down = first - source
        row_bytes = (width << down) * (4 if self.has_alpha else 3) * (self.file.bits // 8)
        rows = max(min(_BAND_ROWS, _BAND_BYTES // row_bytes) >> down, 1)
        for row in range(self._made_rows, height, rows):  # it may have been cancelled on the way
            if cancelled():
                return
            area = Rectangle(0, row, width, min(rows, height - row))
            band = self._shown(self._reduced(source, down, area))
            if not self._kept:
                self._kept = self._blank_levels(first, band)
            self._put(first, row, band)
            self._made_rows = row + area.height
            self.share = self._made_rows / height
        self._is_made = True

    def _blank_levels(self, first: int, like: Pixels) -> dict[int, NDArray[Any]]:
        levels: dict[int, NDArray[Any]] = {}
        grey = _UNREAD * (257 if like.dtype == np.uint16 else 1)
        for level in range(first, self._pyramid.levels):
            width, height = self._pyramid.level_size(level)
            levels[level] = np.full((height, width, like.shape[2]), grey, like.dtype)
            levels[level][..., 3:] = np.iinfo(like.dtype).max
        return levels

    def _put(self, first: int, row: int, band: Pixels) -> None:
        """Put a band of the first kept level in its place, and bring it into the coarser ones."""
        top, bottom = row, row + band.shape[0]
        self._kept[first][top:bottom] = band
        for level in range(first + 1, self._pyramid.levels):
            top, bottom = top >> 1, -(-bottom >> 1)
            self._kept[level][top:bottom] = halved(self._kept[level - 1][top << 1 : bottom << 1])

    def _averaged(self, source: int, level: int, area: Rectangle) -> Pixels:
        """Return a part of a level, averaged from the stored level `source` in bands of bounded size."""
        down = level - source
        if down == 0:
            return self._stored_part(source, area)
        rows = max(_BAND_PIXELS // (area.width << down) >> down, 1)
        if rows >= area.height:
            return self._reduced(source, down, area)
        end = area.y + area.height
        bands = [Rectangle(area.x, y, area.width, min(rows, end - y)) for y in range(area.y, end, rows)]
        joined: NDArray[Any] = np.concatenate([self._reduced(source, down, band) for band in bands])
        return joined

    def _reduced(self, source: int, down: int, area: Rectangle) -> Pixels:
        width, height = self._pyramid.level_size(source)
        x, y = area.x << down, area.y << down
        part = self._stored_part(
            source,
            Rectangle(x, y, min(area.width << down, width - x), min(area.height << down, height - y)),
        )
        for _ in range(down):
            part = halved(part)
        return part

    def _stored_part(self, level: int, area: Rectangle) -> Pixels:
        """Read a part of a stored level; a last row or column that rounding down left out is repeated."""
        index = self._stored[level]
        stored = self.file.levels[index]
        x, y = min(area.x, stored.width - 1), min(area.y, stored.height - 1)
        right, bottom = min(area.x + area.width, stored.width), min(area.y + area.height, stored.height)
        box = PixelRect(x, y, max(right - x, 1), max(bottom - y, 1))
        pixels = self.file.read(box, index)
        beyond = area.height - box.height, area.width - box.width
        if any(beyond):
            padded: NDArray[Any] = np.pad(pixels, ((0, beyond[0]), (0, beyond[1]), (0, 0)), mode="edge")
            return padded
        return pixels

    def _shown(self, pixels: Pixels) -> Pixels:
        """Return pixels as the screen shows them: in sRGB."""
        from srviewer.imaging.colour import pixels_to_srgb

        return pixels_to_srgb(pixels, self.file.icc)

    def _tell_fault(self, error: Exception) -> None:
        with self._lock:
            known, self._is_broken = self._is_broken, True
        if not known:
            words = "there is not enough memory to read it" if isinstance(error, MemoryError) else str(error)
            named = words if str(self.file.path.name) in words else f"{self.file.path.name}: {words}"
            self.faulted(named)


def region_thumbnail(path: Path, side: int) -> NDArray[np.uint8]:
    """Read a small version of a file that is read by region, from its coarsest level that is large enough.

    Parameters
    ----------
    side : the longer side in pixels, at most.

    Returns
    -------
    H x W x 3, uint8, RGB in sRGB; transparent parts as they are stored.

    Raises
    ------
    LoadError
        If there is no level small enough to be read at once: going through the file is not worth it here.
    srviewer.imaging.faults.ImageFileError
        If the file cannot be read.
    """
    import cv2

    from srviewer.imaging.colour import pixels_to_srgb
    from srviewer.session.loading import LoadError

    file = open_file(path)
    if file is None:
        raise LoadError(f"{path.name} cannot be read by region")
    try:
        fitting = [level for level, size in enumerate(file.levels) if max(size.width, size.height) >= side]
        level = fitting[-1] if fitting else 0
        size = file.levels[level]
        if size.pixels > _BAND_PIXELS:
            raise LoadError(f"{path.name} stores no reduced levels")
        stored = file.read(PixelRect(0, 0, size.width, size.height), level)
        pixels: NDArray[Any] = pixels_to_srgb(stored, file.icc)[..., :3]
    finally:
        file.close()
    if pixels.dtype == np.uint16:
        pixels = (pixels // 257).astype(np.uint8)
    share = min(side / max(size.width, size.height), 1.0)
    wanted = max(round(size.width * share), 1), max(round(size.height * share), 1)
    small: NDArray[Any] = cv2.resize(np.ascontiguousarray(pixels), wanted, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _stored_levels(levels: tuple[Size, ...], pyramid: Pyramid) -> dict[int, int]:
    """Return which of a file's levels stands for which of the pyramid's; others are of no use."""
    found = {0: 0}
    for index, size in enumerate(levels[1:], 1):
        for level in range(1, pyramid.levels):
            width, height = pyramid.level_size(level)
            if abs(width - size.width) <= 1 and abs(height - size.height) <= 1:
                found.setdefault(level, index)
                break
    return found


def _cut(pixels: NDArray[Any], area: Rectangle) -> Pixels:
    part: Pixels = pixels[area.y : area.y + area.height, area.x : area.x + area.width]
    return part
