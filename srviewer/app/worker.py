"""The one thread on which torch works: it gets one frozen request at a time and tells what comes of it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QThread, Signal, Slot

from srviewer.app.requests import AnalysisRequest, FileRequest, UpscaleRequest
from srviewer.app.torch_loading import device_facts, load_libraries_of_torch, yield_to_window
from srviewer.engine.request import FinishedTile, Progress
from srviewer.session.events import JobId
from srviewer.session.geometry import Size
from srviewer.session.previews import Preview

if TYPE_CHECKING:
    from srviewer.zoo.model import LoadedModel

_log = logging.getLogger(__name__)

STACK_BYTES = 16 << 20
"""Of the thread's stack: deep networks and image codecs recurse further than Qt's default allows."""

_MOST_MODELS = (
    6  # in memory at once: a light network takes some megabytes, loading and fusing it half a second
)


class Worker(QObject):
    """Lives on the worker's thread; nobody calls it from another one, but for the three events.

    Signals
    -------
    began(int) : a job's network is about to run.
    progressed(int, object) : a job's `Progress`.
    tile_finished(int, object) : a job's `FinishedTile`, as the screen shows it: in sRGB, and of a result that
        goes to a file only its `srviewer.session.previews.Preview`.
    finished(int, object) : a job's `UpscaleResult`.
    streamed(int, object) : a job's `srviewer.app.file_runs.StreamedResult`, whose file is there.
    analysed(int, object) : an analysis job's `srviewer.app.analysing.Outcome`.
    failed(int, str) : why a job failed, in one sentence.
    cancelled(int) : a job has stopped because it was asked to.
    model_known(str, object) : a reference and its `ModelSpec`.
    model_broken(str, str) : a reference and why it cannot be used.
    devices_known(object) : a tuple of `DeviceFacts`, the one that ``"auto"`` means first.
    """

    began = Signal(int)
    progressed = Signal(int, object)
    tile_finished = Signal(int, object)
    finished = Signal(int, object)
    streamed = Signal(int, object)
    analysed = Signal(int, object)
    failed = Signal(int, str)
    cancelled = Signal(int)
    model_known = Signal(str, object)
    model_broken = Signal(str, str)
    devices_known = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.stop_asked = threading.Event()
        self.pause_asked = threading.Event()
        self.quitting = threading.Event()
        self._models: OrderedDict[tuple[str, Path | None, int], LoadedModel] = OrderedDict()
        self._devices_told = False

    @Slot(object)
    def upscale(self, request: UpscaleRequest) -> None:
        """Run one job to its end, whatever that is; exactly one of finished, failed and cancelled follows."""
        self._do(request, partial(self._upscale, request))

    @Slot(object)
    def upscale_file(self, request: FileRequest) -> None:
        """Run one job from file to file; exactly one of streamed, failed and cancelled follows."""
        self._do(request, partial(self._upscale_file, request))

    @Slot(object)
    def analyse(self, request: AnalysisRequest) -> None:
        """Do one analysis; exactly one of analysed, failed and cancelled follows."""
        self._do(request, partial(self._analyse, request))

    @Slot(str)
    def inspect(self, reference: str) -> None:
        """Find out what a checkpoint holds."""
        from srviewer.zoo.errors import ZooError

        if self.quitting.is_set():
            return
        self._prepare_torch()
        try:
            self._load(reference)
        except ZooError as error:
            self.model_broken.emit(reference, str(error))

    @Slot()
    def find_devices(self) -> None:
        """Tell which devices there are."""
        if not self.quitting.is_set():
            self._prepare_torch()

    @Slot()
    def forget_models(self) -> None:
        """Load networks anew from now on: weights were fetched, imported or removed."""
        self._models.clear()

    def _do(self, request: UpscaleRequest | FileRequest | AnalysisRequest, work: Callable[[], None]) -> None:
        """Do a job's work; whatever goes wrong inside, the queue must hear that the job has ended."""
        if self._stopping():
            self.cancelled.emit(request.job)
            return
        try:
            work()
        except Exception as error:  # noqa: BLE001 -- a fault of the program must not stop the queue
            _log.exception("job %s (%s) failed", request.job, request.model)
            self.failed.emit(request.job, f"{request.model}: {type(error).__name__}: {error}")
        try:
            self._give_memory_back()
        except Exception:  # noqa: BLE001 -- the job itself has ended
            _log.exception("memory was not given back after job %s", request.job)

    def _give_memory_back(self) -> None:
        """Return what the job freed of the host's memory: else the next one's peak would count it."""
        if not self._devices_told:
            return  # torch is not there: nothing ran
        from srviewer.engine.device import choose_device
        from srviewer.engine.telemetry import release_memory

        release_memory(choose_device("cpu"))

    def _upscale(self, request: UpscaleRequest) -> None:
        from srviewer.engine.request import Cancelled, UpscaleError
        from srviewer.zoo.errors import ZooError

        self._prepare_torch()
        from srviewer.engine.upscale import upscale

        try:
            model = self._load(request.model)
        except ZooError as error:
            self.model_broken.emit(request.model, str(error))
            self.failed.emit(request.job, str(error))
            return
        if self._stopping():
            self.cancelled.emit(request.job)
            return
        self.began.emit(request.job)
        try:
            result = upscale(
                request.picture,
                model,
                request.options,
                progress=lambda progress: self._tell(request.job, progress),
                on_tile=lambda tile: self.tile_finished.emit(request.job, _shown(tile, request.picture.icc)),
                cancelled=self._stopping,
                paused=self.pause_asked.is_set,
                focus=request.focus,
            )
        except Cancelled:
            self.cancelled.emit(request.job)
        except UpscaleError as error:
            self.failed.emit(request.job, str(error))
        except MemoryError:
            self.failed.emit(request.job, "there is not enough memory for this result")
        else:
            self.finished.emit(request.job, result)

    def _upscale_file(self, request: FileRequest) -> None:
        from srviewer.app.file_runs import upscale_file
        from srviewer.engine.request import Cancelled, UpscaleError
        from srviewer.imaging.faults import ImageFileError
        from srviewer.imaging.files import probe
        from srviewer.zoo.errors import ZooError

        self._prepare_torch()
        try:
            model = self._load(request.model)
            self.began.emit(request.job)
            source = probe(request.input)
            preview = Preview.of(Size(source.width, source.height).times(model.scale))
            result = upscale_file(
                request.input,
                request.output,
                model,
                request.options,
                progress=lambda progress: self._tell(request.job, progress),
                on_tile=lambda tile: self.tile_finished.emit(
                    request.job, _shown(preview.tile(tile), source.icc)
                ),
                cancelled=self._stopping,
                paused=self.pause_asked.is_set,
            )
        except Cancelled:
            self.cancelled.emit(request.job)
        except ZooError as error:
            self.model_broken.emit(request.model, str(error))
            self.failed.emit(request.job, str(error))
        except (UpscaleError, ImageFileError) as error:
            self.failed.emit(request.job, str(error))
        except MemoryError:
            self.failed.emit(request.job, "there is not enough memory for this result")
        else:
            self.streamed.emit(request.job, result)

    def _analyse(self, request: AnalysisRequest) -> None:
        from srviewer.engine.request import Cancelled, UpscaleError
        from srviewer.zoo.errors import ZooError

        self._prepare_torch()
        from srviewer.analysis.features import FeatureError
        from srviewer.analysis.lam import LamError
        from srviewer.app.analysing import Watch, analyse

        try:
            model = self._load(request.model)
            self.began.emit(request.job)
            watch = Watch(
                lambda progress: self._tell(request.job, progress), self._stopping, self.pause_asked.is_set
            )
            outcome = analyse(request.order, model, request.picture, request.options, watch)
        except Cancelled:
            self.cancelled.emit(request.job)
        except ZooError as error:
            self.model_broken.emit(request.model, str(error))
            self.failed.emit(request.job, str(error))
        except (FeatureError, LamError, UpscaleError) as error:
            self.failed.emit(request.job, str(error))
        except MemoryError:
            self.failed.emit(request.job, "there is not enough memory for this analysis")
        else:
            self.analysed.emit(request.job, outcome)

    def _load(self, reference: str) -> LoadedModel:
        """Return a network, from memory if its weights are still the same file."""
        from srviewer.zoo.manifest import resolve
        from srviewer.zoo.model import load_model

        path = resolve(reference).path
        stamp = 0
        if path is not None:
            with contextlib.suppress(OSError):
                stamp = path.stat().st_mtime_ns
        key = (reference, path, stamp)
        if key in self._models:
            self._models.move_to_end(key)
            return self._models[key]
        model = load_model(reference)
        self._models[key] = model
        while len(self._models) > _MOST_MODELS:
            self._models.popitem(last=False)
        self.model_known.emit(reference, model.spec)
        return model

    def _tell(self, job: JobId, progress: Progress) -> None:
        self.progressed.emit(job, progress)

    def _stopping(self) -> bool:
        return self.stop_asked.is_set() or self.quitting.is_set()

    def _prepare_torch(self) -> None:
        """Import torch and tell of the devices, the first time."""
        if self._devices_told:
            return
        yield_to_window()
        load_libraries_of_torch()
        found = device_facts()
        self._devices_told = True
        self.devices_known.emit(found)


