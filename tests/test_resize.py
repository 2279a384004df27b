from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from srviewer.imaging.files import read_image
from srviewer.imaging.resize import cropped_to_multiple, downscale, imresize


def noise(*shape: int, dtype: type[np.generic] = np.uint8) -> NDArray[Any]:
    rng = np.random.default_rng(1)
    if issubclass(dtype, np.floating):
        return rng.random(shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)  # type: ignore[type-var]  # narrowed above


def direct(pixels: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float64]:
    """Resize by the definition, one output at a time, in float64 without any rounding."""

    def axis(values: NDArray[np.float64], out: int) -> NDArray[np.float64]:
        length = values.shape[0]
        scale = out / length
        shrink = min(1.0, scale)
        rows = []
        for k in range(out):
            centre = (k + 0.5) / scale - 0.5
            total, weight_sum = np.zeros(values.shape[1:]), 0.0
            for i in range(int(np.floor(centre - 2 / shrink)) - 1, int(np.ceil(centre + 2 / shrink)) + 2):
                x = abs(centre - i) * shrink
                near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
                weight = near if x <= 1 else far if x <= 2 else 0.0
                total = total + weight * values[min(max(i, 0), length - 1)]
                weight_sum += weight
            rows.append(total / weight_sum)
        return np.stack(rows)

    tall = axis(pixels.astype(np.float64), size[0])
    return axis(tall.swapaxes(0, 1), size[1]).swapaxes(0, 1)


def test_lr_files_of_the_test_sets_are_reproduced_exactly(reference: Path) -> None:
    checked = set()
    for hr in sorted(reference.glob("Set*/image_SRF_*/*_HR.png")):
        scale = int(hr.parent.name.removeprefix("image_SRF_"))
        lr = hr.with_name(hr.name.replace("_HR", "_LR"))
        ours = downscale(read_image(hr).pixels, scale)
        np.testing.assert_array_equal(ours, read_image(lr).pixels, err_msg=str(hr))
        checked.add((hr.parent.parent.name, scale))
    assert checked >= {("Set5", 2), ("Set5", 3), ("Set5", 4), ("Set14", 4)}


@given(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from([(), (1,), (3,)]),
)
@settings(max_examples=60, deadline=None)
def test_any_size_follows_the_definition(
    before: tuple[int, int], after: tuple[int, int], channels: tuple[int, ...]
) -> None:
    pixels = noise(*before, *channels, dtype=np.float64)
    resized = imresize(pixels, size=after)
    assert resized.shape == (*after, *channels)
    np.testing.assert_allclose(resized, direct(pixels, after), rtol=0, atol=1e-12)


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([2, 3, 4, 8]))
@settings(max_examples=40, deadline=None)
def test_downscale_keeps_whole_multiples(height: int, width: int, scale: int) -> None:
    pixels = np.zeros((height, width), np.uint8)
    if min(height, width) < scale:
        with pytest.raises(ValueError, match="no empty axis"):
            downscale(pixels, scale)
    else:
        assert downscale(pixels, scale).shape == (height // scale, width // scale)
        assert cropped_to_multiple(pixels, scale).shape[0] % scale == 0


@pytest.mark.parametrize(("dtype", "most"), [(np.uint8, 255), (np.uint16, 65535)])
@pytest.mark.parametrize("scale", [2, 3, 4, 0.5, 1 / 3, 1.7])
def test_integers_clip_and_flat_stays_flat(dtype: type[np.generic], most: int, scale: float) -> None:
    edge = np.zeros((30, 30, 3), dtype)
    edge[:, 15:] = most
    resized = imresize(edge, scale)
    assert resized.dtype == dtype
    assert resized.min() == 0
    assert resized.max() == most
    assert (resized[:, 0] == 0).all()
    assert (imresize(np.full((13, 17), 200, dtype), scale) == 200).all()


def test_integers_are_rounded_between_the_two_axes() -> None:
    pixels = noise(40, 60)
    tall = np.floor(direct(pixels, (20, 60)) + 0.5).clip(0, 255).astype(np.uint8)
    both = np.floor(direct(tall, (20, 30)) + 0.5).clip(0, 255).astype(np.uint8)
    np.testing.assert_array_equal(imresize(pixels, 0.5), both)
    once = np.floor(direct(pixels, (20, 30)) + 0.5).clip(0, 255).astype(np.uint8)
    assert (both != once).any()


def test_floating_values_overshoot_and_keep_their_dtype() -> None:
    edge = np.zeros((16, 16), np.float32)
    edge[:, 8:] = 1
    resized = imresize(edge, 4)
    assert resized.dtype == np.float32
    assert resized.max() > 1.01
    assert resized.min() < -0.01


def test_blocks_leave_no_trace() -> None:
    wide = noise(9, 300_000)
    np.testing.assert_array_equal(
        imresize(wide, 0.5)[:, 600:1000], imresize(wide[:, 1000:2200], 0.5)[:, 100:500]
    )
    tall = np.ascontiguousarray(wide.T)
    by_both = imresize(tall.astype(np.float64), 0.5)
    np.testing.assert_allclose(by_both, imresize(wide.astype(np.float64), 0.5).T, atol=1e-9)


def test_without_antialiasing_only_four_neighbours_count() -> None:
    pixels = np.zeros((1, 32))
    pixels[0, 16] = 1.0  # the outputs sit at 13.5 and 17.5: their nearest inputs are 12..15 and 16..19
    plain = imresize(pixels, size=(1, 8), antialiasing=False)[0]
    np.testing.assert_array_equal(np.flatnonzero(plain), [4])
    assert np.count_nonzero(imresize(pixels, size=(1, 8))) > 1


@pytest.mark.parametrize(
    ("scale", "size", "message"),
    [
        (None, None, "either scale or size"),
        (2.0, (4, 4), "either scale or size"),
        (0.0, None, "scale must be positive"),
        (float("nan"), None, "scale must be positive"),
        (None, (0, 4), "at least one pixel"),
    ],
)
def test_senseless_sizes_are_refused(scale: float | None, size: tuple[int, int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        imresize(np.zeros((4, 4), np.uint8), scale, size=size)


def test_foreign_arrays_are_refused() -> None:
    with pytest.raises(ValueError, match="H x W"):
        imresize(np.zeros(4, np.uint8), 2)
    with pytest.raises(ValueError, match="uint8, uint16 or floating"):
        imresize(np.zeros((4, 4), np.int32), 2)
