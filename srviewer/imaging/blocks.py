"""Working through large arrays in blocks of rows, so that wide arithmetic never needs the whole image."""

from __future__ import annotations

_BLOCK_SAMPLES = 1 << 22  # 16 to 32 MB each in 32 or 64 bits


def row_blocks(height: int, row_samples: int) -> list[slice]:
    """Cut `height` rows of `row_samples` samples into blocks of about four million samples."""
    rows = max(1, _BLOCK_SAMPLES // max(1, row_samples))
    return [slice(start, min(start + rows, height)) for start in range(0, height, rows)]
