"""The only doorway between numpy arrays and QImages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QImage

from srviewer.imaging.image import Pixels

Words = NDArray[np.uint32]
"""H x W pixels as Qt packs them: 0xAARRGGBB."""


def to_qimage(pixels: Pixels, alpha: Pixels | None = None) -> QImage:
    """Return a QImage of its own memory that shows `pixels`.

    Parameters
    ----------
    pixels : H x W x 3, R, G, B, uint8 or uint16 (rounded to 8 bits); any strides.
    alpha : H x W, same dtype, straight; None is opaque.

    Returns
    -------
    ``Format_RGB32`` (which Qt scales about three times faster than ``RGB888``), with alpha
    ``Format_ARGB32_Premultiplied``.

    Raises
    ------
    ValueError
        If the shapes are none of these.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"an image needs H x W x 3 samples, not {pixels.shape}")
    if alpha is not None and alpha.shape != pixels.shape[:2]:
        raise ValueError(f"alpha of {alpha.shape} does not match pixels of {pixels.shape}")
    import cv2  # here, because the window must not wait for it

    image, words = blank(pixels.shape[1], pixels.shape[0], has_alpha=alpha is not None)
    samples: NDArray[np.uint8] = words.view(np.uint8).reshape(
        *words.shape, 4
    )  # B, G, R, A on every platform of Qt 6
    packed: NDArray[Any] = pixels
    if pixels.strides[1:] != _packed(pixels) or pixels.strides[0] < 0:
        packed = np.ascontiguousarray(pixels)
    colours = _eight_bit(packed)
    if alpha is None:
        cv2.cvtColor(colours, cv2.COLOR_RGB2BGRA, dst=samples)
        return image
    opacity = _eight_bit(alpha)
    # Rounded as Qt does it: c * a / 255 to the nearest.
    product = colours.astype(np.uint16) * opacity[..., None] + np.uint16(128)
    samples[..., 2::-1] = (product + (product >> 8)) >> 8
    samples[..., 3] = opacity
    return image


def blank(width: int, height: int, *, has_alpha: bool = False) -> tuple[QImage, Words]:
    """Return a QImage of unset pixels and the words to write them to: `height` x `width`, uint32, 0xAARRGGBB.

    The words are the QImage's own memory: not to be used after it is gone, nor written to once it is shared.
    """
    image = QImage(
        width, height, QImage.Format.Format_ARGB32_Premultiplied if has_alpha else QImage.Format.Format_RGB32
    )
    if image.isNull():
        raise MemoryError(f"no memory for an image of {width} x {height}")
    return image, np.frombuffer(image.bits(), np.uint32).reshape(height, width)


def words_of(image: QImage) -> Words:
    """Return a 32-bit QImage's pixels, H x W, uint32, 0xAARRGGBB: read-only, and only while `image` lives."""
    if image.depth() != 32:
        raise ValueError(f"an image of {image.depth()} bits per pixel has no 32-bit words")
    words: Words = np.frombuffer(image.constBits(), np.uint32).reshape(image.height(), image.width())
    return words


def to_pixels(image: QImage) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """Return any QImage (a pasted one) as H x W x 3 uint8, R, G, B, and its straight alpha, H x W or None."""
    has_alpha = image.hasAlphaChannel()
    converted = image.convertToFormat(QImage.Format.Format_RGBA8888)
    samples = np.frombuffer(converted.constBits(), np.uint8).reshape(image.height(), converted.bytesPerLine())
    rgba = samples[:, : 4 * image.width()].reshape(image.height(), image.width(), 4)
    return rgba[..., :3].copy(), rgba[..., 3].copy() if has_alpha else None


def _packed(pixels: NDArray[Any]) -> tuple[int, int]:
    """Return the strides within a row that OpenCV takes without a copy."""
    return (pixels.shape[2] * pixels.itemsize, pixels.itemsize)


def _eight_bit(samples: Pixels) -> NDArray[np.uint8]:
    """Return 16-bit samples rounded to 8 bits, v / 257 to the nearest; 8-bit ones as they are."""
    if samples.dtype == np.uint8:
        return samples.astype(np.uint8, copy=False)
    import cv2

    scaled: NDArray[Any] = cv2.convertScaleAbs(np.ascontiguousarray(samples), alpha=1 / 257)
    return scaled.reshape(samples.shape)
