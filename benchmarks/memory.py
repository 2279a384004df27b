"""The most memory that `srviewer upscale` takes for a photograph of 24 megapixels.

    python benchmarks/memory.py [-m MODEL] [--megapixels N] [--suffix .jpg] [-- OPTION...]

makes a synthetic photograph, runs the command line on it in a process of its own, and prints the largest
resident set of that process and its children, looked at every 10 ms from outside, from start to exit:
reading, the network and writing included. OPTIONs after ``--`` go to the command.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import psutil

from srviewer.imaging.files import write_image
from srviewer.imaging.image import Image


def photograph(megapixels: float) -> Image:
    """Return a picture of 3:2 with structure at all sizes, which compresses about as a photograph does."""
    height = round((megapixels * 1e6 * 2 / 3) ** 0.5)
    width = height * 3 // 2
    generator = np.random.default_rng(0)
    pixels = np.full((height, width, 3), 128, np.int16)
    for cells in (4, 16, 64, 256, 1024):
        noise = generator.integers(-24, 25, (cells, cells * 3 // 2, 3)).astype(np.int16)
        pixels += cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.int16)
    return Image(np.clip(pixels, 0, 255).astype(np.uint8))


def resident(process: psutil.Process) -> int:
    """Return the resident set of a process and its children in bytes; 0 once it has ended."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += int(one.memory_info().rss)
    except psutil.Error:
        return total
    return total


def main() -> int:
    """Measure and print; the command's exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-m", "--model", default="safmn_x2", help="default %(default)s")
    parser.add_argument("--megapixels", type=float, default=24.0, help="default %(default)s")
    parser.add_argument("--suffix", default=".jpg", help="of the file read and written (default %(default)s)")
    parser.add_argument("rest", nargs="*", metavar="OPTION", help="further options of srviewer upscale")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, f"photo{options.suffix}"), Path(folder, f"large{options.suffix}")
        image = photograph(options.megapixels)
        write_image(image, source)
        size = f"{image.width} x {image.height}"
        del image
        command = [sys.executable, "-m", "srviewer", "upscale", str(source)]
        command += ["-m", options.model, "-o", str(target), *options.rest]
        begin = time.perf_counter()
        running = subprocess.Popen(command)
        watched, peak = psutil.Process(running.pid), 0
        while running.poll() is None:
            peak = max(peak, resident(watched))
            time.sleep(0.01)
        seconds = time.perf_counter() - begin
    print(
        f"{options.model} on {size}{options.suffix}: peak resident set {peak / 1e9:.2f} GB, {seconds:.0f} s"
    )
    return running.returncode


if __name__ == "__main__":
    sys.exit(main())
