"""Writing BigTIFF files row by row: tiles and reduced levels go to the disk as soon as they are full."""

from __future__ import annotations

import os
import struct
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging import exif as exif_block
from srviewer.imaging.exif import BIG, IFD8, LONG8, ByteOrder, Field, Tree
from srviewer.imaging.image import Pixels
from srviewer.imaging.levels import halve

TILE_SIDE = 256  # as the window's own tiles, so that one drawn tile is one stored tile
SMALLEST_LEVEL = 1024  # the longer side at which no further level is needed
DEFLATE_LEVEL = 1  # with the predictor: 155 MB/s a core; level 6 is four times slower and saves 5 percent

_SHORT, _LONG, _RATIONAL = 3, 4, 5
_NEW_SUBFILE_TYPE, _WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_SAMPLES_PER_PIXEL, _X_RESOLUTION, _Y_RESOLUTION, _PLANAR, _RESOLUTION_UNIT = 277, 282, 283, 284, 296
_PREDICTOR, _TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_BYTES, _SUB_IFDS = 317, 322, 323, 324, 325, 330
_EXTRA_SAMPLES, _ICC_PROFILE = 338, 34675
_BLACK_IS_ZERO, _RGB = 1, 2
_UNCOMPRESSED, _ADOBE_DEFLATE = 1, 8
_CONTIGUOUS, _HORIZONTAL, _UNASSOCIATED, _INCH = 1, 2, 2, 2
_FULL, _REDUCED = 0, 1
_MOST_DENOMINATOR = 1000
_STORED_BLOCK, _STORED_BLOCK_BYTES = 65_535, 5  # RFC 1951, 3.2.4
_TILE_ENTRY_BYTES = 12 + 6  # its offset and size, and what zlib puts around it


_ORDER: ByteOrder = "<"  # whatever the EXIF block's: Pillow reads no big-endian BigTIFF


def level_sizes(width: int, height: int) -> list[tuple[int, int]]:
    """Return the width and height of every level that is stored, the full image first."""
    sizes = [(width, height)]
    while max(sizes[-1]) > SMALLEST_LEVEL:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
    return sizes


class _Level:
    """One level on its way to the disk: a band of rows one tile high, and where finished tiles stand."""

    def __init__(self, width: int, height: int, channels: int, dtype: np.dtype[Any]) -> None:
        self.width, self.height = width, height
        self._row_shape, self._dtype = (width, channels), dtype
        self._band: NDArray[Any] | None = None
        self._filled = self._finished = 0
        self.offsets: list[int] = []
        self.sizes: list[int] = []

    def take(self, rows: Pixels) -> tuple[int, Pixels | None]:
        """Take over as many rows as fit into the band: how many those were, and the band if it is full."""
        if self._band is None:
            left = min(TILE_SIDE, self.height - self._finished)
            self._band = np.empty((left, *self._row_shape), self._dtype)
        count = min(len(rows), len(self._band) - self._filled)
        self._band[self._filled : self._filled + count] = rows[:count]
        self._filled += count
        if self._filled < len(self._band):
            return count, None
        full, self._band = self._band, None  # whoever compresses it owns it now
        self._finished, self._filled = self._finished + self._filled, 0
        return count, full


