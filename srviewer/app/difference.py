"""The difference of two pictures as a picture: |A - B|, amplified and coloured, where it is looked at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from srviewer.app.picture import TILE_SIDE, Picture, resampled
from srviewer.imaging.image import Pixels
from srviewer.imaging.pyramid import Pyramid, Rectangle, TileIndex
from srviewer.session.comparison import ColourMap
from srviewer.session.geometry import Size

_FINER = 2
"""Levels below the shown one that are compared, where errors that alternate between pixels still count."""


class DifferencePicture:
    """|A - B|: in each pixel the largest of the channels' differences, times a gain, through a colour map.

    It has the size of the larger of the two; the smaller one is enlarged by bicubic interpolation to it. An
    alpha is left out of account. Zoomed out it shows the mean of differences, not the difference of means.

    Parameters
    ----------
    a, b : the two pictures.
    gain : what a difference (of 0..255) is multiplied by.
    colour_map : how the product is coloured.
    """

    def __init__(self, a: Picture, b: Picture, gain: float, colour_map: ColourMap) -> None:
        self._a, self._b = a, b
        self._gain = gain
        self._colours = colour_table(colour_map)
        self._size = max(a.size, b.size, key=lambda size: size.pixels)
        self._pyramid = Pyramid(self._size.width, self._size.height, TILE_SIDE)

    @property
    def size(self) -> Size:
        """Of the larger picture."""
        return self._size

    @property
    def pyramid(self) -> Pyramid:
        """Its levels and tiles."""
        return self._pyramid

    @property
    def has_alpha(self) -> bool:
        """False."""
        return False

    @property
    def revision(self) -> int:
        """Grows with either picture's."""
        return self._a.revision + self._b.revision

    @property
    def is_prepared(self) -> bool:
        """Whether both pictures are."""
        return self._a.is_prepared and self._b.is_prepared

    def tile_revision(self, tile: TileIndex) -> int:
        """Return a number that grows with either picture's tile (with either picture if sizes differ)."""
        if self._a.size == self._b.size:
            return self._a.tile_revision(tile) + self._b.tile_revision(tile)
        return self.revision

    def is_quick(self, level: int, area: Rectangle) -> bool:
        """Return whether both pictures are quick and nothing has to be resampled."""
        return (
            level == 0
            and self._a.size == self._b.size
            and self._a.is_quick(level, area)
            and self._b.is_quick(level, area)
        )

    def read(self, level: int, area: Rectangle) -> Pixels | None:
        """Return a part of a level, as `Picture.read` says: H x W x 3, uint8."""
        finer = min(level, _FINER)
        width, height = self._pyramid.level_size(level - finer)
        x, y = area.x << finer, area.y << finer
        part = Rectangle(x, y, min(area.width << finer, width - x), min(area.height << finer, height - y))
        a = resampled(self._a, self._size, level - finer, part)
        b = resampled(self._b, self._size, level - finer, part)
        if a is None or b is None:
            return None
        import cv2  # here, because the window must not wait for it

        magnitude = _largest_difference(a, b)
        if finer:
            padded = cv2.copyMakeBorder(
                magnitude,
                0,
                (area.height << finer) - part.height,
                0,
                (area.width << finer) - part.width,
                cv2.BORDER_REPLICATE,
            )
            shape = (area.width, area.height)
            magnitude = cv2.resize(padded, shape, interpolation=cv2.INTER_AREA).astype(np.float32)
        shown: NDArray[np.uint8] = self._colours[cv2.convertScaleAbs(magnitude, alpha=self._gain)]
        return shown

    def values(self, area: Rectangle) -> NDArray[np.int32]:
        """Return the channels' differences, own depth: H x W x 3, int32; -1 where `pixel` gives None."""
        if self._a.size != self._b.size:
            return np.full((area.height, area.width, 3), -1, np.int32)
        a, b = self._a.values(area), self._b.values(area)
        known: NDArray[np.int32] = np.where((a < 0) | (b < 0), np.int32(-1), np.abs(a - b))
        return known

    def pixel(self, x: int, y: int) -> tuple[int, int, int] | None:
        """Return the channels' differences in the pictures' own depth.

        None beside the pictures, where either is not there yet, and where their sizes differ.
        """
        if self._a.size != self._b.size:
            return None
        a, b = self._a.pixel(x, y), self._b.pixel(x, y)
        if a is None or b is None:
            return None
        return abs(a[0] - b[0]), abs(a[1] - b[1]), abs(a[2] - b[2])

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        """Build both pictures' coarse levels."""
        self._a.prepare(cancelled)
        self._b.prepare(cancelled)


def colour_table(colour_map: ColourMap) -> NDArray[np.uint8]:
    """Return the 256 colours of a map: 256 x 3, uint8, R, G, B."""
    ramp = np.arange(256, dtype=np.uint8)
    if colour_map == "grey":
        return np.repeat(ramp[:, None], 3, axis=1)
    import cv2

    maps = {"inferno": cv2.COLORMAP_INFERNO, "viridis": cv2.COLORMAP_VIRIDIS, "turbo": cv2.COLORMAP_TURBO}
    bgr = cv2.applyColorMap(ramp, maps[colour_map]).astype(np.uint8).reshape(256, 3)
    return np.ascontiguousarray(bgr[:, ::-1])


def _largest_difference(a: Pixels, b: Pixels) -> NDArray[np.float32]:
    """Return the largest of three channels' differences: H x W, float32, 0..255 whatever the depths."""
    import cv2

    if a.dtype == b.dtype:
        apart = cv2.absdiff(np.ascontiguousarray(a[..., :3]), np.ascontiguousarray(b[..., :3]))
        unit = 255 / np.iinfo(a.dtype).max
    else:
        apart = cv2.absdiff(_of_255(a[..., :3]), _of_255(b[..., :3]))
        unit = 1.0
    red, green, blue = cv2.split(apart)
    largest: NDArray[np.float32] = cv2.max(cv2.max(red, green), blue).astype(np.float32)
    return largest * np.float32(unit)


def _of_255(pixels: Pixels) -> NDArray[np.float32]:
    """Return samples as float32 in 0..255."""
    scaled: NDArray[np.float32] = pixels.astype(np.float32) * np.float32(255 / np.iinfo(pixels.dtype).max)
    return scaled
