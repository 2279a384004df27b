"""Where the panes lie on the canvas: arithmetic of the grid and of the crops figure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from srviewer.session.geometry import PixelRect, Size


def grid_layout(count: int, canvas: Size, picture: Size, gap: int = 2) -> tuple[PixelRect, ...]:
    """Lay out `count` panes of one size so that a picture that fits its pane is as large as can be.

    Parameters
    ----------
    count : how many panes; 0 gives none.
    canvas : room for all of them, in screen pixels.
    picture : the picture that they show; only its proportions matter.
    gap : screen pixels between two panes.

    Returns
    -------
    Rectangles in reading order, all of one size (one viewport serves them all). Pixels left over by the
    division lie beside and below the grid. A canvas too small for the panes gives panes of one pixel.
    """
    if count < 1:
        return ()
    columns = max(range(1, count + 1), key=lambda across: _grid_merit(count, across, canvas, picture, gap))
    cell = _cell(canvas, columns, _rows(count, columns), gap)
    return tuple(
        PixelRect(
            (index % columns) * (cell.width + gap),
            (index // columns) * (cell.height + gap),
            cell.width,
            cell.height,
        )
        for index in range(count)
    )


def _rows(count: int, columns: int) -> int:
    return math.ceil(count / columns)


def _cell(canvas: Size, columns: int, rows: int, gap: int) -> Size:
    """Return the size of each of `columns` x `rows` panes."""
    return Size(
        max((canvas.width - (columns - 1) * gap) // columns, 1),
        max((canvas.height - (rows - 1) * gap) // rows, 1),
    )


def _grid_merit(count: int, columns: int, canvas: Size, picture: Size, gap: int) -> tuple[float, int, int]:
    """Return what makes a grid better: the picture's scale, then fewer empty cells, then more columns."""
    rows = _rows(count, columns)
    cell = _cell(canvas, columns, rows, gap)
    scale = min(cell.width / picture.width, cell.height / picture.height)
    return scale, count - columns * rows, columns


@dataclass(frozen=True, slots=True)
class CropsLayout:
    """The crops figure: one overview on the left, the crops beside it in reading order."""

    overview: PixelRect
    crops: tuple[PixelRect, ...]


_WIDEST_OVERVIEW = 0.5  # of the canvas: the crops are what the figure is looked at for


def crops_layout(
    count: int, canvas: Size, picture: Size, crop: Size, gap: int = 8, caption: int = 0
) -> CropsLayout:
    """Lay out the overview and `count` crops, each crop with room for a caption below it.

    Parameters
    ----------
    count : how many crops.
    canvas : room for the figure, in screen pixels.
    picture, crop : the whole picture's and the selected region's size; only their proportions matter.
    gap : screen pixels between neighbours.
    caption : screen pixels kept free below the overview and each crop.

    Returns
    -------
    Rectangles without the captions, in the proportions of what they show (rounded to pixels); the crops all
    of one size, as large as the room beside the overview allows. A canvas too small gives rectangles of one
    pixel.
    """
    height = max(canvas.height - caption, 1)
    if count < 1:
        return CropsLayout(_fitted(Size(canvas.width, height), picture, 0, 0), ())
    room = Size(max(int(canvas.width * _WIDEST_OVERVIEW), 1), height)
    overview = _fitted(room, picture, 0, 0)
    left = overview.width + gap
    beside = Size(max(canvas.width - left, 1), max(canvas.height, 1))

    def crop_size(columns: int) -> Size:
        cell = _cell(beside, columns, _rows(count, columns), gap)
        shown = _fitted(Size(cell.width, max(cell.height - caption, 1)), crop, 0, 0)
        return Size(shown.width, shown.height)

    columns = max(
        range(1, count + 1),
        key=lambda across: (crop_size(across).pixels, count - across * _rows(count, across), across),
    )
    size = crop_size(columns)
    crops = tuple(
        PixelRect(
            left + (index % columns) * (size.width + gap),
            (index // columns) * (size.height + caption + gap),
            size.width,
            size.height,
        )
        for index in range(count)
    )
    return CropsLayout(overview, crops)


def _fitted(room: Size, shown: Size, x: int, y: int) -> PixelRect:
    """Return the largest rectangle in the proportions of `shown` that fits `room`, its corner at (`x`,
    `y`).
    """
    scale = min(room.width / shown.width, room.height / shown.height)
    width, height = int(shown.width * scale + 1e-9), int(shown.height * scale + 1e-9)
    return PixelRect(x, y, max(min(width, room.width), 1), max(min(height, room.height), 1))