class TiledTiff:
    """Encodes rows, from top to bottom, as a tiled BigTIFF with its reduced levels as SubIFDs.

    Every level has half the sides of the one before (`levels.halve`), until the longer one is at most
    `SMALLEST_LEVEL`. All levels grow together: what waits in memory is a band of rows for each of them
    and one band of tiles being compressed. (`tifffile` draws one level after the other from iterators,
    which would park the reduced ones in further files; so the directories are laid out here.)

    Parameters
    ----------
    stream : open for writing, at its beginning.
    channels : of the rows, opacity included: 1 (grey) to 4.
    alpha : whether the last channel is straight opacity.
    bits : 8 or 16.
    exif : a bare TIFF structure; its descriptive fields go into the file's own directories.
    resolution : pixels per inch across and down.
    compress : deflate with horizontal predictor; otherwise samples are stored as they are.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        width: int,
        height: int,
        channels: int,
        alpha: bool,
        bits: int,
        icc: bytes | None = None,
        exif: bytes | None = None,
        resolution: tuple[float, float] | None = None,
        compress: bool = True,
    ) -> None:
        self._stream = stream
        self._channels, self._alpha, self._bits = channels, alpha, bits
        self._icc, self._resolution, self._compress = icc, resolution, compress
        self._fields: Tree = {}
        if exif is not None:
            self._fields = exif_block.reordered(exif_block.tree(exif), exif_block.byte_order(exif), _ORDER)
        dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
        self._levels = [_Level(*size, channels, dtype) for size in level_sizes(width, height)]
        self._tiles_across = -(-width // TILE_SIDE)
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="tiff-tiles")
        self._waiting: deque[tuple[_Level, Future[bytes]]] = deque()
        self._end = stream.write(b"II+\0\x08\0\0\0" + bytes(8))

    def add(self, rows: Pixels) -> None:
        """Take the next rows: n x W x C, in the dtype of the file."""
        self._feed(0, rows)

    def _feed(self, index: int, rows: Pixels) -> None:
        level = self._levels[index]
        while len(rows):
            count, band = level.take(rows)
            rows = rows[count:]
            if band is None:
                continue
            for x in range(0, level.width, TILE_SIDE):
                tile = band[:, x : x + TILE_SIDE]
                self._waiting.append((level, self._threads.submit(self._encoded, tile)))
            if index + 1 < len(self._levels):
                self._feed(index + 1, halve(band))
            self._write_tiles(self._tiles_across)

    def _write_tiles(self, most_waiting: int) -> None:
        """Put compressed tiles into the file until at most so many are waiting."""
        while len(self._waiting) > most_waiting:
            level, encoded = self._waiting.popleft()
            content = encoded.result()
            level.offsets.append(self._end)
            level.sizes.append(len(content))
            self._stream.write(content)
            self._end += len(content)

    def _encoded(self, part: Pixels) -> bytes:
        """Pad a tile to its full size, predict and compress it."""
        import imagecodecs

        tile: NDArray[Any] = np.empty((TILE_SIDE, TILE_SIDE, self._channels), part.dtype)
        height, width = part.shape[:2]
        tile[:height, :width] = part
        tile[:height, width:] = part[:, -1:]  # nobody sees what lies beyond; repeated it costs nothing
        tile[height:] = tile[height - 1]
        stored = tile
        if self._compress:
            stored = np.empty_like(tile)
            stored[:, :1] = tile[:, :1]
            np.subtract(tile[:, 1:], tile[:, :-1], out=stored[:, 1:])  # TIFF 6.0, section 14
        content = stored.astype(stored.dtype.newbyteorder(_ORDER), copy=False).tobytes()
        return bytes(imagecodecs.deflate_encode(content, DEFLATE_LEVEL)) if self._compress else content

    def finish(self) -> None:
        """Write what is waiting, and the directories; all rows must have been added."""
        self._write_tiles(0)
        places = [self._append(self._described(level, _REDUCED)) for level in self._levels[1:]]
        full = self._described(self._levels[0], _FULL)
        if places:
            full[_SUB_IFDS] = self._field(IFD8, places)
        if self._icc is not None:
            full[_ICC_PROFILE] = Field(7, len(self._icc), self._icc)
        if self._resolution is not None:
            for tag, dots in zip((_X_RESOLUTION, _Y_RESOLUTION), self._resolution, strict=True):
                ratio = Fraction(dots).limit_denominator(_MOST_DENOMINATOR)
                full[tag] = Field(_RATIONAL, 1, struct.pack(f"{_ORDER}II", *ratio.as_integer_ratio()))
            full[_RESOLUTION_UNIT] = self._field(_SHORT, [_INCH])
        full |= {tag: field for tag, field in self._fields.items() if isinstance(field, dict)}
        full |= exif_block.descriptive_fields(self._fields)
        full[exif_block.ORIENTATION] = self._field(_SHORT, [1])
        place = self._append(full)
        self._stream.seek(8)
        self._stream.write(np.array(place, f"{_ORDER}u8").tobytes())

    def close(self) -> None:
        """Stop the threads, finished or not."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _append(self, directory: Tree) -> int:
        """Put a directory at the file's end and return where it stands."""
        self._end += self._stream.write(bytes(self._end % 2))
        place = self._end
        self._end += self._stream.write(exif_block.packed(directory, _ORDER, place, BIG))
        return place

    def _described(self, level: _Level, subfile_type: int) -> Tree:
        """Return the fields that tell a reader how a level's pixels are stored."""
        colours = self._channels - int(self._alpha)
        tags: Tree = {
            _NEW_SUBFILE_TYPE: self._field(_LONG, [subfile_type]),
            _WIDTH: self._field(_LONG, [level.width]),
            _LENGTH: self._field(_LONG, [level.height]),
            _BITS: self._field(_SHORT, [self._bits] * self._channels),
            _COMPRESSION: self._field(_SHORT, [_ADOBE_DEFLATE if self._compress else _UNCOMPRESSED]),
            _PHOTOMETRIC: self._field(_SHORT, [_RGB if colours == 3 else _BLACK_IS_ZERO]),
            _SAMPLES_PER_PIXEL: self._field(_SHORT, [self._channels]),
            _PLANAR: self._field(_SHORT, [_CONTIGUOUS]),
            _TILE_WIDTH: self._field(_LONG, [TILE_SIDE]),
            _TILE_LENGTH: self._field(_LONG, [TILE_SIDE]),
            _TILE_OFFSETS: self._field(LONG8, level.offsets),
            _TILE_BYTES: self._field(_LONG, level.sizes),
        }
        if self._compress:
            tags[_PREDICTOR] = self._field(_SHORT, [_HORIZONTAL])
        if self._alpha:
            tags[_EXTRA_SAMPLES] = self._field(_SHORT, [_UNASSOCIATED])
        return tags

    def _field(self, kind: int, values: list[int]) -> Field:
        code = {_SHORT: "u2", _LONG: "u4", LONG8: "u8", IFD8: "u8"}[kind]
        return Field(kind, len(values), np.array(values, f"{_ORDER}{code}").tobytes())


def worst_bytes(width: int, height: int, pixel_bytes: int) -> int:
    """Return the most bytes that all levels take: every tile in deflate's stored blocks."""
    tiles = sum(-(-w // TILE_SIDE) * -(-h // TILE_SIDE) for w, h in level_sizes(width, height))
    tile = TILE_SIDE * TILE_SIDE * pixel_bytes
    return tiles * (tile + (tile // _STORED_BLOCK + 2) * _STORED_BLOCK_BYTES + _TILE_ENTRY_BYTES)
