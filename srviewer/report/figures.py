"""The figures that papers compare networks with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from srviewer.analysis.metrics import Region
from srviewer.imaging.depth import to_eight_bits
from srviewer.imaging.image import Pixels
from srviewer.report.drawing import (
    POINTS_PER_INCH,
    PRINT_DPI,
    SMALLEST_FONT,
    FigureError,
    fitted,
    font,
    text_width,
)

# Inches, for a figure across both columns of a conference paper.
PAGE_WIDTH = 7.16
_MARGIN = 0.03
_GAP = 0.07
_LINE = 0.135
_OVERVIEW_GAP = 0.1
_LOWEST_ROWS, _MOST_ROWS = 1, 4
# Shares of the width that look balanced: the overview's, and the whole figure's height.
_OVERVIEW_SHARE, _HEIGHT_SHARE = 0.36, 0.42
# A wider overview goes above the crops rather than beside them.
_PANORAMA = 2.2
_LEGIBLE_WIDTH = 0.85
_FONT_SIZE = 7.5
_INK, _BOX = "#1a1a1a", "#e4002b"
# Results of one picture differ in size only by what the cut to a multiple of the scale took away.
_SIZE_TOLERANCE = 4


@dataclass(frozen=True, eq=False)
class CropCell:
    """One picture of a crop figure.

    Attributes
    ----------
    title : the network's name, or ``"HR"``.
    pixels : the whole result, H x W x 3, uint8 or uint16, R, G, B, in sRGB.
    psnr_y, ssim_y : what stands below; None where there is nothing to say.
    truth : whether it is the ground truth: "PSNR / SSIM" stands below.
    """

    title: str
    pixels: Pixels
    psnr_y: float | None = None
    ssim_y: float | None = None
    truth: bool = False


@dataclass(frozen=True)
class _Place:
    """A rectangle on the page in inches, from its lower left corner."""

    left: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True)
class _Layout:
    """Where everything goes on the page, in inches."""

    width: float
    height: float
    overview: _Place
    crops: tuple[_Place, ...]


def crop_figure(
    cells: Sequence[CropCell], crop: Region, *, name: str = "", width: float = PAGE_WIDTH
) -> Figure:
    """Draw the papers' visual comparison: the picture with a red box, and that box from every network.

    Below each crop stand its title and its PSNR and SSIM, the highest of each in bold. The first cell is also
    the overview. Pixels of small crops are drawn as sharp squares.

    Parameters
    ----------
    cells : the ground truth first where there is one, then bicubic, then the networks; at least one.
    crop : x, y, width, height in pixels of the results.
    name : stands below the overview.
    width : of the figure, in inches; its height follows.

    Returns
    -------
    Figure
        For `srviewer.report.drawing.save_figure`, or for a canvas of matplotlib's.

    Raises
    ------
    FigureError
        No cell, pictures of different sizes, or a crop that does not lie inside every picture.
    """
    _check(cells, crop)
    overview = cells[0].pixels
    measured = any(cell.psnr_y is not None or cell.ssim_y is not None for cell in cells)
    caption = (2 if measured else 1) * _LINE + 0.05
    aspect = overview.shape[1] / overview.shape[0]
    layout = _layout(len(cells), aspect, crop[2] / crop[3], width, caption)
    figure = Figure(figsize=(layout.width, layout.height), facecolor="white")
    _draw_overview(figure, layout, overview, crop, name)
    best_psnr = _best(["–" if cell.truth else _decibels(cell.psnr_y) for cell in cells])
    best_ssim = _best(["–" if cell.truth else _similarity(cell.ssim_y) for cell in cells])
    for cell, place, *bold in zip(cells, layout.crops, best_psnr, best_ssim, strict=True):
        axes = _picture_axes(figure, layout, place)
        x, y, crop_width, crop_height = crop
        part = to_eight_bits(cell.pixels[y : y + crop_height, x : x + crop_width])
        _show(axes, _sharpened(part, place), (0, 0, crop_width, crop_height))
        _write(figure, layout, cell.title, place)
        if measured:
            _write_scores(figure, layout, cell, place, (bold[0], bold[1]))
    return figure


def _check(cells: Sequence[CropCell], crop: Region) -> None:
    if not cells:
        raise FigureError("a crop figure needs at least one picture")
    first = cells[0]
    x, y, width, height = crop
    for cell in cells:
        rows, columns = cell.pixels.shape[:2]
        apart = max(abs(rows - first.pixels.shape[0]), abs(columns - first.pixels.shape[1]))
        if apart >= _SIZE_TOLERANCE:
            raise FigureError(
                f"{cell.title} has {columns} × {rows} px and {first.title} {first.pixels.shape[1]} × "
                f"{first.pixels.shape[0]} px: one box cannot show the same part of both"
            )
        if min(x, y) < 0 or min(width, height) < 1 or x + width > columns or y + height > rows:
            raise FigureError(
                f"the crop {width} × {height} at {x}, {y} does not lie inside {cell.title}, "
                f"which has {columns} × {rows} px"
            )


def _layout(count: int, overview_aspect: float, crop_aspect: float, width: float, caption: float) -> _Layout:
    """Choose the number of rows that balances the page; aspects are width over height."""
    place = _stacked if overview_aspect > _PANORAMA else _beside
    layouts = [
        place(count, rows, overview_aspect, crop_aspect, width, caption)
        for rows in range(_LOWEST_ROWS, min(_MOST_ROWS, count) + 1)
    ]
    return min((found for found in layouts if found is not None), key=_unbalance)


def _unbalance(layout: _Layout) -> float:
    crop = layout.crops[0]
    columns = len({place.left for place in layout.crops})
    rows = len({place.bottom for place in layout.crops})
    share = layout.overview.width / layout.width
    beside = layout.overview.left + layout.overview.width < layout.crops[0].left
    return (
        (abs(math.log(share / _OVERVIEW_SHARE)) if beside else 0)
        + abs(math.log(layout.height / layout.width / _HEIGHT_SHARE))
        + 0.5 * (columns * rows - len(layout.crops))
        + 4 * max(0.0, math.log(_LEGIBLE_WIDTH / crop.width))
    )


def _beside(
    count: int, rows: int, overview_aspect: float, crop_aspect: float, width: float, caption: float
) -> _Layout | None:
    """Put the overview left of `rows` rows of crops, as high as they are together."""
    columns = math.ceil(count / rows)
    between = (rows - 1) * (caption + _GAP)
    free = width - 2 * _MARGIN - _OVERVIEW_GAP - (columns - 1) * _GAP - overview_aspect * between
    crop_height = free / (overview_aspect * rows + columns * crop_aspect)
    if crop_height <= 0:
        return None
    overview_height = rows * crop_height + between
    height = 2 * _MARGIN + overview_height + caption
    overview = _Place(_MARGIN, _MARGIN + caption, overview_aspect * overview_height, overview_height)
    left = overview.left + overview.width + _OVERVIEW_GAP
    top = height - _MARGIN
    return _Layout(
        width,
        height,
        overview,
        _grid(count, columns, left, top, crop_aspect * crop_height, crop_height, caption),
    )


def _stacked(
    count: int, rows: int, overview_aspect: float, crop_aspect: float, width: float, caption: float
) -> _Layout | None:
    """Put the overview above the crops, as wide as they are together."""
    columns = math.ceil(count / rows)
    inner = width - 2 * _MARGIN
    crop_width = (inner - (columns - 1) * _GAP) / columns
    if crop_width <= 0:
        return None
    crop_height = crop_width / crop_aspect
    overview_height = inner / overview_aspect
    name_height = _LINE + 0.05
    crops_height = rows * (crop_height + caption) + (rows - 1) * _GAP
    height = 2 * _MARGIN + overview_height + name_height + _GAP + crops_height
    overview = _Place(_MARGIN, height - _MARGIN - overview_height, inner, overview_height)
    top = overview.bottom - name_height - _GAP
    return _Layout(
        width, height, overview, _grid(count, columns, _MARGIN, top, crop_width, crop_height, caption)
    )


def _grid(
    count: int, columns: int, left: float, top: float, width: float, height: float, caption: float
) -> tuple[_Place, ...]:
    return tuple(
        _Place(
            left + (index % columns) * (width + _GAP),
            top - height - (index // columns) * (height + caption + _GAP),
            width,
            height,
        )
        for index in range(count)
    )


def _draw_overview(figure: Figure, layout: _Layout, pixels: Pixels, crop: Region, name: str) -> None:
    place = layout.overview
    axes = _picture_axes(figure, layout, place)
    rows, columns = pixels.shape[:2]
    _show(axes, _shrunk(pixels, place), (0, 0, columns, rows))
    x, y, width, height = crop
    for ink, line_width in (("white", 2.2), (_BOX, 1.2)):  # the white edge keeps the box visible on red
        axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=ink, linewidth=line_width))
    if name:
        _write(figure, layout, name, place)


def _picture_axes(figure: Figure, layout: _Layout, place: _Place) -> Axes:
    axes = figure.add_axes(
        (
            place.left / layout.width,
            place.bottom / layout.height,
            place.width / layout.width,
            place.height / layout.height,
        )
    )
    axes.set_axis_off()
    return axes


def _show(axes: Axes, picture: Pixels, extent: Region) -> None:
    """Fill the axes with a picture whose corners have the pixel coordinates of `extent`."""
    x, y, width, height = extent
    # Pictures come with at least the pixels that the page can show, so this only ever scales down.
    axes.imshow(picture, interpolation="antialiased", extent=(x, x + width, y + height, y), aspect="auto")


def _write(figure: Figure, layout: _Layout, words: str, place: _Place) -> None:
    """Write a line below a picture, centred and no wider than it."""
    shown, face = fitted(words, font(_FONT_SIZE), place.width * POINTS_PER_INCH)
    _put(figure, layout, shown, (place.left + place.width / 2, place.bottom - _LINE), face, "center")


def _write_scores(
    figure: Figure, layout: _Layout, cell: CropCell, place: _Place, bold: tuple[bool, bool]
) -> None:
    """Write PSNR and SSIM below a cell's title, divided by a slash."""
    psnr, ssim = ("PSNR", "SSIM") if cell.truth else (_decibels(cell.psnr_y), _similarity(cell.ssim_y))
    size = _FONT_SIZE
    while True:
        faces = font(size, bold=bold[0]), font(size, bold=bold[1])
        widths = text_width(psnr, faces[0]), text_width(ssim, faces[1])
        total = sum(widths) + size
        if total <= place.width * POINTS_PER_INCH or size <= SMALLEST_FONT:
            break
        size -= 0.25
    baseline = place.bottom - 2 * _LINE
    slash = place.left + place.width / 2 + (widths[0] - widths[1]) / 2 / POINTS_PER_INCH
    away = size / 2 / POINTS_PER_INCH
    _put(figure, layout, psnr, (slash - away, baseline), faces[0], "right")
    _put(figure, layout, "/", (slash, baseline), font(size), "center")
    _put(figure, layout, ssim, (slash + away, baseline), faces[1], "left")


