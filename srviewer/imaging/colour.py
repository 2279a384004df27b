"""Colour: luma as the papers measure it, and ICC profiles."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.blocks import row_blocks
from srviewer.imaging.depth import to_eight_bits
from srviewer.imaging.faults import DECODER_FAULTS, quiet
from srviewer.imaging.image import Image, Pixels

ColourSpace = Literal["GRAY", "RGB", "CMYK", "LAB"]

_LUMA = np.array([65.481, 128.553, 24.966])
_ICC_SPACES: dict[bytes, ColourSpace] = {b"GRAY": "GRAY", b"RGB ": "RGB", b"CMYK": "CMYK", b"Lab ": "LAB"}
_CODECS_SPACES: dict[ColourSpace, str] = {"GRAY": "gray", "RGB": "rgb", "CMYK": "cmyk", "LAB": "lab"}
# From lcms2.h: INTENT_RELATIVE_COLORIMETRIC, cmsFLAGS_BLACKPOINTCOMPENSATION, cmsFLAGS_NOOPTIMIZE.
_RELATIVE_COLORIMETRIC, _BLACK_POINT, _NO_OPTIMISATION = 1, 0x2000, 0x0100
_ICC_HEADER_BYTES = 128


def luma(pixels: Pixels | NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return Y of YCbCr as the super-resolution papers measure it (BT.601, 16..235; MATLAB's rgb2ycbcr).

    Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255 of values 0..255, without rounding.

    Parameters
    ----------
    pixels : H x W x 3, RGB; uint8, uint16 (scaled to 0..255) or floating with values 0..255.

    Returns
    -------
    H x W, float64, 16..235.

    Raises
    ------
    ValueError
        The array is not H x W x 3.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels must be H x W x 3, not {pixels.shape}")
    weights = _LUMA / (255.0 * 257.0 if pixels.dtype == np.uint16 else 255.0)
    out = np.empty(pixels.shape[:2], np.float64)
    for rows in row_blocks(pixels.shape[0], pixels.shape[1] * 3):
        # Three plain products in a fixed order, not a matrix product: the same value on every machine.
        block = pixels[rows].astype(np.float64, copy=False)
        out[rows] = (
            16.0 + block[..., 0] * weights[0] + block[..., 1] * weights[1] + block[..., 2] * weights[2]
        )
    return out


def single_channel(pixels: Pixels) -> Pixels:
    """Return one grey channel: the rounded mean of three (exact where they are equal).

    Parameters
    ----------
    pixels : H x W x 3, uint8 or uint16.

    Returns
    -------
    H x W, same dtype.
    """
    out: NDArray[Any] = np.empty(pixels.shape[:2], pixels.dtype)
    for rows in row_blocks(pixels.shape[0], pixels.shape[1] * 3):
        out[rows] = (pixels[rows].sum(axis=2, dtype=np.uint32) + 1) // 3
    return out


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """Return an sRGB profile (ICC v4, as Little CMS builds it), the same bytes every time."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = b"\x07\xd0\0\x01\0\x01\0\0\0\0\0\0"  # its date of creation: 1 January 2000, not now
    return bytes(profile)


@lru_cache(maxsize=1)
def _lab_profile() -> bytes:
    from PIL import ImageCms

    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())


@lru_cache(maxsize=32)
def profile_space(icc: bytes) -> ColourSpace | None:
    """Return the colour space that a profile describes, or None where it is damaged or of a foreign kind."""
    if len(icc) < _ICC_HEADER_BYTES + 4 or icc[36:40] != b"acsp" or int.from_bytes(icc[:4], "big") > len(icc):
        return None
    space = _ICC_SPACES.get(icc[16:20])
    if space is None:
        return None
    channels = {"GRAY": 1, "RGB": 3, "CMYK": 4, "LAB": 3}[space]
    try:
        # Tried, not parsed: a profile can open and still lack the tables that a conversion needs.
        with quiet():
            _transformed(np.zeros((1, 1, channels), np.uint8), icc, space)
    except DECODER_FAULTS:
        return None
    return space


@lru_cache(maxsize=32)
def is_srgb(icc: bytes | None) -> bool:
    """Tell whether a profile means sRGB: no profile, or one that moves no colour by more than 1 of 255.

    Decided by what the profile does to 512 colours, since names and bytes of sRGB profiles differ.
    """
    if icc is None:
        return True
    if profile_space(icc) != "RGB":
        return False
    steps = np.linspace(0, 255, 8).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(8, 64, 3)
    moved = _transformed(colours, icc, "RGB").astype(np.int64) - colours
    return bool(np.abs(moved).max() <= 1)


