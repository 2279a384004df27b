"""SR Viewer: upscale images with lightweight super-resolution networks, and judge the result."""

import os

__version__ = "0.1.0"

# Torch's threads (GNU OpenMP) spin for milliseconds while they wait for each other. Where the window or
# another program needs one of their cores, each wait then lasts a scheduler's turn: measured 23 times slower
# beside two busy processes. A short spin costs nothing on an idle machine. Read once, when torch is loaded.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
