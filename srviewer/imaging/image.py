"""The image record that rooms hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""An array of 8-bit or 16-bit integer samples."""


@dataclass(frozen=True, eq=False)
class Image:
    """A decoded picture, upright, with what its file said beside the pixels.

    Attributes
    ----------
    pixels : H x W x 3, uint8 (0..255) or uint16 (0..65535), channel order R, G, B.
        A grey picture has three equal channels. The array is read-only.
    alpha : H x W, same dtype as `pixels`, or None. Straight (not premultiplied) opacity.
    grey : whether the file holds one colour channel (it is written back as one).
    icc : the ICC profile that `pixels` are in, byte for byte; None means sRGB is assumed.
    exif : the EXIF block (a bare TIFF structure, no ``Exif`` mark before it), orientation 1, or None.
    path : where it came from, or None.
    format : the file's format as Pillow names it (``"PNG"``, ``"JPEG"``, ``"TIFF"``, ...), or None.
    notes : sentences for the user about what reading changed (``"CMYK converted to sRGB"``).
    """

    pixels: Pixels
    alpha: Pixels | None = None
    grey: bool = False
    icc: bytes | None = field(default=None, repr=False)
    exif: bytes | None = field(default=None, repr=False)
    path: Path | None = None
    format: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pixels, alpha = self.pixels, self.alpha
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in (np.uint8, np.uint16):
            raise ValueError(
                f"pixels must be H x W x 3 of uint8 or uint16, not {pixels.shape} of {pixels.dtype}"
            )
        if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
            raise ValueError(
                f"alpha {alpha.shape} of {alpha.dtype} does not match pixels {pixels.shape} of {pixels.dtype}"
            )
        pixels.flags.writeable = False
        if alpha is not None:
            alpha.flags.writeable = False

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def bits(self) -> int:
        """Bits per sample: 8 or 16."""
        return int(self.pixels.dtype.itemsize) * 8
