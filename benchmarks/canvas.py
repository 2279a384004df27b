"""Measures panning and zooming of four panes: from the wheel or mouse event to the end of the repaint.

Usage: QT_QPA_PLATFORM=offscreen python benchmarks/canvas.py [--side 20000] [--against 2000] [--folder DIR]

The pictures are memory-mapped files, one for each pane, written once before (not measured) and let go of.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import psutil
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from srviewer.app.canvas import Canvas, PaneContent
from srviewer.app.picture import ArrayPicture
from srviewer.session.comparison import Comparison, Pane, PaneKind
from srviewer.session.geometry import Size
from srviewer.session.viewport import Viewport

PANES = 4
WINDOW = (1920, 1080)
ROUNDS = 2
ZOOMS = (0.06, 0.1, 0.3, 0.55, 0.7, 1.0, 3.0, 8.0)
"""At which the panning is done; what nearly fits is left out: a whole picture is not panned."""

SHARED_ZOOM = 0.5
"""From here on small and large pictures are compared: the smaller one is all there is to see below it."""


@dataclass(frozen=True)
class Event:
    """One event: the zoom after it, and the milliseconds until it was painted."""

    zoom: float
    milliseconds: float


@dataclass(frozen=True)
class Figures:
    """What one size of picture took.

    Attributes
    ----------
    pan, zoom : the events.
    memory : bytes of the process's resident memory along the way.
    sharp : milliseconds after each row of drags until every pane was sharp.
    """

    pan: list[Event]
    zoom: list[Event]
    memory: list[int]
    sharp: list[float]

    @property
    def all(self) -> list[Event]:
        """Pan and zoom together."""
        return self.pan + self.zoom


def write_picture(path: Path, side: int, seed: int) -> None:
    """Write side x side x 3 bytes of structured noise, strip by strip."""
    block = np.random.default_rng(seed).integers(0, 256, (512, side, 3), dtype=np.uint8)
    ramp = (np.arange(side) * 255 // max(side - 1, 1)).astype(np.uint8)
    with path.open("wb") as file:
        for row in range(0, side, 512):
            strip = block[: min(512, side - row)] // 2 + (ramp[None, :, None] // 2)
            file.write(np.roll(strip, row, axis=1).tobytes())


def resident() -> int:
    """Return the bytes of memory that the process holds now, mapped pages included."""
    return int(psutil.Process().memory_info().rss)


class Stage:
    """A canvas with four pictures, and the events that are sent to it."""

    def __init__(self, folder: Path, side: int) -> None:
        self.canvas = Canvas()
        self.canvas.resize(*WINDOW)
        panes = [Pane(PaneKind.RESULT, f"network {index}") for index in range(PANES)]
        arrays = [
            np.memmap(folder / f"{side}_{index}.raw", np.uint8, "r", shape=(side, side, 3))
            for index in range(PANES)
        ]
        self.canvas.viewport_wished.connect(self.canvas.set_viewport)
        self.canvas.show()
        self.canvas.set_panes(
            [
                PaneContent(pane, pane.model, ("30.12 dB · 0.8765", "55 ms · 96 MB"), ArrayPicture(array))
                for pane, array in zip(panes, arrays, strict=True)
            ]
        )
        self.canvas.set_comparison(Comparison().settled(panes))
        self.reference = Size(side, side)
        self.canvas.set_viewport(Viewport.fitting(self.reference, self.canvas.pane_size))
        # The grid is chosen by the picture's proportions, which come with the viewport.
        self.canvas.set_viewport(Viewport.fitting(self.reference, self.canvas.pane_size))
        self.fit = self.canvas.viewport or Viewport.fitting(self.reference, self.canvas.pane_size)
        self.settle()

    def settle(self) -> float:
        """Wait until every pane is sharp; return how long it took, in milliseconds."""
        begun = time.perf_counter()
        self.canvas.repaint()
        while not self.canvas.is_settled:
            QTest.qWait(1)
        return (time.perf_counter() - begun) * 1e3

    def timed(self, act: Callable[[], None]) -> float:
        """Return the milliseconds from an event until it is painted."""
        begun = time.perf_counter()
        act()
        self.canvas.repaint()
        taken = (time.perf_counter() - begun) * 1e3
        QApplication.processEvents()  # the tiles that came meanwhile; a user's next event is not sooner
        return taken

    def wheel(self, notches: float, at: QPointF) -> None:
        """Turn the wheel."""
        delta = QPoint(0, round(notches * 120))
        event = QWheelEvent(
            at,
            at,
            QPoint(),
            delta,
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self.canvas, event)

    def mouse(self, kind: QMouseEvent.Type, at: QPointF) -> None:
        """Send a mouse event of the left button."""
        button = Qt.MouseButton.NoButton if kind == QMouseEvent.Type.MouseMove else Qt.MouseButton.LeftButton
        held = Qt.MouseButton.LeftButton
        event = QMouseEvent(kind, at, at, button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(self.canvas, event)

    def event(self, milliseconds: float) -> Event:
        """Return a measurement at the present zoom."""
        viewport = self.canvas.viewport
        assert viewport is not None
        return Event(viewport.zoom, milliseconds)

    def pans(self, steps: int) -> Iterator[Event]:
        """Drag the picture about at the present zoom."""
        start = QPointF(WINDOW[0] * 0.3, WINDOW[1] * 0.3)
        self.mouse(QMouseEvent.Type.MouseButtonPress, start)
        for step in range(1, steps + 1):
            at = start + QPointF(-11.0 * step, -5.0 * step)
            before = self.canvas.viewport
            taken = self.timed(partial(self.mouse, QMouseEvent.Type.MouseMove, at))
            if self.canvas.viewport != before:  # at the picture's edge nothing moves, which is no feat
                yield self.event(taken)
        self.mouse(QMouseEvent.Type.MouseButtonRelease, at)

    def zooms(self, notches: int) -> Iterator[Event]:
        """Turn the wheel one way and back at one place."""
        at = QPointF(WINDOW[0] * 0.2, WINDOW[1] * 0.2)
        for turn in (1.0,) * notches + (-1.0,) * notches:
            before = self.canvas.viewport
            taken = self.timed(partial(self.wheel, turn, at))
            if self.canvas.viewport != before:
                yield self.event(taken)


def measure(stages: list[Stage]) -> list[Figures]:
    """Pan at several zooms, and zoom over all of them; by turns, so that other load hits both sizes alike.

    The first round warms up and is not counted.
    """
    found = [Figures([], [], [], []) for _ in stages]
    for turn in range(ROUNDS + 1):
        counted = found if turn else [Figures([], [], [], []) for _ in stages]
        for wanted in ZOOMS:
            for stage, figures in zip(stages, counted, strict=True):
                if wanted >= 1.3 * stage.fit.zoom:
                    stage.canvas.set_viewport(stage.fit.zoomed_to(wanted))
                    stage.settle()
                    figures.pan.extend(stage.pans(60))
                    figures.sharp.append(stage.settle())
                    figures.memory.append(resident())
        for stage, figures in zip(stages, counted, strict=True):
            stage.canvas.set_viewport(stage.fit)
            stage.settle()
            figures.zoom.extend(stage.zooms(100))
            figures.memory.append(resident())
    return found


def times_of(events: list[Event], *, shared: bool = False) -> list[float]:
    """Return the milliseconds of all events, or of those at zooms that pictures of both sizes can have."""
    return [event.milliseconds for event in events if not shared or event.zoom >= SHARED_ZOOM]


def row(name: str, times: list[float]) -> str:
    """Return a line of the table."""
    late = np.percentile(times, 99)
    return f"| {name} | {len(times)} | {np.median(times):.1f} | {late:.1f} | {max(times):.1f} |"


def main() -> None:
    """Measure both sizes and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--against", type=int, default=2_000)
    parser.add_argument("--folder", type=Path, default=None, help="for the pictures: 5 GB at 20,000 px")
    wishes = parser.parse_args()
    app = QApplication([])
    with tempfile.TemporaryDirectory(dir=wishes.folder) as name:
        folder = Path(name)
        sides = (wishes.against, wishes.side)
        for side in sides:
            for index in range(PANES):
                write_picture(folder / f"{side}_{index}.raw", side, index)
        stages = [Stage(folder, side) for side in sides]
        found = dict(zip(sides, measure(stages), strict=True))
        for stage in stages:
            stage.canvas.stop()
            stage.canvas.close()
    print("| what | events | median ms | p99 ms | largest ms |\n|---|---|---|---|---|")
    for side, figures in found.items():
        print(row(f"pan, {side} x {side}", times_of(figures.pan)))
        print(row(f"zoom, {side} x {side}", times_of(figures.zoom)))
        print(row(f"both, {side} x {side}", times_of(figures.all)))
        print(row(f"both from {SHARED_ZOOM:.0%}, {side} x {side}", times_of(figures.all, shared=True)))
    large, small = found[wishes.side], found[wishes.against]
    for name, shared in (("all zooms", False), (f"from {SHARED_ZOOM:.0%}", True)):
        ours, theirs = times_of(large.all, shared=shared), times_of(small.all, shared=shared)
        median = np.median(ours) / np.median(theirs)
        late = np.percentile(ours, 99) / np.percentile(theirs, 99)
        print(f"{wishes.side} / {wishes.against}, {name}: median {median:.2f}, p99 {late:.2f}")
    print(f"all sharp after a pan: at most {max(large.sharp):.0f} ms")
    print(f"resident memory: {max(large.memory) / 2**20:.0f} MiB at most")
    app.quit()


if __name__ == "__main__":
    main()
