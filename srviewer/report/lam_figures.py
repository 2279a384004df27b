"""The figure of local attribution maps: which pixels several networks used for one window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from srviewer.analysis.lam import Attribution
from srviewer.imaging.colour import luma
from srviewer.imaging.depth import to_eight_bits
from srviewer.imaging.image import Pixels
from srviewer.report.drawing import FigureError
from srviewer.report.figures import PAGE_WIDTH
from srviewer.report.sheet import Sheet, label_axes, picture_only, thinned

_LEFT, _GAP, _LINE, _BAR = 0.42, 0.08, 0.17, 0.08
_BETWEEN = 0.12  # so that the numbers at the ends of both colour bars do not meet
_BAR_ROOM = 0.55
_MOST_COLUMNS = 4
_BOX = "#e4002b"
# Both get darker evenly and can be read by the colour-blind.
_MAP_COLOURS, _DENSITY_COLOURS = "YlOrRd", "viridis"
# Few pixels get most of the attribution; the square root lets the others be seen.
_POWER = 0.5
_FADED = 0.5  # of the way to white that the picture below is taken
_DENSITY_OPACITY = 0.65


def lam_figure(
    pixels: Pixels, attributions: Sequence[tuple[str, Attribution]], *, width: float = PAGE_WIDTH
) -> Figure:
    """Draw the input with its window, and over it each network's map and the density of its attribution.

    Below each network stands its diffusion index (as SAFMN's figure 2).

    Parameters
    ----------
    pixels : H x W x 3, uint8 or uint16, in sRGB: the input.
    attributions : names and maps of the same input, at least one.
    width : of the figure, in inches; its height follows.

    Raises
    ------
    FigureError
        There is nothing to draw, or a map is not of this input.
    """
    if not attributions:
        raise FigureError("there is no attribution map to draw")
    for name, found in attributions:
        if found.map.shape != pixels.shape[:2]:
            raise FigureError(f"the map of {name} is not of this picture: their sizes differ")
    aspect = pixels.shape[0] / pixels.shape[1]
    columns = min(len(attributions), _MOST_COLUMNS)
    rows = math.ceil(len(attributions) / columns)
    picture = (width - _LEFT - _BAR_ROOM - columns * _GAP) / (columns + 1)
    picture = min(picture, 2.6, 2.6 / aspect)
    height = picture * aspect
    row_height = 2 * height + _BETWEEN + 2 * _LINE + 0.1
    sheet = Sheet(min(width, _LEFT + (columns + 1) * (picture + _GAP) + _BAR_ROOM), rows * row_height + 0.05)
    shown = to_eight_bits(pixels)
    axes = sheet.axes(_LEFT, 0.05 + _LINE, picture, height)
    axes.imshow(thinned(shown), extent=_extent(shown), aspect="auto", interpolation="antialiased")
    label_axes(axes, "Column [px]", "Row [px]")
    for window, scale in dict.fromkeys((one.window, one.scale) for _, one in attributions):
        _frame(axes, window.col / scale, window.row / scale, window.width / scale, window.height / scale)
    sheet.write("Input, window", _LEFT, 0.05 + _LINE - 0.05, picture)
    pale = _pale(shown)
    for index, (name, found) in enumerate(attributions):
        row, column = divmod(index, columns)
        left = _LEFT + (column + 1) * (picture + _GAP)
        top = 0.05 + row * row_height + _LINE
        sheet.write(name, left, top - 0.05, picture)
        upper = sheet.axes(left, top, picture, height)
        lower = sheet.axes(left, top + height + _BETWEEN, picture, height)
        images = _attribution(upper, pale, found), _density(lower, pale, found)
        sheet.write(
            f"DI {found.diffusion_index:.2f}", left, top + 2 * height + _BETWEEN + 0.14, picture, bold=True
        )
        if index == min(columns, len(attributions)) - 1:
            for image, words, start in (
                (images[0], "Attribution / max.", top),
                (images[1], "Density / max.", top + height + _BETWEEN),
            ):
                bar = sheet.axes(left + picture + _GAP, start, _BAR, height)
                sheet.figure.colorbar(image, cax=bar, ticks=[0, 0.25, 0.5, 1], format="%g")
                label_axes(bar, "", words)
    return sheet.figure


def _attribution(axes: Axes, pale: NDArray[np.uint8], found: Attribution) -> AxesImage:
    _ground(axes, pale, found)
    values = found.map
    return axes.imshow(
        values,
        cmap=_MAP_COLOURS,
        norm=PowerNorm(_POWER, 0, 1),
        alpha=np.minimum(1, 1.5 * values**_POWER),
        extent=_extent(values),
        aspect="auto",
        interpolation="nearest",
    )


def _density(axes: Axes, pale: NDArray[np.uint8], found: Attribution) -> AxesImage:
    _ground(axes, pale, found)
    values = thinned(found.density())
    return axes.imshow(
        values,
        cmap=_DENSITY_COLOURS,
        vmin=0,
        vmax=1,
        alpha=_DENSITY_OPACITY,
        extent=_extent(found.map),
        aspect="auto",
        interpolation="antialiased",
    )


def _ground(axes: Axes, pale: NDArray[np.uint8], found: Attribution) -> None:
    axes.imshow(
        pale,
        cmap="gray",
        vmin=0,
        vmax=255,
        extent=_extent(found.map),
        aspect="auto",
        interpolation="antialiased",
    )
    picture_only(axes)
    window, scale = found.window, found.scale
    _frame(axes, window.col / scale, window.row / scale, window.width / scale, window.height / scale)


def _frame(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    for ink, line in (("white", 1.8), (_BOX, 0.9)):  # the white edge keeps the box visible on red
        axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=ink, linewidth=line))


def _extent(plane: NDArray[np.float32] | Pixels) -> tuple[float, float, float, float]:
    return 0.0, float(plane.shape[1]), float(plane.shape[0]), 0.0


def _pale(pixels: Pixels) -> NDArray[np.uint8]:
    """Return the picture in light grey, on which colours stand out."""
    grey = (luma(pixels) - 16) / 219 * 255
    faded: NDArray[np.uint8] = np.rint(thinned(grey + (255 - grey) * _FADED)).clip(0, 255).astype(np.uint8)
    return faded
