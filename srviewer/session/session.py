"""The session as a whole: documents, queue and view, and how a change of one moves the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from srviewer.engine.request import FinishedTile, Progress, UpscaleOptions, UpscaleResult
from srviewer.imaging.image import Image
from srviewer.session.catalogue import ModelRow, checkpoint_row, known_scale, known_title
from srviewer.session.comparison import Comparison, Pane, PaneKind, comparison_panes
from srviewer.session.document import Document
from srviewer.session.entries import GivenReference, ImageId, MadeReference, ResultFacts
from srviewer.session.estimate import Estimate, History, Measurement, workload_of
from srviewer.session.events import (
    ComparisonChanged,
    CurrentChanged,
    ImagesChanged,
    JobId,
    MapsChanged,
    NoEvents,
    ReferenceChanged,
    Relay,
    SelectionChanged,
    SessionEvents,
    TickedChanged,
    ViewportChanged,
)
from srviewer.session.geometry import PixelRect, Size
from srviewer.session.orders import LoadOrder
from srviewer.session.pixel_store import MemoryBudget
from srviewer.session.queue import Job, Queue
from srviewer.session.scores import ScoreOrder
from srviewer.session.selection import Selection
from srviewer.session.sessionfile import OpenedSession, SavedImage, SavedView, SessionRecord
from srviewer.session.viewport import Viewport, reference_size

if TYPE_CHECKING:  # types only: the window opens before the image libraries behind these are loaded
    from srviewer.session.disagreement import Place
    from srviewer.session.intake import Intake

_FIRST_PANE = Size(640, 480)  # until the canvas says how large its panes are


@dataclass(frozen=True, eq=False)
class WorkOrder:
    """One job for the worker.

    Attributes
    ----------
    job : what to do.
    picture : the networks' input; None if it has to be made first, by `load`.
    load : how to make it; None if `picture` is there.
    focus : what the panes show, left, top, right, bottom in 0..1: its tiles come first; None if another image
        is shown.
    """

    job: Job
    picture: Image | None
    load: LoadOrder | None
    focus: tuple[float, float, float, float] | None


class Session(NoEvents):
    """Everything that the window shows; changed on one thread only.

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
        self._selections: dict[ImageId, Selection] = {}
        self._maps: dict[ImageId, tuple[str, ...]] = {}
        self._comparison = Comparison()
        self._viewport: Viewport | None = None
        self._viewed: ImageId | None = None
        self._pane = _FIRST_PANE
        self._wanted_view: SavedView | None = None

    # Bringing in

    def take(self, intake: Intake) -> tuple[ImageId, ...]:
        """Add what was dropped: images (the first new one is shown), ground truths of pairs, checkpoints
        (ticked).
        """
        before = {entry.id for entry in self.document.images}
        ids = self.document.add_files(image.path for image in intake.images)
        by_path = {entry.path: entry.id for entry in self.document.images}
        for image in intake.images:
            if image.path in by_path:
                self.document.described(by_path[image.path], image.size, image.bits)
        for pair in intake.pairs:
            entry = self.document.entry(by_path[pair.lr]) if pair.lr in by_path else None
            if entry is not None and entry.reference is None:
                self.document.set_ground_truth(entry.id, pair.hr, pair.scale)
        for path in intake.checkpoints:
            row = checkpoint_row(path.absolute())
            self._models.setdefault(row.reference, row)
            self.document.set_ticked(row.reference, ticked=True)
        new = [image for image in ids if image not in before]
        if ids:
            self.document.select((new or list(ids))[0])
        return ids

    def close_image(self, image: ImageId) -> None:
        """Close an image: its jobs go, and one that runs is asked to stop."""
        self.queue.cancel_image(image)
        for job in self.queue.jobs:
            if job.image == image and not job.active:
                self.queue.remove(job.id)
        self.document.close(image)

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
                self.document.begin_result(active.image, active.model, row.scale)
        self._settle()

    def scale_of(self, model: str) -> int | None:
        """Return a network's scale; None for a checkpoint that was not read yet."""
        return known_scale(model, self.models)

    def title_of(self, model: str) -> str:
        """Return what users call a network."""
        return known_title(model, self.models)

    def pane_title(self, pane: Pane) -> str:
        """Return what users call a pane."""
        match pane.kind:
            case PaneKind.INPUT:
                return "Input"
            case PaneKind.TRUTH:
                return "Ground truth"
            case PaneKind.RESULT:
                return self.title_of(pane.model)
            case PaneKind.MAP:
                return pane.model

    def picture_in(self, image: ImageId, pane: Pane) -> Image | None:
        """Return the picture of an image that stands in a pane; None if it is not in memory, or for a map."""
        match pane.kind:
            case PaneKind.INPUT:
                return self.document.pixels(image, "input")
            case PaneKind.TRUTH:
                return self.document.pixels(image, "truth")
            case PaneKind.RESULT:
                return self.document.pixels(image, "result", pane.model)
            case PaneKind.MAP:
                return None

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

    def run(
        self, options: UpscaleOptions, images: Sequence[ImageId] | None = None, *, again: bool = False
    ) -> tuple[JobId, ...]:
        """Queue every ticked network for every image that it has no result of.

        Parameters
        ----------
        options : how to run.
        images : which images; all by default, the one that is shown first.
        again : whether networks that have a result run again.
        """
        if images is None:
            current = self.document.current
            others = [entry.id for entry in self.document.images if entry != current]
            images = others if current is None else [current.id, *others]
        jobs: list[JobId] = []
        for image in images:
            if self.document.entry(image).state == "failed":
                continue
            for model in self.document.ticked:
                known = self.document.result(image, model) is not None and not again
                if not known and self.queue.pending("upscale", image, model) is None:
                    jobs.append(self.queue.add("upscale", image, model, options))
        return tuple(jobs)

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
            self.document.begin_result(job.image, job.model, self.scale_of(job.model))
        picture = self.document.pixels(job.image, "input")
        load = None if picture is not None else self.document.load_order(job.image, "input")
        shown = self.document.current is not None and self.document.current.id == job.image
        focus = self._viewport.visible().as_tuple() if shown and self._viewport is not None else None
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
        wanted = not ended.cancelling
        if wanted and result is not None:
            self.document.finish_result(ended.image, ended.model, result)
            row = self._models.get(ended.model)
            known = row.workload if row is not None else None
            self.history.add(
                Measurement.of(known or workload_of(ended.model, result.scale), ended.options, result)
            )
        elif ended.kind == "upscale":
            self.document.abandon_result(ended.image, ended.model)
        self.queue.done(job, None if result is None else ResultFacts.of(result))
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

    def score_orders(self) -> tuple[ScoreOrder, ...]:
        """Return what has to be measured for the image that is shown: each result as a whole and on the
        selection.
        """
        current = self.document.current
        if current is None:
            return ()
        regions: list[PixelRect | None] = [None]
        selection = self.selection
        if selection is not None:
            regions.append(selection.pixels)
        models = [*self.document.ticked]
        base = self.base_line(current.id)
        if base not in models:
            models.append(base)
        orders = [
            self.document.score_order(current.id, model, region) for region in regions for model in models
        ]
        return tuple(order for order in orders if order is not None)

    # Looking

    @property
    def panes(self) -> tuple[Pane, ...]:
        """The panes from left to right; none without an image."""
        current = self.document.current
        if current is None:
            return ()
        return comparison_panes(
            self.document.ticked, has_truth=current.reference is not None, maps=self.maps_of(current.id)
        )

    @property
    def viewport(self) -> Viewport | None:
        """What the panes show; None without an image whose size is known."""
        return self._viewport

    @property
    def comparison(self) -> Comparison:
        """How the panes are compared."""
        return self._comparison

    @property
    def selection(self) -> Selection | None:
        """The selected region of the image that is shown."""
        current = self.document.current
        return None if current is None else self._selections.get(current.id)

    def look(self, viewport: Viewport) -> None:
        """Show another part of the image: one of the viewport's own changes."""
        if viewport != self._viewport:
            self._viewport = viewport
            self._events.viewport_changed(ViewportChanged(viewport))

    def look_at(self, place: Place) -> None:
        """Bring a place into view."""
        if self._viewport is not None:
            self.look(self._viewport.framed(place.area))

    def resize_panes(self, pane: Size) -> None:
        """Take the size of the panes, in physical screen pixels."""
        self._pane = pane
        if self._viewport is not None:
            self.look(self._viewport.with_pane(pane))

    def compare(self, comparison: Comparison) -> None:
        """Compare the panes otherwise; panes that do not exist are replaced by such that do."""
        comparison = comparison.settled(self.panes)
        if comparison != self._comparison:
            self._comparison = comparison
            self._events.comparison_changed(ComparisonChanged(comparison))

    def select_region(self, selection: Selection | None) -> None:
        """Select a region of the image that is shown (None: nothing); numbers of the region before are
        forgotten.
        """
        current = self.document.current
        if current is None or selection == self._selections.get(current.id):
            return
        if selection is None:
            del self._selections[current.id]
        else:
            self._selections[current.id] = selection
        self.document.keep_scores_of(current.id, None if selection is None else selection.pixels)
        self._events.selection_changed(SelectionChanged(current.id, selection))

    # Maps: features that were sent to the canvas

    def maps_of(self, image: ImageId) -> tuple[str, ...]:
        """Return the names of the maps of an image that have panes, in their order."""
        return self._maps.get(image, ())

    def show_map(self, image: ImageId, name: str) -> None:
        """Give a map of an image a pane of its own, as the last; its picture is somebody else's matter."""
        if image in self.document and name not in self.maps_of(image):
            self._set_maps(image, (*self.maps_of(image), name))

    def hide_maps(self, image: ImageId, name: str | None = None) -> None:
        """Take a map's pane away, or those of all maps of an image."""
        kept = () if name is None else tuple(one for one in self.maps_of(image) if one != name)
        if kept != self.maps_of(image):
            self._set_maps(image, kept)

    def _set_maps(self, image: ImageId, maps: tuple[str, ...]) -> None:
        self._maps[image] = maps
        self._settle()
        self._events.maps_changed(MapsChanged(image, maps))

    # Session files

    def record(self) -> SessionRecord:
        """Return what a session file remembers; images that no file holds are not among it."""
        entries = [entry for entry in self.document.images if entry.path is not None]
        current = self.document.current
        view = self._viewport
        images = []
        for entry in entries:
            assert entry.path is not None
            selection = self._selections.get(entry.id)
            images.append(
                SavedImage(entry.path, entry.reference, None if selection is None else selection.pixels)
            )
        return SessionRecord(
            tuple(images),
            entries.index(current) if current in entries else None,
            self.document.ticked,
            SavedView() if view is None else SavedView(view.centre, view.zoom, view.fitted),
            replace(self._comparison.settled(self._lasting_panes), flipped=False),
        )

    def restore(self, opened: OpenedSession, sizes: Sequence[Size | None]) -> None:
        """Put a session file's content in place of what is open.

        Parameters
        ----------
        opened : the file's content.
        sizes : of the images' files, in the record's order, by their headers; None where one cannot be read.
        """
        record = opened.record
        for entry in self.document.images:
            self.close_image(entry.id)
        self.document.tick(record.ticked)
        restored = [
            self._restored_image(image, size) for image, size in zip(record.images, sizes, strict=True)
        ]
        if record.current is not None:
            self.document.select(restored[record.current])
        self._wanted_view = record.view
        viewport = self._viewport
        if viewport is not None:
            self.look(self._first_viewport(viewport.reference))
        self.compare(record.comparison)

    # What one change means for the rest: called before anybody else hears of it

    def images_changed(self, event: ImagesChanged, /) -> None:
        """Forget the selections of closed images; a size that became known makes a viewport."""
        if event.change == "removed":
            for image in event.images:
                self._selections.pop(image, None)
                self._maps.pop(image, None)
        self._settle()

    def current_changed(self, event: CurrentChanged, /) -> None:
        """Show the image that is current now."""
        self._settle()

    def ticked_changed(self, event: TickedChanged, /) -> None:
        """Arrange the panes of the networks that are ticked now."""
        self._settle()

    def reference_changed(self, event: ReferenceChanged, /) -> None:
        """Stop what was made of another input, drop a selection of other pixels, and arrange the panes."""
        if event.input_changed:
            self.queue.cancel_image(event.image)
            if self._selections.pop(event.image, None) is not None:
                self._events.selection_changed(SelectionChanged(event.image, None))
            self.hide_maps(event.image)
        self._settle()

    @property
    def _lasting_panes(self) -> tuple[Pane, ...]:
        """The panes that a session file can bring back."""
        return tuple(pane for pane in self.panes if pane.kind is not PaneKind.MAP)

    def _settle(self) -> None:
        """Bring the viewport and the choice of panes in line with the image and the networks."""
        current = self.document.current
        lr = None if current is None else current.input_size
        before, viewport = self._viewport, self._viewport
        if current is None or lr is None:
            viewport = None
        else:
            scales = tuple(scale for scale in map(self.scale_of, self.document.ticked) if scale is not None)
            reference = reference_size(lr, scales, current.truth_size)
            if viewport is None:
                viewport = self._first_viewport(reference)
            elif self._viewed != current.id:
                viewport = viewport.for_image(reference)
            elif viewport.reference != reference:
                viewport = viewport.with_reference(reference)
            self._viewed = current.id
        comparison = self._comparison.settled(self.panes)
        compared = comparison != self._comparison
        self._viewport, self._comparison = viewport, comparison
        if viewport != before:
            self._events.viewport_changed(ViewportChanged(viewport))
        if compared:
            self._events.comparison_changed(ComparisonChanged(comparison))

    def _restored_image(self, image: SavedImage, size: Size | None) -> ImageId:
        """Open an image of a session file, with its ground truth and its selection."""
        (restored,) = self.document.add_files([image.path])
        if size is not None:
            self.document.sized(restored, size)
        match image.reference:
            case MadeReference(scale):
                self.document.use_as_ground_truth(restored, scale)
            case GivenReference(path, scale):
                self.document.set_ground_truth(restored, path, scale)
            case None:
                pass
        lr = self.document.entry(restored).input_size
        if image.selection is not None and lr is not None and image.selection.within(lr):
            self._selections[restored] = Selection(lr, image.selection)
            self._events.selection_changed(SelectionChanged(restored, self._selections[restored]))
        return restored

    def _first_viewport(self, reference: Size) -> Viewport:
        """Return the first viewport: the one that a session file wants, or the whole image."""
        wanted, self._wanted_view = self._wanted_view, None
        if wanted is None or wanted.fitted:
            return Viewport.fitting(reference, self._pane)
        whole = Viewport(reference, self._pane)
        return whole.zoomed_to(wanted.zoom).centred_on(wanted.centre)

    def _forget_orphan(self, job: JobId) -> None:
        """Take a job out of the queue whose image was closed while it ran: it could not be tried again."""
        if self.queue.job(job).image not in self.document:
            self.queue.remove(job)
