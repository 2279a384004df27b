"""The arithmetic of image pyramids: levels, tiles, and which of them a view needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

DEFAULT_TILE_SIDE = 256


@dataclass(frozen=True)
class Rectangle:
    """A rectangle of whole pixels; `x` and `y` are its left and top."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, order=True)
class TileIndex:
    """One tile: its level (0 is the full image), its row and its column."""

    level: int
    row: int
    column: int


@dataclass(frozen=True)
class Pyramid:
    """The levels of an image, each half of the one before (rounded up), until one fits into a tile.

    Attributes
    ----------
    width, height : of the full image (level 0) in pixels.
    tile_side : of the square tiles in pixels; tiles at the right and bottom may be smaller.

    Raises
    ------
    ValueError
        A length is less than 1.
    """

    width: int
    height: int
    tile_side: int = DEFAULT_TILE_SIDE

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.tile_side) < 1:
            raise ValueError(f"a pyramid needs lengths of at least 1, not {self}")

    @property
    def levels(self) -> int:
        """How many levels there are, at least one; the last one fits into a single tile."""
        longer, count = max(self.width, self.height), 1
        while longer > self.tile_side:
            longer, count = (longer + 1) // 2, count + 1
        return count

    def level_size(self, level: int) -> tuple[int, int]:
        """Return the width and height of a level in its own pixels."""
        self._check_level(level)
        # Rounding up `level` times in turn is rounding up once.
        return -(-self.width >> level), -(-self.height >> level)

    def level_for_zoom(self, zoom: float) -> int:
        """Return the coarsest level that still has a pixel for every screen pixel.

        Parameters
        ----------
        zoom : screen pixels per pixel of the full image, positive.
        """
        if not (math.isfinite(zoom) and zoom > 0):
            raise ValueError(f"zoom must be positive, not {zoom}")
        level = 0
        while level + 1 < self.levels and math.ldexp(zoom, level + 1) <= 1:
            level += 1
        return level

    def grid(self, level: int) -> tuple[int, int]:
        """Return how many rows and columns of tiles a level has."""
        width, height = self.level_size(level)
        return -(-height // self.tile_side), -(-width // self.tile_side)

    def tile_rectangle(self, tile: TileIndex) -> Rectangle:
        """Return where a tile lies in its level, in that level's pixels."""
        rows, columns = self.grid(tile.level)
        if not (0 <= tile.row < rows and 0 <= tile.column < columns):
            raise ValueError(f"{tile} is outside the {rows} x {columns} tiles of its level")
        width, height = self.level_size(tile.level)
        x, y = tile.column * self.tile_side, tile.row * self.tile_side
        return Rectangle(x, y, min(self.tile_side, width - x), min(self.tile_side, height - y))

    def tile_in_image(self, tile: TileIndex) -> tuple[float, float, float, float]:
        """Return a tile's left, top, right and bottom in pixels of the full image.

        An odd length is rounded up in the next level, whose last pixel then covers less than the others:
        the last tile ends where the image does.
        """
        part = self.tile_rectangle(tile)
        unit = 1 << tile.level
        return (
            float(part.x * unit),
            float(part.y * unit),
            float(min((part.x + part.width) * unit, self.width)),
            float(min((part.y + part.height) * unit, self.height)),
        )

    def visible_tiles(self, level: int, view: tuple[float, float, float, float]) -> Iterator[TileIndex]:
        """Yield the tiles of a level that a view touches, row by row.

        Parameters
        ----------
        view : left, top, right, bottom in pixels of the full image; it may reach beyond it. A view
            without area touches nothing.
        """
        left, top, right, bottom = view
        rows, columns = self.grid(level)
        side = self.tile_side << level
        if not (left < right and top < bottom and left < self.width and top < self.height):
            return
        first_row, last_row = _touched(top, bottom, side, rows)
        first_column, last_column = _touched(left, right, side, columns)
        for row in range(first_row, last_row):
            for column in range(first_column, last_column):
                yield TileIndex(level, row, column)

    def _check_level(self, level: int) -> None:
        if not 0 <= level < self.levels:
            raise ValueError(f"there is no level {level}, only 0 to {self.levels - 1}")


def _touched(start: float, end: float, side: int, count: int) -> tuple[int, int]:
    """Return the half-open range of `count` segments of length `side` that [start, end) touches."""
    first = max(0, math.floor(max(start, 0.0) / side))
    last = min(count, math.ceil(min(end, float(count * side)) / side))
    return first, last
