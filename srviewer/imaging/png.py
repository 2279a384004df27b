"""PNG files: their chunks, and 8-bit and 16-bit pixels through libpng."""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from srviewer.imaging.exif import without_prefix
from srviewer.imaging.faults import UnreadableContentError
from srviewer.imaging.image import Pixels
from srviewer.imaging.stored import Header, Samples

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IHDR_END = len(SIGNATURE) + 8 + 13 + 4
_COLOUR_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by IHDR's colour type (PNG 3rd edition, 11.2.1)
_MOST_METADATA = 64 << 20  # bytes; no real profile or EXIF comes near, a decompression bomb does
_INCH = 0.0254


def chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield each chunk's type and length, with the stream standing at its data."""
    at = len(SIGNATURE)
    while True:
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        yield kind, length
        if kind == b"IEND":
            return
        at += 12 + length


def _inflated(data: bytes) -> bytes | None:
    """Decompress a metadata chunk's content; None where it is damaged or absurdly large."""
    inflate = zlib.decompressobj()
    try:
        content = inflate.decompress(data, _MOST_METADATA)
    except zlib.error:
        return None
    return content if inflate.eof else None


def _raw_profile(content: bytes) -> bytes | None:
    """Decode the hexadecimal EXIF that ImageMagick and others put into a text chunk before eXIf existed."""
    lines = content.strip().split(b"\n")
    try:
        return bytes.fromhex(b"".join(lines[2:]).decode("ascii"))
    except ValueError:
        return None


def read_header(stream: BinaryIO) -> Header:
    """Read size, kind, profile and EXIF; pixel data is skipped, not read.

    Raises
    ------
    UnreadableContentError
        The file is animated, or does not begin as a PNG must.
    """
    width = height = depth = colour = 0
    transparent = animated = False
    exif: bytes | None = None
    old_exif: bytes | None = None
    icc: bytes | None = None
    notes: list[str] = []
    for index, (kind, length) in enumerate(chunks(stream)):
        if index == 0:
            if kind != b"IHDR" or length != 13:
                raise UnreadableContentError("the file is damaged: its PNG header is missing")
            raw = stream.read(13)
            width, height, depth, colour = struct.unpack(">IIBB", raw[:10])
        elif kind == b"tRNS":
            transparent = True
        elif kind == b"acTL":
            animated = int.from_bytes(stream.read(4), "big") > 1
        elif kind in (b"iCCP", b"eXIf", b"zTXt", b"tEXt") and length <= _MOST_METADATA:
            data = stream.read(length)
            checksum = stream.read(4)
            sound = checksum == zlib.crc32(kind + data).to_bytes(4, "big")
            name, _, rest = data.partition(b"\0")
            if kind == b"eXIf" and sound:
                exif = data
            elif kind == b"iCCP":
                icc = _inflated(rest[1:]) if sound else None
                if icc is None:
                    notes.append("its colour profile is damaged and was dropped")
            elif name.lower() in (b"raw profile type exif", b"raw profile type app1"):
                content = _inflated(rest[1:]) if kind == b"zTXt" else rest
                old_exif = _raw_profile(content) if content is not None else None
    if colour not in _COLOUR_CHANNELS or depth not in (1, 2, 4, 8, 16):
        raise UnreadableContentError("the file is damaged: its PNG header makes no sense")
    if animated:
        raise UnreadableContentError("it is an animated PNG, which is not supported; save one frame as PNG")
    found = exif if exif is not None else old_exif
    return Header(
        format="PNG",
        width=width,
        height=height,
        bits=16 if depth == 16 else 8,
        channels=_COLOUR_CHANNELS[colour] + int(transparent and colour not in (4, 6)),
        exif=without_prefix(found) if found is not None else None,
        icc=icc,
        notes=tuple(notes),
    )


def decode(stream: BinaryIO) -> Samples:
    """Decode the pixels: palettes and fewer than 8 bits spread out, a transparent colour made opacity.

    Raises
    ------
    RuntimeError
        The data is damaged or ends early.
    """
    import imagecodecs

    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        values = imagecodecs.png_decode(content)
    if values.ndim == 2:
        values = values[..., None]
    channels = values.shape[2]
    return Samples(values, kind="grey" if channels <= 2 else "rgb", alpha=channels in (2, 4))


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one chunk: length, type, data, checksum (PNG 3rd edition, 5.3)."""
    return struct.pack(">I", len(data)) + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def encode(
    stream: BinaryIO,
    samples: Pixels,
    *,
    level: int,
    icc: bytes | None,
    exif: bytes | None,
    resolution: tuple[float, float] | None,
) -> None:
    """Write a PNG file.

    Parameters
    ----------
    samples : H x W (grey) or H x W x C with C = 2 (grey, alpha), 3 or 4; uint8 or uint16; C-contiguous.
    level : deflate's level, 0..9.
    exif : a bare TIFF structure, as chunk eXIf holds it.
    resolution : pixels per inch across and down.
    """
    import imagecodecs

    encoded = memoryview(imagecodecs.png_encode(np.ascontiguousarray(samples), level=level))
    stream.write(encoded[:_IHDR_END])
    stream.write(description(icc=icc, exif=exif, resolution=resolution))
    stream.write(encoded[_IHDR_END:])


def description(*, icc: bytes | None, exif: bytes | None, resolution: tuple[float, float] | None) -> bytes:
    """Return the chunks between header and pixels; the parameters are those of `encode`."""
    out = b""
    if icc is not None:
        out += chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 9))
    if resolution is not None:
        per_metre = [round(value / _INCH) for value in resolution]
        out += chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    if exif is not None:
        out += chunk(b"eXIf", exif)
    return out
