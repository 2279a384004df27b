"""The eight flips and quarter turns of an image, and where its rectangles come to lie."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from srviewer.engine.tiles import Box


@dataclass(frozen=True)
class Orientation:
    """Some quarter turns to the left, and then maybe left and right exchanged."""

    turns: int
    mirrored: bool

    def of(self, batch: Tensor) -> Tensor:
        """Return N x C x H x W so turned, as a view."""
        turned = batch.rot90(self.turns, (2, 3))
        return turned.flip(3) if self.mirrored else turned

    def undone(self, batch: Tensor) -> Tensor:
        """Turn back what `of` turned."""
        return (batch.flip(3) if self.mirrored else batch).rot90(-self.turns, (2, 3))

    def box(self, box: Box, whole: Box) -> Box:
        """Return where a rectangle of the image `whole` lies in the turned image."""
        width, height = whole.width, whole.height
        for _ in range(self.turns):
            box = Box(box.y, width - box.right, box.height, box.width)
            width, height = height, width
        return Box(width - box.right, box.y, box.width, box.height) if self.mirrored else box

    def box_undone(self, box: Box, whole: Box) -> Box:
        """Return which rectangle of the image `whole` lies at `box` of the turned image."""
        width, height = self.whole(whole).width, self.whole(whole).height
        if self.mirrored:
            box = Box(width - box.right, box.y, box.width, box.height)
        for _ in range(self.turns):
            box = Box(height - box.bottom, box.x, box.height, box.width)
            width, height = height, width
        return box

    def whole(self, whole: Box) -> Box:
        """Return the turned image's rectangle."""
        return (
            Box(0, 0, whole.height, whole.width) if self.turns % 2 else Box(0, 0, whole.width, whole.height)
        )


ORIENTATIONS = tuple(Orientation(turns, mirrored) for turns in range(4) for mirrored in (False, True))
"""All eight, the image as it is first."""
