"""The session as a whole: documents, queue and view, and how a change of one moves the others."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from srviewer.imaging.image import Image
from srviewer.session.catalogue import checkpoint_row
from srviewer.session.comparison import INPUT_PANE, Comparison, Pane, PaneKind, comparison_panes
from srviewer.session.entries import GivenReference, ImageId, MadeReference
from srviewer.session.estimate import History
from srviewer.session.events import (
    ComparisonChanged,
    CurrentChanged,
    ImagesChanged,
    JobChanged,
    MapsChanged,
    ReferenceChanged,
    ResultsChanged,
    SelectionChanged,
    SessionEvents,
    TickedChanged,
    ViewportChanged,
)
from srviewer.session.geometry import PixelRect, Size, covering
from srviewer.session.image_list import DocumentError
from srviewer.session.pixel_store import MemoryBudget, Role
from srviewer.session.regions import Readable
from srviewer.session.running import Focus, RunningSession
from srviewer.session.scores import ScoreOrder
from srviewer.session.selection import Selection
from srviewer.session.sessionfile import OpenedSession, SavedImage, SavedView, SessionRecord
from srviewer.session.viewport import Viewport, reference_size

if TYPE_CHECKING:  # types only: the window opens before the image libraries behind these are loaded
    from srviewer.session.disagreement import Place
    from srviewer.session.intake import Intake, ListedImage

_FIRST_PANE = Size(640, 480)  # until the canvas says how large its panes are
_ROLES: Mapping[PaneKind, Role] = {
    PaneKind.INPUT: "input",
    PaneKind.TRUTH: "truth",
    PaneKind.RESULT: "result",
}


class Session(RunningSession):
    """Everything that the window shows; changed on one thread only.

    Parameters
    ----------
    events, budget, history : as of `RunningSession`.
    """

    def __init__(
        self,
        events: SessionEvents | None = None,
        *,
        budget: MemoryBudget | None = None,
        history: History | None = None,
    ) -> None:
        super().__init__(events, budget=budget, history=history)
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
                self._describe(by_path[image.path], image)
        for pair in intake.pairs:
            entry = self.document.entry(by_path[pair.lr]) if pair.lr in by_path else None
            if entry is not None and entry.reference is None and not entry.by_region:
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
        panes = comparison_panes(
            self.compared, has_truth=current.reference is not None, maps=self.maps_of(current.id)
        )
        return (INPUT_PANE, *panes) if current.by_region and INPUT_PANE not in panes else panes

    @property
    def compared(self) -> tuple[str, ...]:
        """The networks that have panes: the ticked ones.

        Beside an image that stays in its file, whose results are not made unasked, only those of which there
        is a result or a job.
        """
        ticked, current = self.document.ticked, self.document.current
        if current is None or not current.by_region:
            return ticked
        jobs = {job.model for job in self.queue.jobs if (job.kind, job.image) == ("upscale", current.id)}
        return tuple(
            model for model in ticked if model in jobs or self.document.result(current.id, model) is not None
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
        role = _ROLES.get(pane.kind)
        return None if role is None else self.document.pixels(image, role, pane.model)

    def readable_in(self, image: ImageId, pane: Pane) -> Readable | None:
        """Return what parts of a pane's picture can be taken of: it is in memory, or its file is open."""
        role = _ROLES.get(pane.kind)
        if role is None:
            return None
        file = self.document.region_file(image, role, pane.model)
        return self.document.pixels(image, role, pane.model) if file is None else file

    @property
    def looked_at(self) -> PixelRect | None:
        """The part of the shown image, in the input's pixels, that is looked into; None is the whole.

        That is the selection; of an image that stays in its file it is else what the panes show of it.
        """
        selection, current = self.selection, self.document.current
        if selection is not None or current is None:
            return None if selection is None else selection.pixels
        if not current.by_region or current.input_size is None or self._viewport is None:
            return None
        return covering(self._viewport.visible(), current.input_size)

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

    def restore(self, opened: OpenedSession, headers: Sequence[ListedImage | None]) -> None:
        """Put a session file's content in place of what is open.

        Parameters
        ----------
        opened : the file's content.
        headers : of the images' files, in the record's order; None where one cannot be read.
        """
        record = opened.record
        for entry in self.document.images:
            self.close_image(entry.id)
        self.document.tick(record.ticked)
        restored = [
            self._restored_image(image, header) for image, header in zip(record.images, headers, strict=True)
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

    def job_changed(self, event: JobChanged, /) -> None:
        """Give panes to networks that were asked for."""
        if event.change != "changed":
            self._settle()

    def results_changed(self, event: ResultsChanged, /) -> None:
        """Arrange the panes of the results that are there now."""
        if event.change != "added":
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
            scales = tuple(scale for scale in map(self.scale_of, self.compared) if scale is not None)
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

    def _focus_on(self, image: ImageId) -> Focus | None:
        shown = self.document.current is not None and self.document.current.id == image
        return self._viewport.visible().as_tuple() if shown and self._viewport is not None else None

    def _describe(self, image: ImageId, header: ListedImage) -> None:
        self.document.described(image, header.size, header.bits, by_region=header.by_region)

    def _restored_image(self, image: SavedImage, header: ListedImage | None) -> ImageId:
        """Open an image of a session file, with its ground truth and its selection."""
        (restored,) = self.document.add_files([image.path])
        if header is not None:
            self._describe(restored, header)
        with contextlib.suppress(DocumentError):  # it has grown since: what does not fit any more is left out
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
