"""How long the window takes to stand, from the start of the process to its first paint.

    python benchmarks/startup.py [--runs 7] [--limit 1.0]

starts the program several times with default settings (in folders of its own), prints the time of each start
and what was imported by then, and ends with status 1 if the median is above the limit or torch came before
the window. The first start warms the disk's cache and does not count.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

BEGIN = """
import sys, time
from srviewer.app import GuiArguments
from srviewer.app.application import Application
application = Application(GuiArguments())
def tell():
    heavy = [name for name in ("torch", "matplotlib", "cv2", "pyqtgraph") if name in sys.modules]
    print(time.time(), ",".join(heavy) or "-", flush=True)
    application.window.leave()
application.window.painted.connect(tell)
sys.exit(application.run())
"""


def start(folder: str) -> tuple[float, str]:
    """Start the program; return the seconds until its window was painted, and what was imported by then."""
    places = {"SRVIEWER_CONFIG": folder, "SRVIEWER_LOG": folder, "SRVIEWER_DATA": folder}
    environment = {"QT_QPA_PLATFORM": "offscreen", **os.environ, **places}
    begun = time.time()
    done = subprocess.run(
        [sys.executable, "-c", BEGIN], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    painted, heavy = done.stdout.split()
    return float(painted) - begun, heavy


def main() -> int:
    """Measure and judge."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--limit", type=float, default=1.0, help="seconds, median")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start(folder)
        found = [start(folder) for _ in range(arguments.runs)]
    times = [seconds for seconds, _ in found]
    modules = sorted({heavy for _, heavy in found})
    median = statistics.median(times)
    print("seconds:", " ".join(f"{seconds:.2f}" for seconds in times))
    print(f"median {median:.2f} s (limit {arguments.limit:g} s), imported by then: {' '.join(modules)}")
    return int(median > arguments.limit or any("torch" in heavy for heavy in modules))


if __name__ == "__main__":
    sys.exit(main())
