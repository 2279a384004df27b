"""The size that results are saved in: the network's own, or one reached from it by resampling."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from srviewer.imaging.image import Image
from srviewer.session.geometry import Size

TargetKind = Literal["network", "factor", "long edge", "print"]
"""How a size is asked for."""

LARGEST_SIDE = 100_000
"""Pixels; a longer side is a slip of the keyboard."""

_CENTIMETRES_PER_INCH = 2.54


class TargetSizeError(ValueError):
    """A size cannot be reached. The message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class TargetSize:
    """The size that results are saved in.

    Attributes
    ----------
    kind : ``"network"`` keeps what the network gave.
    factor : times the input, for ``"factor"``.
    long_edge : pixels of the longer side, for ``"long edge"``.
    print_centimetres, dots_per_inch : the longer side on paper, for ``"print"``.

    Raises
    ------
    TargetSizeError
        If a number is not positive.
    """

    kind: TargetKind = "network"
    factor: float = 2.0
    long_edge: int = 3840
    print_centimetres: float = 29.7
    dots_per_inch: float = 300.0

    def __post_init__(self) -> None:
        numbers = (self.factor, self.long_edge, self.print_centimetres, self.dots_per_inch)
        if not all(0 < number < float("inf") for number in numbers):
            raise TargetSizeError("a size needs numbers above zero")

    def size_for(self, source: Size, scale: int) -> Size:
        """Return the size of a result that a network of `scale` made of an input of size `source`.

        Raises
        ------
        TargetSizeError
            If a side would be longer than 100,000 px.
        """
        if self.kind == "network":
            return source.times(scale)
        longer = max(source.width, source.height)
        if self.kind == "factor":
            factor = self.factor
        elif self.kind == "long edge":
            factor = self.long_edge / longer
        else:
            factor = self.print_centimetres / _CENTIMETRES_PER_INCH * self.dots_per_inch / longer
        if longer * factor > LARGEST_SIDE:
            raise TargetSizeError(
                f"a side of {longer * factor:,.0f} px is too long: {LARGEST_SIDE:,} px at most"
            )
        return Size(max(round(source.width * factor), 1), max(round(source.height * factor), 1))

    @property
    def text(self) -> str:
        """In words for the user."""
        match self.kind:
            case "network":
                return "as the network gives it"
            case "factor":
                return f"{self.factor:g} times the input"
            case "long edge":
                return f"{self.long_edge} px along the longer side"
            case "print":
                return f"{self.print_centimetres:g} cm at {self.dots_per_inch:g} dpi"


def resampled(image: Image, size: Size) -> Image:
    """Return `image` in another size by MATLAB-style bicubic interpolation, antialiased where it shrinks."""
    if (image.width, image.height) == (size.width, size.height):
        return image
    from srviewer.imaging.resize import imresize

    pixels = imresize(image.pixels, size=(size.height, size.width))
    alpha = None if image.alpha is None else imresize(image.alpha, size=(size.height, size.width))
    for plane in (pixels, alpha):
        if plane is not None:
            plane.setflags(write=False)
    return dataclasses.replace(image, pixels=pixels, alpha=alpha)
