"""An image that is read by region without a file, for tests."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.formats import FormatName
from srviewer.imaging.image import Pixels
from srviewer.imaging.levels import halve
from srviewer.session.geometry import PixelRect


class ArraySource:
    """A region source over arrays, which notes what is read.

    `stored` says how many levels there are; `rounded_down` stores them without their last odd row and column.
    Reading waits while `gate` is not set.
    """

    def __init__(
        self,
        pixels: Pixels,
        *,
        stored: int = 1,
        rounded_down: bool = False,
        alpha: Pixels | None = None,
        icc: bytes | None = None,
    ) -> None:
        self._alphas = [alpha]
        self._pixels = [pixels]
        for _ in range(stored - 1):
            finer = self._pixels[-1]
            if rounded_down:
                finer = finer[: finer.shape[0] // 2 * 2, : finer.shape[1] // 2 * 2]
            self._pixels.append(halve(finer))
            opacity = self._alphas[-1]
            self._alphas.append(None if opacity is None else halve(opacity))
        self.path = Path("image.tif")
        self.format: FormatName = "TIFF"
        self.width, self.height = pixels.shape[1], pixels.shape[0]
        self.bits = pixels.dtype.itemsize * 8
        self.grey = False
        self.has_alpha = alpha is not None
        self.icc = icc
        self.exif: bytes | None = None
        self.notes: tuple[str, ...] = ()
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.reads: list[tuple[int, PixelRect]] = []
        self.closed = 0
        self.fault: Exception | None = None

    @property
    def levels(self) -> tuple[tuple[int, int], ...]:
        return tuple((level.shape[1], level.shape[0]) for level in self._pixels)

    def read(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> Pixels:
        assert not self.closed, "read after closing"
        self.entered.set()
        assert self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        self.reads.append((level, PixelRect(x, y, width, height)))
        whole = self._pixels[level]
        assert 0 <= x < x + width <= whole.shape[1]
        assert 0 <= y < y + height <= whole.shape[0]
        return whole[y : y + height, x : x + width].copy()

    def read_alpha(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> Pixels | None:
        whole = self._alphas[level]
        return None if whole is None else whole[y : y + height, x : x + width].copy()

    def close(self) -> None:
        self.closed += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def noise(width: int, height: int, seed: int = 3, channels: int = 3) -> NDArray[np.uint8]:
    """Return noisy 8-bit pixels."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
