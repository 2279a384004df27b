"""Writing image files: fit the image to what the format holds, encode, put the file in place whole."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging import eight_bit, png, tiff
from srviewer.imaging import exif as exif_block
from srviewer.imaging.alpha import flattened
from srviewer.imaging.atomic import whole_file
from srviewer.imaging.colour import profile_space, single_channel, srgb_profile, to_srgb
from srviewer.imaging.depth import to_eight_bits
from srviewer.imaging.faults import ImageFileError, encoding
from srviewer.imaging.formats import FORMATS, Format, FormatName, format_of_path
from srviewer.imaging.image import Image, Pixels

_JPEG_EXIF_BYTES = 65_533 - 6  # one APP1 segment less the ``Exif\0\0`` that leads it


@dataclass(frozen=True)
class WriteOptions:
    """How files are encoded, where a format leaves a choice.

    Attributes
    ----------
    jpeg_quality : 1..100.
    jpeg_subsampling : of the colour difference channels; 4:4:4 keeps all of them.
    webp_quality, avif_quality : 0..100.
    webp_lossless : whether WebP keeps every value.
    avif_speed : 0 (slow, small) to 10.
    png_level : deflate's level, 0..9; above 4 files shrink by a few percent and writing takes 3 times longer.
    background : R, G, B in 0..255, under transparent pixels where the format holds no opacity.
    """

    jpeg_quality: int = 95
    jpeg_subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = "4:4:4"
    webp_quality: int = 95
    webp_lossless: bool = False
    avif_quality: int = 90
    avif_speed: int = 6
    png_level: int = 4
    background: tuple[int, int, int] = (255, 255, 255)

    def __post_init__(self) -> None:
        ranges = {
            "jpeg_quality": (1, 100),
            "webp_quality": (0, 100),
            "avif_quality": (0, 100),
            "avif_speed": (0, 10),
            "png_level": (0, 9),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be {low} to {high}, not {getattr(self, name)}")
        if self.jpeg_subsampling not in ("4:4:4", "4:2:2", "4:2:0"):
            raise ValueError(f"jpeg_subsampling must be 4:4:4, 4:2:2 or 4:2:0, not {self.jpeg_subsampling}")
        if len(self.background) != 3 or not all(0 <= value <= 255 for value in self.background):
            raise ValueError(f"background must be three values in 0..255, not {self.background}")


DEFAULT_OPTIONS = WriteOptions()


def write_image(
    image: Image,
    path: str | Path,
    *,
    format: FormatName | None = None,  # noqa: A002 - the word users know, and Pillow's
    overwrite: bool = False,
    options: WriteOptions = DEFAULT_OPTIONS,
) -> tuple[str, ...]:
    """Write an image file with its ICC profile and EXIF; the file appears under its name whole or not at all.

    EXIF fields that state the size are set to the image's. Grey is written as one channel where the
    format can; what else the format cannot hold (opacity, 16 bits, metadata) is changed, and said.

    Parameters
    ----------
    format : None takes it from the path's suffix.
    overwrite : whether an existing file is replaced.

    Returns
    -------
    Sentences about what the format made necessary, often none.

    Raises
    ------
    ImageFileError
        The format is unknown or cannot hold so many pixels, the file exists, or it cannot be written.
    """
    path = Path(path)
    target = format_for(path, format)
    check_size(path, image.width, image.height, image.bits, target)
    with whole_file(path, overwrite=overwrite) as stream, encoding(path, target.name):
        return encode_into(stream, image, target, options)


def encode_into(
    stream: BinaryIO, image: Image, target: Format, options: WriteOptions = DEFAULT_OPTIONS
) -> tuple[str, ...]:
    """Fit an image to what a format holds and encode it; returns sentences about what was changed.

    Raises
    ------
    Exception
        One of `faults.DECODER_FAULTS`: it cannot be encoded or written.
    """
    notes: list[str] = []
    _encode(stream, _fitted(image, target, options, notes), target.name, options)
    return tuple(notes)


def format_for(path: Path, format_: FormatName | None) -> Format:
    """Return the format to write: as stated, else as the path's suffix says; else an ImageFileError."""
    found = format_ if format_ is not None else format_of_path(path)
    if found is None or found not in FORMATS:
        usual = ", ".join(known.suffixes[0] for known in FORMATS.values())
        raise ImageFileError(path, f"its suffix names no format that can be written (choose {usual})")
    return FORMATS[found]


