"""Whether opening images leaves memory behind: many large ones, opened one after another and closed.

    python benchmarks/opening.py [--images 200] [--megapixels 24] [--limit 300]

prints the resident memory on the way, and ends with status 1 if the process ends more than the limit (in MB
of 10^6 bytes) above where it began. The first five images are opened and closed before counting begins:
libraries are loaded by then.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

_WARM = 5


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--megapixels", type=float, default=24.0)
    parser.add_argument("--limit", type=float, default=300.0, help="MB")
    arguments = parser.parse_args()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SRVIEWER_LOG"] = folder
        left = measure(Path(folder), arguments.images, arguments.megapixels)
    print(f"left behind: {left:.0f} MB (limit {arguments.limit:g} MB)")
    return int(left > arguments.limit)


def measure(folder: Path, count: int, megapixels: float) -> float:
    """Open and close; return the growth in MB."""
    import cv2
    from PySide6.QtCore import QEventLoop, QTimer

    from srviewer.app.application import qt_application
    from srviewer.app.controller import Controller
    from srviewer.app.main_window import MainWindow
    from srviewer.app.settings import Settings, SettingsStore
    from srviewer.app.theme import apply_theme

    side = round((megapixels * 1e6 / 1.5) ** 0.5)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    smooth = cv2.resize(pixels, (side * 3 // 2, side), interpolation=cv2.INTER_CUBIC)
    original = folder / "original.jpg"
    cv2.imwrite(str(original), smooth)
    del smooth
    apply_theme(qt_application(), "dark")
    controller = Controller(Settings(ticked=("bicubic_x2",), run_on_drop=False))
    window = MainWindow(controller, SettingsStore(None))
    window.resize(1600, 1000)
    window.show()
    process = psutil.Process()

    def wait(done: Callable[[], bool]) -> None:
        loop = QEventLoop()
        end = time.monotonic() + 60
        look = QTimer(interval=10)
        look.timeout.connect(lambda: loop.quit() if done() or time.monotonic() > end else None)
        look.start()
        loop.exec()

    def open_and_close(number: int) -> None:
        path = folder / f"image{number}.jpg"
        path.symlink_to(original)
        controller.open([path])
        wait(lambda: bool(controller.session.document.images))
        wait(lambda: controller.is_idle and window.canvas_is_settled)
        for entry in controller.session.document.images:
            controller.session.close_image(entry.id)
        wait(lambda: controller.is_idle)

    for number in range(_WARM):
        open_and_close(number)
    began = process.memory_info().rss
    for number in range(_WARM, _WARM + count):
        open_and_close(number)
        now = process.memory_info().rss
        if (number - _WARM + 1) % 20 == 0:
            print(f"{number - _WARM + 1} images: {(now - began) / 1e6:+.0f} MB", flush=True)
    left = float(process.memory_info().rss - began) / 1e6
    window.leave()
    wait(lambda: not window.isVisible())
    return left


if __name__ == "__main__":
    sys.exit(main())
