"""The session's events as signals of one QObject."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from srviewer.session.events import (
    ComparisonChanged,
    CurrentChanged,
    ImagesChanged,
    JobChanged,
    MapsChanged,
    PixelsChanged,
    RecentChanged,
    ReferenceChanged,
    ResultsChanged,
    ScoresChanged,
    SelectionChanged,
    SessionEvents,
    TickedChanged,
    TileArrived,
    ViewportChanged,
)


class Bridge(QObject):
    """Tells of each change of the session by the signal of the same name.

    Signals
    -------
    images_changed, current_changed, pixels_changed, results_changed, tile_arrived, reference_changed,
    scores_changed, ticked_changed, job_changed, viewport_changed, selection_changed, comparison_changed,
    maps_changed, recent_changed : each with the frozen event that `srviewer.session.events.SessionEvents`
        names.

    Attributes
    ----------
    listener : what the session is given as its listener.
    """

    images_changed = Signal(object)
    current_changed = Signal(object)
    pixels_changed = Signal(object)
    results_changed = Signal(object)
    tile_arrived = Signal(object)
    reference_changed = Signal(object)
    scores_changed = Signal(object)
    ticked_changed = Signal(object)
    job_changed = Signal(object)
    viewport_changed = Signal(object)
    selection_changed = Signal(object)
    comparison_changed = Signal(object)
    maps_changed = Signal(object)
    recent_changed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.listener: SessionEvents = _Listener(self)


class _Listener:
    """Emits a bridge's signals: a QObject's signals and the protocol's methods cannot share one name."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def images_changed(self, event: ImagesChanged, /) -> None:
        self._bridge.images_changed.emit(event)

    def current_changed(self, event: CurrentChanged, /) -> None:
        self._bridge.current_changed.emit(event)

    def pixels_changed(self, event: PixelsChanged, /) -> None:
        self._bridge.pixels_changed.emit(event)

    def results_changed(self, event: ResultsChanged, /) -> None:
        self._bridge.results_changed.emit(event)

    def tile_arrived(self, event: TileArrived, /) -> None:
        self._bridge.tile_arrived.emit(event)

    def reference_changed(self, event: ReferenceChanged, /) -> None:
        self._bridge.reference_changed.emit(event)

    def scores_changed(self, event: ScoresChanged, /) -> None:
        self._bridge.scores_changed.emit(event)

    def ticked_changed(self, event: TickedChanged, /) -> None:
        self._bridge.ticked_changed.emit(event)

    def job_changed(self, event: JobChanged, /) -> None:
        self._bridge.job_changed.emit(event)

    def viewport_changed(self, event: ViewportChanged, /) -> None:
        self._bridge.viewport_changed.emit(event)

    def selection_changed(self, event: SelectionChanged, /) -> None:
        self._bridge.selection_changed.emit(event)

    def comparison_changed(self, event: ComparisonChanged, /) -> None:
        self._bridge.comparison_changed.emit(event)

    def maps_changed(self, event: MapsChanged, /) -> None:
        self._bridge.maps_changed.emit(event)

    def recent_changed(self, event: RecentChanged, /) -> None:
        self._bridge.recent_changed.emit(event)
