"""Power spectra of pictures and feature maps: in two dimensions, and as density over frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.colour import luma
from srviewer.imaging.image import Pixels

Channel = Literal["luma", "mean"]
"""What stands for a colour picture: Y of YCbCr, or the mean of R, G and B."""

CUT_OFF = 0.25
"""Cycles per pixel above which a frequency counts as high: half of the highest along an axis."""

_HIGHEST = 0.5  # cycles per pixel; beyond it rings leave the spectrum, except towards its corners
# Powers below this share of the highest are rounding; shown, they would take most of the colours.
_FLOOR = 1e-12


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The power spectrum of one map (FMEN, section 4.3).

    Attributes
    ----------
    frequency : K centres of the rings in cycles per pixel of the map, 0..0.5, 1 / min(height, width) apart.
    density : K shares in percent of the mean power on each ring; together 100 (all 0 for a map of zeros).
    log_power : H x W, float32, 10 log10 of the power |F|^2 / (H W) in dB, zero frequency in the centre
        (row H // 2, column W // 2); nothing lies more than 120 dB below the highest.
    """

    frequency: NDArray[np.float64]
    density: NDArray[np.float64]
    log_power: NDArray[np.float32]

    def high_frequency_share(self, cut_off: float = CUT_OFF) -> float:
        """Return the percentage of `density` on rings above `cut_off` cycles per pixel."""
        return float(self.density[self.frequency > cut_off].sum())


def plane_of(pixels: Pixels | NDArray[np.floating[Any]], channel: Channel = "luma") -> NDArray[np.float64]:
    """Return the plane of a picture whose spectrum is taken.

    Parameters
    ----------
    pixels : H x W x 3, R, G, B; uint8, uint16 (scaled to 0..255) or floating with values 0..255.
    channel : luma (16..235), or the mean of the colours (0..255).

    Returns
    -------
    H x W, float64.
    """
    if channel == "luma":
        return luma(pixels)
    mean: NDArray[np.float64] = pixels.mean(axis=2, dtype=np.float64)
    return mean / 257 if pixels.dtype == np.uint16 else mean


def spectrum(plane: NDArray[np.floating[Any]]) -> Spectrum:
    """Return the power spectrum of a map, without a window and with its zero frequency.

    Ring k gathers the frequencies f = sqrt(fx^2 + fy^2) <= 0.5, in cycles per pixel, that are nearest to
    k / min(H, W): rings are circles in frequency on maps that are not square, too.

    Parameters
    ----------
    plane : H x W, floating, any range: luma, an average feature map, a difference.

    Raises
    ------
    ValueError
        If the map is empty, not two-dimensional, or holds NaN or infinity.
    """
    if plane.ndim != 2 or plane.size == 0:
        raise ValueError(f"a spectrum needs a map of H x W, not of {plane.shape}")
    height, width = plane.shape
    half = np.fft.rfft2(plane.astype(np.float64, copy=False))
    power = half.real**2 + half.imag**2
    power /= height * width
    if not np.isfinite(power).all():
        raise ValueError("the map holds NaN or infinity, which have no spectrum")
    frequency, density = _radial(power, height, width)
    return Spectrum(frequency, density, _centred_decibels(power, width))


def ratio(after: Spectrum, before: Spectrum) -> NDArray[np.float64]:
    """Return density after over density before, per ring; NaN where there was none before.

    Raises
    ------
    ValueError
        If the two have other frequencies: maps of other sizes.
    """
    if after.frequency.shape != before.frequency.shape:
        raise ValueError("only spectra of maps of the same size have a ratio")
    there = before.density > 0
    ratios: NDArray[np.float64] = np.full(before.density.shape, np.nan)
    return np.divide(after.density, before.density, out=ratios, where=there)


def _radial(
    power: NDArray[np.float64], height: int, width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average a half spectrum (H x W // 2 + 1) on rings; each column but the outer ones stands for two."""
    short = min(height, width)
    rows = np.fft.fftfreq(height)[:, None]
    columns = np.fft.rfftfreq(width)[None, :]
    radius = np.sqrt(rows**2 + columns**2)
    rings = np.rint(radius * short).astype(np.intp)
    twice = np.full(columns.shape, 2.0)
    twice[0, 0] = 1.0
    if width % 2 == 0:
        twice[0, -1] = 1.0
    # A frequency of exactly 0.5 along a diagonal may be rounded to a little more.
    inside = radius <= _HIGHEST + 1e-9
    weights = np.where(inside, twice, 0.0)
    count = short // 2 + 1
    rings = np.minimum(rings, count - 1)
    cells = np.bincount(rings.ravel(), weights.ravel(), count)
    sums = np.bincount(rings.ravel(), (power * weights).ravel(), count)
    mean = np.divide(sums, cells, out=np.zeros(count), where=cells > 0)
    total = mean.sum()
    density = 100 * mean / total if total > 0 else mean
    return np.arange(count) / short, density


def _centred_decibels(power: NDArray[np.float64], width: int) -> NDArray[np.float32]:
    """Mirror a half spectrum to the whole one, centre it and take its logarithm."""
    height = power.shape[0]
    whole = np.empty((height, width), np.float32)
    highest = float(power.max())
    lowest = max(highest * _FLOOR, float(np.finfo(np.float32).tiny))
    decibels = 10 * np.log10(np.maximum(power, lowest))
    columns = power.shape[1]
    whole[:, :columns] = decibels
    if width > columns:
        # F(-u, -v) is the conjugate of F(u, v) for real maps.
        mirrored = np.roll(decibels[::-1, 1 : width - columns + 1][:, ::-1], 1, axis=0)
        whole[:, columns:] = mirrored
    return np.fft.fftshift(whole)
