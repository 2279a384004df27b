"""A small pool of threads for reading, measuring and drawing that needs no torch."""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from PySide6.QtCore import QObject, QRunnable, Qt, QThreadPool, Signal

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_STACK_BYTES = 16 << 20  # image codecs recurse deeply
_THREADS = 2


class Urgency(enum.IntEnum):
    """What comes first where several things wait."""

    THUMBNAIL = 0
    MEASURE = 1
    CURVES = 2
    LOAD = 3
    WISH = 4


class Task(Generic[_T]):
    """One piece of work and what to do with its outcome.

    Attributes
    ----------
    dropped : set when nobody wants the outcome any more: work that has not begun is left out, work that
        goes on may look at it, and in any case nobody is told.
    """

    def __init__(
        self,
        work: Callable[[], _T],
        done: Callable[[_T], None],
        failed: Callable[[Exception], None] | None,
    ) -> None:
        self.dropped = threading.Event()
        self._work = work
        self._done = done
        self._failed = failed
        self._outcome: _T | None = None
        self._error: Exception | None = None

    def drop(self) -> None:
        """Let nobody hear of the outcome."""
        self.dropped.set()

    def perform(self) -> None:
        """Do the work, on whatever thread this is called."""
        if self.dropped.is_set():
            return
        try:
            self._outcome = self._work()
        except Exception as error:  # noqa: BLE001 -- handed to whoever asked, on the GUI thread
            self._error = error

    def deliver(self) -> None:
        """Tell of the outcome, on the GUI thread; an error that nobody awaits is raised there."""
        if self.dropped.is_set():
            return
        if self._error is None:
            self._done(self._outcome)  # type: ignore[arg-type]  # `perform` came before: it is the work's own type
        elif self._failed is not None:
            self._failed(self._error)
        else:
            raise self._error


class _Run(QRunnable):
    """Carries a task through the pool."""

    def __init__(self, task: Task[object], ended: Callable[[Task[object]], None]) -> None:
        super().__init__()
        self._task = task
        self._ended = ended

    def run(self) -> None:
        self._task.perform()
        self._ended(self._task)


class Background(QObject):
    """Runs tasks on the pool and tells their outcomes on the GUI thread.

    Signals
    -------
    became_idle : the last task was delivered.
    """

    became_idle = Signal()
    _ended = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(_THREADS)
        self._pool.setStackSize(_STACK_BYTES)
        self._pool.setExpiryTimeout(-1)
        self._tasks: set[Task[object]] = set()
        self._stopped = False
        self._ended.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits, runs, or is about to be told."""
        return not self._tasks

    def submit(
        self,
        work: Callable[[], _T],
        done: Callable[[_T], None],
        *,
        urgency: Urgency,
        failed: Callable[[Exception], None] | None = None,
    ) -> Task[_T]:
        """Have `work` done on the pool.

        Parameters
        ----------
        work : must touch nothing that the GUI thread changes.
        done : gets what `work` returned, on the GUI thread.
        urgency : what comes first where several things wait.
        failed : gets the exception instead, on the GUI thread; without it the exception is raised there.
        """
        task = Task(work, done, failed)
        if self._stopped:
            task.drop()
            return task
        known: Task[object] = task  # type: ignore[assignment]  # a set of tasks of every type
        self._tasks.add(known)
        self._pool.start(_Run(known, self._ended.emit), int(urgency))
        return task

    def stop(self) -> None:
        """Drop what waits and return when what runs has ended; nobody is told any more."""
        self._stopped = True
        for task in self._tasks:
            task.drop()
        self._pool.waitForDone()
        self._tasks.clear()

    def _deliver(self, task: Task[object]) -> None:
        if task not in self._tasks:
            return  # stopped meanwhile
        self._tasks.discard(task)
        try:
            task.deliver()
        finally:
            if not self._tasks:
                self.became_idle.emit()
