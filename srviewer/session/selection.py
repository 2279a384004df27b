"""The selected region: a rectangle of whole LR pixels, the same in every pane."""

from __future__ import annotations

from dataclasses import dataclass, replace

from srviewer.session.geometry import PixelRect, Point, Rect, Size, covering


@dataclass(frozen=True, slots=True)
class Selection:
    """A region of an image, snapped to the pixels of its LR version so that it is exact at every scale.

    Attributes
    ----------
    lr : the LR image's size in pixels.
    pixels : the region in LR pixels.

    Raises
    ------
    ValueError
        If the region is empty or reaches beyond the image.
    """

    lr: Size
    pixels: PixelRect

    def __post_init__(self) -> None:
        if not self.pixels.within(self.lr):
            raise ValueError(f"{self.pixels} does not lie within an image of {self.lr}")

    @classmethod
    def between(cls, first: Point, last: Point, lr: Size) -> Selection | None:
        """Select all LR pixels that a drag touches.

        Parameters
        ----------
        first, last : opposite corners of the drag in any order, whole-image coordinates; they may lie
            outside.
        lr : the LR image's size in pixels.

        Returns
        -------
        The selection of at least one pixel; None if the drag misses the image.
        """
        area = Rect(min(first.x, last.x), min(first.y, last.y), max(first.x, last.x), max(first.y, last.y))
        pixels = covering(area, lr)
        return None if pixels is None else cls(lr, pixels)

    @property
    def area(self) -> Rect:
        """The region in whole-image coordinates."""
        return self.pixels.whole_image(self.lr)

    def at_scale(self, scale: int) -> PixelRect:
        """Return the region in the pixels of a result (or of a ground truth) `scale` times as large as LR."""
        return self.pixels.times(scale)

    def in_size(self, size: Size) -> PixelRect:
        """Return the region in pixels of any image of the same picture; exact where `size` is a multiple of
        LR's.

        Elsewhere every pixel that the region touches counts.
        """
        if size.width % self.lr.width == 0 and size.height % self.lr.height == 0:
            across, down = size.width // self.lr.width, size.height // self.lr.height
            one = self.pixels
            return PixelRect(one.x * across, one.y * down, one.width * across, one.height * down)
        pixels = covering(self.area, size)
        assert pixels is not None, "a region with pixels touches every size of its image"
        return pixels

    def moved(self, columns: int, rows: int) -> Selection:
        """Move by whole LR pixels, as far as the image goes."""
        x = min(max(self.pixels.x + columns, 0), self.lr.width - self.pixels.width)
        y = min(max(self.pixels.y + rows, 0), self.lr.height - self.pixels.height)
        return replace(self, pixels=replace(self.pixels, x=x, y=y))

    def grown(self, columns: int, rows: int) -> Selection:
        """Move the right and bottom edge by whole LR pixels: at least one pixel stays, at most the image."""
        width = min(max(self.pixels.width + columns, 1), self.lr.width - self.pixels.x)
        height = min(max(self.pixels.height + rows, 1), self.lr.height - self.pixels.y)
        return replace(self, pixels=replace(self.pixels, width=width, height=height))
