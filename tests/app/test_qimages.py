"""The doorway between arrays and QImages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtGui import QColor, QImage

from srviewer.app.qimages import blank, to_pixels, to_qimage, words_of


def noise(height: int, width: int, dtype: type[np.uint8 | np.uint16] = np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.random.default_rng(7).integers(0, top + 1, (height, width, 3)).astype(dtype)


@given(st.integers(1, 40), st.integers(1, 40))
def test_every_pixel_arrives(height: int, width: int) -> None:
    pixels = noise(height, width)
    image = to_qimage(pixels)
    assert image.format() == QImage.Format.Format_RGB32
    assert (image.width(), image.height()) == (width, height)
    back, alpha = to_pixels(image)
    assert alpha is None
    assert np.array_equal(back, pixels)
    assert words_of(image)[0, 0] == 0xFF000000 | int.from_bytes(bytes(pixels[0, 0].tolist()), "big")


def test_sixteen_bits_are_rounded_to_the_nearest() -> None:
    pixels = np.array([[[0, 128, 129], [65535, 65407, 65406]]], np.uint16)
    assert np.array_equal(to_pixels(to_qimage(pixels))[0], [[[0, 0, 1], [255, 255, 254]]])


def test_alpha_is_premultiplied() -> None:
    pixels = np.full((2, 3, 3), 200, np.uint8)
    alpha = np.array([[0, 128, 255], [255, 1, 64]], np.uint8)
    image = to_qimage(pixels, alpha)
    assert image.format() == QImage.Format.Format_ARGB32_Premultiplied
    expected = QImage(3, 2, QImage.Format.Format_ARGB32)
    for y in range(2):
        for x in range(3):
            expected.setPixelColor(x, y, QColor(200, 200, 200, int(alpha[y, x])))
    assert np.array_equal(words_of(image), words_of(expected.convertToFormat(image.format())))


def test_sixteen_bit_alpha() -> None:
    pixels, alpha = noise(4, 5, np.uint16), np.full((4, 5), 65535, np.uint16)
    assert np.array_equal(to_pixels(to_qimage(pixels, alpha))[0], to_pixels(to_qimage(pixels))[0])


@pytest.mark.parametrize("view", [np.s_[::2, ::3], np.s_[::-1], np.s_[:, ::-1], np.s_[3:9, 2:8]])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_strides(view: tuple[slice, ...], dtype: type[np.uint8 | np.uint16]) -> None:
    pixels = noise(12, 12, dtype)[view]
    packed = np.ascontiguousarray(pixels)
    assert np.array_equal(to_pixels(to_qimage(pixels))[0], to_pixels(to_qimage(packed))[0])


def test_channel_order_may_be_a_view() -> None:
    pixels = noise(4, 4)
    swapped = to_pixels(to_qimage(pixels[..., ::-1]))[0]
    assert np.array_equal(swapped, pixels[..., ::-1])


def test_the_image_owns_its_memory() -> None:
    pixels = noise(8, 8)
    image = to_qimage(pixels)
    before = to_pixels(image)[0]
    pixels[:] = 0
    assert np.array_equal(to_pixels(image)[0], before)


def test_a_blank_is_written_through_its_words() -> None:
    image, words = blank(5, 3)
    words[:] = 0xFF123456
    assert image.pixelColor(4, 2) == QColor(0x12, 0x34, 0x56)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (0, 4, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="H x W x 3"):
        to_qimage(np.zeros(shape, np.uint8))


def test_an_alpha_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not match"):
        to_qimage(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))
