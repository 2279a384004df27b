"""The networks of the session and their jobs: which there are, what is queued, begun and finished."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from srviewer.engine.request import FinishedTile, Progress, UpscaleOptions, UpscaleResult
from srviewer.imaging.image import Image
from srviewer.session.catalogue import ModelRow, known_scale, known_title
from srviewer.session.document import Document
from srviewer.session.entries import ImageId, ResultFacts
from srviewer.session.estimate import Estimate, History, Measurement, workload_of
from srviewer.session.events import JobId, NoEvents, Relay, SessionEvents
from srviewer.session.orders import LoadOrder
from srviewer.session.pixel_store import MemoryBudget
from srviewer.session.queue import Job, Queue
from srviewer.session.regions import fits_memory

Focus = tuple[float, float, float, float]
"""What the panes show: left, top, right, bottom in 0..1."""


@dataclass(frozen=True, eq=False)
class WorkOrder:
    """One job for the worker.

    Attributes
    ----------
    job : what to do.
    picture : the networks' input; None if it has to be made first, by `load`, or stays in its file.
    load : how to make it; None if `picture` is there, or nobody needs it.
    focus : its tiles come first; None if another image is shown.
    path : the input's file, for a job whose result goes to a file; None otherwise.
    """

    job: Job
    picture: Image | None
    load: LoadOrder | None
    focus: Focus | None
    path: Path | None = None


class RunningSession(NoEvents):
    """The part of the session that runs networks.

    Parameters
    ----------
    events : who hears of changes. When a change moves something else (another image, another viewport), all
        of it has happened before the first event is told.
    budget : how much memory decoded pictures may take.
    history : earlier runs, for estimates.

    Attributes
    ----------
    document, queue, history : its parts. What they offer to users is called on them, unless there is a method
        here.
    """

    def __init__(
        self,
        events: SessionEvents | None = None,
        *,
        budget: MemoryBudget | None = None,
        history: History | None = None,
    ) -> None:
        self._events: SessionEvents = NoEvents() if events is None else events
        relay = Relay(first=self, then=self._events)
        self.document = Document(relay, budget)
        self.queue = Queue(relay)
        self.history = History() if history is None else history
        self._models: dict[str, ModelRow] = {}

    # Networks

    @property
    def models(self) -> tuple[ModelRow, ...]:
        """The rows of the list of models."""
        return tuple(self._models.values())

    def offer(self, rows: Iterable[ModelRow]) -> None:
        """Take the rows that the zoo offers now; checkpoints that were loaded by hand stay below them."""
        fresh = {row.reference: row for row in rows}
        ids = {row.reference for row in fresh.values()}
        by_hand = {
            ref: row
            for ref, row in self._models.items()
            if ref not in ids and row.state in ("yours", "broken")
        }
        self._models = {**fresh, **by_hand}
        self._settle()

    def describe_model(self, row: ModelRow) -> None:
        """Take what is known of a network by now: a checkpoint was read, or turned out to be none."""
        self._models[row.reference] = row
        active = self.queue.active
        if active is not None and active.model == row.reference and not active.cancelling:
            partial = self.document.partial(active.image, active.model)
            if partial is not None and partial.size is None:
                to_file = active.output is not None
                self.document.begin_result(active.image, active.model, row.scale, to_file=to_file)
        self._settle()

    def scale_of(self, model: str) -> int | None:
        """Return a network's scale; None for a checkpoint that was not read yet."""
        return known_scale(model, self.models)

    def title_of(self, model: str) -> str:
        """Return what users call a network."""
        return known_title(model, self.models)

    def truth_scale(self) -> int:
        """Return the scale at which an image is used as ground truth: that of most ticked networks, else
        4.
        """
        scales = [scale for scale in map(self.scale_of, self.document.ticked) if scale is not None]
        return max(set(scales), key=lambda scale: (scales.count(scale), scale)) if scales else 4

    def base_line(self, image: ImageId) -> str:
        """Return the network that deltas are taken against: bicubic at the scale of the image's ground
        truth.
        """
        reference = self.document.entry(image).reference
        return f"bicubic_x{self.truth_scale() if reference is None else reference.scale}"

    # Running

    def lacking(
        self, images: Sequence[ImageId] | None = None, *, again: bool = False
    ) -> tuple[tuple[ImageId, str], ...]:
        """Return each image with each ticked network that it has no result of, and that is not queued.

        Parameters
        ----------
        images : which images; all by default, the one that is shown first.
        again : whether networks that have a result count as well.
        """
        if images is None:
            current = self.document.current
            others = [entry.id for entry in self.document.images if entry != current]
            images = others if current is None else [current.id, *others]
        return tuple(
            (image, model)
            for image in images
            if self.document.entry(image).state != "failed"
            for model in self.document.ticked
            if (again or self.document.result(image, model) is None)
            and self.queue.pending("upscale", image, model) is None
        )

    def lacking_files(
        self, images: Sequence[ImageId] | None = None, *, again: bool = False
    ) -> tuple[tuple[ImageId, str], ...]:
        """Return those of `lacking` whose results have to go to files."""
        return tuple(pair for pair in self.lacking(images, again=again) if self.goes_to_file(*pair))

    def goes_to_file(self, image: ImageId, model: str) -> bool:
        """Return whether a network's result of an image is written to a file as it is made.

        That is so if the image stays in its file, or if the result would not fit into memory and there is a
        file to make it from.
        """
        entry, scale = self.document.entry(image), self.scale_of(model)
        if entry.by_region:
            return True
        if entry.size is None or entry.bits is None or scale is None:
            return False
        if entry.path is None or entry.input_size != entry.size:  # pasted, or reduced in memory
            return False
        return not fits_memory(entry.size.times(scale), entry.bits)

    def run(
        self, options: UpscaleOptions, images: Sequence[ImageId] | None = None, *, again: bool = False
    ) -> tuple[JobId, ...]:
        """Queue every ticked network for every image that it has no result of.

        Results that go to files are left out: `lacking_files` names them, `run_to_file` makes them.

        Parameters
        ----------
        options : how to run.
        images, again : as of `lacking`.
        """
        return tuple(
            self.queue.add("upscale", image, model, options)
            for image, model in self.lacking(images, again=again)
            if not self.goes_to_file(image, model)
        )

    def run_to_file(self, image: ImageId, model: str, options: UpscaleOptions, output: Path) -> JobId:
        """Queue a network for an image; the result is written to `output` as it is made, and shown from
        there.
        """
        return self.queue.add("upscale", image, model, options, output=output)

    def estimate(self, image: ImageId, model: str, options: UpscaleOptions) -> Estimate | None:
        """Return what a run would give and cost; None while the image's size or the network's scale is not
        known.
        """
        entry, scale = self.document.entry(image), self.scale_of(model)
        row = self._models.get(model)
        if entry.input_size is None or entry.bits is None or scale is None:
            return None
        workload = row.workload if row is not None and row.workload is not None else workload_of(model, scale)
        return self.history.estimate(workload, entry.input_size, entry.bits, options)

    def begin_next(self) -> WorkOrder | None:
        """Begin the next job; None while one is active or nothing waits."""
        following = self.queue.next()
        if following is None:
            return None
        job = self.queue.started(following.id)
        if job.kind == "upscale":
            scale, to_file = self.scale_of(job.model), job.output is not None
            self.document.begin_result(job.image, job.model, scale, to_file=to_file)
        focus = self._focus_on(job.image)
        if job.output is not None:
            return WorkOrder(job, None, None, focus, self.document.entry(job.image).path)
        picture = self.document.pixels(job.image, "input")
        load = None if picture is not None else self.document.load_order(job.image, "input")
        return WorkOrder(job, picture, load, focus)

    def job_progressed(self, job: JobId, progress: Progress) -> None:
        """Take how far the active job is."""
        self.queue.progressed(job, progress)

    def job_tile(self, job: JobId, tile: FinishedTile) -> None:
        """Take a tile of the active job; one that was asked to stop gives none any more."""
        active = self.queue.job(job)
        if not active.cancelling:
            self.document.add_tile(active.image, active.model, tile)

    def job_done(self, job: JobId, result: UpscaleResult | None = None) -> None:
        """Take the end of the active job: its result counts unless the job was asked to stop."""
        ended = self.queue.job(job)
        facts = None if result is None else ResultFacts.of(result)
        if result is not None and facts is not None and not ended.cancelling:
            self.document.finish_result(ended.image, ended.model, result, ended.options)
            self._learn(ended, facts, in_memory=True)
        elif ended.kind == "upscale":
            self.document.abandon_result(ended.image, ended.model)
        self.queue.done(job, facts)
        self._forget_orphan(job)

    def job_streamed(self, job: JobId, facts: ResultFacts, path: Path) -> None:
        """Take the end of the active job, whose result is in the file `path`.

        The file is whole, so that it counts even if the job was asked to stop meanwhile: it is not removed.
        """
        ended = self.queue.job(job)
        self.document.finish_streamed(ended.image, ended.model, facts, path, ended.options)
        self._learn(ended, facts, in_memory=False)
        self.queue.done(job, facts)
        self._forget_orphan(job)

    def job_failed(self, job: JobId, error: str) -> None:
        """Take why the active job failed; its tiles go."""
        ended = self.queue.job(job)
        if ended.kind == "upscale":
            self.document.abandon_result(ended.image, ended.model)
        self.queue.failed_with(job, error)
        self._forget_orphan(job)

    def job_cancelled(self, job: JobId) -> None:
        """Take that the active job has stopped; its tiles go."""
        ended = self.queue.job(job)
        if ended.kind == "upscale":
            self.document.abandon_result(ended.image, ended.model)
        self.queue.stopped(job)
        self._forget_orphan(job)

    # What a whole session knows better

    def _settle(self) -> None:
        """Bring everything else in line with the networks."""

    def _focus_on(self, image: ImageId) -> Focus | None:
        """Return what the panes show of an image."""
        del image
        return None

    # Inside

    def _learn(self, job: Job, facts: ResultFacts, *, in_memory: bool) -> None:
        """Let later estimates profit from a run."""
        row = self._models.get(job.model)
        known = row.workload if row is not None else None
        workload = known or workload_of(job.model, facts.scale)
        self.history.add(Measurement.of(workload, job.options, facts, in_memory=in_memory))

    def _forget_orphan(self, job: JobId) -> None:
        """Take a job out of the queue whose image was closed while it ran: it could not be tried again."""
        if self.queue.job(job).image not in self.document:
            self.queue.remove(job)
