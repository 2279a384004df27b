"""Changing the number of bits per sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.blocks import row_blocks
from srviewer.imaging.image import Pixels


def to_eight_bits(samples: Pixels) -> Pixels:
    """Round samples of any shape to 8 bits: uint16 0..65535 to uint8 0..255 by v / 257, to nearest.

    An array that is uint8 already is returned as it is.
    """
    if samples.dtype == np.uint8:
        return samples
    out: NDArray[np.uint8] = np.empty(samples.shape, np.uint8)
    for rows in row_blocks(samples.shape[0], int(np.prod(samples.shape[1:]))):
        out[rows] = (samples[rows].astype(np.uint32) + 128) // 257
    return out


def from_bits(samples: NDArray[Any], bits: int) -> Pixels:
    """Spread samples of `bits` bits over the full range of uint8 (1 to 8 bits) or uint16 (9 to 16)."""
    wide: type[np.uint8 | np.uint16] = np.uint8 if bits <= 8 else np.uint16
    most, full = (1 << bits) - 1, int(np.iinfo(wide).max)
    if most == full:
        unchanged: NDArray[Any] = samples.astype(wide, copy=False)
        return unchanged
    table = (np.arange(most + 1, dtype=np.uint64) * full + most // 2) // most
    spread: Pixels = np.take(table.astype(wide), np.minimum(samples, most))
    return spread
