"""Transparency: straight and premultiplied colours, and the colours that nobody sees."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.blocks import row_blocks
from srviewer.imaging.image import Pixels


def straight(premultiplied: Pixels, alpha: Pixels) -> Pixels:
    """Undo the multiplication of colours by opacity (TIFF 6.0, section 18: associated alpha).

    Parameters
    ----------
    premultiplied : H x W x C, uint8 or uint16, full range of the dtype.
    alpha : H x W, same dtype.

    Returns
    -------
    H x W x C, same dtype, rounded and clipped; black where the opacity is zero.
    """
    most = int(np.iinfo(premultiplied.dtype).max)
    out: NDArray[Any] = np.zeros(premultiplied.shape, premultiplied.dtype)
    for rows in row_blocks(premultiplied.shape[0], premultiplied.shape[1] * 3):
        opacity = alpha[rows].astype(np.uint64)[..., None]
        safe = np.maximum(opacity, 1)
        colours = (premultiplied[rows].astype(np.uint64) * most + safe // 2) // safe
        out[rows] = np.where(opacity > 0, np.minimum(colours, most), 0)
    return out


def flattened(pixels: Pixels, alpha: Pixels, background: tuple[int, int, int]) -> Pixels:
    """Lay straight colours over an opaque background, in the values as they are stored.

    Parameters
    ----------
    pixels : H x W x 3, uint8 or uint16, RGB, full range of the dtype.
    alpha : H x W, same dtype.
    background : R, G, B in 0..255.

    Returns
    -------
    H x W x 3, same dtype, rounded.
    """
    most = int(np.iinfo(pixels.dtype).max)
    behind = np.asarray(background, np.uint64) * (most // 255)
    out: NDArray[Any] = np.empty(pixels.shape, pixels.dtype)
    for rows in row_blocks(pixels.shape[0], pixels.shape[1] * 3):
        opacity = alpha[rows].astype(np.uint64)[..., None]
        out[rows] = (pixels[rows] * opacity + behind * (most - opacity) + most // 2) // most
    return out


def bleed_colours(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Give every fully transparent pixel the colour of the nearest one that can be seen.

    Files often hold black (or anything) where nothing is visible; a network that looks at the colours
    alone would draw it into the edge as a fringe.

    Parameters
    ----------
    pixels : H x W x 3, uint8 or uint16, RGB.
    alpha : H x W, same dtype, straight opacity.

    Returns
    -------
    H x W x 3, same dtype. `pixels` itself where there is nothing to do: all visible, or nothing.
    """
    hidden = alpha == 0
    if not hidden.any() or hidden.all():
        return pixels
    import cv2  # here, because a window or a help text must not wait for it

    # The nearest zero of this mask is the nearest visible pixel; each of them gets a label of its own.
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    visible = ~hidden
    colours: NDArray[Any] = np.zeros((int(labels.max()) + 1, 3), pixels.dtype)
    colours[labels[visible]] = pixels[visible]
    out: NDArray[Any] = pixels.copy()
    out[hidden] = colours[labels[hidden]]
    return out