def _put(
    figure: Figure,
    layout: _Layout,
    words: str,
    at: tuple[float, float],
    face: FontProperties,
    alignment: Literal["left", "center", "right"],
) -> None:
    """Set a line of text on a baseline, in inches."""
    figure.text(
        at[0] / layout.width,
        at[1] / layout.height,
        words,
        fontproperties=face,
        color=_INK,
        horizontalalignment=alignment,
        verticalalignment="baseline",
        parse_math=False,  # a file may be called "a$b$c"
    )


def _decibels(psnr: float | None) -> str:
    if psnr is None:
        return "–"
    return "∞" if math.isinf(psnr) else f"{psnr:.2f}"


def _similarity(ssim: float | None) -> str:
    return "–" if ssim is None else f"{ssim:.4f}"


def _best(texts: Sequence[str]) -> tuple[bool, ...]:
    """Tell which of the printed values are the highest; none where they do not differ."""
    values = [-math.inf if text == "–" else math.inf if text == "∞" else float(text) for text in texts]
    highest = max(values, default=-math.inf)
    return tuple(value == highest and min(values) < highest for value in values)


def _shrunk(pixels: Pixels, place: _Place) -> Pixels:
    """Take a large picture down to what print can show, so that a figure of a large picture stays small."""
    width = round(place.width * PRINT_DPI)
    if pixels.shape[1] <= width:
        return _sharpened(to_eight_bits(pixels), place)
    height = max(1, round(pixels.shape[0] * width / pixels.shape[1]))
    small = cv2.resize(to_eight_bits(pixels), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def _sharpened(pixels: Pixels, place: _Place) -> Pixels:
    """Repeat pixels until print needs no more, so that no viewer smooths them."""
    times = math.ceil(place.width * PRINT_DPI / pixels.shape[1])
    return pixels.repeat(times, axis=0).repeat(times, axis=1) if times > 1 else pixels
