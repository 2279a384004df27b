"""Reading image files: recognise, check the header, decode, turn upright, bring to RGB."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging import eight_bit, png, tiff
from srviewer.imaging import exif as exif_block
from srviewer.imaging.alpha import flattened
from srviewer.imaging.colour import (
    ColourSpace,
    cmyk_to_srgb,
    lab_to_srgb,
    profile_space,
    srgb_profile,
    to_srgb,
)
from srviewer.imaging.depth import to_eight_bits
from srviewer.imaging.faults import ImageFileError, UnreadableContentError, decoding, os_reason
from srviewer.imaging.formats import HEAD_BYTES, FormatName, identify
from srviewer.imaging.image import Image
from srviewer.imaging.stored import Header, SampleKind, Samples

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

DEFAULT_MAX_PIXELS = 1_000_000_000
_KIND_CHANNELS: dict[SampleKind, int] = {"grey": 1, "rgb": 3, "cmyk": 4, "lab": 3}
_PROFILE_OF_KIND: dict[SampleKind, tuple[ColourSpace, ...]] = {
    "grey": ("GRAY", "RGB"),  # an RGB profile on a grey picture is common, and means R = G = B
    "rgb": ("RGB",),
    "cmyk": ("CMYK",),
    "lab": (),
}


@dataclass(frozen=True)
class ImageInfo:
    """What an image file's header says.

    Attributes
    ----------
    path : the file.
    width, height : in pixels, upright: after its EXIF orientation is applied.
    format : the format's name as Pillow spells it.
    bits : bits per sample after reading: 8 or 16.
    channels : colour channels and opacity together: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA or CMYK.
    icc : the colour profile as found, or None.
    """

    path: Path
    width: int
    height: int
    format: FormatName
    bits: int
    channels: int
    icc: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Limits:
    """What a file may ask of this machine; None for no such limit."""

    pixels: int | None
    memory: int | None

    def check(self, header: Header) -> None:
        """Raise UnreadableContentError for a header without pixels or over a limit."""
        size = f"{header.width:,} × {header.height:,}"
        if header.width < 1 or header.height < 1:
            raise UnreadableContentError(f"it has no pixels (its size is {size})")
        pixels = header.width * header.height
        if self.pixels is not None and pixels > self.pixels:
            limit = (
                f"{self.pixels / 1e6:,.0f} megapixels" if self.pixels >= 1e6 else f"{self.pixels:,} pixels"
            )
            raise UnreadableContentError(f"it has {size} pixels, more than the limit of {limit}")
        # The samples as decoded, a decoder's own copy (Pillow keeps four bytes a pixel), and the image.
        needed = pixels * (header.bits // 8) * (2 * max(4, header.channels) + 4)
        if self.memory is not None and needed > self.memory:
            raise UnreadableContentError(
                f"decoding its {size} pixels takes about {needed / 1e6:,.1f} MB, "
                f"more than the {self.memory / 1e6:,.1f} MB of memory allowed"
            )


@dataclass(frozen=True, eq=False)
class Opened:
    """A recognised file within its limits, its header read."""

    stream: BinaryIO
    header: Header
    picture: ImageFile | None  # where Pillow reads the format


def probe(path: str | Path) -> ImageInfo:
    """Read an image file's header, never its pixels.

    Raises
    ------
    ImageFileError
        There is no such file, it may not be read, or it is not an image that can be read.
    """
    with open_checked(Path(path), Limits(None, None)) as opened:
        header = opened.header
        turned = orientation_of(header) >= 5
        return ImageInfo(
            path=Path(path),
            width=header.height if turned else header.width,
            height=header.width if turned else header.height,
            format=header.format,
            bits=header.bits,
            channels=header.channels,
            icc=header.icc,
        )


def read_image(
    path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS, max_memory: int | None = None
) -> Image:
    """Read an image file: upright, RGB, with alpha, ICC profile and EXIF beside the pixels.

    Grey becomes three equal channels, palettes and fewer than 8 bits are spread out, 9 to 16 bits become 16,
    CMYK and L*a*b* become sRGB and are tagged so. `Image.notes` says what was changed or dropped. XMP, IPTC
    and a resolution that stands outside the EXIF fields are not kept.

    Parameters
    ----------
    path : the file; its content decides what it is, not its name.
    max_pixels : refuse a file whose header states more.
    max_memory : refuse a file whose decoding would take more bytes than this; None for no such limit.

    Raises
    ------
    ImageFileError
        The file cannot be read, is not an image in a supported format, is damaged, or is over a limit.
    """
    with open_checked(Path(path), Limits(max_pixels, max_memory)) as opened:
        return _image(Path(path), opened)


def read_thumbnail(path: str | Path, side: int, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> NDArray[np.uint8]:
    """Read a small version of an image for the screen, as cheaply as its format allows.

    Parameters
    ----------
    side : the longer side in pixels; a smaller image keeps its size.

    Returns
    -------
    H x W x 3, uint8, RGB in sRGB, upright; transparent parts are white.

    Raises
    ------
    ImageFileError
        As `read_image`.
    """
    if side < 1:
        raise ValueError(f"a thumbnail's side must be at least 1, not {side}")
    with open_checked(Path(path), Limits(max_pixels, None)) as opened:
        picture = opened.picture
        if picture is not None and picture.format == "JPEG":
            picture.draft(None, (side, side))  # libjpeg skips the frequencies that would be averaged away
        image = _image(Path(path), opened)
    pixels = to_eight_bits(image.pixels)
    if image.alpha is not None:
        pixels = flattened(pixels, to_eight_bits(image.alpha), (255, 255, 255))
    longer = max(image.width, image.height)
    if longer > side:
        import cv2

        size = (max(1, round(image.width * side / longer)), max(1, round(image.height * side / longer)))
        shrunk: NDArray[Any] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        pixels = shrunk
    return np.asarray(to_srgb(Image(pixels, icc=image.icc)).pixels, np.uint8)


@contextmanager
def open_checked(path: Path, limits: Limits) -> Iterator[Opened]:
    """Open a file, recognise it, read its header; whatever goes wrong inside becomes an ImageFileError."""
    try:
        # Asked before opening: to open a pipe would wait for somebody to write into it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ImageFileError(path, "it is a folder, not a file" if path.is_dir() else "it is not a file")
        stream = path.open("rb")
    except OSError as error:
        raise ImageFileError(path, os_reason(error)) from error
    except ValueError as error:  # a zero byte in the name
        raise ImageFileError(path, "its name is not valid") from error
    with stream, decoding(path):
        format_, refusal = identify(stream.read(HEAD_BYTES), path)
        if format_ is None:
            raise ImageFileError(path, refusal)
        yield _within_limits(stream, format_, limits)


def _within_limits(stream: BinaryIO, format_: FormatName, limits: Limits) -> Opened:
    """Read the header and hold it against the limits."""
    picture: ImageFile | None = None
    if format_ == "PNG":
        header = png.read_header(stream)
    elif format_ == "TIFF":
        header = tiff.read_header(stream)
    else:
        if format_ == "WEBP":
            # Pillow's reader sets up buffers for the whole canvas before it tells the size.
            size = eight_bit.webp_size(stream)
            if size is None:
                raise UnreadableContentError(
                    "the file is truncated or damaged: its WebP header makes no sense"
                )
            limits.check(Header("WEBP", *size, bits=8, channels=4))
        picture = eight_bit.open_picture(stream, format_)
        header = eight_bit.header_of(picture, format_, stream)
    limits.check(header)
    return Opened(stream, header, picture)


def orientation_of(header: Header) -> int:
    """Return how the stored rows and columns lie (EXIF 2.32, 4.6.4), 1 where nothing valid is said."""
    if header.orientation is not None:
        return header.orientation
    if header.exif is None:
        return 1
    try:
        return exif_block.orientation(header.exif)
    except ValueError:
        return 1


def _samples(opened: Opened) -> Samples:
    if opened.header.format == "PNG":
        return png.decode(opened.stream)
    if opened.header.format == "TIFF":
        return tiff.decode(opened.stream)
    assert opened.picture is not None
    return eight_bit.decode(opened.picture, opened.stream)


def _image(path: Path, opened: Opened) -> Image:
    header = opened.header
    notes = list(header.notes)
    samples = _samples(opened)
    colours = _KIND_CHANNELS[samples.kind]
    values = _turned(samples.values, orientation_of(header))
    alpha = np.ascontiguousarray(values[..., colours]) if samples.alpha else None
    values = values[..., :colours]
    icc = sound_profile(header.icc, samples.kind, notes)
    if samples.kind == "cmyk":
        pixels = cmyk_to_srgb(values, icc)
        notes.append(
            "CMYK was converted to sRGB"
            + (
                " through its profile"
                if icc is not None
                else "; it has no usable profile, so colours are approximate"
            )
        )
        icc = srgb_profile()
    elif samples.kind == "lab":
        pixels = lab_to_srgb(values)
        notes.append("L*a*b* was converted to sRGB")
        icc = srgb_profile()
    elif samples.kind == "grey":
        pixels = np.repeat(values, 3, axis=2)
    else:
        pixels = np.ascontiguousarray(values)
    return Image(
        pixels=pixels,
        alpha=alpha,
        grey=samples.kind == "grey",
        icc=icc,
        exif=upright_exif(header.exif, notes),
        path=path,
        format=header.format,
        notes=tuple(notes),
    )


def sound_profile(icc: bytes | None, kind: SampleKind, notes: list[str]) -> bytes | None:
    """Return the profile if it is sound and describes such samples; otherwise None, and a note."""
    if icc is None or kind == "lab":
        return None
    space = profile_space(icc)
    if space is None:
        notes.append("its colour profile is damaged and was dropped")
        return None
    if space not in _PROFILE_OF_KIND[kind]:
        notes.append(f"its colour profile is for {space} and was dropped")
        return None
    return icc


def upright_exif(block: bytes | None, notes: list[str]) -> bytes | None:
    """Return the block for upright pixels; None and a note where it is damaged."""
    if block is None:
        return None
    try:
        return exif_block.upright(block)
    except ValueError:
        notes.append("its EXIF is damaged and was dropped")
        return None


def _turned(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn H x W x C samples upright (EXIF 2.32, 4.6.4)."""
    if orientation in (5, 6, 7, 8):  # the stored rows are the picture's columns
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):  # the 0th row (of 7 and 8: after swapping) belongs at the bottom
        values = values[::-1]
    if orientation in (2, 3, 6, 7):  # the 0th column belongs at the right
        values = values[:, ::-1]
    return values
