"""Small pictures of results that go to files, shown while they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srviewer.engine.request import FinishedTile
from srviewer.imaging.levels import halve
from srviewer.session.geometry import Size

# More than screens show, and little memory.
_MOST_PIXELS = 1 << 23


@dataclass(frozen=True)
class Preview:
    """How a result is made smaller.

    Attributes
    ----------
    size : of the small picture.
    halvings : how often each side is halved; 0 where the result is small itself.
    """

    size: Size
    halvings: int

    @classmethod
    def of(cls, result: Size) -> Preview:
        """Return the preview of a result of this size."""
        halvings = 0
        while (size := _divided(result, halvings)).pixels > _MOST_PIXELS:
            halvings += 1
        return cls(size, halvings)

    def tile(self, tile: FinishedTile) -> FinishedTile:
        """Return a tile of the result as one of the preview: all pixels of that which it touches."""
        unit = 1 << self.halvings
        pixels = tile.pixels
        if tile.x % unit or tile.y % unit:
            grown: NDArray[Any] = np.pad(
                pixels, ((tile.y % unit, 0), (tile.x % unit, 0), (0, 0)), mode="edge"
            )
            pixels = grown
        for _ in range(self.halvings):
            pixels = halve(pixels)
        height, width = pixels.shape[:2]
        return FinishedTile(tile.x // unit, tile.y // unit, width, height, pixels)


def _divided(size: Size, halvings: int) -> Size:
    """Return a size halved so often, rounded up."""
    return Size(-(-size.width >> halvings), -(-size.height >> halvings))
