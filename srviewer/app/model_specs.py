"""The specifications of networks by their references, as far as they are known without running them."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from srviewer.app.worker import WorkerThread
from srviewer.zoo.spec import SPECS, ModelSpec


class ModelSpecs(QObject):
    """Knows networks by their ids, and checkpoints once the worker has read them.

    Signals
    -------
    became_known(str) : the reference of a network whose specification is known now.
    """

    became_known = Signal(str)

    def __init__(self, thread: WorkerThread, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._thread = thread
        self._read: dict[str, ModelSpec] = {}
        self._asked: set[str] = set()
        thread.worker.model_known.connect(self._take)

    def spec_of(self, reference: str) -> ModelSpec | None:
        """Return a network's specification; where it has to be read first, None, and have it read."""
        known = self._read.get(reference) or SPECS.get(reference.partition("@")[0])
        if known is None and reference not in self._asked:
            self._asked.add(reference)
            self._thread.inspect(reference)
        return known

    def _take(self, reference: str, spec: ModelSpec) -> None:
        self._read[reference] = spec
        self.became_known.emit(reference)
