"""The rows of the session's images: which there are, in which order, and which one is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from srviewer.session.entries import ImageEntry, ImageId
from srviewer.session.events import (
    CurrentChanged,
    ImagesChanged,
    NoEvents,
    PixelsChanged,
    RecentChanged,
    SessionEvents,
)
from srviewer.session.geometry import Size
from srviewer.session.pixel_store import PixelKey
from srviewer.session.recent import RecentFiles


class DocumentError(ValueError):
    """The document cannot be changed as asked. The message is one sentence for the user."""


class ImageList:
    """The images, without their pixels; every change is told to `events` once it is complete.

    Parameters
    ----------
    events : who hears of changes.
    """

    def __init__(self, events: SessionEvents | None = None) -> None:
        self._events: SessionEvents = NoEvents() if events is None else events
        self._entries: dict[ImageId, ImageEntry] = {}
        self._current: ImageId | None = None
        self._last_id = 0
        self._recent = RecentFiles()

    # Images

    @property
    def images(self) -> tuple[ImageEntry, ...]:
        """All images in the order of their rows."""
        return tuple(self._entries.values())

    @property
    def current(self) -> ImageEntry | None:
        """The image that the panes show."""
        return None if self._current is None else self._entries[self._current]

    def __contains__(self, image: ImageId) -> bool:
        return image in self._entries

    def entry(self, image: ImageId) -> ImageEntry:
        """Return the row of an image.

        Raises
        ------
        DocumentError
            If it is not (or no longer) in the document.
        """
        try:
            return self._entries[image]
        except KeyError:
            raise DocumentError("this image is no longer open") from None

    def add_files(self, paths: Iterable[Path]) -> tuple[ImageId, ...]:
        """Add image files below the others; return their ids, in order.

        A file that is already open is not added again: its own id is returned. If no image is shown, the
        first is.
        """
        known = {_identity(entry.path): entry.id for entry in self.images if entry.path is not None}
        ids: list[ImageId] = []
        added: list[ImageId] = []
        remembered: list[Path] = []
        for path in paths:
            identity = _identity(path)
            if identity not in known:
                image = self._new_id()
                self._entries[image] = ImageEntry(image, path, path.name)
                known[identity] = image
                added.append(image)
            ids.append(known[identity])
            remembered.append(path)
        if added:
            self._events.images_changed(ImagesChanged("added", tuple(added)))
        if remembered:
            self.remember(remembered)
        if self._current is None and ids:
            self.select(ids[0])
        return tuple(dict.fromkeys(ids))

    def move(self, image: ImageId, row: int) -> None:
        """Move an image to another row (0 is the first; beyond the last means last)."""
        entry = self.entry(image)
        others = [one for one in self.images if one.id != image]
        others.insert(max(row, 0), entry)
        if tuple(others) == self.images:
            return
        self._entries = {one.id: one for one in others}
        self._events.images_changed(ImagesChanged("changed", (image,), order=True))

    def select(self, image: ImageId) -> None:
        """Show an image."""
        self.entry(image)
        if image == self._current:
            return
        self._current = image
        gone = self._hold_what_is_shown()
        self._events.current_changed(CurrentChanged(image))
        self._tell_gone(gone)

    def select_beside(self, step: int) -> None:
        """Show the next (1) or previous (-1) image; the first and the last are neighbours."""
        order = list(self._entries)
        if self._current is not None:
            self.select(order[(order.index(self._current) + step) % len(order)])

    def described(self, image: ImageId, size: Size, bits: int, *, by_region: bool = False) -> None:
        """Take what a file's header says, so that sizes are known before the pixels are.

        `by_region` leaves the pixels in the file; what is in memory already stays there.
        """
        entry = self._entries.get(image)
        if entry is not None:
            by_region = entry.by_region or (by_region and entry.state == "listed")
            self._put(replace(entry, size=size, bits=bits, by_region=by_region))

    # Recent files

    @property
    def recent(self) -> tuple[Path, ...]:
        """Files opened lately, the latest first."""
        return self._recent.paths

    def remember(self, paths: Sequence[Path]) -> None:
        """Put files at the head of the recent ones, the first of `paths` first."""
        if self._recent.remember(paths):
            self._events.recent_changed(RecentChanged(self._recent.paths))

    # Inside

    def _hold_what_is_shown(self) -> tuple[PixelKey, ...]:
        """Keep the pictures of the shown image in memory; return the keys of others that went."""
        return ()

    def _new_id(self) -> ImageId:
        self._last_id += 1
        return ImageId(self._last_id)

    def _put(self, entry: ImageEntry) -> None:
        if self._entries[entry.id] != entry:
            self._entries[entry.id] = entry
            self._events.images_changed(ImagesChanged("changed", (entry.id,)))

    def _neighbour(self, image: ImageId, step: int) -> ImageId | None:
        order = list(self._entries)
        index = order.index(image) + step
        return order[index] if 0 <= index < len(order) else None

    def _tell_gone(self, keys: Iterable[PixelKey]) -> None:
        for key in keys:
            self._events.pixels_changed(PixelsChanged(key.image, key.role, key.model, present=False))


def _identity(path: Path) -> Path:
    """Return what tells files apart: the absolute path, links and case left alone (no disk is asked)."""
    return path.expanduser().absolute()
