"""PSNR and SSIM as the super-resolution papers measure them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.colour import luma
from srviewer.imaging.image import Pixels
from srviewer.imaging.resize import cropped_to_multiple, imresize

Region = tuple[int, int, int, int]
"""A rectangle in pixels of the high-resolution picture: x, y, width, height."""

SSIM_WINDOW = 11
"""Side of SSIM's Gaussian window; a smaller picture or region has no SSIM."""

_SSIM_SIGMA = 1.5
_PEAK = 255.0
_C1 = (0.01 * _PEAK) ** 2
_C2 = (0.03 * _PEAK) ** 2
# Samples per band: about 8 MB per float64 plane, so that a 100-megapixel pair is measured in some 100 MB.
_BAND_SAMPLES = 1 << 20


class MetricsError(ValueError):
    """Two pictures cannot be compared: their sizes, or the region asked for, do not allow it."""


@dataclass(frozen=True)
class Metrics:
    """How close a result comes to the ground truth.

    Attributes
    ----------
    psnr_y : dB on the Y channel; infinite where the two are equal.
    ssim_y : -1..1 on the Y channel, or None where the measured area is under 11 pixels high or wide.
    psnr_rgb : dB over the three colour channels together; infinite where the two are equal.
    crop : pixels shaved from every border of the whole picture before measuring (the scale).
    region : the rectangle that was measured, in pixels of the unshaved picture, cut down to the shaved
        picture; None for the whole of it.
    """

    psnr_y: float
    ssim_y: float | None
    psnr_rgb: float
    crop: int
    region: Region | None = None

    @property
    def protocol(self) -> str:
        """One sentence that says how these numbers were measured."""
        where = "" if self.region is None else ", region {2} × {3} px at {0}, {1}".format(*self.region)
        return f"{describe_protocol(self.crop)}{where}"

    def to_json(self) -> dict[str, float | int | bool | str | list[int] | None]:
        """Values for `json.dumps`: a PSNR of infinity becomes None, since JSON has no infinity.

        `identical` is True where every colour sample agrees, which tells such a None from a missing value.
        """
        return {
            "psnr_y": self.psnr_y if math.isfinite(self.psnr_y) else None,
            "ssim_y": self.ssim_y,
            "psnr_rgb": self.psnr_rgb if math.isfinite(self.psnr_rgb) else None,
            "crop": self.crop,
            "region": None if self.region is None else list(self.region),
            "identical": math.isinf(self.psnr_rgb),
            "protocol": self.protocol,
        }


def describe_protocol(crop: int) -> str:
    """Say in one sentence how `measure` works when it shaves `crop` pixels."""
    return (
        f"Y of YCbCr (BT.601, 16–235, not rounded), {crop} px shaved from every border, peak 255, "
        "SSIM 11 × 11 Gaussian σ 1.5"
    )


def measure(result: Pixels, truth: Pixels, *, scale: int, region: Region | None = None) -> Metrics:
    """Compare a result with the ground truth by the protocol of the papers' tables.

    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255 stays floating point; `scale` pixels are shaved from
    every border. PSNR has a peak of 255. SSIM (Wang et al., IEEE TIP 2004) uses an 11 x 11 Gaussian window of
    sigma 1.5, K1 = 0.01, K2 = 0.03 and only windows that lie wholly inside. 16-bit samples are divided by
    257, unrounded. The order of the two pictures makes no difference to any number.

    Parameters
    ----------
    result, truth : H x W x 3, uint8 or uint16, R, G, B.
        One may be larger by less than `scale` pixels: it is then cut at its right and bottom to the multiple
        of `scale` that the other has, as papers cut the ground truth.
    scale : the magnification, at least 1; also the number of pixels shaved from every border.
    region : x, y, width, height in pixels of the unshaved picture. What of it lies in the shaved picture
        is measured; nothing more is shaved from it.

    Returns
    -------
    Metrics
        The same numbers whatever the size of the bands that are worked on.

    Raises
    ------
    MetricsError
        The sizes do not fit (both are named), the shaving leaves nothing, or the region lies outside.
    ValueError
        `scale` is under 1.
    """
    if scale < 1:
        raise ValueError(f"scale must be at least 1, not {scale}")
    first, second = _matched(result, truth, scale)
    measured = _shaved_region(first.shape[1], first.shape[0], scale, region)
    x, y, width, height = measured
    first = first[y : y + height, x : x + width]
    second = second[y : y + height, x : x + width]
    squared_y, squared_rgb = _squared_differences(first, second)
    samples = width * height
    return Metrics(
        psnr_y=_psnr(squared_y / samples),
        ssim_y=_ssim(first, second) if min(width, height) >= SSIM_WINDOW else None,
        psnr_rgb=_psnr(squared_rgb / (3 * samples)),
        crop=scale,
        region=None if region is None else measured,
    )


def lr_consistency(lr: Pixels, result: Pixels, scale: int) -> float:
    """Return the PSNR in dB between an input and its result scaled back down.

    It needs no ground truth: a faithful result, downscaled by MATLAB-style bicubic with antialiasing (and
    rounded to its integer type, as there), gives its input again. Measured on Y, whole picture, nothing
    shaved, peak 255.

    Parameters
    ----------
    lr : h x w x 3, uint8 or uint16, R, G, B.
    result : (h * scale) x (w * scale) x 3, uint8 or uint16.
    scale : the magnification, at least 1.

    Raises
    ------
    MetricsError
        `result` is not `scale` times as large as `lr`.
    """
    if result.shape != (lr.shape[0] * scale, lr.shape[1] * scale, lr.shape[2]):
        raise MetricsError(f"{_size(result)} is not {scale} times {_size(lr)}")
    back = imresize(result, 1 / scale)
    squared_y, _ = _squared_differences(lr, back)
    return _psnr(squared_y / (lr.shape[0] * lr.shape[1]))


