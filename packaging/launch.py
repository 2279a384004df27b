"""What the bundle's executable runs: the command line, put right for being frozen."""

from __future__ import annotations

import multiprocessing
import os
import sys


def _give_back_library_path() -> None:
    """Let programs that we start find their own libraries.

    The bundle's start points ``LD_LIBRARY_PATH`` at the bundle. This process has its libraries by now, and a
    file manager or ``xdg-open`` must not be handed ours.
    """
    before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    if before is not None:
        os.environ["LD_LIBRARY_PATH"] = before
    else:
        os.environ.pop("LD_LIBRARY_PATH", None)


if __name__ == "__main__":
    # Where a library starts a process of multiprocessing's, it starts this program again: without this line
    # that would open one more window, and so on.
    multiprocessing.freeze_support()
    if sys.platform == "linux":
        _give_back_library_path()
    from srviewer.cli import main

    main()