def _transformed(samples: Pixels, icc: bytes, space: ColourSpace) -> Pixels:
    """Convert H x W x C samples (H x W x 1 for grey) to sRGB at once; the dtype stays."""
    import imagecodecs

    # Little CMS's shortcut is exact to 1 of 255 for 8-bit RGB. For everything else it interpolates a coarse
    # table, which is off by up to 6 % of the range in the shadows of linear profiles.
    exact = 0 if space == "RGB" and samples.dtype == np.uint8 else _NO_OPTIMISATION
    converted: Pixels = imagecodecs.cms_transform(
        np.ascontiguousarray(samples[..., 0] if space == "GRAY" else samples),
        icc,
        srgb_profile(),
        colorspace=_CODECS_SPACES[space],
        outcolorspace="rgb",
        outdtype=samples.dtype,
        intent=_RELATIVE_COLORIMETRIC,
        flags=_BLACK_POINT | exact,
    )
    return converted


def converted_to_srgb(samples: Pixels, icc: bytes, space: ColourSpace) -> Pixels:
    """Convert samples through their profile to sRGB (relative colorimetric, black point compensated).

    Parameters
    ----------
    samples : H x W x C, uint8 or uint16; C is 1, 3 or 4 as `space` has it; CMYK with 0 as no ink.
    icc : a profile of that space, already found sound by `profile_space`.

    Returns
    -------
    H x W x 3, same dtype, RGB in sRGB.
    """
    if space == "GRAY":
        every: NDArray[Any] = np.arange(np.iinfo(samples.dtype).max + 1).astype(samples.dtype)
        # One channel of the result for all three: R and B can come out a 65535th off.
        table = _transformed(every[None, :, None], icc, space)[0, :, 1]
        grey: NDArray[Any] = np.repeat(table[samples], 3, axis=2)
        return grey
    out: NDArray[Any] = np.empty((*samples.shape[:2], 3), samples.dtype)

    def convert(rows: slice) -> None:
        out[rows] = _transformed(samples[rows], icc, space)

    with ThreadPoolExecutor(os.cpu_count()) as threads:  # Little CMS runs without the interpreter's lock
        list(threads.map(convert, row_blocks(samples.shape[0], samples.shape[1] * samples.shape[2])))
    return out


def cmyk_to_srgb(samples: Pixels, icc: bytes | None) -> Pixels:
    """Convert inks to sRGB: through the profile, or by (1 - ink)(1 - black) where there is none.

    Parameters
    ----------
    samples : H x W x 4, uint8 or uint16, C, M, Y, K with 0 as no ink.

    Returns
    -------
    H x W x 3, same dtype, RGB.
    """
    if icc is not None:
        return converted_to_srgb(samples, icc, "CMYK")
    most = int(np.iinfo(samples.dtype).max)
    out: NDArray[Any] = np.empty((*samples.shape[:2], 3), samples.dtype)
    for rows in row_blocks(samples.shape[0], samples.shape[1] * 4):
        paper = most - samples[rows].astype(np.uint64)
        out[rows] = (paper[..., :3] * paper[..., 3:] + most // 2) // most
    return out


def lab_to_srgb(samples: Pixels) -> Pixels:
    """Convert CIE L*a*b* (D50) to sRGB.

    Parameters
    ----------
    samples : H x W x 3, uint8: L* 0..100 as 0..255, a* and b* with 128 added.

    Returns
    -------
    H x W x 3, uint8, RGB.
    """
    # In 8 bits Little CMS loses a grey level or two on the way, in 16 it does not.
    return to_eight_bits(converted_to_srgb(samples.astype(np.uint16) * np.uint16(257), _lab_profile(), "LAB"))


def to_srgb(image: Image) -> Image:
    """Return the image as a screen that knows only sRGB should get it; opacity and bits stay.

    The same image comes back where its colours are sRGB already. Otherwise the result has no profile
    (None means sRGB) and, if its profile was a grey one, still three equal channels.
    """
    if image.icc is None:
        return image
    return dataclasses.replace(image, pixels=pixels_to_srgb(image.pixels, image.icc), icc=None)


def pixels_to_srgb(pixels: Pixels, icc: bytes | None) -> Pixels:
    """Return pixels in a profile as a screen that knows only sRGB should get them.

    Parameters
    ----------
    pixels : H x W x 3 (R, G, B) or 4 (opacity beside, which stays), uint8 or uint16; grey is three equal
        channels.
    icc : their profile; one that is of no use to RGB or grey counts as sRGB.

    Returns
    -------
    Pixels of the same shape and dtype, the same array where its colours are sRGB already.
    """
    space = None if icc is None else profile_space(icc)
    if icc is None or space not in ("GRAY", "RGB") or is_srgb(icc):
        return pixels
    samples: Pixels = pixels[..., : 1 if space == "GRAY" else 3]
    shown = converted_to_srgb(samples, icc, space)
    if pixels.shape[2] == 3:
        return shown
    joined: NDArray[Any] = np.dstack([shown, pixels[..., 3]])
    return joined
