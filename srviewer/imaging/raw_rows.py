"""Uncompressed rows, read straight from where they stand in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.image import Pixels
from srviewer.imaging.segments import SharedFile

_BAND_BYTES = 1 << 20  # read at a time


@dataclass(frozen=True)
class RawRows:
    """A level (see `segments.Segments`) whose rows follow each other uncompressed.

    Attributes
    ----------
    file : where they stand.
    offset : of the first row stored.
    stride : bytes from one row to the next.
    size : width and height in pixels.
    channels : samples of a pixel, interleaved.
    dtype : of a sample as stored, with its byte order.
    upwards : whether the last row is stored first.
    convert : brings stored samples, H x W x C, to what is read.
    """

    file: SharedFile
    offset: int
    stride: int
    size: tuple[int, int]
    channels: int
    dtype: np.dtype[Any]
    convert: Callable[[NDArray[Any]], Pixels]
    upwards: bool = False

    @property
    def segment(self) -> tuple[int, int]:
        """Width and height of a segment: some whole rows."""
        return self.size[0], min(self.size[1], max(1, _BAND_BYTES // self.stride))

    def load(self, row: int, column: int) -> Pixels:
        """Read some rows; `column` is 0."""
        width, height = self.size
        first = row * self.segment[1]
        count = min(self.segment[1], height - first)
        stored_first = height - first - count if self.upwards else first
        content = self.file.read(self.offset + stored_first * self.stride, count * self.stride)
        lines = np.frombuffer(content, np.uint8).reshape(count, self.stride)
        used = width * self.channels * self.dtype.itemsize
        values = np.ascontiguousarray(lines[:, :used]).view(self.dtype).reshape(count, width, self.channels)
        rows: NDArray[Any] = self.convert(values[::-1] if self.upwards else values)
        return np.ascontiguousarray(rows)
