"""Points, sizes and rectangles, in screen pixels, image pixels or whole-image coordinates."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """A point; its owner says whether in pane pixels or in whole-image coordinates (0..1 on both axes)."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Size:
    """A width and a height of at least one pixel each.

    Raises
    ------
    ValueError
        If a side is less than 1.
    """

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a size of {self.width} x {self.height} has no pixels")

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def times(self, scale: int) -> Size:
        """Return the size of an image enlarged by the integer factor `scale`."""
        return Size(self.width * scale, self.height * scale)

    def __str__(self) -> str:
        return f"{self.width} × {self.height}"


@dataclass(frozen=True, slots=True)
class Rect:
    """A rectangle of real coordinates: `left` <= `right`, `top` <= `bottom`."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """Extent along x."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Extent along y."""
        return self.bottom - self.top

    @property
    def centre(self) -> Point:
        """The middle."""
        return Point((self.left + self.right) / 2, (self.top + self.bottom) / 2)

    def contains(self, point: Point) -> bool:
        """Return whether `point` lies inside or on the edge."""
        return self.left <= point.x <= self.right and self.top <= point.y <= self.bottom

    def overlaps(self, other: Rect) -> bool:
        """Return whether the two share an area (touching edges do not count)."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Return (left, top, right, bottom), as the engine takes its focus."""
        return (self.left, self.top, self.right, self.bottom)


WHOLE = Rect(0.0, 0.0, 1.0, 1.0)
"""The whole image in whole-image coordinates."""

IMAGE_CENTRE = Point(0.5, 0.5)
"""The middle of any image in whole-image coordinates."""


@dataclass(frozen=True, slots=True)
class PixelRect:
    """A rectangle of whole pixels: column and row of its first pixel, and how many it spans."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column beyond the rectangle."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row beyond the rectangle."""
        return self.y + self.height

    def times(self, scale: int) -> PixelRect:
        """Return the same rectangle in an image enlarged by the integer factor `scale`."""
        return PixelRect(self.x * scale, self.y * scale, self.width * scale, self.height * scale)

    def within(self, size: Size) -> bool:
        """Return whether the rectangle has pixels and all of them lie in an image of `size`."""
        return (
            self.width >= 1
            and self.height >= 1
            and self.x >= 0
            and self.y >= 0
            and self.right <= size.width
            and self.bottom <= size.height
        )

    def whole_image(self, size: Size) -> Rect:
        """Return where the rectangle, in pixels of an image of `size`, lies in whole-image coordinates."""
        return Rect(
            self.x / size.width, self.y / size.height, self.right / size.width, self.bottom / size.height
        )

    def as_tuple(self) -> tuple[int, int, int, int]:
        """Return (x, y, width, height), as a metric takes its region."""
        return (self.x, self.y, self.width, self.height)

    def __str__(self) -> str:
        return f"{self.width} × {self.height} px"


def pixel_at(point: Point, size: Size) -> tuple[int, int] | None:
    """Return (column, row) of the pixel of an image of `size` under a whole-image `point`; None beside the
    image.
    """
    column, row = math.floor(point.x * size.width), math.floor(point.y * size.height)
    if 0 <= column < size.width and 0 <= row < size.height:
        return column, row
    return None


def covering(area: Rect, size: Size) -> PixelRect | None:
    """Return the pixels of an image of `size` that a whole-image `area` touches; None if it touches none.

    Edges within a millionth of a pixel of a pixel's border count as on it, so that a rectangle of whole
    pixels survives the way to whole-image coordinates and back.
    """
    if area.right <= 0 or area.bottom <= 0 or area.left >= 1 or area.top >= 1:
        return None
    x, right = _span(area.left * size.width, area.right * size.width, size.width)
    y, bottom = _span(area.top * size.height, area.bottom * size.height, size.height)
    return PixelRect(x, y, right - x, bottom - y)


_SLACK = 1e-6  # pixels; far above rounding at 100,000 px, far below what a mouse can aim at


def _span(first: float, last: float, length: int) -> tuple[int, int]:
    """Return the first pixel that `first`..`last` touches and the one behind its last: at least one pixel."""
    start = min(max(math.floor(first + _SLACK), 0), length - 1)
    stop = min(max(math.ceil(last - _SLACK), start + 1), length)
    return start, stop
