"""Opens a 400-megapixel TIFF in the window, then pans and zooms four panes of it, all read from the file.

Usage: QT_QPA_PLATFORM=offscreen python benchmarks/huge.py [--side 20000] [--folder DIR] [--file FILE]

The file is written first by a process of its own, row by row with reduced levels, as results are; neither its
time nor its memory counts (and nothing is written if one is given). Opening is timed from the wish until the
pane is sharp; frames are timed as `benchmarks/canvas.py` does it, from the mouse or wheel event to the end of
the repaint.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
from canvas import PANES, WINDOW, Stage, measure, resident, row, times_of
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from srviewer.app.application import qt_application
from srviewer.app.canvas import Canvas, PaneContent
from srviewer.app.controller import Controller
from srviewer.app.main_window import MainWindow
from srviewer.app.region_picture import RegionPicture
from srviewer.app.settings import Settings, SettingsStore
from srviewer.app.theme import apply_theme
from srviewer.session.comparison import Comparison, Pane, PaneKind
from srviewer.session.regions import RegionFile, open_file
from srviewer.session.viewport import Viewport

_ROWS = 512


def write_picture(path: Path, side: int) -> None:
    """Write side x side pixels of structured noise under smooth colours, band by band."""
    from srviewer.imaging.streaming import open_stream

    grain = np.random.default_rng(0).integers(0, 64, (_ROWS, side, 3), np.uint8)
    across = np.linspace(0, 190, side, dtype=np.float32)
    with open_stream(path, width=side, height=side, bits=8) as writer:
        for top in range(0, side, _ROWS):
            rows = min(_ROWS, side - top)
            down = np.linspace(top / side, (top + rows) / side, rows, dtype=np.float32)[:, None]
            band = np.empty((rows, side, 3), np.uint8)
            band[..., 0] = across
            band[..., 1] = 190 * down
            band[..., 2] = 95 + 95 * np.sin(across / 12 + 20 * down)
            writer.write_rows(band + np.roll(grain[:rows], top, axis=1))
        writer.finish()


def wait(done: Callable[[], bool], seconds: float = 60) -> float:
    """Let the window work until something is so; return how long that took, in seconds."""
    begun = time.perf_counter()
    loop = QEventLoop()
    look = QTimer(interval=1)
    look.timeout.connect(lambda: loop.quit() if done() or time.perf_counter() - begun > seconds else None)
    look.start()
    loop.exec()
    return time.perf_counter() - begun


def opened(path: Path) -> tuple[float, float, int]:
    """Open a file in the window.

    Returns
    -------
    Seconds from the wish until the pane showed something of it, and until it was sharp; resident bytes then.
    """
    apply_theme(qt_application(), "dark")
    controller = Controller(Settings(ticked=("bicubic_x2",)))
    window = MainWindow(controller, SettingsStore(None))
    window.resize(*WINDOW)
    window.show()
    wait(lambda: window.queue.isVisible() and controller.is_idle)
    wait(lambda: False, seconds=1)  # libraries that load once the window stands
    began = time.perf_counter()
    controller.open([path])
    wait(lambda: bool(controller.panes.contents) and controller.panes.contents[0].picture is not None)
    shown = time.perf_counter() - began
    wait(lambda: window.canvas_is_settled)
    sharp = time.perf_counter() - began
    (entry,) = controller.session.document.images
    assert entry.by_region, "the file is too small to stay in its file"
    memory = resident()
    window.leave()
    wait(lambda: not window.isVisible())
    return shown, sharp, memory


class FileStage(Stage):
    """A canvas with four panes over the same file, opened once for each."""

    def __init__(self, path: Path) -> None:
        found = [open_file(path) for _ in range(PANES)]
        self.files: list[RegionFile] = [file for file in found if file is not None]
        self.canvas = Canvas()
        self.canvas.resize(*WINDOW)
        panes = [Pane(PaneKind.RESULT, f"network {index}") for index in range(PANES)]
        self.canvas.viewport_wished.connect(self.canvas.set_viewport)
        self.canvas.show()
        self.canvas.set_panes(
            [
                PaneContent(pane, pane.model, ("30.12 dB · 0.8765", "55 ms · 96 MB"), RegionPicture(file))
                for pane, file in zip(panes, self.files, strict=True)
            ]
        )
        self.canvas.set_comparison(Comparison().settled(panes))
        self.reference = self.files[0].size
        self.canvas.set_viewport(Viewport.fitting(self.reference, self.canvas.pane_size))
        # The grid is chosen by the picture's proportions, which come with the viewport.
        self.canvas.set_viewport(Viewport.fitting(self.reference, self.canvas.pane_size))
        self.fit = self.canvas.viewport or Viewport.fitting(self.reference, self.canvas.pane_size)
        self.settle()

    def end(self) -> None:
        """End the threads and close the files."""
        self.canvas.stop()
        self.canvas.close()
        for file in self.files:
            file.close()


def report(path: Path) -> None:
    """Measure a file and print a Markdown table."""
    shown, sharp, memory = opened(path)
    stage = FileStage(path)
    (figures,) = measure([stage])
    size = stage.reference
    stage.end()
    print(f"{path.name}: {size}, {size.pixels / 1e6:.0f} megapixels, {path.stat().st_size / 1e6:.0f} MB")
    print(f"opened in the window: pane there after {shown:.2f} s, sharp after {sharp:.2f} s")
    print("\n| what | events | median ms | p99 ms | largest ms |\n|---|---|---|---|---|")
    for name, events in (("pan", figures.pan), ("zoom", figures.zoom), ("both", figures.all)):
        print(row(f"{name}, {PANES} panes", times_of(events)))
    print(f"\nall sharp after a pan of 60 drags: at most {max(figures.sharp):.0f} ms")
    print(f"resident memory: {memory / 2**20:.0f} MiB in the window, ", end="")
    print(f"{max(figures.memory) / 2**20:.0f} MiB at most with four panes")


def main() -> None:
    """Write the file unless there is one, and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, default=None, help="for the file: 1 GB at 20,000 px")
    parser.add_argument("--file", type=Path, default=None, help="measure this one instead")
    parser.add_argument("--write", type=Path, default=None, help=argparse.SUPPRESS)
    wishes = parser.parse_args()
    if wishes.write is not None:
        write_picture(wishes.write, wishes.side)
        return
    app: QApplication = qt_application()
    with tempfile.TemporaryDirectory(dir=wishes.folder) as folder:
        os.environ["SRVIEWER_LOG"] = os.environ["SRVIEWER_CONFIG"] = folder
        path = wishes.file or Path(folder) / "huge.tif"
        if wishes.file is None:
            words = [sys.executable, __file__, "--side", str(wishes.side), "--write", str(path)]
            subprocess.run(words, check=True)
        report(path)
    app.quit()


if __name__ == "__main__":
    main()
