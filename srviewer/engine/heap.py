"""The C library's heap, told to keep what networks free while they run."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# Blocks up to this size, the most that glibc takes, come from the heap; larger ones are mapped one by one.
_LARGEST_BLOCK = 32 << 20
# Free memory at the heap's end beyond which it is given back at once.
_KEPT = 256 << 20

# Numbers of glibc's <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


@cache
def keep_freed_memory() -> bool:
    """Let freed memory of moderate size be used again without a detour through the kernel, in this process.

    A network frees and allocates megabytes at every layer. glibc by default gives such blocks back and
    fetches them anew, a page fault for every 4 KiB: a fifth to a third of the time that small images take on
    a CPU (benchmarks/heap.md). `telemetry.release_memory` gives back what is kept.

    Returns
    -------
    Whether that is so now; elsewhere than with glibc nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST_BLOCK)) and bool(mallopt(_M_TRIM_THRESHOLD, _KEPT))
