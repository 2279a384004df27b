"""What attribution maps are summed up by: Gini coefficient, diffusion index and density of attribution."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_GINI_OFFSET = 1e-7
# Pixels; a narrower kernel would fall between the pixels of the map.
_NARROWEST = 0.5


def gini(values: NDArray[np.floating[Any]]) -> float:
    """Return the Gini coefficient of values of at least 0: 0 where all are equal, near 1 where one has all.

    1e-7 is added to each value, as the attribution maps' authors do.
    """
    ordered = np.sort(values.astype(np.float64).ravel()) + _GINI_OFFSET
    count = ordered.size
    ranks = 2 * np.arange(1, count + 1) - count - 1
    return float((ranks * ordered).sum() / (count * ordered.sum()))


def diffusion_index(values: NDArray[np.floating[Any]]) -> float:
    """Return 100 (1 - Gini): the wider the pixels that matter are spread, the larger (Gu and Dong, eq. 8)."""
    return 100 * (1 - gini(values))


def normalised(attributions: NDArray[np.floating[Any]], *, negligible: float) -> NDArray[np.float32]:
    """Return the map of attributions: the absolute value of their sum over channels, over its maximum.

    Parameters
    ----------
    attributions : H x W x C, any range.
    negligible : a maximum up to this one is rounding: then the map is 0 everywhere.

    Returns
    -------
    H x W, float32, 0..1.
    """
    sums = np.abs(attributions.sum(axis=2, dtype=np.float64))
    highest = float(sums.max())
    if not highest > negligible:
        return np.zeros(sums.shape, np.float32)
    shares: NDArray[np.float32] = (sums / highest).astype(np.float32)
    return shares


def density(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Estimate the density of attribution by Gaussian kernels on all pixels, weighted by a map.

    The kernel is the map's own covariance times n^(-1/3), with n = (sum of w)^2 / sum of w^2 the effective
    number of points (Scott 1992, for two dimensions).

    Parameters
    ----------
    values : H x W, at least 0.

    Returns
    -------
    H x W, float32, 0..1: the density over its maximum; 0 everywhere for a map of zeros.
    """
    weights = values.astype(np.float64)
    total = weights.sum()
    height, width = weights.shape
    if not total > 0:
        return np.zeros((height, width), np.float32)
    weights /= total
    rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
    y, x = (weights * rows).sum(), (weights * columns).sum()
    squares = float((weights**2).sum())
    # As for a sample: the mean takes one degree of freedom.
    unbiased = max(1 - squares, np.finfo(np.float64).tiny)
    dy, dx = rows - y, columns - x
    covariance = np.array(
        [
            [(weights * dy**2).sum(), (weights * dy * dx).sum()],
            [(weights * dy * dx).sum(), (weights * dx**2).sum()],
        ]
    )
    covariance *= squares ** (1 / 3) / unbiased
    lengths, axes = np.linalg.eigh(covariance)
    lengths = np.maximum(lengths, _NARROWEST**2)
    inverse = axes @ np.diag(1 / lengths) @ axes.T
    spread = _convolved(weights, inverse)
    shares: NDArray[np.float32] = (spread / spread.max()).astype(np.float32)
    return shares


def _convolved(weights: NDArray[np.float64], inverse: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convolve a map with exp(-d^T inverse d / 2), nothing beyond its borders."""
    height, width = weights.shape
    # Twice the size keeps what leaves at one side from coming back at the other.
    tall, wide = 2 * height, 2 * width
    dy = np.fft.fftfreq(tall, 1 / tall)[:, None]
    dx = np.fft.fftfreq(wide, 1 / wide)[None, :]
    kernel = np.exp(-(inverse[0, 0] * dy**2 + 2 * inverse[0, 1] * dy * dx + inverse[1, 1] * dx**2) / 2)
    spectrum = np.fft.rfft2(weights, (tall, wide)) * np.fft.rfft2(kernel)
    convolved: NDArray[np.float64] = np.fft.irfft2(spectrum, (tall, wide))[:height, :width]
    return np.maximum(convolved, 0)
