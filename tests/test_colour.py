from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icc_profiles import display_p3, inks, linear_grey

from srviewer.imaging.alpha import bleed_colours, flattened, straight
from srviewer.imaging.colour import (
    cmyk_to_srgb,
    is_srgb,
    lab_to_srgb,
    luma,
    pixels_to_srgb,
    profile_space,
    single_channel,
    srgb_profile,
    to_srgb,
)
from srviewer.imaging.depth import from_bits, to_eight_bits
from srviewer.imaging.image import Image


def test_luma_of_the_primaries() -> None:
    colours = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    y = luma(colours)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y[0], [16, 235, 16 + 65.481, 16 + 128.553, 16 + 24.966], atol=1e-12)
    np.testing.assert_allclose(luma(colours.astype(np.uint16) * np.uint16(257)), y, atol=1e-11)
    np.testing.assert_allclose(luma(colours.astype(np.float32)), y, atol=1e-12)


def test_luma_by_blocks_is_luma_at_once() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1500, 1501, 3), dtype=np.uint8)
    at_once = 16 + pixels.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255
    np.testing.assert_allclose(luma(pixels), at_once, atol=1e-10)


def test_luma_refuses_other_shapes() -> None:
    with pytest.raises(ValueError, match="H x W x 3"):
        luma(np.zeros((4, 4), np.uint8))


def test_srgb_is_recognised_by_what_it_does() -> None:
    assert is_srgb(None)
    assert is_srgb(srgb_profile())
    assert not is_srgb(display_p3())
    assert not is_srgb(linear_grey())
    assert not is_srgb(b"no profile")


@pytest.mark.parametrize(
    ("icc", "space"),
    [(display_p3(), "RGB"), (linear_grey(), "GRAY"), (inks(), "CMYK"), (b"", None), (b"x" * 500, None)],
)
def test_profile_space(icc: bytes, space: str | None) -> None:
    assert profile_space(icc) == space


