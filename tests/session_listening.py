"""A listener that tests ask what the session told, and pictures to feed it with."""

from __future__ import annotations

import numpy as np

from srviewer.engine.request import FinishedTile, UpscaleResult
from srviewer.imaging.image import Image
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
    TickedChanged,
    TileArrived,
    ViewportChanged,
)

Event = (
    ImagesChanged
    | CurrentChanged
    | PixelsChanged
    | ResultsChanged
    | TileArrived
    | ReferenceChanged
    | ScoresChanged
    | TickedChanged
    | JobChanged
    | ViewportChanged
    | SelectionChanged
    | ComparisonChanged
    | MapsChanged
    | RecentChanged
)


class Listener:
    """Writes down every event."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def take(self) -> list[Event]:
        """Return what was heard since the last call."""
        heard, self.heard = self.heard, []
        return heard

    def images_changed(self, event: ImagesChanged, /) -> None:
        self.heard.append(event)

    def current_changed(self, event: CurrentChanged, /) -> None:
        self.heard.append(event)

    def pixels_changed(self, event: PixelsChanged, /) -> None:
        self.heard.append(event)

    def results_changed(self, event: ResultsChanged, /) -> None:
        self.heard.append(event)

    def tile_arrived(self, event: TileArrived, /) -> None:
        self.heard.append(event)

    def reference_changed(self, event: ReferenceChanged, /) -> None:
        self.heard.append(event)

    def scores_changed(self, event: ScoresChanged, /) -> None:
        self.heard.append(event)

    def ticked_changed(self, event: TickedChanged, /) -> None:
        self.heard.append(event)

    def job_changed(self, event: JobChanged, /) -> None:
        self.heard.append(event)

    def viewport_changed(self, event: ViewportChanged, /) -> None:
        self.heard.append(event)

    def selection_changed(self, event: SelectionChanged, /) -> None:
        self.heard.append(event)

    def comparison_changed(self, event: ComparisonChanged, /) -> None:
        self.heard.append(event)

    def maps_changed(self, event: MapsChanged, /) -> None:
        self.heard.append(event)

    def recent_changed(self, event: RecentChanged, /) -> None:
        self.heard.append(event)


def picture(width: int, height: int, seed: int = 0) -> Image:
    """Return a noisy 8-bit picture."""
    return Image(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def upscaled(image: Image, model: str, scale: int, seconds: float = 1.0) -> UpscaleResult:
    """Return what a run would give: the nearest pixels."""
    pixels = np.repeat(np.repeat(image.pixels, scale, 0), scale, 1)
    return UpscaleResult(
        Image(pixels), model, scale, "a device", "fp32", None, 1, True, seconds, 1.0, 1000, 0
    )


def tile(x: int, y: int, width: int, height: int) -> FinishedTile:
    """Return a black tile."""
    return FinishedTile(x, y, width, height, np.zeros((height, width, 3), np.uint8))
