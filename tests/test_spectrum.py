"""Power spectra: known pictures have known curves, on square and other maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from srviewer.analysis.spectrum import plane_of, ratio, spectrum

SHAPES = [(64, 64), (63, 63), (60, 180), (180, 60), (37, 111), (50, 51)]


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal((height, width))


def cells_per_ring(height: int, width: int) -> NDArray[np.int64]:
    """How many frequencies of the whole spectrum lie on each ring, counted one by one."""
    short = min(height, width)
    counts = np.zeros(short // 2 + 1, np.int64)
    for row in np.fft.fftfreq(height):
        for column in np.fft.fftfreq(width):
            radius = np.hypot(row, column)
            if radius <= 0.5 + 1e-9:
                counts[min(round(radius * short), short // 2)] += 1
    return counts


def whole_spectrum_density(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    height, width = plane.shape
    short = min(height, width)
    power = np.abs(np.fft.fft2(plane)) ** 2
    rings: list[list[float]] = [[] for _ in range(short // 2 + 1)]
    for i, row in enumerate(np.fft.fftfreq(height)):
        for j, column in enumerate(np.fft.fftfreq(width)):
            radius = np.hypot(row, column)
            if radius <= 0.5 + 1e-9:
                rings[min(round(radius * short), short // 2)].append(power[i, j])
    means = np.array([np.mean(ring) for ring in rings])
    density: NDArray[np.float64] = 100 * means / means.sum()
    return density


@pytest.mark.parametrize("shape", SHAPES)
def test_half_a_spectrum_gives_the_whole_ones_density(shape: tuple[int, int]) -> None:
    plane = noise(*shape) + 3
    found = spectrum(plane)
    assert found.density == pytest.approx(whole_spectrum_density(plane))
    assert found.frequency == pytest.approx(np.arange(min(shape) // 2 + 1) / min(shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_curve_sums_to_a_hundred_percent(shape: tuple[int, int]) -> None:
    found = spectrum(noise(*shape))
    assert found.density.sum() == pytest.approx(100)
    assert found.frequency[-1] <= 0.5


@pytest.mark.parametrize(
    ("shape", "waves"),
    [
        ((64, 64), (0, 16)),
        ((64, 64), (12, 5)),
        ((60, 180), (0, 36)),
        ((60, 180), (12, 0)),
        ((180, 60), (27, 12)),
        ((63, 189), (7, 40)),
    ],
)
def test_a_sinusoid_peaks_at_its_ring(shape: tuple[int, int], waves: tuple[int, int]) -> None:
    height, width = shape
    rows, columns = np.mgrid[0:height, 0:width]
    frequency = np.hypot(waves[0] / height, waves[1] / width)
    found = spectrum(np.sin(2 * np.pi * (waves[0] * rows / height + waves[1] * columns / width) + 0.3))
    peak = int(found.density.argmax())
    assert abs(found.frequency[peak] - frequency) <= 0.5 / min(shape) + 1e-9
    assert found.density[peak] == pytest.approx(100)
    brightest = np.argwhere(found.log_power > found.log_power.max() - 1)
    centre = np.array([height // 2, width // 2])
    assert {tuple(np.abs(place - centre)) for place in brightest} == {waves}


@pytest.mark.parametrize("shape", [(128, 128), (96, 288)])
def test_white_noise_is_flat_within_its_error(shape: tuple[int, int]) -> None:
    found = spectrum(noise(*shape, seed=3))
    cells = cells_per_ring(*shape)
    level = 100 / cells.size
    # A power is exponentially distributed, and half of the frequencies repeat the other half.
    error = level * np.sqrt(2 / cells)
    assert np.all(np.abs(found.density - level) < 5 * error)
    assert found.high_frequency_share() == pytest.approx(50, abs=3)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_impulse_is_flat(shape: tuple[int, int]) -> None:
    plane = np.zeros(shape)
    plane[3, 5] = 2.0
    found = spectrum(plane)
    assert found.density == pytest.approx(100 / found.density.size)
    assert found.log_power == pytest.approx(found.log_power[0, 0])


def test_a_constant_is_all_at_zero_and_nothing_is_nothing() -> None:
    constant = spectrum(np.full((40, 30), 7.0))
    assert constant.density[0] == pytest.approx(100)
    assert constant.high_frequency_share() == pytest.approx(0, abs=1e-9)
    assert constant.log_power.argmax() == 20 * 30 + 15
    assert np.isfinite(constant.log_power).all()
    nothing = spectrum(np.zeros((8, 9)))
    assert not nothing.density.any()
    assert np.isfinite(nothing.log_power).all()


def test_the_share_lies_above_the_cut_off() -> None:
    found = spectrum(noise(40, 40))
    assert found.high_frequency_share(0.5) == 0
    assert found.high_frequency_share(0.25) == pytest.approx(found.density[11:].sum())
    assert found.high_frequency_share(0.0) == pytest.approx(100 - found.density[0])


@settings(deadline=None, max_examples=40)
@given(height=st.integers(1, 24), width=st.integers(1, 24), seed=st.integers(0, 99))
def test_the_centred_picture_is_the_whole_spectrum(height: int, width: int, seed: int) -> None:
    plane = noise(height, width, seed)
    power = np.fft.fftshift(np.abs(np.fft.fft2(plane)) ** 2) / plane.size
    found = spectrum(plane)
    assert found.log_power == pytest.approx(10 * np.log10(np.maximum(power, power.max() * 1e-12)), abs=1e-3)
    assert found.density.sum() == pytest.approx(100)


def test_ratio() -> None:
    plane = noise(32, 48)
    before, after = spectrum(plane), spectrum(plane * 5)
    assert ratio(after, before) == pytest.approx(1)
    sharper = plane - (np.roll(plane, 1, 0) + np.roll(plane, 1, 1)) / 2
    assert ratio(spectrum(sharper), before)[-1] > 1 > ratio(spectrum(sharper), before)[1]
    assert np.isnan(ratio(before, spectrum(np.zeros((32, 48))))).all()
    with pytest.raises(ValueError, match="same size"):
        ratio(before, spectrum(noise(16, 16)))


def test_what_has_no_spectrum() -> None:
    for plane in (np.zeros((0, 4)), np.zeros(5)):
        with pytest.raises(ValueError, match="H x W"):
            spectrum(plane)
    broken = np.zeros((8, 8))
    broken[2, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        spectrum(broken)


def test_planes_of_pictures() -> None:
    eight = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    sixteen = eight.astype(np.uint16) * 257
    assert plane_of(eight, "mean") == pytest.approx(eight.mean(axis=2))
    assert plane_of(sixteen, "mean") == pytest.approx(eight.mean(axis=2))
    assert plane_of(sixteen) == pytest.approx(plane_of(eight))
    assert 16 <= plane_of(eight).min() <= plane_of(eight).max() <= 235
