"""The pictures behind the panes: made once for each set of pixels, or over a file that is read by region."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from srviewer.app.background import Background, Task, Urgency
from srviewer.app.picture import ArrayPicture, Picture
from srviewer.app.region_picture import RegionPicture
from srviewer.imaging.image import Image
from srviewer.session.document import Document
from srviewer.session.entries import ImageId
from srviewer.session.geometry import PixelRect
from srviewer.session.pixel_store import PixelKey, Role

_LOOK_MILLISECONDS = 150  # between two looks at how far a file was gone through


class PanePictures(QObject):
    """Keeps the pictures of the shown image.

    Signals
    -------
    came : another picture is there, or one is ready.
    picture_changed(object) : a `Picture` has got another piece.
    values_came : values that were asked of a file are there now.
    faulted(str) : one sentence why a file cannot be read.
    whole_seen(object, object) : an `ImageId` whose file stores no coarse levels, and the `Picture` that has
        them now.
    """

    came = Signal()
    picture_changed = Signal(object)
    values_came = Signal()
    faulted = Signal(str)
    whole_seen = Signal(object, object)

    def __init__(self, document: Document, background: Background, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._document = document
        self._background = background
        self._pictures: dict[PixelKey, tuple[Image, Picture]] = {}
        self._converting: dict[PixelKey, tuple[Image, Task[Image]]] = {}
        self._files: dict[PixelKey, RegionPicture] = {}
        self._told_rows: dict[PixelKey, int] = {}
        self._unseen: set[PixelKey] = set()  # files that are gone through for a view of the whole
        self._fetching: Task[None] | None = None
        self._wanted: tuple[RegionPicture, PixelRect] | None = None
        self._look = QTimer(self, interval=_LOOK_MILLISECONDS)
        self._look.timeout.connect(self._look_at_files)

    @property
    def is_idle(self) -> bool:
        """Whether no picture is being made."""
        return not (self._converting or self._look.isActive() or self._fetching is not None)

    def clear(self) -> None:
        """Forget all pictures: another image is shown."""
        self._pictures.clear()
        self._files.clear()
        self._told_rows.clear()
        self._unseen.clear()
        self._look.stop()
        for _, task in self._converting.values():
            task.drop()
        self._converting.clear()
        self._wanted = None
        if self._fetching is not None:
            self._fetching.drop()
            self._fetching = None

    def held(self, image: ImageId, role: Role, model: str = "") -> Picture | None:
        """Return the picture of pixels in memory or of an open file; None while it is not there.

        Pixels with a profile of their own are converted to sRGB first.
        """
        key = PixelKey(image, role, model)
        file = self._document.region_file(image, role, model)
        if file is not None:
            known_file = self._files.get(key)
            if known_file is None or known_file.file is not file:
                known_file = self._files[key] = self._over_file(key, RegionPicture(file))
            return known_file
        held = self._document.pixels(image, role, model)
        if held is None:
            return None
        known = self._pictures.get(key)
        if known is not None and known[0] is held:
            return known[1]
        if held.icc is None:
            picture: Picture = ArrayPicture(held.pixels, held.alpha)
            self._pictures[key] = (held, picture)
            return picture
        self._convert(key, held)
        return None if known is None else known[1]

    def preparing(self, image: ImageId, role: Role, model: str = "") -> float | None:
        """Return how much was gone through of a file without coarse levels; None if that need not be done."""
        picture = self._files.get(PixelKey(image, role, model))
        return None if picture is None or picture.is_prepared or picture.is_broken else picture.share

    def forget_unshown(self, models: set[str]) -> None:
        """Let go of pictures whose pixels the document has dropped, and of networks without panes."""
        for key in tuple(self._pictures):
            gone = key.role == "result" and key.model not in models
            if gone or self._document.pixels(key.image, key.role, key.model) is None:
                del self._pictures[key]
        for key in tuple(self._files):
            gone = key.role == "result" and key.model not in models
            if gone or self._document.region_file(key.image, key.role, key.model) is None:
                del self._files[key]

    # Inside

    def _convert(self, key: PixelKey, held: Image) -> None:
        """Bring a picture to sRGB on the pool: a profile's arithmetic takes a second for some megapixels."""
        running = self._converting.get(key)
        if running is not None:
            if running[0] is held:
                return
            running[1].drop()

        def work() -> Image:
            from srviewer.imaging.colour import to_srgb

            return to_srgb(held)

        def deliver(shown: Image) -> None:
            self._converting.pop(key, None)
            self._pictures[key] = (held, ArrayPicture(shown.pixels, shown.alpha, values=held.pixels))
            self.came.emit()

        self._converting[key] = (held, self._background.submit(work, deliver, urgency=Urgency.LOAD))

    def _over_file(self, key: PixelKey, picture: RegionPicture) -> RegionPicture:
        picture.missed = lambda box: self._fetch(picture, box)
        picture.faulted = self.faulted.emit  # from any thread: the signal brings it here
        if not picture.is_prepared:
            self._unseen.add(key)
            self._look.start()
        return picture

    def _look_at_files(self) -> None:
        """Show how far files were gone through."""
        for key, picture in self._files.items():
            if picture.revision != self._told_rows.get(key, 0):
                self._told_rows[key] = picture.revision
                self.picture_changed.emit(picture)
            if picture.is_prepared and key in self._unseen:
                self._unseen.discard(key)
                if key.role != "result":
                    self.whole_seen.emit(key.image, picture)
        if all(picture.is_prepared or picture.is_broken for picture in self._files.values()):
            self._look.stop()
        self.came.emit()

    def _fetch(self, picture: RegionPicture, box: PixelRect) -> None:
        """Have values read from a file; of what is asked for meanwhile only the latest."""
        if self._fetching is not None:
            self._wanted = (picture, box)
            return

        def deliver(_: None) -> None:
            self._fetching = None
            self.picture_changed.emit(picture)
            self.values_came.emit()
            wanted, self._wanted = self._wanted, None
            if wanted is not None:
                self._fetch(*wanted)

        self._fetching = self._background.submit(lambda: picture.fetch(box), deliver, urgency=Urgency.WISH)
