"""The geometry of tiles: how an image is cut, what surrounds each piece, in which order they are made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, order=True)
class Box:
    """A rectangle of whole pixels, `x` and `y` its left and top."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first column right of it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.y + self.height

    @property
    def pixels(self) -> int:
        """Its area."""
        return self.width * self.height

    def times(self, scale: int) -> Box:
        """Return the same rectangle in an image `scale` times as large."""
        return Box(self.x * scale, self.y * scale, self.width * scale, self.height * scale)

    def within(self, outer: Box) -> Box:
        """Return the same rectangle, counted from the top left corner of `outer`."""
        return Box(self.x - outer.x, self.y - outer.y, self.width, self.height)


@dataclass(frozen=True, order=True)
class Tile:
    """One piece of work, in input pixels.

    Attributes
    ----------
    core : the part of the image whose result is kept. The cores of a plan cover each pixel once.
    crop : what the network sees: `core` and its overlap on all sides, ending at the image's border.
    """

    core: Box
    crop: Box


def plan(
    width: int, height: int, *, side: int | None, rows: int | None = None, overlap: int, align: int = 1
) -> tuple[Tile, ...]:
    """Cut an image into tiles of nearly equal size, in reading order.

    Parameters
    ----------
    width, height : the image, in pixels.
    side : largest side of a core; None makes one tile of the whole image.
    rows : largest height of a core, `side` then being its width; None means as `side`.
    overlap : pixels around each core that the network sees too.
    align : cores and crops begin at multiples of this (networks that pool over a grid then meet the grid of
        the whole image). `side` and `rows` are rounded down to such a multiple, but not below one, and
        `overlap` up.

    Raises
    ------
    ValueError
        If the image has no pixels, or `side`, `rows` or `align` is below 1, or `overlap` below 0.
    """
    if width < 1 or height < 1:
        raise ValueError(f"an image of {width} x {height} has no pixels")
    if align < 1 or overlap < 0 or any(one is not None and one < 1 for one in (side, rows)):
        raise ValueError(f"no tiles of side {side} with overlap {overlap} and alignment {align}")
    whole = Box(0, 0, width, height)
    if side is None:
        return (Tile(whole, whole),)
    return _cut(whole, whole, side, rows or side, overlap, align)


def refined(
    tiles: Iterable[Tile], whole: Box, *, side: int, overlap: int, align: int = 1
) -> tuple[Tile, ...]:
    """Cut `tiles` of an image `whole` further, into cores of at most `side` that cover the same area."""
    return tuple(piece for tile in tiles for piece in _cut(tile.core, whole, side, side, overlap, align))


def largest_first(tiles: Iterable[Tile]) -> tuple[Tile, ...]:
    """Order tiles by what the network sees of them, else as they come: those at the border follow the others.

    An allocator that has met the largest tile can serve all others from what that gave back; in reading order
    each larger tile finds only holes too small for it, and a third more memory is taken.
    """
    return tuple(sorted(tiles, key=lambda tile: -tile.crop.pixels))


def in_view_first(
    tiles: Iterable[Tile], width: int, height: int, focus: tuple[float, float, float, float]
) -> tuple[Tile, ...]:
    """Order tiles by their distance to what is looked at.

    Parameters
    ----------
    tiles : of an image of `width` x `height` pixels.
    focus : left, top, right, bottom of the part in view, in 0..1 of the whole image; may reach beyond it.

    Returns
    -------
    The same tiles: first those in view, from its centre outwards, then the others, nearest first.
    """
    left, right = sorted((focus[0] * width, focus[2] * width))
    top, bottom = sorted((focus[1] * height, focus[3] * height))

    def distance(tile: Tile) -> tuple[float, float]:
        core = tile.core
        outside = math.hypot(
            max(core.x - right, left - core.right, 0.0), max(core.y - bottom, top - core.bottom, 0.0)
        )
        from_centre = math.hypot(
            core.x + core.width / 2 - (left + right) / 2, core.y + core.height / 2 - (top + bottom) / 2
        )
        return outside, from_centre

    return tuple(sorted(tiles, key=distance))


def _cut(area: Box, whole: Box, width: int, height: int, overlap: int, align: int) -> tuple[Tile, ...]:
    """Cut `area` of the image `whole` into tiles of cores of at most `width` x `height`."""
    columns = _cuts(area.x, area.right, width, align)
    rows = _cuts(area.y, area.bottom, height, align)
    halo = -(-overlap // align) * align
    tiles = []
    for top, bottom in rows:
        for left, right in columns:
            core = Box(left, top, right - left, bottom - top)
            x, y = max(whole.x, left - halo), max(whole.y, top - halo)
            crop = Box(x, y, min(whole.right, right + halo) - x, min(whole.bottom, bottom + halo) - y)
            tiles.append(Tile(core, crop))
    return tuple(tiles)


def _cuts(begin: int, end: int, side: int, align: int) -> list[tuple[int, int]]:
    """Cut begin..end into runs of at most `side` that differ by no more than one step of `align`.

    Equal shares, rather than full tiles and a remainder: slivers cost more in overlap than they give.
    """
    steps = -(-(end - begin) // align)
    count = -(-steps // max(1, side // align))
    edges = [begin + i * steps // count * align for i in range(count)] + [end]
    return list(pairwise(edges))
