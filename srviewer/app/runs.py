"""The way of a job: from the queue to the worker, and of what the worker tells back to the session."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from srviewer.app.bridge import Bridge
from srviewer.app.file_runs import facts_of
from srviewer.app.loads import Loads
from srviewer.app.requests import AnalysisRequest, FileRequest, UpscaleRequest
from srviewer.app.worker import WorkerThread
from srviewer.engine.request import FinishedTile, Progress, UpscaleOptions, UpscaleResult
from srviewer.imaging.image import Image
from srviewer.session.analyses import SeamsOrder
from srviewer.session.events import JobChanged, JobId
from srviewer.session.queue import QueueError
from srviewer.session.regions import STAYS_IN_FILE, RegionFile
from srviewer.session.running import WorkOrder
from srviewer.session.session import Session

if TYPE_CHECKING:  # a type only: its module loads torch
    from srviewer.engine.streaming import StreamedResult

_FRAME_MILLISECONDS = 16  # tiles are handed on at most 60 times a second
_FRAME_SECONDS = 0.006  # that go into handing on; what is left over waits for the next frame
_PIECE_PIXELS = 200_000  # the largest piece handed on at once: fresh memory costs 12 ms for a megapixel
_PIECE_ROWS = 12  # pieces begin on multiples of it, which are whole input pixels at every scale


class Runs(QObject):
    """Keeps the worker doing what the queue says.

    The queue decides; this only brings the worker in line with it: whatever changes a job, the worker is told
    to stop, to wait or to go on as the active job's state says.

    Signals
    -------
    failed(object) : the `Job` that failed.
    analysed(object, object) : a `Job` and what came of it (`srviewer.app.analysing.Outcome`).
    written(object) : the path of a result that was written as it was made, and is whole now.
    idle : nothing runs or waits any more.
    """

    failed = Signal(object)
    analysed = Signal(object, object)
    written = Signal(object)
    idle = Signal()

    def __init__(
        self,
        session: Session,
        bridge: Bridge,
        thread: WorkerThread,
        loads: Loads,
        options: Callable[[], UpscaleOptions],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._thread = thread
        self._loads = loads
        self._options = options
        self._sent: JobId | None = None
        self._tiles: deque[tuple[JobId, FinishedTile]] = deque()
        self._stopped = False
        self._next = QTimer(self, singleShot=True, interval=0)
        self._next.timeout.connect(self._begin_next)
        self._frame = QTimer(self, singleShot=True, interval=_FRAME_MILLISECONDS)
        self._frame.timeout.connect(self._hand_on_tiles)
        bridge.job_changed.connect(self._follow)
        worker = thread.worker
        worker.progressed.connect(self._progressed)
        worker.tile_finished.connect(self._gather)
        worker.finished.connect(self._finished)
        worker.streamed.connect(self._streamed)
        worker.analysed.connect(self._analysed)
        worker.failed.connect(self._failed)
        worker.cancelled.connect(self._cancelled)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs or waits."""
        return self._session.queue.idle and self._sent is None

    def run(self, *, again: bool = False) -> int:
        """Queue the ticked networks: for all images that lack results, or `again` for the one that is shown.

        Returns
        -------
        How many jobs were queued.
        """
        if again:
            current = self._session.document.current
            return 0 if current is None else len(self._session.run(self._options(), [current.id], again=True))
        return len(self._session.run(self._options()))

    def pause_or_resume(self) -> None:
        """Pause the running job, or let the paused one go on."""
        self._session.queue.pause() or self._session.queue.resume()

    def retry(self, job: JobId) -> None:
        """Let a failed or cancelled job wait again."""
        self._try(lambda: self._session.queue.retry(job))

    def cancel(self, job: JobId) -> None:
        """Cancel one job."""
        self._try(lambda: self._session.queue.cancel(job))

    def cancel_active(self) -> bool:
        """Cancel the job that runs; return whether one does."""
        active = self._session.queue.active
        return active is not None and self._session.queue.cancel(active.id)

    def remove(self, job: JobId) -> None:
        """Take a job out of the queue."""
        self._try(lambda: self._session.queue.remove(job))

    def move(self, job: JobId, step: Literal[-1, 1]) -> None:
        """Let a waiting job change places with the one before or after it."""
        self._try(lambda: self._session.queue.move(job, step))

    def stop(self) -> None:
        """Begin nothing more, and drop what is still on its way; the worker's thread ends elsewhere."""
        self._stopped = True
        self._next.stop()
        self._frame.stop()
        self._tiles.clear()

    # The queue's side

    def _try(self, act: Callable[[], object]) -> None:
        """Do what a row offered, unless the job has moved on since it was drawn."""
        try:
            act()
        except QueueError:
            return

    def _follow(self, event: JobChanged) -> None:
        """Bring the worker in line with the queue."""
        del event
        active = self._session.queue.active
        if active is None:
            self._next.start()
            return
        if active.cancelling:
            self._thread.cancel()
            if self._sent is None:  # its input is still being read: nobody else would answer
                self._session.job_cancelled(active.id)
        elif active.state == "paused":
            self._thread.pause()
        else:
            self._thread.resume()

    def _begin_next(self) -> None:
        if self._stopped or self._sent is not None:
            return
        order = self._session.begin_next()
        if order is None:
            if self._session.queue.idle:
                self.idle.emit()
            return
        if order.job.output is not None:
            self._send_files(order, order.job.output)
            return
        if order.picture is not None:
            self._send(order, order.picture)
            return
        file = self._session.document.region_file(order.job.image, "input")
        if file is not None:
            self._take_part(order, file)
            return
        assert order.load is not None, "a work order holds a picture or says how to make it"
        attempt = order.job.attempt
        self._loads.fetch(
            order.load,
            done=lambda picture: self._loaded(order, picture),
            failed=lambda reason: self._not_loaded(order.job.id, attempt, reason),
        )

    def _loaded(self, order: WorkOrder, picture: Image | RegionFile) -> None:
        if not self._waits(order.job.id, order.job.attempt):
            return
        if isinstance(picture, RegionFile):
            self._take_part(order, picture)
        else:
            self._send(order, picture)

    def _take_part(self, order: WorkOrder, file: RegionFile) -> None:
        """Read the part of an image that a job is about, from the file that the image stays in."""
        job = order.job
        region = job.analysis.region if isinstance(job.analysis, SeamsOrder) else None
        if region is None:
            self._fail(job.id, STAYS_IN_FILE)
            return
        self._loads.read_part(
            file,
            region,
            done=lambda part: self._loaded(order, part),
            failed=lambda reason: self._not_loaded(job.id, job.attempt, reason),
        )

    def _send_files(self, order: WorkOrder, output: Path) -> None:
        job = order.job
        if order.path is None:
            self._fail(job.id, "this image is in no file")
            return
        self._sent = job.id
        self._thread.upscale_file(FileRequest(job.id, job.model, job.options, order.path, output))

    def _not_loaded(self, job: JobId, attempt: int, reason: str) -> None:
        if self._waits(job, attempt):
            self._fail(job, reason)

    def _waits(self, job: JobId, attempt: int) -> bool:
        """Return whether a job still waits for its input in this very attempt."""
        active = self._session.queue.active
        same = active is not None and (active.id, active.attempt) == (job, attempt)
        return same and self._sent is None and not self._stopped

    def _send(self, order: WorkOrder, picture: Image) -> None:
        job = order.job
        self._sent = job.id
        if job.analysis is None:
            self._thread.upscale(UpscaleRequest(job.id, job.model, job.options, picture, order.focus))
        else:
            self._thread.analyse(AnalysisRequest(job.id, job.model, job.options, picture, job.analysis))
        active = self._session.queue.active
        if active is not None and active.state == "paused":  # while its input was read
            self._thread.pause()

    # The worker's side

    def _progressed(self, job: int, progress: Progress) -> None:
        if self._sent == job and not self._stopped:
            self._session.job_progressed(JobId(job), progress)

    def _gather(self, job: int, tile: FinishedTile) -> None:
        if self._sent == job and not self._stopped:
            self._tiles.extend((JobId(job), piece) for piece in _pieces(tile))
            if not self._frame.isActive():
                self._frame.start()

    def _hand_on_tiles(self) -> None:
        end = time.perf_counter() + _FRAME_SECONDS
        while self._tiles and time.perf_counter() < end:
            job, tile = self._tiles.popleft()
            self._session.job_tile(job, tile)
        if self._tiles:
            self._frame.start()

    def _finished(self, job: int, result: UpscaleResult) -> None:
        if self._ended(job):
            self._session.job_done(JobId(job), result)

    def _streamed(self, job: int, result: StreamedResult) -> None:
        if not self._ended(job):
            return
        ended = self._session.queue.job(JobId(job))
        document = self._session.document
        bits = document.entry(ended.image).bits if ended.image in document else None
        self._session.job_streamed(ended.id, facts_of(result, bits or 8), result.path)
        self.written.emit(result.path)

    def _analysed(self, job: int, outcome: object) -> None:
        if self._ended(job):
            known = self._session.queue.job(JobId(job))
            self._session.job_done(known.id)
            if not known.cancelling:
                self.analysed.emit(known, outcome)

    def _failed(self, job: int, reason: str) -> None:
        if self._ended(job):
            self._fail(JobId(job), reason)

    def _cancelled(self, job: int) -> None:
        if self._ended(job):
            self._session.job_cancelled(JobId(job))

    def _ended(self, job: int) -> bool:
        """Let the next job begin; return whether the worker spoke of the one that it was given."""
        if self._sent != job or self._stopped:
            return False
        self._sent = None
        self._tiles.clear()
        self._frame.stop()
        self._next.start()
        return True

    def _fail(self, job: JobId, reason: str) -> None:
        asked_to_stop = self._session.queue.job(job).cancelling
        self._session.job_failed(job, reason)
        if not asked_to_stop:
            self.failed.emit(self._session.queue.job(job))


def _pieces(tile: FinishedTile) -> Iterator[FinishedTile]:
    """Cut a tile into strips that are quickly drawn; they share its pixels."""
    rows = max(_PIECE_PIXELS // tile.width // _PIECE_ROWS, 1) * _PIECE_ROWS
    for row in range(0, tile.height, rows):
        part = tile.pixels[row : row + rows]
        yield FinishedTile(tile.x, tile.y + row, tile.width, part.shape[0], part)
