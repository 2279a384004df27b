"""The networks' weights as the window manages them: fetched, imported, removed, and what checkpoints hold."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from srviewer.app.background import Background, Urgency
from srviewer.app.model_facts import ModelFacts, is_checkpoint
from srviewer.app.worker import WorkerThread
from srviewer.session.catalogue import checkpoint_row, offered
from srviewer.session.session import Session
from srviewer.session.wording import bytes_text
from srviewer.zoo.download import DownloadProgress
from srviewer.zoo.errors import CheckpointError, ManifestError, ZooError
from srviewer.zoo.spec import ModelSpec

_TELLING_SECONDS = 0.1


class WeightsKeeper(QObject):
    """Keeps the session's list of networks in line with the weights on this machine.

    Signals
    -------
    catalogue_changed : weights came or went.
    download_changed(str, object, str) : a network's id, the share that is here (None while the size is not
        known), and that in words; empty words end it.
    checkpoint_known(object, object) : a checkpoint's path and its `ModelFacts`.
    checkpoint_gone(object) : a checkpoint's path that is to have no row any more.
    noted(str) : one sentence about what was done.
    failed(str) : one sentence about what was not.
    """

    catalogue_changed = Signal()
    download_changed = Signal(str, object, str)
    checkpoint_known = Signal(object, object)
    checkpoint_gone = Signal(object)
    noted = Signal(str)
    failed = Signal(str)
    _received = Signal(str, object)

    def __init__(
        self, session: Session, thread: WorkerThread, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._thread = thread
        self._background = background
        self._getting: dict[str, threading.Event] = {}
        self._inspected: set[str] = set()
        self._broken: set[str] = set()
        self._received.connect(self._tell_progress)
        thread.worker.model_known.connect(self._take_spec)
        thread.worker.model_broken.connect(self._take_fault)

    def refresh(self) -> None:
        """Read the lists of weights again."""
        try:
            self._session.offer(offered())
        except ManifestError as error:
            self.failed.emit(str(error))
        self._thread.forget_models()
        self.catalogue_changed.emit()

    # Checkpoints

    def open_checkpoints(self, paths: Sequence[Path]) -> None:
        """Have rows for files of weights, and tick them; the worker finds out what they hold."""
        for path in paths:
            row = checkpoint_row(path.absolute())
            known = next((one for one in self._session.models if one.reference == row.reference), None)
            if known is None or known.state == "broken":
                self._session.describe_model(row)
            self._session.document.set_ticked(row.reference, ticked=True)
            self.inspect(row.reference)

    def inspect(self, reference: str) -> None:
        """Find out what a checkpoint holds, once."""
        if is_checkpoint(reference) and reference not in self._inspected:
            self._inspected.add(reference)
            self._thread.inspect(reference)

    def is_broken(self, reference: str) -> bool:
        """Return whether a checkpoint turned out to be none when it was last read, which was told then."""
        return reference in self._broken

    def forget_checkpoint(self, reference: str) -> None:
        """Have no row for a checkpoint any more, and none of its jobs wait; its file stays."""
        self._inspected.discard(reference)
        for job in self._session.queue.jobs:
            if job.model == reference and job.state == "waiting":
                self._session.queue.remove(job.id)
        self._session.document.set_ticked(reference, ticked=False)
        self.checkpoint_gone.emit(Path(reference))

    def _take_spec(self, reference: str, spec: ModelSpec) -> None:
        if is_checkpoint(reference):
            self._broken.discard(reference)
            self._session.describe_model(checkpoint_row(Path(reference)).described(spec))
            self.checkpoint_known.emit(Path(reference), ModelFacts.of(spec))

    def _take_fault(self, reference: str, reason: str) -> None:
        if not is_checkpoint(reference):
            return
        self._inspected.discard(reference)
        self._broken.add(reference)
        self.failed.emit(reason)
        self.forget_checkpoint(reference)

    # Weights in the user's folder

    def get(self, model: str) -> None:
        """Download a network's published weights."""
        if model in self._getting:
            return
        cancelled = self._getting[model] = threading.Event()
        told = [0.0]

        def tell(progress: DownloadProgress) -> None:
            now = time.monotonic()
            if now - told[0] >= _TELLING_SECONDS or progress.received == progress.total:
                told[0] = now
                self._received.emit(model, progress)

        def work() -> None:
            from srviewer.zoo.library import get_weights

            get_weights(model, progress=tell, cancelled=cancelled.is_set)

        def end(note: str) -> None:
            self._getting.pop(model, None)
            self.download_changed.emit(model, None, "")
            self.refresh()
            if note:
                self.noted.emit(note)

        def give_up(error: Exception) -> None:
            end("")
            if not isinstance(error, ZooError | OSError):
                raise error
            if not cancelled.is_set():
                self.failed.emit(str(error))

        self.download_changed.emit(model, None, "asking…")
        self._background.submit(
            work,
            lambda _: end(f"The weights of {self._session.title_of(model)} are here."),
            urgency=Urgency.THUMBNAIL,
            failed=give_up,
        )

    def import_files(self, paths: Sequence[Path]) -> None:
        """Copy files of weights into the user's folder, each under the id of what it holds."""

        def give_up(error: Exception) -> None:
            if not isinstance(error, ZooError | OSError):
                raise error
            self.failed.emit(str(error))

        for path in paths:
            self._background.submit(
                functools.partial(_imported_id, path), self._imported, urgency=Urgency.WISH, failed=give_up
            )

    def _imported(self, model: str) -> None:
        self.refresh()
        self._session.document.set_ticked(model, ticked=True)
        self.noted.emit(f"Imported as {model}.")

    def remove(self, reference: str) -> None:
        """Delete the user's own weights of an id, or forget a checkpoint's row."""
        if is_checkpoint(reference):
            self.forget_checkpoint(reference)
            return
        from srviewer.zoo.manifest import own_entry_path

        model = reference.partition("@")[0]
        try:
            entry = own_entry_path(model)
            entry.unlink(missing_ok=True)
            entry.with_name(f"{model}.safetensors").unlink(missing_ok=True)
        except (ManifestError, CheckpointError) as error:
            self.failed.emit(str(error))
            return
        except OSError as error:
            self.failed.emit(f"{model}: cannot be removed: {error.strerror or error}")
            return
        for ticked in self._session.document.ticked:
            if ticked == f"{model}@yours":
                self._session.document.set_ticked(ticked, ticked=False)
        self.refresh()
        self.noted.emit(f"Your weights of {model} were removed.")

    def stop(self) -> None:
        """Break off what is being fetched; what is here is kept for the next time."""
        for cancelled in self._getting.values():
            cancelled.set()

    def _tell_progress(self, model: str, progress: DownloadProgress) -> None:
        if model not in self._getting:
            return
        if progress.total:
            share = progress.received / progress.total
            text = f"{bytes_text(progress.received)} of {bytes_text(progress.total)}"
            self.download_changed.emit(model, share, text)
        else:
            self.download_changed.emit(model, None, bytes_text(progress.received))


def _imported_id(path: Path) -> str:
    """Import a file of weights; return the id it was given."""
    from srviewer.zoo.library import import_weights

    return import_weights(path).id
