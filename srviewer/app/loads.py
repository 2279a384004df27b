"""Bringing in: what is behind dropped paths, and the pixels that are shown, read off the GUI thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QImage

from srviewer.app.background import Background, Task, Urgency
from srviewer.app.bridge import Bridge
from srviewer.app.picture import Picture
from srviewer.app.qimages import to_pixels, to_qimage
from srviewer.app.region_picture import region_thumbnail
from srviewer.imaging.image import Image, Pixels
from srviewer.imaging.pyramid import Rectangle
from srviewer.session.entries import ImageId, MadeReference
from srviewer.session.events import ImagesChanged
from srviewer.session.geometry import PixelRect
from srviewer.session.intake import Intake, ListedImage, listed_image, take_in
from srviewer.session.orders import LoadOrder
from srviewer.session.pixel_store import PixelKey, Role
from srviewer.session.regions import Readable, RegionFile, RegionsClosedError, part_image
from srviewer.session.session import Session
from srviewer.session.sessionfile import SESSION_SUFFIX, OpenedSession

_THUMBNAIL_SIDE = 192  # pixels: sharp at twice the row's 64


class Loads(QObject):
    """Reads files for the session; each picture once, however many want it.

    Signals
    -------
    taken(object, object) : what dropped paths brought in, an `Intake`, and the tuple of its `ImageId`.
    session_opened(object) : the `OpenedSession` that was put in place.
    thumbnail_made(object, object) : an `ImageId` and its QImage.
    failed(str) : one sentence why something cannot be read.
    settled : nothing is being read any more.
    """

    taken = Signal(object, object)
    session_opened = Signal(object)
    thumbnail_made = Signal(object, object)
    failed = Signal(str)

    def __init__(
        self, session: Session, bridge: Bridge, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._background = background
        self._fetching: dict[tuple[PixelKey, int], _Fetch] = {}
        self._thumbnails: dict[ImageId, Task[QImage]] = {}
        self._pasted = 0
        self._look = QTimer(self, singleShot=True, interval=0)
        self._look.timeout.connect(self._want_what_is_shown)
        for signal in (
            bridge.current_changed,
            bridge.pixels_changed,
            bridge.reference_changed,
            bridge.results_changed,
            bridge.ticked_changed,
        ):
            signal.connect(lambda _: self._look.start())
        bridge.images_changed.connect(self._forget_closed)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is about to be read."""
        return not self._look.isActive() and not self._fetching and not self._thumbnails

    # Files

    def take(self, paths: Iterable[Path]) -> None:
        """Open what is behind paths: images, folders, checkpoints.

        A session file is put in place of all that is open, and the other paths are opened into it.
        """
        given = list(paths)
        if not given:
            return
        sessions = [path for path in given if path.suffix.lower() == SESSION_SUFFIX]
        if sessions:
            self.open_session(sessions[0], [path for path in given if path not in sessions])
            return
        self._background.submit(lambda: take_in(given), self._bring_in, urgency=Urgency.WISH)

    def open_session(self, path: Path, others: Sequence[Path] = ()) -> None:
        """Put what a session file remembers in place of what is open, then open `others`."""

        def work() -> tuple[OpenedSession, list[ListedImage | None]]:
            from srviewer.session.sessionfile import open_session

            opened = open_session(path)
            return opened, [_header_of(image.path) for image in opened.record.images]

        def restore(found: tuple[OpenedSession, list[ListedImage | None]]) -> None:
            self._session.restore(found[0], found[1])
            self.session_opened.emit(found[0])
            self.take(others)

        self._background.submit(
            work, restore, urgency=Urgency.WISH, failed=lambda error: self._tell_failed(error)
        )

    def paste(self, image: QImage) -> ImageId:
        """Add a picture that no file holds."""
        pixels, alpha = to_pixels(image)
        if alpha is not None and bool(np.all(alpha == 255)):
            alpha = None
        self._pasted += 1
        name = "pasted" if self._pasted == 1 else f"pasted {self._pasted}"
        new = self._session.document.add_image(Image(pixels, alpha, format="PNG"), name)
        self._session.document.select(new)
        return new

    def crop(self, name: str, picture: Readable, box: PixelRect) -> None:
        """Add a part of a picture as an image of its own, and show it.

        Parameters
        ----------
        name : of the image that it is a part of.
        picture : what the part is taken of.
        box : which part, in the picture's pixels.
        """
        named = f"{name} {box.width} × {box.height} at {box.x}, {box.y}"

        def take(part: Image) -> None:
            self._session.document.select(self._session.document.add_image(part, named))

        self.read_part(picture, box, done=take, failed=self.failed.emit)

    def read_part(
        self,
        picture: Readable,
        box: PixelRect,
        *,
        done: Callable[[Image], None],
        failed: Callable[[str], object],
    ) -> None:
        """Have a part of a picture read, in the picture's pixels, as an image without a path."""

        def give_up(error: Exception) -> None:
            from srviewer.imaging.faults import ImageFileError

            if not isinstance(error, ImageFileError | RegionsClosedError | MemoryError):
                raise error
            failed(str(error) or "there is not enough memory for this region")

        self._background.submit(lambda: part_image(picture, box), done, urgency=Urgency.WISH, failed=give_up)

    def _bring_in(self, intake: Intake) -> None:
        ids = self._session.take(intake)
        self.taken.emit(intake, ids)

    def _tell_failed(self, error: Exception) -> None:
        from srviewer.session.sessionfile import SessionFileError

        if not isinstance(error, SessionFileError):
            raise error
        self.failed.emit(str(error))

    # Pixels

    def fetch(
        self, order: LoadOrder, *, done: Callable[[Image | RegionFile], None], failed: Callable[[str], None]
    ) -> None:
        """Have a picture read or made, for the document and for whoever asks; it is done once for all.

        One that is read by region comes as its open file, which the document closes.

        A picture that comes too late for the document (another ground truth by now) is a failure for those
        who asked.
        """
        name = (order.key, order.revision)
        fetch = self._fetching.get(name)
        if fetch is None:
            fetch = self._fetching[name] = _Fetch(order)
            self._session.document.loading(order)
            self._background.submit(
                fetch.work,
                lambda image: self._arrived(name, image),
                urgency=Urgency.LOAD,
                failed=lambda error: self._missed(name, error),
            )
        fetch.done.append(done)
        fetch.failed.append(failed)

    def want(self, image: ImageId, role: Role, model: str = "") -> bool:
        """Have a picture read unless it is in memory; return whether it has to be waited for."""
        if image not in self._session.document:
            return False
        order = self._session.document.load_order(image, role, model)
        if order is None:
            return False
        self.fetch(order, done=lambda _: None, failed=lambda _: None)
        return True

    def _arrived(self, name: tuple[PixelKey, int], image: Image | RegionFile) -> None:
        fetch = self._fetching.pop(name)
        fitting = self._session.document.loaded(fetch.order, image)
        for index, done in enumerate(fetch.done):
            if fitting:
                done(image)
            else:
                fetch.failed[index]("the image was closed or its ground truth changed meanwhile")

    def _missed(self, name: tuple[PixelKey, int], error: Exception) -> None:
        from srviewer.imaging.faults import ImageFileError
        from srviewer.session.loading import LoadError

        fetch = self._fetching.pop(name)
        if isinstance(error, MemoryError):
            reason = "there is not enough memory for this image"
        elif isinstance(error, ImageFileError | LoadError):
            reason = str(error)
        else:
            raise error
        self._session.document.load_failed(fetch.order, reason)
        for failed in fetch.failed:
            failed(reason)
        self.failed.emit(reason)

    def _want_what_is_shown(self) -> None:
        """Have everything read that the panes of the current image show."""
        document = self._session.document
        current = document.current
        if current is None or current.state == "failed":
            return
        image = current.id
        if isinstance(current.reference, MadeReference) and self.want(image, "file"):
            return  # input and ground truth are made of it: looked at again when it is there
        self.want(image, "input")
        if current.reference is not None:
            self.want(image, "truth")
        for model in document.ticked:
            if document.result(image, model) is not None:
                self.want(image, "result", model)

    # Thumbnails

    def make_thumbnail(self, image: ImageId) -> None:
        """Have a small version of an image made for its row."""
        document = self._session.document
        if image not in document or image in self._thumbnails:
            return
        entry = document.entry(image)
        path = entry.path
        held = document.pixels(image, "file")
        if path is None and held is None:
            return

        def work() -> QImage:
            from srviewer.imaging.files import read_thumbnail

            if path is not None and entry.by_region:
                return to_qimage(region_thumbnail(path, _THUMBNAIL_SIDE))
            if path is not None:
                return to_qimage(read_thumbnail(path, _THUMBNAIL_SIDE))
            assert held is not None
            return to_qimage(_small(held))

        def deliver(thumbnail: QImage) -> None:
            del self._thumbnails[image]
            self.thumbnail_made.emit(image, thumbnail)

        def give_up(error: Exception) -> None:
            del self._thumbnails[image]
            from srviewer.imaging.faults import ImageFileError
            from srviewer.session.loading import LoadError

            if not isinstance(error, ImageFileError | LoadError | MemoryError):
                raise error  # reading the image itself will tell the others

        self._thumbnails[image] = self._background.submit(
            work, deliver, urgency=Urgency.THUMBNAIL, failed=give_up
        )

    def take_thumbnail(self, image: ImageId, picture: Picture) -> None:
        """Make an image's small version of a picture whose coarse levels are there: its file stores none."""
        top = picture.pyramid.levels - 1
        width, height = picture.pyramid.level_size(top)

        def work() -> QImage | None:
            pixels = picture.read(top, Rectangle(0, 0, width, height))
            if pixels is None:
                return None
            side = Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
            return to_qimage(pixels[..., :3]).scaled(_THUMBNAIL_SIDE, _THUMBNAIL_SIDE, *side)

        def deliver(thumbnail: QImage | None) -> None:
            if thumbnail is not None and image in self._session.document:
                self.thumbnail_made.emit(image, thumbnail)

        self._background.submit(work, deliver, urgency=Urgency.THUMBNAIL)

    def _forget_closed(self, event: ImagesChanged) -> None:
        self._look.start()
        if event.change == "removed":
            for image in event.images:
                task = self._thumbnails.pop(image, None)
                if task is not None:
                    task.drop()


class _Fetch:
    """A picture under way, and who waits for it."""

    def __init__(self, order: LoadOrder) -> None:
        self.order = order
        self.done: list[Callable[[Image | RegionFile], None]] = []
        self.failed: list[Callable[[str], None]] = []

    def work(self) -> Image | RegionFile:
        from srviewer.session.loading import load

        return load(self.order)


def _header_of(path: Path) -> ListedImage | None:
    from srviewer.imaging.faults import ImageFileError

    try:
        return listed_image(path)
    except ImageFileError:
        return None


def _small(image: Image) -> Pixels:
    """Return a picture in memory at about the size of a thumbnail, H x W x 3."""
    from srviewer.imaging.levels import halve

    pixels = image.pixels
    while max(pixels.shape) > 2 * _THUMBNAIL_SIDE:
        pixels = halve(pixels)
    return pixels
