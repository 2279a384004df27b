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
_M_ARENA_MAX = -8


@cache
def keep_freed_memory() -> bool:
    """Let freed memory of moderate size be used again without a detour through the kernel, in this process.

    A network frees and allocates megabytes at every layer. glibc by default gives such blocks back and
    fetches them anew, a page fault for every 4 KiB: a fifth to a third of the time that small images take on
    a CPU (benchmarks/heap.md). `telemetry.release_memory` gives back what is kept.

    Threads share one heap then: those of their own give back all the same. That holds for threads that begin
    later, so a program whose networks run on another thread asks for this before it starts any.

    Returns
    -------
    Whether that is so now; elsewhere than with glibc nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    settings = ((_M_MMAP_THRESHOLD, _LARGEST_BLOCK), (_M_TRIM_THRESHOLD, _KEPT), (_M_ARENA_MAX, 1))
    return all(mallopt(number, value) == 1 for number, value in settings)
