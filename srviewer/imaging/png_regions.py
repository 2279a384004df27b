"""Reading PNG files by region: bands of rows are inflated one after the other, with places to start again."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.faults import UnreadableContentError
from srviewer.imaging.image import Pixels
from srviewer.imaging.png import SIGNATURE, chunk, chunks
from srviewer.imaging.segments import LARGEST_SEGMENT, SharedFile

if TYPE_CHECKING:
    from zlib import _Decompress

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by IHDR's colour type; 3 is a palette
_PIECE = 1 << 16  # compressed bytes taken at a time
_BAND_BYTES = 4 << 20  # decoded at a time
_MOST_PLACES = 256  # each keeps zlib's window and a row
_MISSING = "the file is truncated or damaged: pixels are missing"


@dataclass
class _Place:
    """Where decoding stands, at the first row of a band.

    Attributes
    ----------
    band : that band's number.
    at, left : offset of the next compressed byte, and how many its chunk still has.
    checksum : of that chunk so far.
    inflate : zlib's state, with what it has been given and not used.
    above : the row above, unfiltered, as stored; empty before the first row.
    """

    band: int
    at: int
    left: int
    checksum: int
    inflate: _Decompress
    above: bytes

    def copy(self) -> _Place:
        return _Place(self.band, self.at, self.left, self.checksum, self.inflate.copy(), self.above)


class PngBands:
    """A PNG's rows as a level (see `segments.Segments`), in bands.

    A PNG is one compressed stream in which each row may depend on the one above, so a band costs the
    decoding of all before it, once: where a band begins, zlib's state is kept, and later reading starts
    at the nearest such place. From top to bottom nothing is decoded twice. One thread at a time decodes.
    """

    def __init__(self, file: SharedFile, header: bytes, first_data: int) -> None:
        width, height, bits, colour = struct.unpack(">IIBB", header[:10])
        self._file, self._header = file, header
        self._dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
        self._row_bytes: int = width * _CHANNELS[colour] * self._dtype.itemsize
        rows = max(_BAND_BYTES // self._row_bytes, -(-height // _MOST_PLACES), 1)
        self.size: tuple[int, int] = (width, height)
        self.segment: tuple[int, int] = (width, min(height, rows))
        self._lock = threading.Lock()
        start = _Place(0, first_data, 0, 0, zlib.decompressobj(), b"")
        self._open_chunk(start)
        self._places = {0: start}  # by band
        self._current = start.copy()

    @property
    def band_bytes(self) -> int:
        """Decoded bytes of a band."""
        return self.segment[1] * self._row_bytes

    def load(self, row: int, column: int) -> Pixels:
        """Decode one band; `column` is 0."""
        with self._lock:
            nearest = max(band for band in self._places if band <= row)
            if not nearest <= self._current.band <= row:
                self._current = self._places[nearest].copy()
            while True:
                band = self._current.band
                try:
                    rows = self._next_band()
                except BaseException:
                    self._current = self._places[0].copy()  # half a band was taken: that place is lost
                    raise
                if band == row:
                    return rows

    def _next_band(self) -> Pixels:
        """Decode the band where decoding stands, and go to the next one."""
        place = self._current
        first = place.band * self.segment[1]
        count = min(self.segment[1], self.size[1] - first)
        rows = self._unfiltered(place.above, self._inflated(place, count * (self._row_bytes + 1)), count)
        place.band += 1
        if first + count == self.size[1]:
            self._require_end(place)
            self._current = self._places[0].copy()
            return rows
        place.above = rows[-1].astype(self._dtype.newbyteorder(">")).tobytes()
        if place.band not in self._places:
            self._places[place.band] = place.copy()
        return rows

    def _unfiltered(self, above: bytes, filtered: bytes, count: int) -> Pixels:
        """Undo the filters of some rows: libpng's work, on a small file of just these and the row above."""
        import imagecodecs

        lead = b"\0" + above if above else b""
        extra = 1 if above else 0
        header = struct.pack(">II", self.size[0], count + extra) + self._header[8:]
        content = io.BytesIO()
        content.write(SIGNATURE + chunk(b"IHDR", header))
        content.write(chunk(b"IDAT", zlib.compress(lead + filtered, 0)))
        content.write(chunk(b"IEND", b""))
        values: NDArray[Any] = imagecodecs.png_decode(content.getvalue())
        rows: Pixels = values.reshape(count + extra, self.size[0], -1)[extra:]
        return rows

    def _inflated(self, place: _Place, wanted: int) -> bytes:
        """Take the next `wanted` bytes out of the compressed stream."""
        out = bytearray()
        while len(out) < wanted:
            given = place.inflate.unconsumed_tail or self._piece(place)
            some = place.inflate.decompress(given, wanted - len(out))
            if not some and (place.inflate.eof or not given):
                raise UnreadableContentError(_MISSING)
            out += some
        return bytes(out)

    def _require_end(self, place: _Place) -> None:
        """Go on to the stream's end, where its checksum stands; zlib.error where that is wrong."""
        while not place.inflate.eof:
            given = place.inflate.unconsumed_tail or self._piece(place)
            if not place.inflate.decompress(given, _PIECE) and not given and not place.inflate.eof:
                raise UnreadableContentError(_MISSING)

    def _piece(self, place: _Place) -> bytes:
        """Return the next compressed bytes; none where the pixels' chunks end."""
        while not place.left:
            if not self._open_chunk(place):
                return b""
        piece = self._file.read(place.at, min(place.left, _PIECE))
        place.at += len(piece)
        place.left -= len(piece)
        place.checksum = zlib.crc32(piece, place.checksum)
        if not place.left:
            if int.from_bytes(self._file.read(place.at, 4), "big") != place.checksum:
                raise UnreadableContentError("the file is damaged: the checksum of its pixels is wrong")
            place.at += 4
        return piece

    def _open_chunk(self, place: _Place) -> bool:
        """Step into the chunk that begins where the place stands, if it holds pixels."""
        length, kind = struct.unpack(">I4s", self._file.read(place.at, 8))
        if kind != b"IDAT":
            return False
        place.at, place.left, place.checksum = place.at + 8, length, zlib.crc32(b"IDAT")
        if not length:
            place.at += 4
        return True


def bands(stream: BinaryIO, file: SharedFile) -> PngBands | None:
    """Return a PNG's rows as a level, or None where it cannot be read by region.

    That are interlaced files, palettes, fewer than 8 bits and a transparent colour.

    Parameters
    ----------
    stream : the open file; read here only.
    file : where bands will be read from.

    Raises
    ------
    UnreadableContentError
        There are no pixels in it.
    """
    header = b""
    for kind, length in chunks(stream):
        if kind == b"IHDR":
            header = stream.read(length)
            bits, colour, interlaced = header[8], header[9], header[12]
            if bits < 8 or colour not in _CHANNELS or interlaced:
                return None
        elif kind == b"tRNS":
            return None
        elif kind == b"IDAT":
            found = PngBands(file, header, stream.tell() - 8)
            return found if found.band_bytes <= LARGEST_SEGMENT else None
    raise UnreadableContentError(_MISSING)
