"""Building the levels of a pyramid: every pixel of one is the mean of 2 x 2 of the level below."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.image import Pixels


def halve(pixels: Pixels) -> Pixels:
    """Average 2 x 2 pixels into one; an odd last row or column is averaged with itself.

    Parameters
    ----------
    pixels : H x W or H x W x C (1 to 4 channels), uint8 or uint16, any channel order.

    Returns
    -------
    ceil(H / 2) x ceil(W / 2) [x C], same dtype, rounded.
    """
    import cv2  # here, because a window or a help text must not wait for it

    height, width = pixels.shape[:2]
    if height % 2 or width % 2:
        beyond = [(0, height % 2), (0, width % 2), *[(0, 0)] * (pixels.ndim - 2)]
        padded: NDArray[Any] = np.pad(pixels, beyond, mode="edge")
        pixels = padded
    half = (pixels.shape[1] // 2, pixels.shape[0] // 2)
    halved: NDArray[Any] = cv2.resize(pixels, half, interpolation=cv2.INTER_AREA)
    return halved.reshape(half[1], half[0], *pixels.shape[2:])
