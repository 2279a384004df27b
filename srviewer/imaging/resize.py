"""Bicubic resizing as MATLAB's `imresize` does it, which made the papers' low-resolution images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CUBIC_SUPPORT = 4.0
_BLOCK_VALUES = 1 << 22  # 32 MB of float64 at a time
_OUTPUT_STEP = 16  # outputs per matrix product: few enough that it is not mostly zeros


@dataclass(frozen=True)
class _Band:
    """A few neighbouring outputs along an axis: outputs [start, stop) are `weights` @ inputs [low, high)."""

    start: int
    stop: int
    low: int
    high: int
    weights: NDArray[np.float64]


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Keys' cubic convolution kernel with a = -1/2 (IEEE TASSP 29(6), 1981, equation 15)."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _bands(length: int, size: int, scale: float, antialiasing: bool) -> list[_Band]:
    """Return which inputs make each output along one axis; indices outside are clamped to the border."""
    shrink = min(scale, 1.0) if antialiasing else 1.0
    width = _CUBIC_SUPPORT / shrink
    # The centre of output pixel k (from 1, as in MATLAB) in input coordinates: pixel areas stay aligned.
    centres = np.arange(1, size + 1) / scale + 0.5 * (1 - 1 / scale)
    left = np.floor(centres - width / 2)
    indices = left[:, None] + np.arange(math.ceil(width) + 2)
    weights = shrink * _cubic(shrink * (centres[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    inputs = np.clip(indices, 1, length).astype(np.intp) - 1
    bands = []
    for start in range(0, size, _OUTPUT_STEP):
        stop = min(start + _OUTPUT_STEP, size)
        low, high = int(inputs[start:stop].min()), int(inputs[start:stop].max()) + 1
        band = np.zeros((stop - start, high - low))
        np.add.at(band, (np.arange(stop - start)[:, None], inputs[start:stop] - low), weights[start:stop])
        bands.append(_Band(start, stop, low, high, band))
    return bands


def _to_dtype(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Round half up and clip for integers, as MATLAB casts; floating values stay as they are."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    np.floor(values + 0.5, out=values)
    return np.clip(values, limits.min, limits.max, out=values).astype(dtype)


def _along_height(pixels: NDArray[Any], bands: list[_Band]) -> NDArray[Any]:
    height, *rest = pixels.shape
    flat = pixels.reshape(height, -1)
    out: NDArray[Any] = np.empty((bands[-1].stop, flat.shape[1]), pixels.dtype)
    for band in bands:
        resampled = band.weights @ flat[band.low : band.high].astype(np.float64)
        out[band.start : band.stop] = _to_dtype(resampled, pixels.dtype)
    return out.reshape(-1, *rest)


def _along_width(pixels: NDArray[Any], bands: list[_Band]) -> NDArray[Any]:
    height, width, *rest = pixels.shape
    channels = int(np.prod(rest))
    out: NDArray[Any] = np.empty((height, bands[-1].stop, *rest), pixels.dtype)
    step = max(1, _BLOCK_VALUES // (max(width, bands[-1].stop) * channels))
    for start in range(0, height, step):
        block = pixels[start : start + step].reshape(-1, width, channels)
        columns = np.ascontiguousarray(block.swapaxes(0, 1), np.float64).reshape(width, -1)
        resampled = np.empty((bands[-1].stop, columns.shape[1]))
        for band in bands:
            np.matmul(band.weights, columns[band.low : band.high], out=resampled[band.start : band.stop])
        turned = _to_dtype(resampled, pixels.dtype).reshape(-1, len(block), channels).swapaxes(0, 1)
        out[start : start + step] = turned.reshape(len(block), -1, *rest)
    return out


def imresize(
    pixels: NDArray[Any],
    scale: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    antialiasing: bool = True,
) -> NDArray[Any]:
    """Resize as MATLAB's ``imresize(pixels, scale)`` or ``imresize(pixels, [rows columns])``.

    Bicubic (a = -1/2), widened by the scale when shrinking, normalised, clamped at the borders. The axis
    with the smaller scale goes first (height when equal), and integers are rounded after each axis.

    Parameters
    ----------
    pixels : H x W or H x W x C; uint8, uint16 or floating, any range.
    scale : output size over input size; the output has ``ceil(scale * length)`` pixels along each axis.
    size : height and width of the output, instead of `scale`.
    antialiasing : whether the kernel is widened when shrinking.

    Returns
    -------
    The same dtype and number of dimensions; floating values are neither rounded nor clipped.

    Raises
    ------
    ValueError
        Not just one of `scale` and `size` is given, it leaves no pixels, or the array is of another kind.
    """
    if pixels.ndim not in (2, 3) or 0 in pixels.shape:
        raise ValueError(f"pixels must be H x W or H x W x C with no empty axis, not {pixels.shape}")
    if pixels.dtype.kind != "f" and pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be uint8, uint16 or floating, not {pixels.dtype}")
    height, width = pixels.shape[:2]
    if (scale is None) == (size is None):
        raise ValueError("give either scale or size")
    if scale is not None:
        if not (math.isfinite(scale) and scale > 0):
            raise ValueError(f"scale must be positive, not {scale}")
        # 1/3 of 63 is 21, though 63 * (1/3) may come out a last binary digit above it.
        size = math.ceil(round(height * scale, 9)), math.ceil(round(width * scale, 9))
        scales = scale, scale
    else:
        assert size is not None
        scales = size[0] / height, size[1] / width
    if min(size) < 1:
        raise ValueError(f"the output must have at least one pixel, not {size}")
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):
        if scales[axis] == 1 and size[axis] == pixels.shape[axis]:
            continue
        bands = _bands(pixels.shape[axis], size[axis], scales[axis], antialiasing)
        pixels = _along_height(pixels, bands) if axis == 0 else _along_width(pixels, bands)
    return pixels


def cropped_to_multiple(pixels: NDArray[Any], scale: int) -> NDArray[Any]:
    """Cut rows and columns off the bottom and right until both lengths are multiples of `scale` (a view).

    Parameters
    ----------
    pixels : H x W or H x W x C, any dtype.
    scale : at least 1.
    """
    height, width = pixels.shape[:2]
    return pixels[: height - height % scale, : width - width % scale]


def downscale(pixels: NDArray[Any], scale: int) -> NDArray[Any]:
    """Make a low-resolution image by the papers' protocol: crop to a multiple of `scale`, then bicubic.

    Parameters
    ----------
    pixels : H x W or H x W x C; uint8, uint16 or floating; both sides at least `scale`.
    scale : 2, 3, 4, ...

    Returns
    -------
    floor(H / scale) x floor(W / scale) [x C], same dtype.
    """
    return imresize(cropped_to_multiple(pixels, scale), 1 / scale)
