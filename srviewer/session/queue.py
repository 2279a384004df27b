"""The jobs of the session: their order and their states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from srviewer.engine.request import Progress, UpscaleOptions
from srviewer.session.analyses import AnalysisOrder
from srviewer.session.entries import ImageId, ResultFacts
from srviewer.session.events import Change, JobChanged, JobId, NoEvents, SessionEvents

JobKind = Literal["upscale", "attribution", "spectrum", "features", "seams"]
"""What a job does."""

JobState = Literal["waiting", "running", "paused", "done", "failed", "cancelled"]
"""How far a job is; a running or paused one occupies the worker."""


class QueueError(ValueError):
    """A job cannot be changed as asked. The message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the queue.

    Attributes
    ----------
    id : its name within the session.
    kind : what it does.
    image : the image it works on.
    model : the network's reference.
    options : how to run the network.
    state : how far it is.
    cancelling : whether it was asked to stop and the worker has not answered yet.
    progress : what the worker told last.
    error : one sentence why it failed; None unless `state` is ``"failed"``.
    result : the facts about its result; None unless an upscale job is done.
    attempt : how many times it was begun.
    analysis : what to look into; None for an upscale job.
    output : the file that the result is written to as it is made; None keeps it in memory.
    """

    id: JobId
    kind: JobKind
    image: ImageId
    model: str
    options: UpscaleOptions
    state: JobState = "waiting"
    cancelling: bool = False
    progress: Progress | None = None
    error: str | None = None
    result: ResultFacts | None = None
    attempt: int = 0
    analysis: AnalysisOrder | None = None
    output: Path | None = None

    @property
    def active(self) -> bool:
        """Whether it occupies the worker."""
        return self.state in ("running", "paused")

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def share(self) -> float:
        """How much of it is done, 0..1, as its bar shows."""
        if self.state == "done":
            return 1.0
        if self.progress is None or self.progress.tiles == 0:
            return 0.0
        return self.progress.tiles_done / self.progress.tiles


class Queue:
    """The jobs in the order they run; at most one of them is active.

    What users do (`add`, `remove`, `pause`, `cancel`, ...) and what the worker answers (`started`,
    `progressed`, `done`, ...) both arrive here, on one thread. A worker's answer about a job that is not
    active raises `QueueError`: one worker runs one job, so there is no such answer unless the program is
    wrong.
    """

    def __init__(self, events: SessionEvents | None = None) -> None:
        self._events: SessionEvents = NoEvents() if events is None else events
        self._jobs: dict[JobId, Job] = {}
        self._last_id = 0

    # What there is

    @property
    def jobs(self) -> tuple[Job, ...]:
        """All jobs in order."""
        return tuple(self._jobs.values())

    @property
    def active(self) -> Job | None:
        """The job that occupies the worker."""
        return next((job for job in self._jobs.values() if job.active), None)

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return all(job.finished for job in self._jobs.values())

    @property
    def failed(self) -> tuple[Job, ...]:
        """The jobs that failed."""
        return tuple(job for job in self._jobs.values() if job.state == "failed")

    def job(self, job: JobId) -> Job:
        """Return a job.

        Raises
        ------
        QueueError
            If it is not (or no longer) in the queue.
        """
        try:
            return self._jobs[job]
        except KeyError:
            raise QueueError("this job is no longer in the queue") from None

    def next(self) -> Job | None:
        """Return the job that the worker should begin now; None while one is active or nothing waits."""
        if self.active is not None:
            return None
        return next((job for job in self._jobs.values() if job.state == "waiting"), None)

    def pending(self, kind: JobKind, image: ImageId, model: str) -> Job | None:
        """Return the job of that kind, image and network that waits or is active (and was not asked to
        stop).
        """
        for job in self._jobs.values():
            if (job.kind, job.image, job.model) == (kind, image, model) and not (
                job.finished or job.cancelling
            ):
                return job
        return None

    # What users do

    def add(
        self,
        kind: JobKind,
        image: ImageId,
        model: str,
        options: UpscaleOptions,
        *,
        first: bool = False,
        analysis: AnalysisOrder | None = None,
        output: Path | None = None,
    ) -> JobId:
        """Add a job as the last, or as the first of those that wait; return its id."""
        self._last_id += 1
        job = Job(JobId(self._last_id), kind, image, model, options, analysis=analysis, output=output)
        waiting = self._waiting()
        self._jobs[job.id] = job
        if first and waiting:
            self._reorder([*self._before(waiting[0]), job.id, *self._from(waiting[0], without=job.id)])
        self._tell(job.id, "added")
        return job.id

    def remove(self, job: JobId) -> None:
        """Take a job that is not active out of the queue.

        Raises
        ------
        QueueError
            If it is active: it has to be cancelled first.
        """
        if self.job(job).active:
            raise QueueError("a running job has to be cancelled before it can be removed")
        del self._jobs[job]
        self._tell(job, "removed")

    def move(self, job: JobId, step: Literal[-1, 1]) -> bool:
        """Let a waiting job change places with the waiting one before (-1) or after (1) it.

        Returns
        -------
        Whether there was one to change places with.

        Raises
        ------
        QueueError
            If the job does not wait.
        """
        self._demand(job, "waiting", "moved")
        waiting = self._waiting()
        index = waiting.index(job) + step
        if not 0 <= index < len(waiting):
            return False
        other = waiting[index]
        swapped = {job: other, other: job}
        self._reorder([swapped.get(one, one) for one in self._jobs])
        self._tell(job, "changed", order=True)
        return True

    def pause(self) -> bool:
        """Pause the job that runs; return whether one does."""
        active = self.active
        if active is None or active.state != "running" or active.cancelling:
            return False
        self._put(replace(active, state="paused"))
        return True

    def resume(self) -> bool:
        """Let the paused job go on; return whether there is one."""
        active = self.active
        if active is None or active.state != "paused" or active.cancelling:
            return False
        self._put(replace(active, state="running"))
        return True

    def cancel(self, job: JobId) -> bool:
        """Cancel a job: a waiting one at once, an active one as soon as the worker answers.

        Returns
        -------
        Whether the worker has to be told to stop (it is not paused any more then). A job that is finished, or
        was asked before, stays as it is.
        """
        asked = self.job(job)
        if asked.state == "waiting":
            self._put(replace(asked, state="cancelled"))
            return False
        if not asked.active or asked.cancelling:
            return False
        self._put(replace(asked, state="running", cancelling=True))
        return True

    def cancel_image(self, image: ImageId, kind: JobKind | None = None) -> bool:
        """Cancel all jobs of an image (of one kind only); return whether the worker has to be told to
        stop.
        """
        chosen = [job.id for job in self.jobs if job.image == image and kind in (None, job.kind)]
        return self._cancel_each(chosen)

    def cancel_all(self) -> bool:
        """Cancel every job; return whether the worker has to be told to stop."""
        return self._cancel_each([job.id for job in self.jobs])

    def retry(self, job: JobId) -> None:
        """Let a failed or cancelled job wait again, at its place.

        Raises
        ------
        QueueError
            If it is neither.
        """
        again = self.job(job)
        if again.state not in ("failed", "cancelled"):
            raise QueueError("only a failed or cancelled job can be tried again")
        self._put(replace(again, state="waiting", progress=None, error=None))

    def clear_finished(self) -> int:
        """Take all finished jobs out of the queue; return how many."""
        gone = [job.id for job in self.jobs if job.finished]
        for job in gone:
            del self._jobs[job]
        for job in gone:
            self._tell(job, "removed")
        return len(gone)

    # What the worker answers

    def started(self, job: JobId) -> Job:
        """Note that the worker begins a job, which must be the one that `next` gives.

        Raises
        ------
        QueueError
            If it is not.
        """
        following = self.next()
        if following is None or following.id != job:
            raise QueueError("another job has to come first")
        begun = replace(following, state="running", attempt=following.attempt + 1)
        self._put(begun)
        return begun

    def progressed(self, job: JobId, progress: Progress) -> None:
        """Take how far the active job is."""
        self._put(replace(self._answering(job), progress=progress))

    def done(self, job: JobId, result: ResultFacts | None = None) -> bool:
        """Note that the active job is done; return False if it was asked to stop: it counts as cancelled
        then.
        """
        return self._finish(job, lambda one: replace(one, state="done", result=result))

    def failed_with(self, job: JobId, error: str) -> bool:
        """Note why the active job failed; return False if it was asked to stop: it counts as cancelled
        then.
        """
        return self._finish(job, lambda one: replace(one, state="failed", error=error))

    def stopped(self, job: JobId) -> None:
        """Note that the worker has stopped the active job before its end."""
        self._put(replace(self._answering(job), state="cancelled", cancelling=False))

    # Inside

    def _cancel_each(self, jobs: list[JobId]) -> bool:
        """Cancel all of `jobs`, whatever the first ones answer."""
        answers = [self.cancel(job) for job in jobs]
        return any(answers)

    def _finish(self, job: JobId, ending: Callable[[Job], Job]) -> bool:
        answering = self._answering(job)
        if answering.cancelling:
            self._put(replace(answering, state="cancelled", cancelling=False))
            return False
        self._put(ending(answering))
        return True

    def _answering(self, job: JobId) -> Job:
        """Return the job that the worker answers about, which must be the active one."""
        active = self.active
        if active is None or active.id != job:
            raise QueueError(f"the worker answered about job {job}, which does not run")
        return active

    def _demand(self, job: JobId, state: JobState, act: str) -> None:
        if self.job(job).state != state:
            raise QueueError(f"only a {state} job can be {act}")

    def _waiting(self) -> list[JobId]:
        return [job.id for job in self._jobs.values() if job.state == "waiting"]

    def _before(self, job: JobId) -> list[JobId]:
        order = list(self._jobs)
        return order[: order.index(job)]

    def _from(self, job: JobId, without: JobId) -> list[JobId]:
        order = list(self._jobs)
        return [one for one in order[order.index(job) :] if one != without]

    def _reorder(self, order: list[JobId]) -> None:
        self._jobs = {job: self._jobs[job] for job in order}

    def _put(self, job: Job) -> None:
        if self._jobs[job.id] != job:
            self._jobs[job.id] = job
            self._tell(job.id, "changed")

    def _tell(self, job: JobId, change: Change, *, order: bool = False) -> None:
        self._events.job_changed(JobChanged(job, change, order))
