"""Maps as pictures: attribution, density and features in grey or in colours, at the size of a screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

from srviewer.app.difference import colour_table
from srviewer.app.qimages import to_qimage
from srviewer.imaging.image import Pixels

LARGEST_SIDE = 1536
"""Pixels of a map's picture along its longer side: more than a pane shows at once without zooming in."""

_POWER = 0.5  # few pixels get most of the attribution; the square root lets the others be seen
_PALE = 0.5  # of the way to white that the picture below a map is taken
# ColorBrewer's YlOrRd: lightness falls evenly, and the colour-blind can read it.
_ATTRIBUTION = (
    (255, 255, 204),
    (255, 237, 160),
    (254, 217, 118),
    (254, 178, 76),
    (253, 141, 60),
    (252, 78, 42),
    (227, 26, 28),
    (189, 0, 38),
    (128, 0, 38),
)


def attribution_colours() -> NDArray[np.uint8]:
    """Return the 256 colours of attribution, from none to most: 256 x 3, uint8, R, G, B."""
    anchors = np.array(_ATTRIBUTION, np.float64)
    places = np.linspace(0, len(anchors) - 1, 256)
    mixed = [np.interp(places, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)]
    colours: NDArray[np.uint8] = np.rint(np.stack(mixed, axis=1)).astype(np.uint8)
    return colours


def attribution_image(values: NDArray[np.float32]) -> QImage:
    """Return an attribution map as colours that are the more opaque the more a pixel counts.

    Parameters
    ----------
    values : H x W, 0..1. A larger map is reduced by the maximum of blocks: single pixels stay visible.
    """
    height, width = values.shape
    factor = -(-max(height, width) // LARGEST_SIDE)
    if factor > 1:
        padded = np.pad(values, ((0, -height % factor), (0, -width % factor)))
        blocks = padded.reshape(padded.shape[0] // factor, factor, padded.shape[1] // factor, factor)
        values = blocks.max(axis=(1, 3))
    strength = np.clip(values, 0, 1) ** _POWER
    return _coloured(strength, np.minimum(1, 1.5 * strength), attribution_colours())


def density_image(values: NDArray[np.float32]) -> QImage:
    """Return a density of attribution (H x W, 0..1) as colours that fade out where there is little."""
    shown = np.clip(reduced(values), 0, 1)
    return _coloured(shown, 0.85 * np.minimum(1, 2.5 * shown), colour_table("viridis"))


def grey_image(plane: NDArray[np.float32], largest_side: int = LARGEST_SIDE) -> QImage:
    """Return a map (H x W, 0..1) in grey, reduced by means to `largest_side` where it is larger."""
    grey = np.rint(np.clip(reduced(plane, largest_side), 0, 1) * 255).astype(np.uint8)
    return to_qimage(np.repeat(grey[..., None], 3, axis=2))


def coloured_image(plane: NDArray[np.float32], largest_side: int = LARGEST_SIDE) -> QImage:
    """Return a map (H x W, 0..1) in the colours of viridis, reduced as `grey_image` does."""
    places = np.rint(np.clip(reduced(plane, largest_side), 0, 1) * 255).astype(np.uint8)
    return to_qimage(colour_table("viridis")[places])


def pale_image(pixels: Pixels) -> QImage:
    """Return a picture (H x W x 3, uint8 or uint16, sRGB) in light grey, on which colours stand out."""
    from srviewer.imaging.colour import luma

    grey = reduced(((luma(pixels) - 16) / 219).astype(np.float32))
    return grey_image(grey + (1 - grey) * np.float32(_PALE))


def reduced(plane: NDArray[np.float32], largest_side: int = LARGEST_SIDE) -> NDArray[np.float32]:
    """Return a map (H x W) with at most `largest_side` pixels along its longer side, by means of areas."""
    height, width = plane.shape
    share = largest_side / max(height, width)
    if share >= 1:
        return plane
    import cv2

    size = max(round(width * share), 1), max(round(height * share), 1)
    small: NDArray[Any] = cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA)
    return small


def _coloured(places: NDArray[Any], opacity: NDArray[Any], colours: NDArray[np.uint8]) -> QImage:
    indices = np.rint(places * 255).astype(np.uint8)
    return to_qimage(colours[indices], np.rint(opacity * 255).astype(np.uint8))
