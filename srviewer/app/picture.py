"""What a pane draws: pictures that are read by region at any level of their pyramid."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.image import Pixels
from srviewer.imaging.levels import halve
from srviewer.imaging.mapped import let_go, mapped_file
from srviewer.imaging.pyramid import Pyramid, Rectangle, TileIndex
from srviewer.session.geometry import Size

TILE_SIDE = 512
"""Side of the tiles that pictures are drawn in: few enough per screen, small enough to make at once."""

QUICK_PIXELS = 1_200_000
"""Pixels that may be gone through on the GUI thread for one tile: one of level 1 from level 0, below 1 ms."""

_FARTHEST = 3  # levels that a region is reduced by on the fly: 64 pixels are read for one
_FIRST_KEPT = 2  # level 1 would take a quarter of the image's memory and is quickly made from level 0
_STRIP_ROWS = 512  # source rows reduced at a time, for what a huge file brings into memory; a multiple of 4
_PAGES_AT_ONCE = 64 << 10  # bytes that Linux maps around one that is touched
_MOST_MAPPED = 64 << 20  # bytes of a file that may stay in the process's memory


class Picture(Protocol):
    """Something a pane can draw. `read` may be called on any thread; a picture is changed on one only."""

    @property
    def size(self) -> Size:
        """Of the full picture in pixels."""
        ...

    @property
    def pyramid(self) -> Pyramid:
        """Its levels and tiles."""
        ...

    @property
    def has_alpha(self) -> bool:
        """Whether parts of it may be transparent."""
        ...

    @property
    def revision(self) -> int:
        """Grows with every change of its pixels."""
        ...

    def tile_revision(self, tile: TileIndex) -> int:
        """Return a number that grows with every change of the pixels that `tile` shows."""
        ...

    def is_quick(self, level: int, area: Rectangle) -> bool:
        """Return whether `read` answers quickly enough for the GUI thread."""
        ...

    def read(self, level: int, area: Rectangle) -> Pixels | None:
        """Return a part of a level: `area` in its pixels, inside it.

        Returns
        -------
        H x W x 3 (R, G, B) or 4 (straight alpha), uint8 or uint16; read-only by agreement. None if that
        level is not there yet: see `prepare`.
        """
        ...

    def values(self, area: Rectangle) -> NDArray[np.int32]:
        """Return R, G, B of the pixels of `area` of the full picture in its own depth: H x W x 3, int32.

        -1 where they are not known (yet).
        """
        ...

    def pixel(self, x: int, y: int) -> tuple[int, int, int] | None:
        """Return R, G, B of a pixel of the full picture in its own depth; None where not known (yet)."""
        ...

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Build the coarse levels, which may take seconds: off the GUI thread. Gives up when `cancelled`."""
        ...

    @property
    def is_prepared(self) -> bool:
        """Whether there is nothing left to prepare."""
        ...


