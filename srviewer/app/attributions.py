"""Attribution as the window does it: where, of which networks, how, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from srviewer.app.analysing import FoundAttribution
from srviewer.app.bridge import Bridge
from srviewer.app.map_overlay import MapOverlay
from srviewer.app.runs import Runs
from srviewer.engine.request import UpscaleOptions
from srviewer.session.analyses import AttributionOrder, window_around
from srviewer.session.comparison import Pane, PaneKind
from srviewer.session.entries import ImageId
from srviewer.session.events import ImagesChanged, JobChanged, ReferenceChanged
from srviewer.session.geometry import Point, Rect
from srviewer.session.queue import Job
from srviewer.session.session import Session

if TYPE_CHECKING:
    from srviewer.analysis.lam_objectives import Objective
    from srviewer.analysis.lam_paths import PathKind

AttributionLayer = Literal["map", "density"]
"""Which picture of an attribution is looked at."""

_MOST_FOUND = 24  # maps in memory; the oldest goes first


@dataclass(frozen=True, slots=True)
class AttributionChoice:
    """How windows are explained.

    Attributes
    ----------
    side : of the window, in pixels of the result; None for the selected region.
    objective : what of the window is explained.
    path : what is integrated along.
    steps : points on the path.
    """

    side: int | None = 16
    objective: Objective = "gradient"
    path: PathKind = "blur"
    steps: int = 50


@dataclass(frozen=True, eq=False)
class AttributionRow:
    """What is known of one network.

    Attributes
    ----------
    model, title : its reference, and what users call it.
    chosen : whether it runs next.
    job : its latest job for the shown image, whatever became of it; None if there is none.
    found : its latest map of the shown image; None if there is none.
    is_current : whether that map is of the window and in the way that are chosen now.
    """

    model: str
    title: str
    chosen: bool
    job: Job | None
    found: FoundAttribution | None
    is_current: bool


class Attributions(QObject):
    """Keeps the point, the choice and the maps of the session, and queues the jobs that make them.

    Signals
    -------
    changed : anything of what the properties say.
    overlays_changed(object, object) : what lies over the canvas: `MapOverlay` by `Pane`, and the window's
        `Rect` in whole-image coordinates or None.
    """

    changed = Signal()
    overlays_changed = Signal(object, object)

    def __init__(
        self,
        session: Session,
        bridge: Bridge,
        runs: Runs,
        options: Callable[[], UpscaleOptions],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._options = options
        self._points: dict[ImageId, Point] = {}
        self._found: dict[tuple[ImageId, str], FoundAttribution] = {}
        self._choice = AttributionChoice()
        self._left_out: set[str] = set()
        self._layer: AttributionLayer = "map"
        self._opacity = 0.8
        self._on_canvas = True
        self._watched = False
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._tell)
        runs.analysed.connect(self._take)
        bridge.job_changed.connect(self._follow)
        bridge.images_changed.connect(self._forget_closed)
        bridge.reference_changed.connect(self._forget_input)
        for signal in (bridge.current_changed, bridge.ticked_changed, bridge.selection_changed):
            signal.connect(lambda _: self._soon.start())

    # What there is

    @property
    def is_idle(self) -> bool:
        """Whether all changes have been told."""
        return not self._soon.isActive()

    @property
    def choice(self) -> AttributionChoice:
        """How windows are explained."""
        return self._choice

    @property
    def layer(self) -> AttributionLayer:
        """Which picture is looked at."""
        return self._layer

    @property
    def opacity(self) -> float:
        """Of maps over pictures, 0..1."""
        return self._opacity

    @property
    def is_on_canvas(self) -> bool:
        """Whether maps lie over the canvas."""
        return self._on_canvas

    @property
    def centre(self) -> Point | None:
        """The middle of the window: the picked point, else the middle of the selection."""
        current = self._session.document.current
        if current is None:
            return None
        selection = self._session.selection
        middle = None if selection is None else selection.area.centre
        return middle if self._choice.side is None else self._points.get(current.id, middle)

    @property
    def rows(self) -> tuple[AttributionRow, ...]:
        """The ticked networks, in order."""
        return tuple(self._row(model) for model in self._session.document.ticked)

    def order_for(self, model: str) -> AttributionOrder | None:
        """Return what would be asked of a network now; None while there is no window, or its scale is not
        known.
        """
        current, centre = self._session.document.current, self.centre
        scale = self._session.scale_of(model)
        if current is None or current.input_size is None or scale is None or centre is None:
            return None
        if current.by_region:
            return None  # networks look at images in memory
        choice, selection = self._choice, self._session.selection
        if choice.side is None:
            if selection is None:
                return None
            window = selection.at_scale(scale)
        else:
            window = window_around(centre, choice.side, current.input_size.times(scale))
        return AttributionOrder(window, choice.objective, choice.path, choice.steps)

    # What users do

    def pick(self, point: Point) -> None:
        """Explain the window about a point of the shown image."""
        current = self._session.document.current
        if current is not None:
            self._points[current.id] = point
            if self._choice.side is None:
                self._choice = replace(self._choice, side=16)
            self._tell()

    def choose(self, choice: AttributionChoice) -> None:
        """Explain windows this way from now on."""
        if choice != self._choice:
            self._choice = choice
            self._tell()

    def set_chosen(self, model: str, chosen: bool) -> None:
        """Have a network run with the next ones, or leave it out."""
        if chosen:
            self._left_out.discard(model)
        else:
            self._left_out.add(model)
        self._tell()

    def look(self, layer: AttributionLayer, opacity: float, *, on_canvas: bool) -> None:
        """Show map or density, this opaque, over the canvas or in the dock only."""
        self._layer, self._opacity, self._on_canvas = layer, opacity, on_canvas
        self._tell()

    def set_watched(self, watched: bool) -> None:
        """Lay maps over the canvas only while the dock is seen."""
        if watched != self._watched:
            self._watched = watched
            self._tell()

    def run(self) -> int:
        """Queue the chosen networks that have no map of this window; return how many.

        If all have one, all run again.
        """
        current = self._session.document.current
        if current is None:
            return 0
        able = [row for row in self.rows if row.chosen and self.order_for(row.model) is not None]
        wanted = [row for row in able if not row.is_current] or able
        queued = 0
        for row in reversed(wanted):  # each before those that wait, so the first one last
            order = self.order_for(row.model)
            if row.job is not None and not row.job.finished:
                if row.job.analysis == order and not row.job.cancelling:
                    continue
                self._session.queue.cancel(row.job.id)
            self._session.queue.add(
                "attribution", current.id, row.model, self._options(), first=True, analysis=order
            )
            queued += 1
        return queued

    def cancel(self) -> None:
        """Stop all jobs of the shown image that make maps."""
        current = self._session.document.current
        if current is not None:
            self._session.queue.cancel_image(current.id, "attribution")

    def stop(self) -> None:
        """Tell nothing any more."""
        self._soon.stop()

    # Following

    def _row(self, model: str) -> AttributionRow:
        current = self._session.document.current
        image = None if current is None else current.id
        jobs = [
            job
            for job in self._session.queue.jobs
            if (job.kind, job.image, job.model) == ("attribution", image, model)
        ]
        latest = max(jobs, key=lambda job: (not job.finished, job.id), default=None)
        found = None if image is None else self._found.get((image, model))
        return AttributionRow(
            model,
            self._session.title_of(model),
            model not in self._left_out,
            latest,
            found,
            found is not None and found.order == self.order_for(model),
        )

    def _take(self, job: Job, outcome: object) -> None:
        if isinstance(outcome, FoundAttribution) and job.image in self._session.document:
            self._found.pop((job.image, job.model), None)
            self._found[job.image, job.model] = outcome
            while len(self._found) > _MOST_FOUND:
                del self._found[next(iter(self._found))]
            self._soon.start()

    def _follow(self, event: JobChanged) -> None:
        jobs = [job for job in self._session.queue.jobs if job.id == event.job]
        if not jobs or jobs[0].kind == "attribution":
            self._soon.start()

    def _forget_closed(self, event: ImagesChanged) -> None:
        if event.change == "removed":
            for image in event.images:
                self._forget(image)

    def _forget_input(self, event: ReferenceChanged) -> None:
        if event.input_changed:
            self._forget(event.image)

    def _forget(self, image: ImageId) -> None:
        self._points.pop(image, None)
        for key in [key for key in self._found if key[0] == image]:
            del self._found[key]
        self._soon.start()

    def _tell(self) -> None:
        self._soon.stop()
        self.changed.emit()
        self.overlays_changed.emit(self._overlays(), self._window_area())

    def _overlays(self) -> Mapping[Pane, MapOverlay]:
        if not (self._watched and self._on_canvas):
            return {}
        return {
            Pane(PaneKind.RESULT, row.model): MapOverlay(
                row.found.heat if self._layer == "map" else row.found.density, self._opacity
            )
            for row in self.rows
            if row.found is not None and row.is_current and row.chosen
        }

    def _window_area(self) -> Rect | None:
        """Return where the window of the first chosen network lies."""
        current = self._session.document.current
        if not self._watched or current is None or current.input_size is None:
            return None
        for row in self.rows:
            order, scale = self.order_for(row.model), self._session.scale_of(row.model)
            if row.chosen and order is not None and scale is not None:
                return order.window.whole_image(current.input_size.times(scale))
        return None