def test_a_profile_without_its_tables_is_damaged() -> None:
    good = display_p3()
    assert profile_space(good[:300]) is None
    assert profile_space(good.replace(b"rTRC", b"nope")) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_to_srgb_moves_colours_and_nothing_else(dtype: type[Any]) -> None:
    most = int(np.iinfo(dtype).max)
    colours = np.array(
        [[[0, most, 0], [most, most, most], [0, 0, 0], [most // 2, most // 2, most // 2]]], dtype
    )
    alpha = np.array([[0, 1, 2, most]], dtype)
    shown = to_srgb(Image(colours, alpha=alpha, icc=display_p3()))
    assert shown.icc is None
    assert shown.pixels.dtype == dtype
    assert shown.alpha is alpha
    middle = shown.pixels[0, 3].astype(np.int64)
    np.testing.assert_allclose(shown.pixels[0, 1:3], colours[0, 1:3], rtol=0, atol=1)
    assert np.ptp(middle) <= most // 128  # neutral stays neutral
    saturated = Image(np.array([[[0, most * 4 // 5, most // 10]]], dtype), icc=display_p3())
    assert to_srgb(saturated).pixels[0, 0, 1] > saturated.pixels[0, 0, 1]  # P3's green lies outside sRGB's


def test_to_srgb_of_a_grey_profile_stays_grey() -> None:
    ramp = np.repeat(np.arange(0, 65536, 257, dtype=np.uint16)[None, :, None], 3, axis=2)
    shown = to_srgb(Image(ramp, grey=True, icc=linear_grey()))
    assert (shown.pixels == shown.pixels[..., :1]).all()
    linear = np.arange(256) / 255
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(shown.pixels[0, :, 0] / 65535, expected, atol=1e-4)


@pytest.mark.parametrize("icc", [display_p3(), linear_grey()])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_opacity_beside_the_colours_stays(icc: bytes, dtype: type[Any]) -> None:
    most = int(np.iinfo(dtype).max)
    drawn = np.random.default_rng(4).integers(0, most, (5, 7, 1), dtype)
    colours, alpha = np.repeat(drawn, 3, axis=2), drawn // 2
    shown = pixels_to_srgb(np.dstack([colours, alpha]), icc)
    assert shown.dtype == dtype
    np.testing.assert_array_equal(shown[..., :3], pixels_to_srgb(colours, icc))
    np.testing.assert_array_equal(shown[..., 3:], alpha)


def test_to_srgb_leaves_srgb_alone() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    assert to_srgb(Image(pixels)).pixels is pixels
    tagged = to_srgb(Image(pixels, icc=srgb_profile()))
    assert tagged.pixels is pixels
    assert tagged.icc is None


def test_inks_without_a_profile() -> None:
    drops = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 0, 0, 255], [255, 255, 255, 0]]], np.uint8)
    paper, cyan, black, all_three = cmyk_to_srgb(drops, None)[0].tolist()
    assert (paper, cyan, black, all_three) == ([255] * 3, [0, 255, 255], [0] * 3, [0] * 3)


def test_inks_through_their_profile() -> None:
    drops = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [255, 0, 0, 0]]], np.uint8)
    paper, black, cyan = cmyk_to_srgb(drops, inks())[0].tolist()
    assert paper == [255] * 3
    assert max(black) < 40
    assert cyan[0] < 60 < cyan[1] < cyan[2]


def test_lab_white_grey_and_red() -> None:
    lab = np.array([[[255, 128, 128], [0, 128, 128], [136, 209, 195]]], np.uint8)
    white, black, red = lab_to_srgb(lab)[0].astype(int)
    np.testing.assert_array_equal(white, 255)
    np.testing.assert_array_equal(black, 0)
    assert red[0] > 240
    assert red[1:].max() < 30


def test_single_channel_is_exact_for_grey() -> None:
    dtypes: list[Any] = [np.uint8, np.uint16]
    for dtype in dtypes:
        ramp: Any = np.arange(np.iinfo(dtype).max + 1, dtype=dtype).reshape(16, -1)
        np.testing.assert_array_equal(single_channel(np.repeat(ramp[..., None], 3, axis=2)), ramp)


def test_eight_bits_are_rounded_to_nearest() -> None:
    every = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(to_eight_bits(every), np.rint(every / 257.0).astype(np.uint8))


@given(st.integers(1, 16))
def test_fewer_bits_fill_the_range(bits: int) -> None:
    most = (1 << bits) - 1
    spread = from_bits(np.arange(most + 1, dtype=np.uint16)[None], bits)
    full = 255 if bits <= 8 else 65535
    assert spread.dtype == (np.uint8 if bits <= 8 else np.uint16)
    np.testing.assert_array_equal(spread[0], np.rint(np.arange(most + 1) * (full / most)))


@pytest.mark.parametrize("most", [255, 65535])
def test_straight_undoes_premultiplication(most: int) -> None:
    rng = np.random.default_rng(3)
    dtype: Any = np.uint8 if most == 255 else np.uint16
    colours = rng.integers(0, most + 1, (50, 60, 3)).astype(dtype)
    alpha = rng.integers(most // 2, most + 1, (50, 60)).astype(dtype)
    alpha[0, 0] = 0
    premultiplied = np.rint(colours * (alpha[..., None] / most)).astype(dtype)
    undone = straight(premultiplied, alpha).astype(np.int64)
    assert (undone[0, 0] == 0).all()
    visible = alpha > 0
    assert np.abs(undone - colours)[visible].max() <= 2


def test_flattened_over_a_background() -> None:
    pixels = np.full((1, 3, 3), 100, np.uint8)
    alpha = np.array([[0, 128, 255]], np.uint8)
    np.testing.assert_array_equal(flattened(pixels, alpha, (255, 255, 255))[0, :, 0], [255, 177, 100])
    np.testing.assert_array_equal(flattened(pixels, alpha, (0, 10, 20))[0, 0], [0, 10, 20])
    wide = flattened(pixels.astype(np.uint16) * 257, alpha.astype(np.uint16) * 257, (255, 255, 255))
    np.testing.assert_array_equal(np.rint(wide / 257)[0, :, 0], [255, 177, 100])


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_bleeding_changes_only_what_nobody_sees(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 65536, (height, width, 3)).astype(np.uint16)
    alpha = rng.choice(np.array([0, 0, 0, 7, 65535], np.uint16), (height, width))
    bled = bleed_colours(pixels, alpha)
    visible = alpha > 0
    np.testing.assert_array_equal(bled[visible], pixels[visible])
    if not visible.any():
        np.testing.assert_array_equal(bled, pixels)
        return
    rows, columns = np.nonzero(visible)
    for row, column in zip(*np.nonzero(~visible), strict=True):
        # The mask of OpenCV's distance is within 2 % of Euclid's: near enough for a colour.
        distance = np.hypot(rows - row, columns - column)
        close = distance <= distance.min() * 1.05 + 1e-9
        assert (bled[row, column] == pixels[rows[close], columns[close]]).all(axis=1).any()


def test_bleeding_ends_a_dark_fringe() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    alpha = np.zeros((32, 32), np.uint8)
    pixels[:, 16:], alpha[:, 16:] = (250, 200, 150), 255
    assert (bleed_colours(pixels, alpha) == (250, 200, 150)).all()
