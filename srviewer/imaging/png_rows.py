"""Writing PNG files row by row: bands of rows are filtered and compressed side by side, then joined."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.image import Pixels
from srviewer.imaging.png import SIGNATURE, chunk, chunks, description

BAND_BYTES = 1 << 21  # what one thread compresses at a time; a fresh dictionary each costs 0.1 percent
MOST_SIDE = 1_000_000  # what libpng, and so nearly every reader, accepts

_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels (PNG 3rd edition, 11.2.1)
_ZLIB_HEADER = b"\x78\x9c"  # RFC 1950, 2.2: deflate, a window of 32 KB
_ADLER_BASE = 65_521
_STORED_BLOCK, _STORED_BLOCK_BYTES = 1 << 14, 5  # zlib keeps far below RFC 1951's 65,535
_BAND_OVERHEAD = 64  # a chunk, and the blocks that end a band


class _Deflated(NamedTuple):
    """A band as part of a deflate stream, with checksum and length of what was compressed."""

    content: bytes
    adler: int
    length: int


def joined_adler(first: int, second: int, second_length: int) -> int:
    """Return the Adler-32 checksum of two pieces together, from theirs (RFC 1950, 8.2)."""
    low, low_next = first & 0xFFFF, second & 0xFFFF
    high, high_next = first >> 16, second >> 16
    total = (low + low_next - 1) % _ADLER_BASE
    weighted = (high + high_next + second_length * (low - 1)) % _ADLER_BASE
    return weighted << 16 | total


class PngRows:
    """Encodes rows, from top to bottom, as a PNG.

    A PNG's pixels are one deflate stream. Bands of rows are compressed by themselves, each ending on a
    whole byte (zlib's sync flush), so that their results follow each other in that stream; only the row above
    a band is needed to filter its first row. Filters are chosen by libpng, as for a file written whole.

    Parameters
    ----------
    stream : open for writing, at its beginning.
    channels : of the rows, opacity included: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
    bits : 8 or 16.
    level : deflate's level, 0..9.
    exif : a bare TIFF structure, as chunk eXIf holds it.
    resolution : pixels per inch across and down.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        width: int,
        height: int,
        channels: int,
        bits: int,
        level: int,
        icc: bytes | None = None,
        exif: bytes | None = None,
        resolution: tuple[float, float] | None = None,
    ) -> None:
        self._stream, self._level = stream, level
        self._left = height
        row_bytes = width * channels * bits // 8
        self._band_rows = min(height, max(1, BAND_BYTES // row_bytes))
        self._shape = (width, channels)
        self._dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
        # The first row is the one above the band (none above the first band).
        self._band: NDArray[Any] = np.empty((self._band_rows, *self._shape), self._dtype)
        self._filled, self._above = 0, 0
        workers = min(8, os.cpu_count() or 1)  # each holds four bands
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="png-rows")
        self._most_waiting = workers
        self._waiting: deque[Future[_Deflated]] = deque()
        self._adler, self._begun = 1, False
        header = struct.pack(">IIBBBBB", width, height, bits, _COLOUR_TYPES[channels], 0, 0, 0)
        stream.write(SIGNATURE + chunk(b"IHDR", header))
        stream.write(description(icc=icc, exif=exif, resolution=resolution))

    def add(self, rows: Pixels) -> None:
        """Take the next rows: n x W x C, in the dtype of the file."""
        while len(rows):
            count = min(len(rows), len(self._band) - self._filled)
            self._band[self._filled : self._filled + count] = rows[:count]
            self._filled += count
            self._left -= count
            rows = rows[count:]
            if self._filled == len(self._band) or not self._left:
                self._compress_band()
                self._write_bands(self._most_waiting)

    def _compress_band(self) -> None:
        band = self._band[: self._filled]
        last = not self._left
        self._waiting.append(self._threads.submit(_deflated, band, self._above, self._level, last))
        # The old band belongs to its thread now; its last row is needed above the next one.
        self._band = np.empty((1 + self._band_rows, *self._shape), self._dtype)
        self._band[0] = band[-1]
        self._filled = self._above = 1

    def _write_bands(self, most_waiting: int) -> None:
        while len(self._waiting) > most_waiting:
            band = self._waiting.popleft().result()
            self._adler = joined_adler(self._adler, band.adler, band.length)
            ended = not self._left and not self._waiting
            self._stream.write(
                chunk(
                    b"IDAT",
                    (b"" if self._begun else _ZLIB_HEADER)
                    + band.content
                    + (self._adler.to_bytes(4, "big") if ended else b""),
                )
            )
            self._begun = True

    def finish(self) -> None:
        """Write what is waiting, and the end; all rows must have been added."""
        self._write_bands(0)
        self._stream.write(chunk(b"IEND", b""))

    def close(self) -> None:
        """Stop the threads, finished or not."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _deflated(band: Pixels, above: int, level: int, last: bool) -> _Deflated:
    """Filter and compress a band; the first `above` rows (0 or 1) only stand above it."""
    filtered = memoryview(_filtered(band))[above * (band[0].nbytes + 1) :]
    # Raw deflate of filtered data, as libpng sets zlib up.
    deflate = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_FILTERED)
    content = deflate.compress(filtered) + deflate.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
    return _Deflated(content, zlib.adler32(filtered), len(filtered))


def _filtered(rows: Pixels) -> bytes:
    """Return rows as libpng filters them, each led by its filter's number, taken out of a file it makes."""
    import imagecodecs

    whole = io.BytesIO(imagecodecs.png_encode(rows, level=0))
    stored = b"".join(whole.read(length) for kind, length in chunks(whole) if kind == b"IDAT")
    return zlib.decompress(stored)


def worst_bytes(width: int, height: int, pixel_bytes: int) -> int:
    """Return the most bytes that pixels take: all of them in deflate's stored blocks."""
    filtered = height * (width * pixel_bytes + 1)
    bands = -(-filtered // BAND_BYTES) + height // max(1, BAND_BYTES // max(1, width * pixel_bytes))
    return filtered + (filtered // _STORED_BLOCK + 1) * _STORED_BLOCK_BYTES + (bands + 1) * _BAND_OVERHEAD