class ArrayPicture:
    """A finished picture over an array, which may be memory-mapped and larger than memory.

    Level 0 is the array itself, level 1 is made of it when asked for, coarser ones are kept once `prepare`
    has built them: 1/12 of the array's size.

    Parameters
    ----------
    pixels : H x W x 3, R, G, B, uint8 or uint16, in sRGB: what the screen shows.
    alpha : H x W, same dtype, straight; None is opaque.
    values : H x W x 3 that `pixel` tells, where the file's own values are others than the screen's.
    """

    def __init__(self, pixels: Pixels, alpha: Pixels | None = None, *, values: Pixels | None = None) -> None:
        # As plain arrays: a memory map's own class makes every look at a pixel several times slower.
        self._pixels = _plain(pixels)
        self._alpha = None if alpha is None else _plain(alpha)
        self._values = self._pixels if values is None else _plain(values)
        self._size = Size(pixels.shape[1], pixels.shape[0])
        self._pyramid = Pyramid(self._size.width, self._size.height, TILE_SIDE)
        self._kept: dict[int, Pixels] = {}
        self._file = mapped_file(pixels)
        self._mapped_bytes = 0

    @property
    def size(self) -> Size:
        """Of the array in pixels."""
        return self._size

    @property
    def pyramid(self) -> Pyramid:
        """Its levels and tiles."""
        return self._pyramid

    @property
    def has_alpha(self) -> bool:
        """Whether it was given an alpha."""
        return self._alpha is not None

    @property
    def revision(self) -> int:
        """0: it never changes."""
        return 0

    @property
    def is_prepared(self) -> bool:
        """Whether the coarse levels are there."""
        return self._pyramid.levels <= _FIRST_KEPT or bool(self._kept)

    def tile_revision(self, tile: TileIndex) -> int:
        """Return 0: no tile ever changes."""
        del tile
        return 0

    def is_quick(self, level: int, area: Rectangle) -> bool:
        """Return whether few pixels have to be gone through, none of them in a file."""
        source = self._source(level)
        through = area.width * area.height << 2 * (level - source)
        return through <= QUICK_PIXELS and (source > 0 or self._file is None)

    def read(self, level: int, area: Rectangle) -> Pixels | None:
        """Return a part of a level, as `Picture.read` says; with an alpha always four channels."""
        source = self._source(level)
        down = level - source
        if down > _FARTHEST:
            return None
        part = self._cut(source, area, down)
        if down == 0 and source == 0 and self._file is not None:
            part = part.copy()  # the pages of the file are let go of
        for _ in range(down):
            part = halved(part)
        if self._file is not None and source == 0:
            self._count_mapped(self._file, area, down)
        return part

    def values(self, area: Rectangle) -> NDArray[np.int32]:
        """Return R, G, B of the pixels of `area` (inside the picture) in the file's own values and depth."""
        part = self._values[area.y : area.y + area.height, area.x : area.x + area.width]
        return part.astype(np.int32)

    def pixel(self, x: int, y: int) -> tuple[int, int, int] | None:
        """Return R, G, B of a pixel in the file's own values and depth; None beside the picture."""
        if not (0 <= x < self._size.width and 0 <= y < self._size.height):
            return None
        red, green, blue = self._values[y, x].tolist()
        return red, green, blue

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Build the coarse levels, strip by strip, and let go of a mapped file's pages on the way."""
        if self.is_prepared:
            return
        width, height = self._pyramid.level_size(_FIRST_KEPT)
        first: Pixels | None = None
        unit = 1 << _FIRST_KEPT
        for row in range(0, height, _STRIP_ROWS // unit):
            if cancelled():
                return
            rows = min(_STRIP_ROWS // unit, height - row)
            strip = self.read(_FIRST_KEPT, Rectangle(0, row, width, rows))
            assert strip is not None, "this level is always read from level 0"
            if first is None:
                first = np.empty((height, width, strip.shape[2]), strip.dtype)
            first[row : row + rows] = strip
            if self._file is not None:
                let_go(self._file)
        assert first is not None, "a level has at least one row"
        kept = {_FIRST_KEPT: first}
        for level in range(_FIRST_KEPT + 1, self._pyramid.levels):
            kept[level] = halved(kept[level - 1])
        self._kept = kept  # at once: readers on other threads see all levels or none

    def _count_mapped(self, file: mmap.mmap, area: Rectangle, down: int) -> None:
        """Let go of the file's pages once many were touched: each row of a tile brings some with it."""
        row_bytes = (area.width << down) * 3 * self._pixels.itemsize
        self._mapped_bytes += (area.height << down) * max(row_bytes, _PAGES_AT_ONCE)
        if self._mapped_bytes > _MOST_MAPPED:
            self._mapped_bytes = 0
            let_go(file)

    def _source(self, level: int) -> int:
        """Return the coarsest level in memory that is not coarser than `level`."""
        return level if level in self._kept else 0

    def _cut(self, source: int, area: Rectangle, down: int) -> Pixels:
        """Return the pixels of level `source` that make up `area`, given `down` levels further up."""
        rows = slice(area.y << down, (area.y + area.height) << down)
        columns = slice(area.x << down, (area.x + area.width) << down)
        if source > 0:
            return self._kept[source][rows, columns]
        if self._alpha is None:
            return self._pixels[rows, columns]
        rgba: NDArray[Any] = np.dstack([self._pixels[rows, columns], self._alpha[rows, columns]])
        return rgba


def resampled(picture: Picture, size: Size, level: int, area: Rectangle) -> Pixels | None:
    """Read from a picture as if it had another size, smoothly (bicubic).

    Parameters
    ----------
    picture : which.
    size : that it shall seem to have; whole-image coordinates line up.
    level, area : as `Picture.read` would take them, in the pyramid of `size`.

    Returns
    -------
    As `Picture.read`.
    """
    if picture.size == size:
        return picture.read(level, area)
    import cv2  # here, because the window must not wait for it

    across = picture.size.width / size.width * 2.0**level  # picture's pixels per asked pixel
    down = picture.size.height / size.height * 2.0**level
    source = min(max(math.floor(math.log2(max(min(across, down), 1.0))), 0), picture.pyramid.levels - 1)
    across, down = across / 2.0**source, down / 2.0**source
    width, height = picture.pyramid.level_size(source)
    first_x, last_x = _reach(area.x * across, (area.x + area.width) * across, width)
    first_y, last_y = _reach(area.y * down, (area.y + area.height) * down, height)
    part = picture.read(source, Rectangle(first_x, first_y, last_x - first_x, last_y - first_y))
    if part is None:
        return None
    # Centres of pixels lie at one half: the asked pixel i sees (i + 1/2) * across - 1/2.
    matrix = np.array(
        [
            [across, 0, (area.x + 0.5) * across - 0.5 - first_x],
            [0, down, (area.y + 0.5) * down - 0.5 - first_y],
        ]
    )
    warped: NDArray[Any] = cv2.warpAffine(
        np.ascontiguousarray(part),
        matrix,
        (area.width, area.height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return warped


def _plain(array: Pixels) -> Pixels:
    """Return the same memory as an array of the base class."""
    plain: Pixels = array.view(np.ndarray)
    return plain


def _reach(first: float, last: float, length: int) -> tuple[int, int]:
    """Return the pixels that a bicubic kernel touches around `first`..`last`, inside 0..`length`."""
    start = min(max(math.floor(first) - 2, 0), length - 1)
    return start, max(min(math.ceil(last) + 2, length), start + 1)


def halved(pixels: Pixels) -> Pixels:
    """Average 2 x 2 pixels; with four channels the colours count as much as they are opaque."""
    if pixels.shape[2] == 3:
        return halve(pixels)
    import cv2

    full = np.iinfo(pixels.dtype).max
    padded = np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")
    weighted = padded.astype(np.float32)
    weighted[..., :3] *= weighted[..., 3:] / full
    half: NDArray[Any] = cv2.resize(
        weighted, (padded.shape[1] // 2, padded.shape[0] // 2), interpolation=cv2.INTER_AREA
    )
    half[..., :3] *= full / np.maximum(half[..., 3:], 1e-6)
    halved: NDArray[Any] = np.rint(np.clip(half, 0, full)).astype(pixels.dtype)
    return halved
