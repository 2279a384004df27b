"""The drawn tiles of pictures: made off the GUI thread, the least recently used dropped."""

from __future__ import annotations

import logging
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QImage

from srviewer.app.picture import Picture
from srviewer.app.qimages import to_qimage
from srviewer.imaging.pyramid import Rectangle, TileIndex

MARGIN = 1
"""Pixels of the neighbours around each tile, against seams in smooth drawing; the edge is repeated."""

DEFAULT_BUDGET_BYTES = 256 << 20

_WORKERS = min(max((os.cpu_count() or 2) // 2, 1), 4)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A tile as it is drawn.

    Attributes
    ----------
    index : which one.
    image : its pixels with `MARGIN` more on each side.
    revision : the picture's `tile_revision` when it was made; -1 if it was made of the picture's predecessor.
    """

    index: TileIndex
    image: QImage
    revision: int


Wanted = tuple[Picture, TileIndex]
"""A tile of a picture."""


def make_tile(picture: Picture, index: TileIndex) -> Tile | None:
    """Read and convert a tile; None if the picture does not have that level yet."""
    revision = picture.tile_revision(
        index
    )  # before the pixels: a change in between makes it stale, never wrong
    area, before_x, before_y, after_x, after_y = _with_margin(picture, index)
    pixels = picture.read(index.level, area)
    if pixels is None:
        return None
    if before_x or before_y or after_x or after_y:
        beyond = ((before_y, after_y), (before_x, after_x), (0, 0))
        padded: NDArray[Any] = np.pad(pixels, beyond, mode="edge")
        pixels = padded
    alpha = pixels[..., 3] if pixels.shape[2] == 4 else None
    return Tile(index, to_qimage(pixels[..., :3], alpha), revision)


def _with_margin(picture: Picture, index: TileIndex) -> tuple[Rectangle, int, int, int, int]:
    """Return what to read for a tile, and its margin beyond the image: left, top, right, bottom."""
    part = picture.pyramid.tile_rectangle(index)
    width, height = picture.pyramid.level_size(index.level)
    left, top = max(part.x - MARGIN, 0), max(part.y - MARGIN, 0)
    right, bottom = min(part.x + part.width + MARGIN, width), min(part.y + part.height + MARGIN, height)
    return (
        Rectangle(left, top, right - left, bottom - top),
        left - (part.x - MARGIN),
        top - (part.y - MARGIN),
        part.x + part.width + MARGIN - right,
        part.y + part.height + MARGIN - bottom,
    )


def _log_fault(work: Future[None]) -> None:
    """Write down what went wrong on a worker: the panes simply lack the tile."""
    fault = None if work.cancelled() else work.exception()
    if fault is not None:
        _log.error("a tile could not be made", exc_info=fault)


class TileCache(QObject):
    """Tiles of several pictures within one budget of bytes.

    What is asked for is made by a few threads of its own: `ask` replaces what was asked before and is not
    begun. `stop` ends them.

    Signals
    -------
    changed(object) : pictures (a frozenset) of which tiles came, or whose coarse levels did.
    """

    changed = Signal(object)
    _made = Signal()

    def __init__(self, budget_bytes: int = DEFAULT_BUDGET_BYTES, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._budget = budget_bytes
        self._tiles: OrderedDict[Wanted, Tile] = OrderedDict()
        self._bytes = 0
        self._known: set[Picture] = set()
        self._preparing: dict[Picture, threading.Event] = {}
        self._lock = threading.Lock()  # guards what follows: the workers' side
        self._asked: deque[Wanted] = deque()
        self._at_work: set[Wanted] = set()
        self._finished: list[tuple[Picture, Tile | None]] = []
        self._busy_workers = 0
        self._stopped = False
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="tiles")
        # Preparing takes seconds for a huge picture: on a thread apart it never keeps a tile waiting.
        self._preparer = ThreadPoolExecutor(1, thread_name_prefix="levels")
        self._made.connect(self._gather)

    @property
    def held_bytes(self) -> int:
        """Bytes of all tiles."""
        return self._bytes

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being made or prepared."""
        with self._lock:
            return not (self._asked or self._at_work or self._finished or self._preparing)

    def keep(self, pictures: Collection[Picture]) -> None:
        """Know exactly these pictures from now on: forget all others, and prepare those that are not."""
        for gone in self._known.difference(pictures):
            self._forget(gone)
        self._known = set(pictures)
        for picture in pictures:
            if not picture.is_prepared and picture not in self._preparing and not self._stopped:
                cancelled = threading.Event()
                self._preparing[picture] = cancelled
                preparing = self._preparer.submit(self._prepare, picture, cancelled)
                preparing.add_done_callback(_log_fault)

    def succeed(self, old: Picture, new: Picture) -> None:
        """Show `old`'s tiles for `new` until its own are there: a picture of the same size took its place."""
        for (picture, index), tile in list(self._tiles.items()):
            if picture is old and (new, index) not in self._tiles:
                self._put(new, Tile(index, tile.image, -1))

    def tile(self, picture: Picture, index: TileIndex) -> Tile | None:
        """Return a tile, which counts as used now, even if it is stale; None if it is not there."""
        tile = self._tiles.get((picture, index))
        if tile is not None:
            self._tiles.move_to_end((picture, index))
        return tile

    def make(self, picture: Picture, index: TileIndex) -> Tile | None:
        """Make a tile now; None if the picture does not have its level yet."""
        tile = make_tile(picture, index)
        if tile is not None:
            self._put(picture, tile)
        return tile

    def is_quick(self, picture: Picture, index: TileIndex) -> bool:
        """Return whether `make` is quick enough for the GUI thread."""
        return picture.is_quick(index.level, _with_margin(picture, index)[0])

    def ask(self, wanted: Sequence[Wanted]) -> None:
        """Let these tiles be made, in this order, instead of all that were asked for before."""
        with self._lock:
            if self._stopped:
                return
            self._asked = deque(one for one in wanted if one not in self._at_work and one[0] in self._known)
            more = min(len(self._asked), _WORKERS - self._busy_workers)
            self._busy_workers += max(more, 0)
        for _ in range(more):
            self._pool.submit(self._work).add_done_callback(_log_fault)

    def stop(self) -> None:
        """Finish what was begun, make nothing more, and forget all tiles. Waits for the threads."""
        with self._lock:
            self._stopped = True
            self._asked.clear()
        for cancelled in self._preparing.values():
            cancelled.set()
        self._pool.shutdown(cancel_futures=True)
        self._preparer.shutdown(cancel_futures=True)
        self._preparing.clear()
        self._finished.clear()
        self._tiles.clear()
        self._known.clear()
        self._bytes = 0

    # On the GUI thread

    def _put(self, picture: Picture, tile: Tile) -> None:
        self._drop((picture, tile.index))
        self._tiles[picture, tile.index] = tile
        self._bytes += tile.image.sizeInBytes()
        while self._bytes > self._budget and len(self._tiles) > 1:
            self._drop(next(iter(self._tiles)))

    def _drop(self, key: Wanted) -> None:
        tile = self._tiles.pop(key, None)
        if tile is not None:
            self._bytes -= tile.image.sizeInBytes()

    def _forget(self, picture: Picture) -> None:
        for key in [key for key in self._tiles if key[0] is picture]:
            self._drop(key)
        cancelled = self._preparing.pop(picture, None)
        if cancelled is not None:
            cancelled.set()
        with self._lock:
            self._asked = deque(one for one in self._asked if one[0] is not picture)

    def _gather(self) -> None:
        """Take over what the workers finished."""
        with self._lock:
            finished, self._finished = self._finished, []
        changed = set()
        for picture, tile in finished:
            if tile is None:  # its levels, or the attempt
                self._preparing.pop(picture, None)
            if picture not in self._known:
                continue
            if tile is not None:
                self._put(picture, tile)
            changed.add(picture)
        if changed:
            self.changed.emit(frozenset(changed))

    # On the workers

    def _work(self) -> None:
        """Make tiles until none is asked for."""
        try:
            while (wanted := self._next()) is not None:
                try:
                    tile = make_tile(*wanted)
                finally:
                    with self._lock:
                        self._at_work.discard(wanted)
                if tile is not None:
                    self._report(wanted[0], tile)
        finally:
            with self._lock:
                self._busy_workers -= 1

    def _next(self) -> Wanted | None:
        """Take the next tile to make; None if none is asked for."""
        with self._lock:
            if not self._asked:
                return None
            wanted = self._asked.popleft()
            self._at_work.add(wanted)
            return wanted

    def _prepare(self, picture: Picture, cancelled: threading.Event) -> None:
        """Build a picture's coarse levels."""
        try:
            picture.prepare(cancelled.is_set)
        finally:
            self._report(picture, None)

    def _report(self, picture: Picture, tile: Tile | None) -> None:
        """Hand something over to the GUI thread; many things at once are one message."""
        with self._lock:
            if self._stopped:
                return
            first = not self._finished
            self._finished.append((picture, tile))
        if first:
            self._made.emit()