def check_size(path: Path, width: int, height: int, bits: int, target: Format) -> None:
    """Raise ImageFileError for an image without pixels, or with more a side than its format holds."""
    if width < 1 or height < 1:
        raise ImageFileError(path, "the image has no pixels")
    if target.side is not None and max(width, height) > target.side:
        choice = "PNG or TIFF" if bits == 16 or target.name == "JPEG" else "PNG, TIFF or JPEG"
        raise ImageFileError(
            path,
            f"{target.name} holds at most {target.side:,} pixels a side, the image has "
            f"{width:,} × {height:,}; choose {choice}",
        )


def _fitted(image: Image, target: Format, options: WriteOptions, notes: list[str]) -> Image:
    """Return the image changed to what the format can hold; add a note for whatever the user would miss."""
    if image.bits > target.bits:
        eight = to_eight_bits(image.pixels)
        alpha = None if image.alpha is None else to_eight_bits(image.alpha)
        image = dataclasses.replace(image, pixels=eight, alpha=alpha)
        notes.append(f"{target.name} holds 8 bits per sample: rounded from 16")
    if image.alpha is not None and not target.alpha:
        pixels = flattened(image.pixels, image.alpha, options.background)
        over = "white" if options.background == (255, 255, 255) else f"RGB {options.background}"
        notes.append(f"{target.name} holds no transparency: laid over {over}")
        image = dataclasses.replace(
            image, pixels=pixels, alpha=None, grey=image.grey and len({*options.background}) == 1
        )
    if not target.metadata:
        if image.icc is not None:
            image = to_srgb(image)
            notes.append(f"{target.name} holds no colour profile: converted to sRGB")
        if image.exif is not None:
            notes.append(f"{target.name} holds no EXIF: dropped")
        return dataclasses.replace(image, exif=None)
    if image.icc is not None and profile_space(image.icc) == "GRAY" and not (target.grey and image.grey):
        # Three channels under a grey profile mean nothing to any reader.
        image = dataclasses.replace(to_srgb(image), icc=srgb_profile())
        notes.append(f"{target.name} holds no grey channel: converted to sRGB")
    exif = sized_exif(image.exif, image.width, image.height, target, notes)
    return dataclasses.replace(image, exif=exif)


def sized_exif(exif: bytes | None, width: int, height: int, target: Format, notes: list[str]) -> bytes | None:
    """Return the block stating this size; None and a note where it is damaged or does not fit."""
    if exif is None:
        return None
    try:
        block = exif_block.resized(exif, width, height)
    except ValueError:
        notes.append("its EXIF is damaged and was dropped")
        return None
    if target.name == "JPEG" and len(block) > _JPEG_EXIF_BYTES:
        notes.append("its EXIF is larger than JPEG can hold and was dropped")
        return None
    return block


def _encode(stream: BinaryIO, image: Image, format_: FormatName, options: WriteOptions) -> None:
    dots = exif_block.resolution(image.exif) if image.exif is not None else None
    colours = single_channel(image.pixels) if image.grey and FORMATS[format_].grey else image.pixels
    icc, exif = image.icc, image.exif
    if format_ == "PNG":
        samples = with_alpha(colours, image.alpha)
        png.encode(stream, samples, level=options.png_level, icc=icc, exif=exif, resolution=dots)
    elif format_ == "TIFF":
        samples = with_alpha(colours, image.alpha)
        alpha = image.alpha is not None
        tiff.encode(stream, samples, alpha=alpha, icc=icc, exif=exif, resolution=dots)
    elif format_ == "JPEG":
        eight_bit.encode_jpeg(
            stream,
            colours,
            quality=options.jpeg_quality,
            subsampling=options.jpeg_subsampling,
            icc=icc,
            exif=exif,
            resolution=dots,
        )
    elif format_ == "WEBP":
        eight_bit.encode_webp(
            stream,
            colours,
            image.alpha,
            quality=options.webp_quality,
            lossless=options.webp_lossless,
            icc=icc,
            exif=exif,
        )
    elif format_ == "AVIF":
        eight_bit.encode_avif(
            stream,
            colours,
            image.alpha,
            quality=options.avif_quality,
            speed=options.avif_speed,
            icc=icc,
            exif=exif,
        )
    else:
        eight_bit.encode_bmp(stream, colours)


def with_alpha(colours: Pixels, alpha: Pixels | None) -> Pixels:
    """Return colours and opacity as one H x W x C array; without opacity `colours` itself."""
    if alpha is None:
        return colours
    channels = colours.shape[2] if colours.ndim == 3 else 1
    out: NDArray[Any] = np.empty((*alpha.shape, channels + 1), colours.dtype)
    out[..., :channels] = colours.reshape(*alpha.shape, channels)
    out[..., channels] = alpha
    return out
