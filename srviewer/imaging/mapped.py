"""Arrays over files that are mapped into memory."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray


def mapped_file(array: NDArray[Any]) -> mmap.mmap | None:
    """Return the mapped file that an array looks into; None if it lies in memory."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def let_go(file: mmap.mmap) -> None:
    """Take a mapped file's pages out of the process's memory; those looked at again come back."""
    if hasattr(mmap, "MADV_DONTNEED"):  # Linux, macOS; Windows trims by itself
        file.madvise(mmap.MADV_DONTNEED)
