"""The rows of the Queue dock: what they say of each job, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import (
    QAbstractListModel,
    QByteArray,
    QMimeData,
    QModelIndex,
    QObject,
    Qt,
    Signal,
)

from srviewer.app.docks.row_painting import Index
from srviewer.app.model_facts import model_title
from srviewer.session.document import Document
from srviewer.session.entries import ImageId, ResultFacts
from srviewer.session.events import JobChanged, JobId
from srviewer.session.queue import Job, JobKind, JobState, Queue
from srviewer.session.wording import bytes_text, clock_text, duration_text, throughput_text

ROW_ROLE = Qt.ItemDataRole.UserRole + 1
"""Gives an index's `JobRow`."""

JobAct = Literal["Pause", "Resume", "Cancel", "Retry", "Show", "Remove"]
"""What can be done with a job, as its row offers it."""

_ACTS: Mapping[JobState, tuple[JobAct, ...]] = {
    "waiting": ("Remove",),
    "running": ("Pause", "Cancel"),
    "paused": ("Resume", "Cancel"),
    "done": ("Show", "Remove"),
    "failed": ("Retry", "Remove"),
    "cancelled": ("Retry", "Remove"),
}

_KINDS: Mapping[JobKind, str] = {
    "upscale": "",
    "attribution": "attribution",
    "spectrum": "spectrum",
    "features": "features",
    "seams": "seams",
}

_STEPS: Mapping[JobKind, str] = {
    "upscale": "tile",
    "attribution": "step",
    "spectrum": "tap",
    "features": "tap",
    "seams": "step",
}

_MIME = "application/x-srviewer-job-row"


@dataclass(frozen=True, slots=True)
class JobEstimate:
    """What a job will probably cost; None where that is not known."""

    seconds: float | None
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class JobRow:
    """What one row says.

    Attributes
    ----------
    id : the job.
    name : image and network.
    state : how far the job is.
    share : how much of its bar is filled, 0..1.
    text : its state in words; why it failed where it did.
    acts : what can be done with it now.
    """

    id: JobId
    name: str
    state: JobState
    share: float
    text: str
    acts: tuple[JobAct, ...]


def job_row(job: Job, image: str, estimate: JobEstimate | None = None) -> JobRow:
    """Return what a job's row says; `image` is its image's name."""
    parts = [image, model_title(job.model), _KINDS[job.kind]]
    acts: tuple[JobAct, ...] = () if job.cancelling else _ACTS[job.state]
    return JobRow(
        job.id,
        " · ".join(part for part in parts if part),
        job.state,
        job.share,
        _state_text(job, estimate),
        acts,
    )


def _state_text(job: Job, estimate: JobEstimate | None) -> str:
    if job.cancelling:
        return f"stopping after this {_STEPS[job.kind]}…"
    match job.state:
        case "waiting":
            parts = ["waiting"]
            if estimate is not None and estimate.seconds is not None:
                parts.append(f"about {clock_text(estimate.seconds)}")
            if estimate is not None and estimate.memory_bytes is not None:
                parts.append(f"needs {bytes_text(estimate.memory_bytes)}")
            return " · ".join(parts)
        case "running":
            return _running_text(job)
        case "paused":
            progress = job.progress
            if progress is None:
                return "paused"
            return f"paused · {_STEPS[job.kind]} {progress.tiles_done} of {progress.tiles}"
        case "done":
            return "done" if job.result is None else _done_text(job.result)
        case "failed":
            return job.error or "failed"
        case "cancelled":
            return "cancelled"


def _running_text(job: Job) -> str:
    progress = job.progress
    if progress is None or progress.tiles_done == 0:
        return "starting…"
    step = _STEPS[job.kind]
    parts = [
        f"{step} {progress.tiles_done} of {progress.tiles}",
        f"{progress.milliseconds_per_tile:.0f} ms/{step}",
        throughput_text(progress.megapixels_per_second) if job.kind == "upscale" else "",
        bytes_text(progress.memory_bytes),
    ]
    if progress.eta_seconds is not None:
        parts.append(f"{clock_text(progress.eta_seconds)} left")
    return " · ".join(part for part in parts if part)


def _done_text(result: ResultFacts) -> str:
    parts = [
        "done",
        duration_text(result.seconds),
        throughput_text(result.megapixels_per_second),
        f"peak {bytes_text(result.peak_memory_bytes)}",
    ]
    if not result.exact:
        parts.append("tiles not exact")
    if result.fp32_tiles:
        parts.append(f"{result.fp32_tiles} again in fp32")
    return " · ".join(parts)


