"""The queue of jobs: its invariants under any order of calls, and its plain behaviour."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from srviewer.engine.request import Progress, UpscaleOptions
from srviewer.session.entries import ImageId
from srviewer.session.events import JobChanged, JobId, NoEvents
from srviewer.session.queue import Job, JobState, Queue, QueueError

IMAGE = ImageId(1)
OPTIONS = UpscaleOptions()

ALLOWED: dict[JobState, set[JobState]] = {
    "waiting": {"running", "cancelled"},
    "running": {"paused", "done", "failed", "cancelled"},
    "paused": {"running", "done", "failed", "cancelled"},
    "done": set(),
    "failed": {"waiting"},
    "cancelled": {"waiting"},
}


def progress(done: int, tiles: int) -> Progress:
    return Progress(done, tiles, 1.0, None, 1.0, 1.0, 1)


class Listener(NoEvents):
    def __init__(self) -> None:
        self.heard: list[JobChanged] = []

    def job_changed(self, event: JobChanged, /) -> None:
        self.heard.append(event)


class QueueMachine(RuleBasedStateMachine):
    """Users and the worker do anything they can; a plain list tells which jobs there have to be."""

    def __init__(self) -> None:
        super().__init__()
        self.listener = Listener()
        self.queue = Queue(self.listener)
        self.expected: list[JobId] = []
        self.before: dict[JobId, Job] = {}
        self.mirror: dict[JobId, Job] = {}

    def any_job(self, data: st.DataObject) -> JobId:
        return data.draw(st.sampled_from([job.id for job in self.queue.jobs]))

    @rule(first=st.booleans())
    def add(self, first: bool) -> None:
        waiting = [job.id for job in self.queue.jobs if job.state == "waiting"]
        new = self.queue.add("upscale", IMAGE, "bsrn_x4", OPTIONS, first=first)
        assert new not in self.expected
        self.expected.insert(
            self.expected.index(waiting[0]) if first and waiting else len(self.expected), new
        )

    @precondition(lambda self: bool(self.queue.jobs))
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        job = self.any_job(data)
        if self.queue.job(job).active:
            with pytest.raises(QueueError):
                self.queue.remove(job)
        else:
            self.queue.remove(job)
            self.expected.remove(job)

    @precondition(lambda self: bool(self.queue.jobs))
    @rule(data=st.data(), up=st.booleans())
    def move(self, data: st.DataObject, up: bool) -> None:
        job = self.any_job(data)
        waiting = [one.id for one in self.queue.jobs if one.state == "waiting"]
        if job not in waiting:
            with pytest.raises(QueueError):
                self.queue.move(job, -1 if up else 1)
            return
        place = waiting.index(job) + (-1 if up else 1)
        assert self.queue.move(job, -1 if up else 1) == (0 <= place < len(waiting))
        if 0 <= place < len(waiting):
            a, b = self.expected.index(job), self.expected.index(waiting[place])
            self.expected[a], self.expected[b] = self.expected[b], self.expected[a]

    @precondition(lambda self: bool(self.queue.jobs))
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = self.any_job(data)
        before = self.queue.job(job)
        told = self.queue.cancel(job)
        assert told == (before.active and not before.cancelling)
        assert not before.active or self.queue.job(job).cancelling

    @precondition(lambda self: bool(self.queue.jobs))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = self.any_job(data)
        if self.queue.job(job).state in ("failed", "cancelled"):
            self.queue.retry(job)
            again = self.queue.job(job)
            assert (again.state, again.error, again.progress) == ("waiting", None, None)
        else:
            with pytest.raises(QueueError):
                self.queue.retry(job)

    @rule()
    def pause(self) -> None:
        active = self.queue.active
        able = active is not None and active.state == "running" and not active.cancelling
        assert self.queue.pause() == able

    @rule()
    def resume(self) -> None:
        active = self.queue.active
        assert self.queue.resume() == (active is not None and active.state == "paused")

    @rule()
    def clear(self) -> None:
        finished = {job.id for job in self.queue.jobs if job.finished}
        assert self.queue.clear_finished() == len(finished)
        self.expected = [job for job in self.expected if job not in finished]

    @rule()
    def begin(self) -> None:
        following = self.queue.next()
        first = next((job for job in self.queue.jobs if job.state == "waiting"), None)
        assert following == (None if self.queue.active else first)
        if following is not None:
            assert self.queue.started(following.id).attempt == following.attempt + 1

    @precondition(lambda self: self.queue.active is not None)
    @rule(done=st.integers(0, 9))
    def progress(self, done: int) -> None:
        active = self.queue.active
        assert active is not None
        self.queue.progressed(active.id, progress(done, 9))
        assert self.queue.job(active.id).share == done / 9

    @precondition(lambda self: self.queue.active is not None)
    @rule(answer=st.sampled_from(("done", "failed", "stopped")))
    def answer(self, answer: str) -> None:
        active = self.queue.active
        assert active is not None
        if answer == "stopped":
            self.queue.stopped(active.id)
            assert self.queue.job(active.id).state == "cancelled"
            return
        counts = (
            self.queue.done(active.id) if answer == "done" else self.queue.failed_with(active.id, "disk full")
        )
        assert counts == (not active.cancelling)
        assert self.queue.job(active.id).state == (answer if counts else "cancelled")

    @invariant()
    def order_is_as_expected(self) -> None:
        assert [job.id for job in self.queue.jobs] == self.expected

    @invariant()
    def at_most_one_is_active(self) -> None:
        assert sum(job.active for job in self.queue.jobs) <= 1
        assert self.queue.idle == all(job.finished for job in self.queue.jobs)

    @invariant()
    def fields_agree_with_the_state(self) -> None:
        for job in self.queue.jobs:
            assert (job.error is not None) == (job.state == "failed")
            assert not job.cancelling or job.state == "running"
            assert 0 <= job.share <= 1

    @invariant()
    def states_change_only_as_allowed(self) -> None:
        for job in self.queue.jobs:
            earlier = self.before.get(job.id)
            if earlier is not None and earlier.state != job.state:
                assert job.state in ALLOWED[earlier.state]
        self.before = {job.id: job for job in self.queue.jobs}

    @invariant()
    def events_tell_every_change(self) -> None:
        for event in self.listener.heard:
            if event.change == "removed":
                del self.mirror[event.job]
            else:
                assert (event.change == "added") == (event.job not in self.mirror)
                with contextlib.suppress(QueueError):  # changed and removed again before it was looked at
                    self.mirror[event.job] = self.queue.job(event.job)
        self.listener.heard.clear()
        assert self.mirror == {job.id: job for job in self.queue.jobs}


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_jobs_run_in_order_one_at_a_time() -> None:
    queue = Queue()
    first = queue.add("upscale", IMAGE, "bicubic_x4", OPTIONS)
    second = queue.add("upscale", IMAGE, "bsrn_x4", OPTIONS)
    with pytest.raises(QueueError, match="first"):
        queue.started(second)
    queue.started(first)
    assert queue.next() is None
    queue.pause()
    assert queue.next() is None, "a paused job still occupies the worker"
    queue.resume()
    queue.done(first)
    following = queue.next()
    assert following is not None
    assert following.id == second


def test_a_paused_job_can_be_cancelled_and_tried_again() -> None:
    queue = Queue()
    job = queue.add("upscale", IMAGE, "bsrn_x4", OPTIONS)
    queue.started(job)
    queue.progressed(job, progress(3, 4))
    queue.pause()
    assert queue.cancel(job)
    assert not queue.cancel(job), "the worker is told once"
    assert not queue.resume()
    queue.stopped(job)
    queue.retry(job)
    assert queue.job(job).share == 0
    assert queue.started(job).attempt == 2


def test_a_result_that_comes_after_cancel_does_not_count() -> None:
    queue = Queue()
    job = queue.add("upscale", IMAGE, "bsrn_x4", OPTIONS)
    queue.started(job)
    queue.cancel(job)
    assert queue.done(job) is False
    assert queue.job(job).state == "cancelled"


def test_an_answer_about_a_job_that_does_not_run_is_refused() -> None:
    queue = Queue()
    job = queue.add("upscale", IMAGE, "bsrn_x4", OPTIONS)
    for answer in (
        lambda: queue.done(job),
        lambda: queue.stopped(job),
        lambda: queue.progressed(job, progress(1, 2)),
    ):
        with pytest.raises(QueueError, match="does not run"):
            answer()
    with pytest.raises(QueueError, match="no longer"):
        queue.cancel(JobId(99))


def test_all_jobs_of_an_image_are_cancelled_together() -> None:
    queue = Queue()
    running = queue.add("upscale", IMAGE, "bsrn_x4", OPTIONS)
    other = queue.add("upscale", ImageId(2), "bsrn_x4", OPTIONS)
    waiting = queue.add("features", IMAGE, "bsrn_x4", OPTIONS)
    queue.started(running)
    assert queue.cancel_image(IMAGE)
    assert queue.job(waiting).state == "cancelled"
    assert queue.job(running).cancelling
    assert queue.job(other).state == "waiting"
    assert queue.pending("upscale", IMAGE, "bsrn_x4") is None
    assert queue.pending("upscale", ImageId(2), "bsrn_x4") == queue.job(other)
