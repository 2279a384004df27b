"""JPEG, WebP, BMP and AVIF files through Pillow, 8 bits per sample."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.blocks import row_blocks
from srviewer.imaging.exif import with_prefix, without_prefix
from srviewer.imaging.faults import UnreadableContentError
from srviewer.imaging.image import Pixels
from srviewer.imaging.stored import Header, SampleKind, Samples

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage
    from PIL.ImageFile import ImageFile

EightBitFormat = Literal["JPEG", "WEBP", "BMP", "AVIF"]

_KINDS: dict[str, tuple[SampleKind, bool]] = {  # Pillow's mode after decoding: kind, opacity last
    "L": ("grey", False),
    "LA": ("grey", True),
    "RGB": ("rgb", False),
    "RGBA": ("rgb", True),
    "CMYK": ("cmyk", False),
}
_SPREAD = {"1": "L", "P": "RGB"}  # modes that become another one without loss
_END_OF_IMAGE, _START_OF_SCAN = b"\xff\xd9", 0xDA
_ISO_HEAD = 1 << 16  # an AVIF's properties stand within its first box; this is ample


def open_picture(stream: BinaryIO, format_: EightBitFormat) -> ImageFile:
    """Parse a file's header with Pillow's reader of that very format.

    The file's content has been recognised already; `PIL.Image.open` would try every reader it knows.
    """
    from PIL import AvifImagePlugin, BmpImagePlugin, JpegImagePlugin, WebPImagePlugin

    readers: dict[EightBitFormat, type[ImageFile]] = {
        "JPEG": JpegImagePlugin.JpegImageFile,
        "WEBP": WebPImagePlugin.WebPImageFile,
        "BMP": BmpImagePlugin.BmpImageFile,
        "AVIF": AvifImagePlugin.AvifImageFile,
    }
    stream.seek(0)
    return readers[format_](stream)


def webp_size(stream: BinaryIO) -> tuple[int, int] | None:
    """Return a WebP's width and height from its header alone (RFC 9649, 2.5 to 2.7), None if damaged."""
    stream.seek(12)
    head = stream.read(18)
    kind, data = head[:4], head[8:]
    if len(head) < 18:
        return None
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if kind == b"VP8L":
        packed = int.from_bytes(data[1:5], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
    return None


def header_of(picture: ImageFile, format_: EightBitFormat, stream: BinaryIO) -> Header:
    """Turn what Pillow's reader parsed into a header; UnreadableContentError for animations."""
    if format_ != "JPEG" and getattr(picture, "n_frames", 1) > 1:
        name = {"WEBP": "WebP", "AVIF": "AVIF", "BMP": "BMP"}[format_]
        raise UnreadableContentError(
            f"it is an animated {name}, which is not supported; save one frame as PNG"
        )
    mode = _SPREAD.get(picture.mode, picture.mode)
    if mode not in _KINDS:
        raise UnreadableContentError(
            f"its colours are stored in a way that is not supported ({picture.mode})"
        )
    exif, icc = picture.info.get("exif"), picture.info.get("icc_profile")
    notes = []
    if format_ == "AVIF" and (bits := _avif_bits(stream)) > 8:
        notes.append(f"its {bits} bits per sample were read as 8")
    return Header(
        format=format_,
        width=picture.width,
        height=picture.height,
        bits=8,
        channels=len(mode),
        exif=without_prefix(exif) if isinstance(exif, bytes) and exif else None,
        icc=icc if isinstance(icc, bytes) and icc else None,
        notes=tuple(notes),
    )


def _avif_bits(stream: BinaryIO) -> int:
    """Return the bits per sample that an AVIF's av1C property states (AV1 in ISOBMFF, 2.3)."""
    stream.seek(0)
    _, found, configuration = stream.read(_ISO_HEAD).partition(b"av1C")
    if not found or len(configuration) < 3 or not configuration[2] & 0x40:
        return 8
    return 12 if configuration[2] & 0x20 else 10


def decode(picture: ImageFile, stream: BinaryIO) -> Samples:
    """Decode the pixels of an opened picture.

    Raises
    ------
    Exception
        One of `faults.DECODER_FAULTS`: the data is damaged or ends early.
    """
    if picture.format == "JPEG":
        _require_end_of_image(stream)
    picture.load()
    inverted = picture.mode == "CMYK" and "adobe" not in picture.info
    spread: PillowImage = picture.convert(_SPREAD[picture.mode]) if picture.mode in _SPREAD else picture
    kind, alpha = _KINDS[spread.mode]
    values = _array(spread)
    if inverted:
        # Pillow takes every CMYK JPEG for Adobe's, which stores ink 255 - v; without the marker it is v.
        np.subtract(255, values, out=values)
    return Samples(values, kind, alpha)


def _require_end_of_image(stream: BinaryIO) -> None:
    """Refuse a JPEG without its end marker: libjpeg would fill in grey where a download left zeros."""
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.rfind(_END_OF_IMAGE, _first_scan(content)) < 0:
            raise UnreadableContentError("the file is truncated: its last part is missing")


def _first_scan(content: mmap.mmap) -> int:
    """Return where a JPEG's first scan begins, stepping over segments: a thumbnail in one has markers too."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == _START_OF_SCAN:
            return at
        if marker == 0xFF:  # a fill byte
            at += 1
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return at


def _array(picture: PillowImage) -> NDArray[np.uint8]:
    """Copy a Pillow image into an array H x W x C by blocks (all at once takes three copies)."""
    channels = len(picture.getbands())
    out: NDArray[np.uint8] = np.empty((picture.height, picture.width, channels), np.uint8)
    for rows in row_blocks(picture.height, picture.width * channels):
        block = np.asarray(picture.crop((0, rows.start, picture.width, rows.stop)))
        out[rows] = block.reshape(rows.stop - rows.start, picture.width, channels)
    return out


def encode_jpeg(
    stream: BinaryIO,
    samples: Pixels,
    *,
    quality: int,
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"],
    icc: bytes | None,
    exif: bytes | None,
    resolution: tuple[float, float] | None,
) -> None:
    """Write a JPEG file of H x W or H x W x 3 uint8 samples; `exif` is a bare TIFF structure."""
    picture = _picture(samples, None)
    picture.save(
        stream,
        "JPEG",
        quality=quality,
        subsampling=subsampling if picture.mode == "RGB" else -1,
        icc_profile=icc,
        exif=with_prefix(exif) if exif is not None else b"",
        dpi=tuple(round(value) for value in resolution) if resolution is not None else (0, 0),
    )


def encode_webp(
    stream: BinaryIO,
    samples: Pixels,
    alpha: Pixels | None,
    *,
    quality: int,
    lossless: bool,
    icc: bytes | None,
    exif: bytes | None,
) -> None:
    """Write a WebP file of H x W x 3 uint8 samples; `exif` is a bare TIFF structure."""
    _picture(samples, alpha).save(
        stream,
        "WEBP",
        quality=quality,
        lossless=lossless,
        exact=True,  # colours under full transparency stay what they are
        method=4,
        icc_profile=icc,
        exif=with_prefix(exif) if exif is not None else b"",
    )


def encode_avif(
    stream: BinaryIO,
    samples: Pixels,
    alpha: Pixels | None,
    *,
    quality: int,
    speed: int,
    icc: bytes | None,
    exif: bytes | None,
) -> None:
    """Write an AVIF file of H x W x 3 uint8 samples, 4:4:4; `exif` is a bare TIFF structure."""
    _picture(samples, alpha).save(
        stream,
        "AVIF",
        quality=quality,
        subsampling="4:4:4",
        speed=speed,
        icc_profile=icc,
        exif=with_prefix(exif) if exif is not None else b"",
    )


def encode_bmp(stream: BinaryIO, samples: Pixels) -> None:
    """Write a BMP file of H x W or H x W x 3 uint8 samples."""
    _picture(samples, None).save(stream, "BMP")


def _picture(samples: Pixels, alpha: Pixels | None) -> PillowImage:
    from PIL import Image

    picture: Any = Image.fromarray(samples)
    if alpha is not None:
        picture.putalpha(Image.fromarray(alpha))
    return picture  # type: ignore[no-any-return]  # Any above: Pillow types fromarray's argument as a private protocol