class JobRows(QAbstractListModel):
    """The jobs of a queue as Qt's views want them.

    Signals
    -------
    moved : a waiting job was dropped so many places further down (negative: up).
    """

    moved = Signal(object, int)

    def __init__(self, queue: Queue, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._queue = queue
        self._document = document
        self._names: dict[ImageId, str] = {}  # outlive their images, whose finished jobs stay
        self._estimates: dict[JobId, JobEstimate] = {}
        self._rows: list[JobRow] = []
        self.reset()

    def reset(self) -> None:
        """Read all jobs from the queue."""
        self.beginResetModel()
        self._rows = [self._read(job) for job in self._queue.jobs]
        self.endResetModel()

    def take(self, event: JobChanged) -> bool:
        """Follow a change of the queue; return whether all rows were read anew."""
        place = self._place(event.job)
        jobs = self._queue.jobs
        if event.change == "changed" and not event.order and place is not None:
            job = self._queue.job(event.job)
            row = self._read(job)
            if row != self._rows[place]:
                self._rows[place] = row
                index = self.index(place)
                self.dataChanged.emit(index, index)
            return False
        if event.change == "removed" and place is not None:
            self.beginRemoveRows(QModelIndex(), place, place)
            del self._rows[place]
            self._estimates.pop(event.job, None)
            self.endRemoveRows()
            return False
        if event.change == "added" and len(jobs) == len(self._rows) + 1 and jobs[-1].id == event.job:
            self.beginInsertRows(QModelIndex(), len(self._rows), len(self._rows))
            self._rows.append(self._read(jobs[-1]))
            self.endInsertRows()
            return False
        self.reset()
        return True

    def set_estimate(self, job: JobId, estimate: JobEstimate) -> None:
        """Say what a waiting job will probably cost."""
        self._estimates[job] = estimate
        place = self._place(job)
        if place is not None:
            self._rows[place] = self._read(self._queue.job(job))
            self.dataChanged.emit(self.index(place), self.index(place))

    def row(self, index: Index) -> JobRow | None:
        """Return what stands in a row."""
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def index_of(self, job: JobId) -> QModelIndex:
        """Return the index of a job; an invalid one if it has no row."""
        place = self._place(job)
        return QModelIndex() if place is None else self.index(place)

    @property
    def rows(self) -> tuple[JobRow, ...]:
        """All rows in order."""
        return tuple(self._rows)

    def _read(self, job: Job) -> JobRow:
        if job.image in self._document:
            self._names[job.image] = self._document.entry(job.image).name
        return job_row(job, self._names.get(job.image, "closed image"), self._estimates.get(job.id))

    def _place(self, job: JobId) -> int | None:
        return next((place for place, row in enumerate(self._rows) if row.id == job), None)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102, N802 -- Qt's name and default
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:  # noqa: D102
        row = self.row(index)
        if row is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return row.name
            case Qt.ItemDataRole.ToolTipRole | Qt.ItemDataRole.AccessibleTextRole:
                return f"{row.name}\n{row.text}"
            case _ if role == ROW_ROLE:
                return row
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:  # noqa: D102
        row = self.row(index)
        flags = super().flags(index)
        if row is None:
            return flags | Qt.ItemFlag.ItemIsDropEnabled
        return flags | Qt.ItemFlag.ItemIsDragEnabled if row.state == "waiting" else flags

    def supportedDropActions(self) -> Qt.DropAction:  # noqa: D102, N802 -- Qt's name
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:  # noqa: D102, N802 -- Qt's name
        return [_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:  # noqa: D102, N802 -- Qt's name
        data = QMimeData()
        row = self.row(indexes[0]) if indexes else None
        if row is not None:
            data.setData(_MIME, QByteArray(str(row.id).encode()))
        return data

    def canDropMimeData(  # noqa: D102, N802 -- Qt's name
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        return data.hasFormat(_MIME)

    def dropMimeData(  # noqa: D102, N802 -- Qt's name
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        if data.hasFormat(_MIME):
            job = JobId(int(bytes(data.data(_MIME).data()).decode()))
            before = self._place(job)
            target = row if row >= 0 else parent.row() if parent.isValid() else len(self._rows)
            if before is not None:
                step = self._waiting_between(before, target)
                if step:
                    self.moved.emit(job, step)
        # Qt would take the row away from where it was; the queue moves it instead, and tells.
        return False

    def _waiting_between(self, before: int, target: int) -> int:
        """Return past how many waiting jobs a row goes on its way before the row `target`."""
        if target <= before:
            return -sum(row.state == "waiting" for row in self._rows[target:before])
        return sum(row.state == "waiting" for row in self._rows[before + 1 : target])
