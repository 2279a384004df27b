"""Putting rectangles of pixels together from the segments that a file stores them in."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from srviewer.imaging.image import Pixels

CACHE_BYTES = 64 << 20
"""Decoded segments kept for one file: a window of 1920 x 1080 pixels of 8-bit RGB touches 11 MB of tiles."""

LARGEST_SEGMENT = 64 << 20
"""Decoded bytes beyond which a segment is no region of an image any more."""

SegmentKey = tuple[int, int, int]
"""Level, row and column of a segment."""


class SharedFile:
    """An open file that several threads read from."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def read(self, at: int, count: int) -> bytes:
        """Return exactly `count` bytes; EOFError where the file ends before."""
        with self._lock:
            self._stream.seek(at)
            content = self._stream.read(count)
        if len(content) < count:
            raise EOFError("it ends early")
        return content

    @property
    def size(self) -> int:
        """The file's length in bytes."""
        return os.fstat(self._stream.fileno()).st_size

    @property
    def closed(self) -> bool:
        """Whether it can no longer be read."""
        return self._stream.closed

    def close(self) -> None:
        """Close the file; whoever is reading from it finishes first."""
        with self._lock:
            self._stream.close()


class Segments(Protocol):
    """One level of an image, cut into a grid of segments of one size (less at the right and bottom)."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the level in pixels."""

    @property
    def segment(self) -> tuple[int, int]:
        """Width and height of a segment in pixels."""

    def load(self, row: int, column: int) -> Pixels:
        """Decode a segment, in any thread: H x W x C, at least as large as its part of the level."""


@dataclass(frozen=True)
class Part:
    """What one segment holds of a rectangle.

    Attributes
    ----------
    row, column : of the segment.
    inner : rows and columns within the segment.
    outer : rows and columns within the rectangle.
    """

    row: int
    column: int
    inner: tuple[slice, slice]
    outer: tuple[slice, slice]


def parts(segment: tuple[int, int], x: int, y: int, width: int, height: int) -> Iterator[Part]:
    """Yield the parts that make up a rectangle, row by row; `segment` is a segment's width and height."""
    across, down = segment
    for row in range(y // down, -(-(y + height) // down)):
        inner_rows, outer_rows = _shared(row * down, down, y, height)
        for column in range(x // across, -(-(x + width) // across)):
            inner_columns, outer_columns = _shared(column * across, across, x, width)
            yield Part(row, column, (inner_rows, inner_columns), (outer_rows, outer_columns))


def _shared(start: int, length: int, wanted: int, wanted_length: int) -> tuple[slice, slice]:
    """Return what two stretches share, counted from the first one's start and from the second one's."""
    low, high = max(start, wanted), min(start + length, wanted + wanted_length)
    return slice(low - start, high - start), slice(low - wanted, high - wanted)


class SegmentCache:
    """Decoded segments, up to a number of bytes; the least recently used go first. Any thread may ask."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[SegmentKey, Pixels] = OrderedDict()
        self._bytes = 0

    def get(self, key: SegmentKey, load: Callable[[], Pixels]) -> Pixels:
        """Return a segment, decoding it if it is not kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        # Outside the lock: now and then two threads decode the same segment, but none waits for another.
        loaded = load()
        with self._lock:
            if key not in self._kept and loaded.nbytes <= self._limit:
                self._kept[key] = loaded
                self._bytes += loaded.nbytes
                while self._bytes > self._limit:
                    self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return loaded

    @property
    def nbytes(self) -> int:
        """How many bytes are kept."""
        return self._bytes

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0
