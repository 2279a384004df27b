"""Enlarging opacity, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from srviewer.imaging.image import Pixels
from srviewer.imaging.resize import imresize

# Rows of the result's alpha that are made at a time, so that no whole plane exists in floating point.
_ROWS = 256
# Bicubic interpolation reads two pixels on either side.
_HALO = 4


def enlarged_alpha(alpha: Pixels, scale: int) -> Pixels:
    """Enlarge opacity by bicubic interpolation.

    Takes H x W, uint8 or uint16; gives scale H x scale W of the same dtype, the same as all at once.
    """
    return enlarged_rows(lambda top, bottom: alpha[top:bottom], len(alpha), scale, 0, len(alpha))


def enlarged_rows(
    read: Callable[[int, int], Pixels], height: int, scale: int, top: int, bottom: int
) -> Pixels:
    """Enlarge the rows `top` to `bottom` of opacity as if all of it were enlarged.

    Parameters
    ----------
    read : returns rows, n x W, uint8 or uint16, from the first to one behind the last.
    height : of all of it.
    scale : the factor.
    top, bottom : input rows.

    Returns
    -------
    scale (bottom - top) x scale W, of the same dtype.
    """
    strips = []
    step = max(1, _ROWS // scale)
    for start in range(top, bottom, step):
        stop = min(bottom, start + step)
        begin, end = max(0, start - _HALO), min(height, stop + _HALO)
        strip = imresize(read(begin, end), scale)
        strips.append(strip[(start - begin) * scale : (stop - begin) * scale])
    return np.concatenate(strips)
