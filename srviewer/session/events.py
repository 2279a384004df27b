"""How the session tells of its changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NewType, Protocol

from srviewer.engine.request import FinishedTile
from srviewer.session.comparison import Comparison
from srviewer.session.entries import ImageId, Reference
from srviewer.session.selection import Selection
from srviewer.session.viewport import Viewport

JobId = NewType("JobId", int)
"""Names a job for as long as the session lasts; never given twice."""

Change = Literal["added", "changed", "removed"]
"""What happened to a row."""


@dataclass(frozen=True, slots=True)
class ImagesChanged:
    """Rows of the list of images came, changed or went; `order` says that those there are stand elsewhere."""

    change: Change
    images: tuple[ImageId, ...]
    order: bool = False


@dataclass(frozen=True, slots=True)
class CurrentChanged:
    """Another image is shown; None if there is none."""

    current: ImageId | None


@dataclass(frozen=True, slots=True)
class PixelsChanged:
    """Pixels of an image came into memory (or left it): its panes, thumbnail and histogram can (not) be
    drawn.
    """

    image: ImageId
    role: Literal["file", "input", "truth", "result"]
    model: str
    present: bool


@dataclass(frozen=True, slots=True)
class ResultsChanged:
    """A network's result of an image began, was finished (or saved), or went."""

    image: ImageId
    model: str
    change: Change


@dataclass(frozen=True, slots=True)
class TileArrived:
    """A tile of a result that is being made is there; its pixels are owned, read-only copies."""

    image: ImageId
    model: str
    tile: FinishedTile


@dataclass(frozen=True, slots=True)
class ReferenceChanged:
    """An image's ground truth is another (None if it has none any more), and maybe what the networks get as
    well.
    """

    image: ImageId
    reference: Reference | None
    input_changed: bool


@dataclass(frozen=True, slots=True)
class ScoresChanged:
    """Numbers measured on an image's results came or went (all networks' if `model` is None)."""

    image: ImageId
    model: str | None


@dataclass(frozen=True, slots=True)
class TickedChanged:
    """Other networks are ticked, in this order."""

    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobChanged:
    """A job came, changed or went; `order` says that the queue's order is another."""

    job: JobId
    change: Change
    order: bool = False


@dataclass(frozen=True, slots=True)
class ViewportChanged:
    """The panes show another part of the image; None if there is no image."""

    viewport: Viewport | None


@dataclass(frozen=True, slots=True)
class SelectionChanged:
    """Another region of an image is selected; None if none is."""

    image: ImageId
    selection: Selection | None


@dataclass(frozen=True, slots=True)
class ComparisonChanged:
    """The panes are compared otherwise."""

    comparison: Comparison


@dataclass(frozen=True, slots=True)
class MapsChanged:
    """Other maps of an image have panes of their own, by their names."""

    image: ImageId
    maps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecentChanged:
    """The list of recent files is another, latest first."""

    paths: tuple[Path, ...]


class SessionEvents(Protocol):
    """Who wants to know of the session's changes.

    Each call comes on the thread that changed the session, after the change is complete: whoever is called
    may look at the session, and change it again.
    """

    def images_changed(self, event: ImagesChanged, /) -> None:
        """Hear of rows of the list of images."""

    def current_changed(self, event: CurrentChanged, /) -> None:
        """Hear that another image is shown."""

    def pixels_changed(self, event: PixelsChanged, /) -> None:
        """Hear of pixels that came or left."""

    def results_changed(self, event: ResultsChanged, /) -> None:
        """Hear of a result that began, is finished or went."""

    def tile_arrived(self, event: TileArrived, /) -> None:
        """Hear of a tile of a result that is being made."""

    def reference_changed(self, event: ReferenceChanged, /) -> None:
        """Hear that an image's ground truth is another."""

    def scores_changed(self, event: ScoresChanged, /) -> None:
        """Hear of measured numbers."""

    def ticked_changed(self, event: TickedChanged, /) -> None:
        """Hear that other networks are ticked."""

    def job_changed(self, event: JobChanged, /) -> None:
        """Hear of a job."""

    def viewport_changed(self, event: ViewportChanged, /) -> None:
        """Hear that the panes show another part."""

    def selection_changed(self, event: SelectionChanged, /) -> None:
        """Hear that another region is selected."""

    def comparison_changed(self, event: ComparisonChanged, /) -> None:
        """Hear that the panes are compared otherwise."""

    def maps_changed(self, event: MapsChanged, /) -> None:
        """Hear that other maps have panes."""

    def recent_changed(self, event: RecentChanged, /) -> None:
        """Hear that the list of recent files is another."""