class WorkerThread(QObject):
    """The GUI thread's end of the worker: starts its thread, hands over requests, stops it.

    Signals
    -------
    upscale_asked(object), file_asked(object), analysis_asked(object), inspect_asked(str), devices_asked,
        forget_asked : carry requests over.

    Attributes
    ----------
    worker : whose signals tell what comes of the requests.
    """

    upscale_asked = Signal(object)
    file_asked = Signal(object)
    analysis_asked = Signal(object)
    inspect_asked = Signal(str)
    devices_asked = Signal()
    forget_asked = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.worker = Worker()
        self._thread = QThread(self)
        self._thread.setObjectName("worker")
        self._thread.setStackSize(STACK_BYTES)
        self.worker.moveToThread(self._thread)
        queued = Qt.ConnectionType.QueuedConnection
        self.upscale_asked.connect(self.worker.upscale, queued)
        self.file_asked.connect(self.worker.upscale_file, queued)
        self.analysis_asked.connect(self.worker.analyse, queued)
        self.inspect_asked.connect(self.worker.inspect, queued)
        self.devices_asked.connect(self.worker.find_devices, queued)
        self.forget_asked.connect(self.worker.forget_models, queued)

    def upscale(self, request: UpscaleRequest) -> None:
        """Begin a job; the one before must have ended."""
        self._begin()
        self.upscale_asked.emit(request)

    def upscale_file(self, request: FileRequest) -> None:
        """Begin a job from file to file; the one before must have ended."""
        self._begin()
        self.file_asked.emit(request)

    def analyse(self, request: AnalysisRequest) -> None:
        """Begin an analysis; the job before must have ended."""
        self._begin()
        self.analysis_asked.emit(request)

    def inspect(self, reference: str) -> None:
        """Find out what a checkpoint holds, after the job that runs."""
        self._start()
        self.inspect_asked.emit(reference)

    def find_devices(self) -> None:
        """Have the devices told (once; they do not change)."""
        self._start()
        self.devices_asked.emit()

    def forget_models(self) -> None:
        """Load networks anew from now on."""
        if self._thread.isRunning():
            self.forget_asked.emit()

    def cancel(self) -> None:
        """Ask the job that runs to stop after its tile."""
        self.worker.stop_asked.set()

    def pause(self) -> None:
        """Ask the job that runs to wait after its tile."""
        self.worker.pause_asked.set()

    def resume(self) -> None:
        """Let the job that waits go on."""
        self.worker.pause_asked.clear()

    def stop(self) -> None:
        """Stop the job that runs after its tile, and end the thread; returns when it has ended."""
        self.worker.quitting.set()
        self._thread.quit()
        self._thread.wait()

    def _begin(self) -> None:
        self.worker.stop_asked.clear()
        self.worker.pause_asked.clear()
        self._start()

    def _start(self) -> None:
        if not self._thread.isRunning() and not self.worker.quitting.is_set():
            self._thread.start()


def _shown(tile: FinishedTile, icc: bytes | None) -> FinishedTile:
    """Return a tile in sRGB: results keep the profile of their input, `icc`."""
    from srviewer.imaging.colour import pixels_to_srgb

    return dataclasses.replace(tile, pixels=pixels_to_srgb(tile.pixels, icc))
