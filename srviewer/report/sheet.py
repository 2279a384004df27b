"""A page on which axes are placed in inches from its top left corner."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from srviewer.report.drawing import POINTS_PER_INCH, fitted, font

INK = "#1a1a1a"
GRID = "#dddddd"
LABEL_SIZE, TICK_SIZE, TITLE_SIZE = 7.0, 6.0, 7.5
"""Points."""

LINE_INKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Okabe and Ito's colours, which the colour-blind can tell apart; yellow is too pale for lines on white."""

LINE_STYLES = ("-", "--", "-.", ":")
"""For more lines than there are colours, and for prints without colour."""

# Pixels along the longer side of a map beyond which a figure only grows.
_LARGEST_SIDE = 1024


class Sheet:
    """A figure and the way to put things on it.

    Parameters
    ----------
    width, height : in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width = width
        self.height = height
        self.figure = Figure(figsize=(width, height), facecolor="white")

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes; their ticks and labels stand outside of the rectangle."""
        place = left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height
        axes = self.figure.add_axes(place)
        axes.tick_params(labelsize=TICK_SIZE, length=2, width=0.5, pad=1.5, colors=INK)
        for spine in axes.spines.values():
            spine.set_linewidth(0.5)
            spine.set_color(INK)
        return axes

    def write(
        self,
        words: str,
        left: float,
        baseline: float,
        width: float,
        *,
        size: float = TITLE_SIZE,
        bold: bool = False,
    ) -> None:
        """Write one centred line, made to fit `width`; `baseline` counts from the top."""
        shown, face = fitted(words, font(size, bold=bold), width * POINTS_PER_INCH)
        self.figure.text(
            (left + width / 2) / self.width,
            1 - baseline / self.height,
            shown,
            fontproperties=face,
            color=INK,
            ha="center",
            va="baseline",
            parse_math=False,
        )


def label_axes(axes: Axes, across: str, up: str) -> None:
    """Name both axes in the figures' type; an empty name is left out."""
    face = font(LABEL_SIZE)
    if across:
        axes.set_xlabel(across, fontproperties=face, color=INK, labelpad=1.5)
    if up:
        axes.set_ylabel(up, fontproperties=face, color=INK, labelpad=2)


def plain_lines(axes: Axes) -> None:
    """Give a chart a light grid behind its lines and open it to the top and right."""
    axes.grid(visible=True, color=GRID, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def picture_only(axes: Axes) -> None:
    """Take ticks away and keep a thin frame."""
    axes.set_xticks([])
    axes.set_yticks([])


def thinned(plane: NDArray[Any]) -> NDArray[Any]:
    """Reduce a map (H x W, or H x W x C) that is larger than a page shows, by the mean of whole blocks."""
    factor = -(-max(plane.shape[:2]) // _LARGEST_SIDE)
    if factor < 2 or min(plane.shape[:2]) < factor:
        return plane
    height, width = (side // factor for side in plane.shape[:2])
    cut = plane[: height * factor, : width * factor].astype(np.float32)
    mean: NDArray[Any] = cut.reshape(height, factor, width, factor, *plane.shape[2:]).mean(axis=(1, 3))
    return mean.astype(plane.dtype)
