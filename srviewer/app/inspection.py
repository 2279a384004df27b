"""One analysis of the shown image that follows what is asked and what is selected, as jobs of the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, QTimer, Signal

from srviewer.app.bridge import Bridge
from srviewer.app.runs import Runs
from srviewer.engine.request import UpscaleOptions
from srviewer.session.analyses import AnalysisOrder
from srviewer.session.entries import ImageId
from srviewer.session.events import JobChanged, JobId, ReferenceChanged
from srviewer.session.geometry import PixelRect
from srviewer.session.queue import Job, JobKind
from srviewer.session.session import Session

_SETTLE_MILLISECONDS = 250  # a selection that is being dragged is looked into when it rests

OrderMaker = Callable[[PixelRect | None], AnalysisOrder]
"""Makes the order for a region of the network's input (None: the whole)."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    image: ImageId
    model: str
    order: AnalysisOrder


class Inspection(QObject):
    """Keeps one analysis in line with the shown image, its selection, and a question.

    There is at most one job under way: another question or another selection takes its place. While nobody
    watches there is none.

    Signals
    -------
    changed : there is another outcome, another job, or another failure.

    Attributes
    ----------
    outcome : the latest (`srviewer.app.analysing.Outcome`), until image or network are others.
    error : why the latest job failed; empty otherwise.
    """

    changed = Signal()

    def __init__(
        self,
        kind: JobKind,
        session: Session,
        bridge: Bridge,
        runs: Runs,
        options: Callable[[], UpscaleOptions],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._kind: JobKind = kind
        self._session = session
        self._options = options
        self._question: tuple[str, OrderMaker] | None = None
        self._watched = False
        self._wanted: _Wanted | None = None
        self._made_for: _Wanted | None = None
        self._job: JobId | None = None
        self._obsolete: set[JobId] = set()
        self.outcome: object = None
        self.error = ""
        self._settle = QTimer(self, singleShot=True, interval=0)
        self._settle.timeout.connect(self._bring_in_line)
        self._rest = QTimer(self, singleShot=True, interval=_SETTLE_MILLISECONDS)
        self._rest.timeout.connect(self._bring_in_line)
        self._tidy = QTimer(self, singleShot=True, interval=0)
        self._tidy.timeout.connect(self._remove_obsolete)
        runs.analysed.connect(self._take)
        bridge.job_changed.connect(self._follow)
        bridge.selection_changed.connect(lambda _: self._rest.start())
        bridge.current_changed.connect(lambda _: self._settle.start())
        bridge.reference_changed.connect(self._forget_input)

    @property
    def job(self) -> Job | None:
        """The job under way: it waits, runs or is paused."""
        if self._job is None:
            return None
        job = next((job for job in self._session.queue.jobs if job.id == self._job), None)
        return None if job is None or job.finished else job

    @property
    def is_idle(self) -> bool:
        """Whether no job is about to be queued or tidied away (one that is queued is the queue's matter)."""
        return not (self._settle.isActive() or self._rest.isActive() or self._tidy.isActive())

    @property
    def is_current(self) -> bool:
        """Whether the outcome is that of what is asked and selected now."""
        return self.outcome is not None and self._made_for is not None and self._made_for == self._now()

    def ask(self, model: str, order: OrderMaker) -> None:
        """Ask this from now on, of each image that is shown and each region that is selected.

        Asked again, a question whose job failed or was cancelled is tried again.
        """
        if self._question is not None and self._question[0] != model:
            self.outcome = self._made_for = None
        self._question = (model, order)
        if self._now() == self._wanted and self.job is None and self._made_for != self._wanted:
            self._wanted = None
        self._bring_in_line()

    def forget(self) -> None:
        """Ask nothing any more."""
        self._question, self.outcome = None, None
        self._made_for = None
        self._bring_in_line()

    def set_watched(self, watched: bool) -> None:
        """Work only while somebody looks."""
        if watched != self._watched:
            self._watched = watched
            self._settle.start()

    def cancel(self) -> None:
        """Stop the job under way."""
        job = self.job
        if job is not None:
            self._session.queue.cancel(job.id)

    def stop(self) -> None:
        """Begin nothing any more."""
        for timer in (self._settle, self._rest, self._tidy):
            timer.stop()

    # Following

    def _now(self) -> _Wanted | None:
        """Return what is asked of what is shown and selected now."""
        current = self._session.document.current
        if self._question is None or current is None or current.state == "failed" or current.by_region:
            return None
        model, order = self._question
        selection = self._session.selection
        return _Wanted(current.id, model, order(None if selection is None else selection.pixels))

    def _bring_in_line(self) -> None:
        self._settle.stop()
        self._rest.stop()
        now = self._now()
        if now is None or (self._made_for is not None and self._made_for.image != now.image):
            self.outcome = self._made_for = None
        wanted = now if self._watched else None
        if wanted != self._wanted:
            self._wanted = wanted
            self.error = ""
            if wanted == self._made_for:
                self._drop_job()
            else:
                self._begin()
        self.changed.emit()

    def _begin(self) -> None:
        self._drop_job()
        wanted = self._wanted
        if wanted is not None:
            self._job = self._session.queue.add(
                self._kind,
                wanted.image,
                wanted.model,
                self._options(),
                first=True,
                analysis=wanted.order,
            )

    def _drop_job(self) -> None:
        """Take the job that was, whatever became of it, out of the queue."""
        if self._job is not None:
            self._obsolete.add(self._job)
            self._job = None
            self._remove_obsolete()

    def _remove_obsolete(self) -> None:
        """Cancel jobs that nobody wants any more, and take out those that have ended."""
        queue = self._session.queue
        known = {job.id: job for job in queue.jobs}
        for job in tuple(self._obsolete):
            if job in known and known[job].active:
                queue.cancel(job)
                continue
            self._obsolete.discard(job)
            if job in known:
                queue.remove(job)

    def _follow(self, event: JobChanged) -> None:
        if event.job in self._obsolete:
            self._tidy.start()  # later: whoever changed it is not done with it yet
        elif event.job == self._job:
            job = self.job
            if job is None and event.change != "removed":
                self.error = self._session.queue.job(event.job).error or ""
            self.changed.emit()

    def _take(self, job: Job, outcome: object) -> None:
        if job.id == self._job and self._wanted is not None:
            self.outcome, self._made_for = outcome, self._wanted
            self.error = ""
            self.changed.emit()

    def _forget_input(self, event: ReferenceChanged) -> None:
        if event.input_changed and self._wanted is not None and self._wanted.image == event.image:
            self._wanted = self._made_for = self.outcome = None
            self._settle.start()
