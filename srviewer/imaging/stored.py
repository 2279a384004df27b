"""What a format's reader hands over before it becomes an `Image`: header and samples as stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray

from srviewer.imaging.formats import FormatName

SampleKind = Literal["grey", "rgb", "cmyk", "lab"]


@dataclass(frozen=True)
class Header:
    """What a file says before its pixels are decoded; width and height lie as stored, not yet upright.

    Attributes
    ----------
    bits : bits per sample after reading, 8 or 16.
    channels : colour channels and opacity together, after reading (a palette counts as 3).
    exif : the EXIF block as found (a bare TIFF structure), or None.
    icc : the ICC profile as found, or None.
    orientation : 1..8 where the format states it outside its EXIF block; None: the block says.
    """

    format: FormatName
    width: int
    height: int
    bits: Literal[8, 16]
    channels: int
    exif: bytes | None = field(default=None, repr=False)
    icc: bytes | None = field(default=None, repr=False)
    orientation: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Samples:
    """Decoded samples.

    Attributes
    ----------
    values : H x W x C, uint8 or uint16, full range; opacity (straight) last where `alpha` is set.
    kind : what the other channels are; CMYK with 0 as no ink, L*a*b* with a* and b* 128 up.
    """

    values: NDArray[Any]
    kind: SampleKind
    alpha: bool
