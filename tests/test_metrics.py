"""PSNR and SSIM against slow, direct implementations of their definitions."""

from __future__ import annotations

import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from srviewer.analysis import metrics
from srviewer.analysis.metrics import MetricsError, difference_map, lr_consistency, measure
from srviewer.imaging.resize import imresize

Bytes = NDArray[np.uint8]


def noise(height: int, width: int, seed: int = 0) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def disturbed(pixels: Bytes, strength: int, seed: int = 1) -> Bytes:
    change = np.random.default_rng(seed).integers(-strength, strength + 1, pixels.shape)
    return np.clip(pixels.astype(int) + change, 0, 255).astype(np.uint8)


def plain_luma(pixels: NDArray[np.generic]) -> NDArray[np.float64]:
    red, green, blue = (pixels[..., channel].astype(np.float64) for channel in range(3))
    return np.asarray(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255)


def plain_psnr(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return float(10 * np.log10(255**2 / np.mean((first - second) ** 2)))


def plain_ssim(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Window by window, with weighted moments about the mean, as Wang et al. define it."""
    offsets = np.arange(11) - 5
    weights = np.exp(-(offsets[:, None] ** 2 + offsets[None, :] ** 2) / (2 * 1.5**2))
    weights /= weights.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for row in range(first.shape[0] - 10):
        for column in range(first.shape[1] - 10):
            x, y = (plane[row : row + 11, column : column + 11] for plane in (first, second))
            mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
            variance_x = (weights * (x - mean_x) ** 2).sum()
            variance_y = (weights * (y - mean_y) ** 2).sum()
            covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
            values.append(
                (2 * mean_x * mean_y + c1)
                * (2 * covariance + c2)
                / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))
            )
    return float(np.mean(values))


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(9, 34),
    width=st.integers(9, 34),
    scale=st.integers(1, 4),
    strength=st.integers(1, 255),
    seed=st.integers(0, 2**32 - 1),
)
def test_measure_agrees_with_the_definitions(
    height: int, width: int, scale: int, strength: int, seed: int
) -> None:
    truth = noise(height, width, seed)
    truth[: height // 2] //= 16  # a quiet half, where SSIM's constants weigh
    result = disturbed(truth, strength, seed + 1)
    found = measure(result, truth, scale=scale)
    first, second = (plain_luma(pixels[scale:-scale, scale:-scale]) for pixels in (result, truth))
    if np.array_equal(result[scale:-scale, scale:-scale], truth[scale:-scale, scale:-scale]):
        assert math.isinf(found.psnr_y)
        return
    assert found.psnr_y == pytest.approx(plain_psnr(first, second), abs=1e-9)
    shaved = [pixels[scale:-scale, scale:-scale].astype(np.float64) for pixels in (result, truth)]
    assert found.psnr_rgb == pytest.approx(plain_psnr(*shaved), abs=1e-9)
    if min(first.shape) < 11:
        assert found.ssim_y is None
    else:
        assert found.ssim_y == pytest.approx(plain_ssim(first, second), abs=1e-10)
    assert (found.crop, found.region) == (scale, None)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    box=st.tuples(st.integers(0, 45), st.integers(0, 35), st.integers(1, 60), st.integers(1, 60)),
)
def test_a_region_is_cut_with_the_shaved_picture_and_not_shaved_again(
    seed: int, box: tuple[int, int, int, int]
) -> None:
    truth, result = noise(40, 50, seed), noise(40, 50, seed + 1)
    x, y, width, height = box
    left, top, right, bottom = max(x, 3), max(y, 3), min(x + width, 47), min(y + height, 37)
    if left >= right or top >= bottom:
        with pytest.raises(MetricsError, match="holds nothing"):
            measure(result, truth, scale=3, region=box)
        return
    found = measure(result, truth, scale=3, region=box)
    assert found.region == (left, top, right - left, bottom - top)
    first, second = (plain_luma(pixels[top:bottom, left:right]) for pixels in (result, truth))
    assert found.psnr_y == pytest.approx(plain_psnr(first, second), abs=1e-9)
    if min(first.shape) < 11:
        assert found.ssim_y is None
    else:
        assert found.ssim_y == pytest.approx(plain_ssim(first, second), abs=1e-10)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), extra=st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_symmetric_and_indifferent_to_the_border(seed: int, extra: tuple[int, int]) -> None:
    result = noise(24, 28, seed)
    larger = noise(24 + extra[0], 28 + extra[1], seed + 1)
    there, back = measure(result, larger, scale=4), measure(larger, result, scale=4)
    assert there == back
    assert there == measure(result, larger[:24, :28], scale=4)
    spoilt = result.copy()
    spoilt[:4], spoilt[-4:], spoilt[:, :4], spoilt[:, -4:] = 0, 255, 255, 0
    assert measure(spoilt, larger, scale=4) == there
    spoilt[4, 4] ^= 0xFF
    assert measure(spoilt, larger, scale=4) != there


def test_identical_pictures_are_infinitely_good_and_their_json_is_valid() -> None:
    picture = noise(30, 30)
    found = measure(picture, picture.copy(), scale=2)
    assert math.isinf(found.psnr_y)
    assert math.isinf(found.psnr_rgb)
    assert found.ssim_y == pytest.approx(1, abs=1e-12)
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert told["psnr_y"] is None
    assert told["psnr_rgb"] is None
    assert told["identical"] is True
    assert (told["crop"], told["region"]) == (2, None)


def test_json_of_a_region() -> None:
    told = measure(noise(30, 30), noise(30, 30, 5), scale=2, region=(0, 5, 9, 20)).to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["region"] == [2, 5, 7, 20]
    assert told["ssim_y"] is None
    assert told["identical"] is False
    assert "2 px shaved" in str(told["protocol"])
    assert "7 × 20 px at 2, 5" in str(told["protocol"])


def test_known_value() -> None:
    # 10 in each colour is 10 * 219 / 255 in Y; 10 log10(255^2 / (10 * 219 / 255)^2)
    dark, light = np.full((20, 20, 3), 100, np.uint8), np.full((20, 20, 3), 110, np.uint8)
    found = measure(dark, light, scale=2)
    assert found.psnr_rgb == pytest.approx(20 * math.log10(25.5), abs=1e-9)
    assert found.psnr_y == pytest.approx(20 * math.log10(25.5 * 255 / 219), abs=1e-9)


def test_sixteen_bits_are_measured_on_the_scale_of_eight() -> None:
    truth, result = noise(30, 40), noise(30, 40, 9)
    deep_truth, deep_result = (pixels.astype(np.uint16) * 257 for pixels in (truth, result))
    eight, deep = measure(result, truth, scale=2), measure(deep_result, deep_truth, scale=2)
    assert deep.psnr_y == pytest.approx(eight.psnr_y, abs=1e-9)
    assert deep.psnr_rgb == pytest.approx(eight.psnr_rgb, abs=1e-9)
    assert deep.ssim_y == pytest.approx(eight.ssim_y, abs=1e-9)
    assert measure(deep_result, truth, scale=2).psnr_rgb == pytest.approx(eight.psnr_rgb, abs=1e-9)
    # One of 65535 counts: nothing is rounded to 8 bits.
    assert measure(deep_truth, deep_truth ^ np.uint16(1), scale=2).psnr_rgb == pytest.approx(
        20 * math.log10(65535)
    )


def test_sizes_that_do_not_fit_are_named() -> None:
    with pytest.raises(MetricsError, match=r"28 × 24 px.*32 × 24 px"):
        measure(noise(24, 28), noise(24, 32), scale=4)
    with pytest.raises(MetricsError, match=r"29 × 24 px.*28 × 25 px"):
        measure(noise(24, 29), noise(25, 28), scale=4)
    with pytest.raises(MetricsError, match=r"27 × 24 px.*28 × 24 px"):  # 27 is no multiple of 4
        measure(noise(24, 27), noise(24, 28), scale=4)
    with pytest.raises(MetricsError, match="leave nothing"):
        measure(noise(8, 30), noise(8, 30), scale=4)
    with pytest.raises(ValueError, match="at least 1"):
        measure(noise(8, 8), noise(8, 8), scale=0)


@pytest.mark.parametrize("region", [None, (7, 3, 40, 50)])
def test_bands_change_no_number(region: metrics.Region | None, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, result = noise(150, 61), noise(150, 61, 2)
    whole = measure(result, truth, scale=3, region=region)
    monkeypatch.setattr(metrics, "_BAND_SAMPLES", 1)
    banded = measure(result, truth, scale=3, region=region)
    assert banded == whole
    assert np.array_equal(difference_map(result, truth), np.abs(result.astype(int) - truth).max(axis=2))


def test_memory_stays_bounded() -> None:
    truth, result = noise(4000, 1500), noise(4000, 1500, 3)
    measure(result[:100], truth[:100], scale=4)  # loads what is loaded late
    tracemalloc.start()
    try:
        measure(result, truth, scale=4)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5 * 8 * truth[..., 0].size  # whole float64 planes would be 14 and more


def test_lr_consistency() -> None:
    lr = noise(20, 24)
    repeated = lr.repeat(3, axis=0).repeat(3, axis=1)
    back = imresize(repeated, 1 / 3)
    assert lr_consistency(lr, repeated, 3) == pytest.approx(
        plain_psnr(plain_luma(lr), plain_luma(back)), abs=1e-9
    )
    flat = np.full((20, 24, 3), 90, np.uint8)
    assert math.isinf(lr_consistency(flat, flat.repeat(2, axis=0).repeat(2, axis=1), 2))
    with pytest.raises(MetricsError, match=r"48 × 40 px is not 3 times 24 × 20 px"):
        lr_consistency(lr, lr.repeat(2, axis=0).repeat(2, axis=1), 3)


def test_difference_map() -> None:
    first, second = noise(9, 13), noise(9, 13, 4)
    found = difference_map(first, second)
    assert found.dtype == np.float32
    assert np.array_equal(found, np.abs(first.astype(int) - second).max(axis=2))
    with pytest.raises(MetricsError, match="differ in size"):
        difference_map(first, second[:8])
