"""Everything of the window that is not a widget: the session and whoever works for it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QImage

from srviewer.app.attributions import Attributions
from srviewer.app.background import Background
from srviewer.app.bridge import Bridge
from srviewer.app.exports import Exports
from srviewer.app.feature_maps import FeatureMaps
from srviewer.app.inspection import Inspection
from srviewer.app.loads import Loads
from srviewer.app.measuring import Measuring
from srviewer.app.message_bar import Message, MessageAction
from srviewer.app.model_specs import ModelSpecs
from srviewer.app.panes import Panes
from srviewer.app.runs import Runs
from srviewer.app.seam_checks import SeamChecks
from srviewer.app.settings import Settings
from srviewer.app.spectra import Spectra
from srviewer.app.truths import Truths
from srviewer.app.weights import WeightsKeeper
from srviewer.app.worker import WorkerThread
from srviewer.engine.request import PrecisionChoice, UpscaleOptions
from srviewer.session.catalogue import default_ticked, offered
from srviewer.session.entries import ImageId
from srviewer.session.estimate import Estimate, History, duration_text
from srviewer.session.intake import Intake
from srviewer.session.queue import Job, JobKind
from srviewer.session.session import Session
from srviewer.session.sessionfile import OpenedSession
from srviewer.session.wording import bytes_text, plural
from srviewer.zoo.errors import ManifestError

_log = logging.getLogger(__name__)

_MOST_AT_ONCE = 24  # images that are run without asking: results stay in memory until they are saved
_INSPECTED: tuple[JobKind, JobKind] = ("spectrum", "features")
_MOST_TOLD = 3  # files that a message names


class Controller(QObject):
    """Joins the session to its workers and answers the window's wishes.

    Parameters
    ----------
    settings : as they were at the last closing.

    Signals
    -------
    message(object) : a `Message` for the user.
    estimate_changed(str, str) : what the next run will cost: in short, and network by network.
    options_changed(object) : the `UpscaleOptions` that are in force.
    files_wished(object) : networks shall run whose results go to files: pairs of `ImageId` and reference.
    stopped : everything has ended; the window may go.

    Attributes
    ----------
    session, bridge, background, worker, loads, runs, measuring, panes, exports, weights, truths, seams : the
        parts.
    spectra, block_spectra, attributions, features, maps, specs : those that look inside networks.
    settings : those in force.
    """

    message = Signal(object)
    estimate_changed = Signal(str, str)
    options_changed = Signal(object)
    files_wished = Signal(object)
    stopped = Signal()

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.settings = settings
        self.bridge = Bridge(self)
        self.session = Session(self.bridge.listener, history=History(settings.history))
        self.background = Background(self)
        self.worker = WorkerThread(self)
        self.loads = Loads(self.session, self.bridge, self.background, self)
        self.runs = Runs(
            self.session, self.bridge, self.worker, self.loads, lambda: self.settings.options, self
        )
        self.measuring = Measuring(self.session, self.bridge, self.background, self)
        self.maps = FeatureMaps(self.session, self.bridge, self.background, self)
        self.panes = Panes(self.session, self.bridge, self.background, self.maps, self)
        self.exports = Exports(self.session, self.background, self.maps, self)
        self.specs = ModelSpecs(self.worker, self)
        self.spectra = Spectra(self.session, self.bridge, self.background, self)
        self.block_spectra, self.features = (
            Inspection(kind, self.session, self.bridge, self.runs, lambda: self.settings.options, self)
            for kind in _INSPECTED
        )
        self.attributions = Attributions(
            self.session, self.bridge, self.runs, lambda: self.settings.options, self
        )
        self.weights = WeightsKeeper(self.session, self.worker, self.background, self)
        self.truths = Truths(self.session, lambda: self.settings.options, self)
        self.seams = SeamChecks(self.session, self.runs, lambda: self.settings.options, self)
        self._stopping = False
        self._as_truth = False
        self._estimating = QTimer(self, singleShot=True, interval=0)
        self._estimating.timeout.connect(self._tell_estimate)
        self._connect()
        self._offer()

    def _connect(self) -> None:
        bridge = self.bridge
        for signal in (
            bridge.current_changed,
            bridge.ticked_changed,
            bridge.images_changed,
            bridge.job_changed,
            bridge.reference_changed,
        ):
            signal.connect(lambda _: self._estimating.start())
        self.loads.taken.connect(self._after_intake)
        self.loads.session_opened.connect(self._after_opening)
        self.loads.failed.connect(self._tell_error)
        self.runs.failed.connect(self._tell_failed_job)
        self.runs.idle.connect(self._maybe_stopped)
        self.measuring.nothing_found.connect(self._tell_note)
        self.exports.saved.connect(self._tell_saved)
        self.exports.failed.connect(self._tell_error)
        self.weights.failed.connect(self._tell_error)
        self.weights.noted.connect(self._tell_note)
        self.truths.failed.connect(self._tell_error)
        self.truths.noted.connect(self._tell_note)
        self.panes.faulted.connect(self._tell_error)
        self.panes.whole_seen.connect(self.loads.take_thumbnail)
        self.runs.written.connect(lambda path: self._tell_saved((path,), ()))

    def _offer(self) -> None:
        """Put the networks into the session, and tick those of the last time, or the first ones."""
        try:
            rows = offered()
        except ManifestError as error:
            rows, reason = (), str(error)
            QTimer.singleShot(0, self, lambda: self._tell_error(reason))
        self.session.offer(rows)
        ticked = self.settings.ticked
        self.session.document.tick(default_ticked(rows) if ticked is None else ticked)
        for reference in self.session.document.ticked:
            self.weights_row(reference)
        self.session.document.remember([Path(path) for path in self.settings.recent])

    def weights_row(self, reference: str) -> None:
        """Have a row for a ticked checkpoint of which only the path is known."""
        from srviewer.app.model_facts import is_checkpoint
        from srviewer.session.catalogue import checkpoint_row

        known = any(row.reference == reference for row in self.session.models)
        if is_checkpoint(reference) and not known:
            self.session.describe_model(checkpoint_row(Path(reference)))

    # Idle and stopping

    @property
    def is_idle(self) -> bool:
        """Whether nothing is read, run, measured or drawn any more."""
        return (
            self.runs.is_idle
            and self.loads.is_idle
            and self.measuring.is_idle
            and self.panes.is_idle
            and self.spectra.is_idle
            and self.block_spectra.is_idle
            and self.features.is_idle
            and self.attributions.is_idle
            and self.background.is_idle
        )

    @property
    def is_busy(self) -> bool:
        """Whether jobs run or wait."""
        return not self.runs.is_idle

    def cancel_and_stop(self) -> None:
        """Cancel all jobs; `stopped` is told as soon as the running one has stopped."""
        self._stopping = True
        self.session.queue.cancel_all()
        QTimer.singleShot(0, self, self._maybe_stopped)

    def _maybe_stopped(self) -> None:
        if self._stopping and self.runs.is_idle:
            self._stopping = False
            self.stopped.emit()

    def close(self) -> None:
        """End all threads; nothing is told any more."""
        self._estimating.stop()
        self.spectra.stop()
        self.block_spectra.stop()
        self.features.stop()
        self.attributions.stop()
        self.runs.stop()
        self.weights.stop()
        self.background.stop()
        self.worker.stop()
        self.exports.close()
        self.session.document.close_files()

    # Bringing in

    def open(self, paths: Iterable[Path], *, as_truth: bool = False) -> None:
        """Open what is behind paths; `as_truth` uses the images as ground truth."""
        self._as_truth = as_truth
        self.loads.take(paths)

    def paste(self, image: QImage) -> None:
        """Open a picture from the clipboard."""
        pasted = self.loads.paste(image)
        if self.settings.run_on_drop:
            self.session.run(self.settings.options, [pasted])

    def _after_intake(self, intake: Intake, images: Sequence[ImageId]) -> None:
        self.weights.open_checkpoints(intake.checkpoints)
        if intake.ignored:
            shown = "; ".join(str(one) for one in intake.ignored[:_MOST_TOLD])
            more = len(intake.ignored) - _MOST_TOLD
            rest = f"; and {plural(more, 'more')}" if more > 0 else ""
            self.message.emit(Message(f"Left aside: {shown}{rest}.", "warning", key="ignored"))
        if intake.pairs:
            pairs = plural(len(intake.pairs), "pair")
            self._tell_note(f"{pairs} of HR and LR recognised by name: results are measured against HR.")
        if self._as_truth:
            self._as_truth = False
            for image in images:
                self.evaluate(image)
        elif self.settings.run_on_drop:
            self._run_what_came(images)

    def _run_what_came(self, images: Sequence[ImageId]) -> None:
        """Run the ticked networks on images that were opened; on very many only if the user agrees."""
        if len(images) > _MOST_AT_ONCE:
            run_all = MessageAction("Run all", self.runs.run)
            self.message.emit(
                Message(f"{len(images)} images were opened.", "note", (run_all,), key="many images")
            )
            return
        self.session.run(self.settings.options, images)
        self._tell_of_files(images)

    def _tell_of_files(self, images: Sequence[ImageId]) -> None:
        """Say why nothing was run where results go to files, and offer to ask where to."""
        document, wanted = self.session.document, self.session.lacking_files(images)
        left = [image for image in images if document.entry(image).by_region]
        if left:
            first = document.entry(left[0])
            stay = f"{first.name} is {first.size}: it is shown from its file, and results of it go to files."
            if len(left) > 1:
                stay = f"{len(left)} images are shown from their files, and results of them go to files."
        elif wanted:
            stay = "Results that do not fit into memory go to files."
        else:
            return
        run = MessageAction("Run to files…", partial(self._ask_for_files, tuple(images)))
        self.message.emit(Message(stay, "note", (run,) if wanted else (), key="to files"))

    def _ask_for_files(self, images: Sequence[ImageId]) -> None:
        still_open = [image for image in images if image in self.session.document]
        self.files_wished.emit(self.session.lacking_files(still_open))

    def _after_opening(self, opened: OpenedSession) -> None:
        for reference in opened.record.ticked:
            self.weights_row(reference)
        if opened.missing:
            names = ", ".join(str(path) for path in opened.missing[:_MOST_TOLD])
            self.message.emit(
                Message(
                    f"{plural(len(opened.missing), 'file')} of the session not found: {names}.", "warning"
                )
            )
        if self.settings.run_on_drop:
            self._run_what_came([entry.id for entry in self.session.document.images])

    # Ground truth

    def evaluate(self, image: ImageId) -> None:
        """Use an image as ground truth, and run the ticked networks and bicubic on its reduction."""
        self.truths.evaluate(image)

    def set_truth(self, image: ImageId, path: Path) -> None:
        """Take a file as an image's ground truth, if their sizes fit, and measure against it."""
        self.truths.set_truth(image, path)

    def clear_truth(self, image: ImageId) -> None:
        """Have no ground truth for an image any more."""
        self.session.document.clear_ground_truth(image)

    # Settings

    def set_options(self, options: UpscaleOptions) -> None:
        """Run networks this way from now on."""
        if options != self.settings.options:
            self.settings = dataclasses.replace(self.settings, options=options)
            self.options_changed.emit(options)
            self._estimating.start()

    def choose_device(self, device: str) -> None:
        """Run networks on this device from now on."""
        self.set_options(dataclasses.replace(self.settings.options, device=device))

    def choose_precision(self, precision: PrecisionChoice) -> None:
        """Run networks in this precision from now on."""
        self.set_options(dataclasses.replace(self.settings.options, precision=precision))

    def remembered(self) -> Settings:
        """Return the settings with what the session adds to them."""
        document = self.session.document
        return dataclasses.replace(
            self.settings,
            ticked=document.ticked,
            recent=tuple(str(path.absolute()) for path in document.recent),
            history=self.session.history.measurements,
        )

    # Telling

    def _tell_estimate(self) -> None:
        document = self.session.document
        current = document.current
        if current is None:
            self.estimate_changed.emit("", "")
            return
        lines: list[str] = []
        found: list[Estimate] = []
        for model in document.ticked:
            if document.result(current.id, model) is not None:
                continue
            one = self.session.estimate(current.id, model, self.settings.options)
            if one is not None:
                found.append(one)
                lines.append(f"{self.session.title_of(model)}: {estimate_words([one])}")
        self.estimate_changed.emit(estimate_words(found), "\n".join(lines))

    def _tell_failed_job(self, job: Job) -> None:
        document = self.session.document
        if job.image in document and document.entry(job.image).state == "failed":
            self.session.queue.cancel_image(job.image)  # all would fail alike; reading it has told why
            return
        if self.weights.is_broken(job.model):
            return  # told once for all jobs
        name = document.entry(job.image).name if job.image in document else "the image"
        title = self.session.title_of(job.model)
        actions = [MessageAction("Try again", lambda: self.runs.retry(job.id))]
        row = next((row for row in self.session.models if row.reference == job.model), None)
        if row is not None and row.state == "gettable":
            actions.insert(0, MessageAction("Get weights", lambda: self.weights.get(row.reference)))
        self.message.emit(
            Message(f"{title} on {name}: {job.error}", "error", tuple(actions), key=f"job {job.id}")
        )

    def _tell_saved(self, paths: Sequence[Path], notes: Sequence[str]) -> None:
        from srviewer.app.desktop import reveal

        what = str(paths[0]) if len(paths) == 1 else f"{len(paths)} files in {paths[0].parent}"
        remarks = "".join(f" {note[:1].upper()}{note[1:]}." for note in notes)
        show = MessageAction("Show in folder", lambda: reveal(paths[0]))
        self.message.emit(Message(f"Saved {what}.{remarks}", "note", (show,), key="saved"))

    def _tell_error(self, text: str) -> None:
        _log.warning("%s", text)
        self.message.emit(Message(text))

    def _tell_note(self, text: str) -> None:
        self.message.emit(Message(text, "note"))


def estimate_words(estimates: Sequence[Estimate]) -> str:
    """Return what several runs, one after the other, will give and cost in one line."""
    if not estimates:
        return ""
    sizes = list(dict.fromkeys(str(one.output) for one in estimates))
    parts = ["next: " + " and ".join(sizes[:2]) + ("…" if len(sizes) > 2 else "")]
    seconds = [one.seconds for one in estimates if one.seconds is not None]
    if seconds:
        about = "about" if len(seconds) == len(estimates) else "at least"
        parts.append(f"{about} {duration_text(sum(seconds))}")
    memory = [one.memory_bytes for one in estimates if one.memory_bytes is not None]
    if memory:
        parts.append(f"needs about {bytes_text(max(memory))}")
    else:
        parts.append(f"results {bytes_text(sum(one.result_bytes for one in estimates))}")
    return " · ".join(parts)
