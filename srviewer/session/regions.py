"""Image files that are read by region because their pixels do not belong into memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.image import Image, Pixels
from srviewer.session.geometry import PixelRect, Size

if TYPE_CHECKING:  # a type only: what reads by region loads the image libraries
    from srviewer.imaging.regions import RegionSource

HUGE_PIXELS = 200_000_000
"""Pixels from which an image is left in its file: 0.6 GB as 8-bit RGB, several times that once networks'
results, a screen profile's copy and the coarse levels stand beside it.
"""

SHARE_OF_FREE_MEMORY = 1 / 8
"""Of the free memory that one decoded image may take: decoding holds it twice, and results are larger."""

SHARE_FOR_A_RESULT = 1 / 3
"""Of the free memory that one result may take: beside it there are the networks' features and what the screen
shows of it.
"""

BLOCK_SIDE = 512
"""Pixels: regions are read as whole blocks, so that neighbours decode what they share once."""

CACHE_BYTES = 64 << 20
"""Of blocks that stay decoded for each file: four screens full of 8-bit pixels."""

STAYS_IN_FILE = (
    "this image is too large for memory and stays in its file; select a region and open that as an image of "
    "its own (Edit, Open region as image)"
)
"""Why what needs a whole image in memory cannot be done with it, and what can be done instead."""

_MOST_PIXELS = 1 << 40  # a file that is never decoded whole may state any size that a disk can hold
_LARGEST_CACHED = 9  # blocks: what takes more is read once, in passing, and would push out what is shown

_Block = tuple[int, int, int]  # level, row, column


class RegionsClosedError(Exception):
    """A file was read after it had been closed: nobody waits for the pixels any more."""


class RegionFile:
    """An open image file and the blocks of it that were read last; any thread may read.

    `close` may be called while others read: the file is closed when the last of them has ended.

    Parameters
    ----------
    source : the open file; closed by this.

    Attributes
    ----------
    size : of the full picture.
    levels : sizes of the stored levels, the full picture first.
    bits, grey, has_alpha, icc, path, format, notes : as of `srviewer.imaging.image.Image`.
    """

    def __init__(self, source: RegionSource) -> None:
        self._source = source
        self.size = Size(source.width, source.height)
        self.levels = tuple(Size(width, height) for width, height in source.levels)
        self.bits: int = source.bits
        self.grey: bool = source.grey
        self.has_alpha: bool = source.has_alpha
        self.icc: bytes | None = source.icc
        self.path: Path = source.path
        self.format: str | None = source.format
        self.notes: tuple[str, ...] = source.notes
        self._lock = threading.Lock()  # guards all that follows
        self._blocks: OrderedDict[_Block, NDArray[Any]] = OrderedDict()
        self._bytes = 0
        self._under_way: dict[_Block, Future[NDArray[Any]]] = {}
        self._readers = 0
        self._closed = False

    @property
    def width(self) -> int:
        """Columns."""
        return self.size.width

    @property
    def height(self) -> int:
        """Rows."""
        return self.size.height

    def read(self, box: PixelRect, level: int = 0) -> Pixels:
        """Return a part of a stored level, straight from the file's own values.

        Parameters
        ----------
        box : in pixels of that level, inside it.
        level : index into `levels`.

        Returns
        -------
        H x W x 3 (R, G, B), with opacity H x W x 4; uint8 or uint16, maybe read-only.

        Raises
        ------
        srviewer.imaging.faults.ImageFileError
            If the file cannot be read there.
        RegionsClosedError
            If it was closed.
        """
        self._enter()
        try:
            return self._read(box, level)
        finally:
            self._leave()

    def part(self, box: PixelRect) -> Image:
        """Return a part of the full picture as an image of its own, with the file's profile.

        Raises
        ------
        srviewer.imaging.faults.ImageFileError, RegionsClosedError
            As `read`.
        """
        samples: NDArray[Any] = self.read(box)
        pixels: Pixels = np.ascontiguousarray(samples[..., :3])
        alpha: Pixels | None = np.ascontiguousarray(samples[..., 3]) if self.has_alpha else None
        return Image(pixels, alpha, self.grey, self.icc, path=None, format=self.format)

    def known(self, box: PixelRect) -> NDArray[np.int32]:
        """Return R, G, B of a part of the full picture as far as it is in memory, at once; -1 elsewhere.

        Returns
        -------
        H x W x 3, int32, values as in the file.
        """
        found = np.full((box.height, box.width, 3), -1, np.int32)
        for block, place in self._blocks_of(box, 0):
            with self._lock:
                held = self._blocks.get(block)
            if held is not None:
                found[_at(place, box)] = held[_at(place, self._box(block))][..., :3]
        return found

    def close(self) -> None:
        """Close the file as soon as nobody reads from it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._blocks.clear()
            self._bytes = 0
            last = self._readers == 0
        if last:
            self._source.close()

    # Inside

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise RegionsClosedError("the image was closed meanwhile")
            self._readers += 1

    def _leave(self) -> None:
        with self._lock:
            self._readers -= 1
            last = self._closed and self._readers == 0
        if last:
            self._source.close()

    def _read(self, box: PixelRect, level: int) -> Pixels:
        blocks = list(self._blocks_of(box, level))
        if len(blocks) > _LARGEST_CACHED:
            return self._decode(box, level)
        if len(blocks) == 1:
            block, place = blocks[0]
            one: Pixels = self._block(block)[_at(place, self._box(block))]
            return one
        found: NDArray[Any] | None = None
        for block, place in blocks:
            held = self._block(block)
            if found is None:
                found = np.empty((box.height, box.width, held.shape[2]), held.dtype)
            found[_at(place, box)] = held[_at(place, self._box(block))]
        assert found is not None, "a part has pixels"
        return found

    def _blocks_of(self, box: PixelRect, level: int) -> list[tuple[_Block, PixelRect]]:
        """Return the blocks that a part touches, and which of its pixels lie in each."""
        found = []
        for row in range(box.y // BLOCK_SIDE, -(-box.bottom // BLOCK_SIDE)):
            top, bottom = max(row * BLOCK_SIDE, box.y), min((row + 1) * BLOCK_SIDE, box.bottom)
            for column in range(box.x // BLOCK_SIDE, -(-box.right // BLOCK_SIDE)):
                left, right = max(column * BLOCK_SIDE, box.x), min((column + 1) * BLOCK_SIDE, box.right)
                found.append(((level, row, column), PixelRect(left, top, right - left, bottom - top)))
        return found

    def _box(self, block: _Block) -> PixelRect:
        level, row, column = block
        size = self.levels[level]
        x, y = column * BLOCK_SIDE, row * BLOCK_SIDE
        return PixelRect(x, y, min(BLOCK_SIDE, size.width - x), min(BLOCK_SIDE, size.height - y))

    def _block(self, block: _Block) -> NDArray[Any]:
        """Return a block from memory, or read it; who needs one that another thread reads waits for that."""
        with self._lock:
            held = self._blocks.get(block)
            if held is not None:
                self._blocks.move_to_end(block)
                return held
            awaited = self._under_way.get(block)
            if awaited is None:
                reading: Future[NDArray[Any]] = Future()
                self._under_way[block] = reading
        if awaited is not None:
            return awaited.result()
        try:
            pixels = self._decode(self._box(block), block[0])
        except BaseException as error:
            reading.set_exception(error)
            with self._lock:
                del self._under_way[block]
            raise
        pixels.flags.writeable = False
        reading.set_result(pixels)
        with self._lock:
            del self._under_way[block]
            if not self._closed:
                self._blocks[block] = pixels
                self._bytes += pixels.nbytes
                while self._bytes > CACHE_BYTES and len(self._blocks) > 1:
                    self._bytes -= self._blocks.popitem(last=False)[1].nbytes
        return pixels

    def _decode(self, box: PixelRect, level: int) -> Pixels:
        pixels: Pixels = self._source.read(box.x, box.y, box.width, box.height, level=level)
        if not self.has_alpha:
            return pixels
        alpha = self._source.read_alpha(box.x, box.y, box.width, box.height, level=level)
        if alpha is None:
            full = np.iinfo(pixels.dtype).max
            alpha = np.full(pixels.shape[:2], full, pixels.dtype)
        joined: NDArray[Any] = np.dstack([pixels, alpha])
        return joined


Readable = Image | RegionFile
"""A picture that parts can be taken of: in memory, or in its file."""


def size_of(picture: Readable) -> Size:
    """Return a picture's size."""
    return Size(picture.width, picture.height)


def part_of(picture: Readable, box: PixelRect) -> Pixels:
    """Return a part of a picture, H x W x 3 (R, G, B), uint8 or uint16; errors as of `RegionFile.read`."""
    if isinstance(picture, RegionFile):
        return picture.read(box)[..., :3]
    return picture.pixels[box.y : box.bottom, box.x : box.right]


def part_image(picture: Readable, box: PixelRect) -> Image:
    """Return a part of a picture as an image of its own, without a path; errors as of `RegionFile.read`."""
    if isinstance(picture, RegionFile):
        return picture.part(box)
    rows, columns = slice(box.y, box.bottom), slice(box.x, box.right)
    alpha = None if picture.alpha is None else picture.alpha[rows, columns].copy()
    return Image(
        picture.pixels[rows, columns].copy(), alpha, picture.grey, picture.icc, format=picture.format
    )


def is_huge(size: Size, bits: int) -> bool:
    """Return whether an image should stay in its file, where that can be read by region."""
    return size.pixels > HUGE_PIXELS or decoded_bytes(size, bits) > SHARE_OF_FREE_MEMORY * free_memory()


def fits_memory(result: Size, bits: int) -> bool:
    """Return whether a result may be kept in memory; else it is written to a file as it is made."""
    return decoded_bytes(result, bits) <= SHARE_FOR_A_RESULT * free_memory()


def decoded_bytes(size: Size, bits: int) -> int:
    """Return what an image's colours take in memory."""
    return size.pixels * 3 * (bits // 8)


def free_memory() -> int:
    """Return the bytes of memory that nobody needs now."""
    import psutil

    return int(psutil.virtual_memory().available)


def open_file(path: Path) -> RegionFile | None:
    """Open an image to be read by region; None where its format or compression does not allow that.

    Raises
    ------
    srviewer.imaging.faults.ImageFileError
        If the file cannot be read.
    """
    from srviewer.imaging.regions import open_regions

    source = open_regions(path, max_pixels=_MOST_PIXELS)
    return None if source is None else RegionFile(source)


def _at(place: PixelRect, within: PixelRect) -> tuple[slice, slice]:
    """Return where `place` lies in an array of the pixels of `within`."""
    return (
        slice(place.y - within.y, place.bottom - within.y),
        slice(place.x - within.x, place.right - within.x),
    )