def difference_map(first: Pixels, second: Pixels) -> NDArray[np.float32]:
    """Return the largest absolute difference over the three channels, on the scale 0..255.

    Parameters
    ----------
    first, second : H x W x 3, uint8 or uint16, R, G, B, of one size.

    Returns
    -------
    H x W, float32, 0..255; 16-bit samples are divided by 257, unrounded.

    Raises
    ------
    MetricsError
        The sizes differ.
    """
    if first.shape != second.shape:
        raise MetricsError(f"the pictures differ in size: {_size(first)} and {_size(second)}")
    result = np.empty(first.shape[:2], np.float32)
    for top, bottom in _bands(*first.shape[:2]):
        apart = np.abs(_on_255(first[top:bottom]) - _on_255(second[top:bottom]))
        result[top:bottom] = apart.max(axis=2)
    return result


def _matched(result: Pixels, truth: Pixels, scale: int) -> tuple[Pixels, Pixels]:
    """Cut the larger of the two to the multiple of the scale that the other has."""
    for name, pixels in (("result", result), ("ground truth", truth)):
        if pixels.ndim != 3 or pixels.shape[2] != 3:
            raise MetricsError(f"the {name} must be H x W x 3, not {pixels.shape}")
    if result.shape == truth.shape:
        return result, truth
    larger, smaller = (truth, result) if truth.size > result.size else (result, truth)
    cut = cropped_to_multiple(larger, scale)
    if cut.shape != smaller.shape:
        raise MetricsError(
            f"the result has {_size(result)} and the ground truth {_size(truth)}: "
            f"they must be equal, up to less than {scale} px that the cut to a multiple of {scale} takes away"
        )
    return (result, cut) if larger is truth else (cut, truth)


def _shaved_region(width: int, height: int, crop: int, region: Region | None) -> Region:
    """Return the part of `region` (or of the whole) that lies `crop` pixels inside the picture's border."""
    if min(width, height) <= 2 * crop:
        raise MetricsError(
            f"{width} × {height} px leave nothing to measure once {crop} px are shaved from every border"
        )
    if region is None:
        return crop, crop, width - 2 * crop, height - 2 * crop
    x, y, region_width, region_height = region
    left, top = max(x, crop), max(y, crop)
    right, bottom = min(x + region_width, width - crop), min(y + region_height, height - crop)
    if left >= right or top >= bottom:
        raise MetricsError(
            f"the region {region_width} × {region_height} at {x}, {y} holds nothing of the "
            f"{width} × {height} px picture inside its {crop} px border"
        )
    return left, top, right - left, bottom - top


def _squared_differences(first: Pixels, second: Pixels) -> tuple[float, float]:
    """Sum the squared differences of Y, and of the three colours, on the scale 0..255."""
    luma_rows: list[float] = []
    colour_rows: list[float] = []
    for top, bottom in _bands(*first.shape[:2]):
        luma_difference = luma(first[top:bottom]) - luma(second[top:bottom])
        luma_rows.extend(np.square(luma_difference).sum(axis=1).tolist())
        colour_difference = _on_255(first[top:bottom]) - _on_255(second[top:bottom])
        colour_rows.extend(np.square(colour_difference).sum(axis=(1, 2)).tolist())
    # Rows added exactly: the sum does not depend on where the bands end.
    return math.fsum(luma_rows), math.fsum(colour_rows)


def _ssim(first: Pixels, second: Pixels) -> float:
    """Average SSIM's map over every 11 x 11 window that lies wholly inside."""
    reach = SSIM_WINDOW - 1
    rows: list[float] = []
    map_height, map_width = first.shape[0] - reach, first.shape[1] - reach
    for top, bottom in _bands(map_height, map_width):
        part = slice(top, bottom + reach)
        rows.extend(_ssim_map(luma(first[part]), luma(second[part])).sum(axis=1).tolist())
    return float(math.fsum(rows) / (map_height * map_width))


def _ssim_map(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate SSIM (Wang et al. 2004, equation 13) for each window of two float64 planes on 0..255."""
    mean_x, mean_y = _blurred(x), _blurred(y)
    product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    covariance = _blurred(x * y) - product
    variances = _blurred(x * x) + _blurred(y * y) - squares
    return ((2 * product + _C1) * (2 * covariance + _C2)) / ((squares + _C1) * (variances + _C2))


def _gaussian() -> NDArray[np.float64]:
    offsets = np.arange(SSIM_WINDOW, dtype=np.float64) - SSIM_WINDOW // 2
    weights = np.exp(-np.square(offsets) / (2 * _SSIM_SIGMA**2))
    return np.asarray(weights / weights.sum())


_GAUSSIAN = _gaussian()


def _blurred(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Filter by the Gaussian window (it is separable) and keep where the window lies wholly inside."""
    reach = SSIM_WINDOW // 2
    filtered = cv2.sepFilter2D(plane, cv2.CV_64F, _GAUSSIAN, _GAUSSIAN)
    return np.asarray(filtered[reach:-reach, reach:-reach], dtype=np.float64)


def _bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Cut the rows into bands of bounded memory."""
    step = max(2 * SSIM_WINDOW, _BAND_SAMPLES // width)
    for top in range(0, height, step):
        yield top, min(top + step, height)


def _on_255(pixels: Pixels) -> NDArray[np.float64]:
    values = pixels.astype(np.float64)
    return values / 257 if pixels.dtype == np.uint16 else values


def _psnr(mean_squared_error: float) -> float:
    return math.inf if mean_squared_error == 0 else 10 * math.log10(_PEAK**2 / mean_squared_error)


def _size(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} × {pixels.shape[0]} px"