class NoEvents:
    """Hears everything and does nothing: for a session that nobody watches, and to inherit from."""

    def images_changed(self, event: ImagesChanged, /) -> None:
        """Do nothing."""

    def current_changed(self, event: CurrentChanged, /) -> None:
        """Do nothing."""

    def pixels_changed(self, event: PixelsChanged, /) -> None:
        """Do nothing."""

    def results_changed(self, event: ResultsChanged, /) -> None:
        """Do nothing."""

    def tile_arrived(self, event: TileArrived, /) -> None:
        """Do nothing."""

    def reference_changed(self, event: ReferenceChanged, /) -> None:
        """Do nothing."""

    def scores_changed(self, event: ScoresChanged, /) -> None:
        """Do nothing."""

    def ticked_changed(self, event: TickedChanged, /) -> None:
        """Do nothing."""

    def job_changed(self, event: JobChanged, /) -> None:
        """Do nothing."""

    def viewport_changed(self, event: ViewportChanged, /) -> None:
        """Do nothing."""

    def selection_changed(self, event: SelectionChanged, /) -> None:
        """Do nothing."""

    def comparison_changed(self, event: ComparisonChanged, /) -> None:
        """Do nothing."""

    def maps_changed(self, event: MapsChanged, /) -> None:
        """Do nothing."""

    def recent_changed(self, event: RecentChanged, /) -> None:
        """Do nothing."""


class Relay:
    """Tells two listeners of each change, one after the other."""

    def __init__(self, first: SessionEvents, then: SessionEvents) -> None:
        self._first = first
        self._then = then

    def images_changed(self, event: ImagesChanged, /) -> None:
        """Tell both."""
        self._first.images_changed(event)
        self._then.images_changed(event)

    def current_changed(self, event: CurrentChanged, /) -> None:
        """Tell both."""
        self._first.current_changed(event)
        self._then.current_changed(event)

    def pixels_changed(self, event: PixelsChanged, /) -> None:
        """Tell both."""
        self._first.pixels_changed(event)
        self._then.pixels_changed(event)

    def results_changed(self, event: ResultsChanged, /) -> None:
        """Tell both."""
        self._first.results_changed(event)
        self._then.results_changed(event)

    def tile_arrived(self, event: TileArrived, /) -> None:
        """Tell both."""
        self._first.tile_arrived(event)
        self._then.tile_arrived(event)

    def reference_changed(self, event: ReferenceChanged, /) -> None:
        """Tell both."""
        self._first.reference_changed(event)
        self._then.reference_changed(event)

    def scores_changed(self, event: ScoresChanged, /) -> None:
        """Tell both."""
        self._first.scores_changed(event)
        self._then.scores_changed(event)

    def ticked_changed(self, event: TickedChanged, /) -> None:
        """Tell both."""
        self._first.ticked_changed(event)
        self._then.ticked_changed(event)

    def job_changed(self, event: JobChanged, /) -> None:
        """Tell both."""
        self._first.job_changed(event)
        self._then.job_changed(event)

    def viewport_changed(self, event: ViewportChanged, /) -> None:
        """Tell both."""
        self._first.viewport_changed(event)
        self._then.viewport_changed(event)

    def selection_changed(self, event: SelectionChanged, /) -> None:
        """Tell both."""
        self._first.selection_changed(event)
        self._then.selection_changed(event)

    def comparison_changed(self, event: ComparisonChanged, /) -> None:
        """Tell both."""
        self._first.comparison_changed(event)
        self._then.comparison_changed(event)

    def maps_changed(self, event: MapsChanged, /) -> None:
        """Tell both."""
        self._first.maps_changed(event)
        self._then.maps_changed(event)

    def recent_changed(self, event: RecentChanged, /) -> None:
        """Tell both."""
        self._first.recent_changed(event)
        self._then.recent_changed(event)
