"""Giving images a ground truth, and running what is then measured against it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from srviewer.engine.request import UpscaleOptions
from srviewer.session.comparison import TRUTH_PANE
from srviewer.session.entries import ImageId, MadeReference
from srviewer.session.image_list import DocumentError
from srviewer.session.session import Session


class Truths(QObject):
    """Sets ground truths and queues the runs that they call for.

    Parameters
    ----------
    session : whose images they are.
    options : how networks run now.

    Signals
    -------
    failed(str) : one sentence why an image cannot have that ground truth.
    noted(str) : what the user should know.
    """

    failed = Signal(str)
    noted = Signal(str)

    def __init__(
        self, session: Session, options: Callable[[], UpscaleOptions], parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._options = options

    def evaluate(self, image: ImageId) -> None:
        """Use an image as ground truth, and run the ticked networks and bicubic on its reduction."""
        session = self._session
        try:
            session.document.use_as_ground_truth(image, session.truth_scale())
        except DocumentError as error:
            self.failed.emit(f"{error}.")
            return
        self._run(image)

    def set_truth(self, image: ImageId, path: Path) -> None:
        """Take a file as an image's ground truth, if their sizes fit, and measure against it."""
        from srviewer.imaging.files import ImageFileError, probe
        from srviewer.session.geometry import Size
        from srviewer.session.pairs import size_scale

        entry = self._session.document.entry(image)
        try:
            info = probe(path)
        except ImageFileError as error:
            self.failed.emit(str(error))
            return
        hr = Size(info.width, info.height)
        lr = entry.size
        scale = None if lr is None else size_scale(lr, hr)
        if scale is None:
            wanted = "" if lr is None else f"; {entry.name} is {lr}, so 2, 3 or 4 times that is needed"
            self.failed.emit(f"{path.name} is {hr}: it cannot be the ground truth{wanted}.")
            return
        try:
            self._session.document.set_ground_truth(image, path, scale)
        except DocumentError as error:
            self.failed.emit(f"{error}.")
            return
        self._run(image)

    def _run(self, image: ImageId) -> None:
        """Run what is ticked, with bicubic as the base line, on one image."""
        session, document = self._session, self._session.document
        base = session.base_line(image)
        if base not in document.ticked:
            document.tick([base, *document.ticked])
        current = document.current
        if current is not None and current.id == image:  # the difference that counts now is that to the truth
            session.compare(session.comparison.with_b(TRUTH_PANE))
        reference = document.entry(image).reference
        scale = None if reference is None else reference.scale
        others = [
            session.title_of(model)
            for model in document.ticked
            if session.scale_of(model) not in (None, scale)
        ]
        if others and isinstance(reference, MadeReference):
            self.noted.emit(
                f"{', '.join(others)}: another scale than the ground truth's ×{scale}, so not measured."
            )
        session.run(self._options(), [image])
