"""The session needs neither Qt nor torch: it imports and works where neither can be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import importlib, importlib.abc, pkgutil, sys

BLOCKED = {"PySide6", "shiboken6", "pyqtgraph", "torch", "PyQt5", "PyQt6"}

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} is blocked")
        return None

sys.meta_path.insert(0, Blocker())
import srviewer.session
for module in pkgutil.iter_modules(srviewer.session.__path__):
    importlib.import_module(f"srviewer.session.{module.name}")

from pathlib import Path
import numpy as np
from srviewer.engine.request import FinishedTile, UpscaleOptions, UpscaleResult
from srviewer.imaging.files import write_image
from srviewer.imaging.image import Image
from srviewer.session.geometry import Point, Size
from srviewer.session.intake import take_in
from srviewer.session.loading import load
from srviewer.session.selection import Selection
from srviewer.session.session import Session

folder = Path(sys.argv[1])
pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
write_image(Image(pixels), folder / "a.png")
session = Session()
session.resize_panes(Size(300, 200))
(image,) = session.take(take_in([folder]))
session.document.tick(["bicubic_x4"])
session.look(session.viewport.wheeled(3, Point(10, 10)))
session.select_region(Selection.between(Point(0.2, 0.2), Point(0.6, 0.7), Size(32, 24)))
(job,) = session.run(UpscaleOptions())
work = session.begin_next()
picture = work.picture or load(work.load)
large = np.repeat(np.repeat(picture.pixels, 4, 0), 4, 1)
session.job_tile(job, FinishedTile(0, 0, 128, 96, large))
image_x4 = Image(large.copy())
session.job_done(job, UpscaleResult(image_x4, "bicubic_x4", 4, "cpu", "fp32", None, 1, True, 0.1, 1.0, 1, 0))
assert session.queue.job(job).state == "done"
assert session.document.pixels(image, "result", "bicubic_x4").width == 128
assert not BLOCKED & {name.partition(".")[0] for name in sys.modules}
print("works")
"""


def test_the_session_works_without_qt_and_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "works"


def test_the_state_of_the_window_loads_no_image_library() -> None:
    """The window paints before OpenCV, Pillow and tifffile are loaded: together they take half a second."""
    script = """
import sys
import srviewer.session.session, srviewer.session.viewport, srviewer.session.layout
print(sorted({"cv2", "PIL", "tifffile", "imagecodecs", "matplotlib", "torch"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    assert done.stdout.strip() == "[]"
