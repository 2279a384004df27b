"""The table of metrics: its columns, its rows, their order, and how they are drawn and copied."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QRect, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from srviewer.app.docks.row_painting import (
    LEFT,
    RIGHT,
    Index,
    RowState,
    draw_background,
    draw_text,
    line_height,
    option_font,
    option_rect,
)
from srviewer.app.model_facts import model_title
from srviewer.app.theme import current_palette, numbers_font, small_font
from srviewer.session.scores import ScoreColumn, ScoreRow, sorted_rows
from srviewer.session.wording import (
    bytes_text,
    decibels_text,
    difference_text,
    duration_text,
    similarity_text,
)

ROW_ROLE = Qt.ItemDataRole.UserRole + 1
"""Gives an index's `MetricCell`."""

_PADDING = 5


@dataclass(frozen=True, slots=True)
class MetricColumn:
    """One column.

    Attributes
    ----------
    key : what the rows are sorted by.
    title : what stands above it.
    explanation : for What's This.
    text : how a row's value reads.
    with_truth : whether it belongs to the table with a ground truth; None for both tables.
    best : whether the highest (True) or lowest (False) value is the best one; None where neither is.
    of_region : whether a selected region has a value of its own.
    """

    key: ScoreColumn
    title: str
    explanation: str
    text: Callable[[ScoreRow], str]
    with_truth: bool | None = None
    best: bool | None = None
    of_region: bool = True


COLUMNS: tuple[MetricColumn, ...] = (
    MetricColumn(
        "model",
        "Network",
        "The network, with the factor by which it enlarges. ≈ marks a result of tiles that differs from the "
        "untiled one by more than 1/255.",
        lambda row: model_title(row.model.partition("@")[0]) + (" ≈" if row.exact is False else ""),
    ),
    MetricColumn(
        "psnr_y",
        "PSNR-Y",
        "Peak signal-to-noise ratio in dB against the ground truth, on the luma Y of YCbCr as in the papers' "
        "tables; as many pixels as the scale are shaved from every border. Higher is closer; half a decibel "
        "can be seen.",
        lambda row: decibels_text(row.psnr_y),
        with_truth=True,
        best=True,
    ),
    MetricColumn(
        "ssim_y",
        "SSIM",
        "Structural similarity on Y (Wang et al. 2004, 11 × 11 Gaussian window of σ 1.5): 1 is the same "
        "structure. Regions under 11 pixels have none.",
        lambda row: similarity_text(row.ssim_y),
        with_truth=True,
        best=True,
    ),
    MetricColumn(
        "delta_db",
        "Δ dB",
        "PSNR-Y minus that of bicubic interpolation at the same scale: what the network gains.",
        lambda row: difference_text(None if row.model.startswith("bicubic_") else row.delta_db),
        with_truth=True,
        best=True,
    ),
    MetricColumn(
        "psnr_rgb",
        "RGB",
        "Peak signal-to-noise ratio in dB over the three colour channels together, same border.",
        lambda row: decibels_text(row.psnr_rgb),
        with_truth=True,
        best=True,
    ),
    MetricColumn(
        "consistency",
        "LR dB",
        "LR consistency: PSNR-Y in dB between the input and the result scaled back down by MATLAB-style "
        "bicubic. It needs no ground truth, and tells whether the network kept what was there, not whether "
        "what it added is right.",
        lambda row: decibels_text(row.consistency),
        with_truth=False,
        best=True,
    ),
    MetricColumn(
        "seconds",
        "Time",
        "How long the network took for the whole image, pauses left out.",
        lambda row: duration_text(row.seconds),
        best=False,
        of_region=False,
    ),
    MetricColumn(
        "peak_memory_bytes",
        "Memory",
        "The peak during the run: allocated by the network on a GPU, the program's resident set on a CPU.",
        lambda row: bytes_text(row.peak_memory_bytes),
        best=False,
        of_region=False,
    ),
)
"""All columns; the dock hides those that do not apply."""


@dataclass(frozen=True, slots=True)
class MetricCell:
    """What stands in one place of the table.

    Attributes
    ----------
    text : the whole image's value.
    best : whether no network has a better one.
    region_text : below it the region's value, or a remark; None where there is neither.
    region_best : whether no network has a better one on the region.
    is_region : whether there is a region.
    """

    text: str
    best: bool
    region_text: str | None
    region_best: bool
    is_region: bool = True


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One network's numbers, of the whole image and of the selected region if there is one."""

    whole: ScoreRow
    region: ScoreRow | None = None


class MetricRows(QAbstractTableModel):
    """The table as Qt's views want it; sorted by the whole image's values."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._given: tuple[MetricRow, ...] = ()
        self._rows: tuple[MetricRow, ...] = ()
        self._cells: tuple[tuple[MetricCell, ...], ...] = ()
        self._column: int | None = None
        self._descending = False

    def show_rows(self, rows: Sequence[MetricRow]) -> None:
        """Show these rows, in their own order unless the user chose one."""
        if tuple(rows) == self._given:
            return
        same = [row.whole.model for row in rows] == [row.whole.model for row in self._given]
        self._given = tuple(rows)
        self._arrange(reset=not same)

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; -1 is the order of the panes."""
        self._column = column if column >= 0 else None
        self._descending = order is Qt.SortOrder.DescendingOrder
        self._arrange(reset=True)

    @property
    def rows(self) -> tuple[MetricRow, ...]:
        """The rows as they are shown."""
        return self._rows

    @property
    def has_regions(self) -> bool:
        """Whether the rows have a second line."""
        return any(row.region is not None for row in self._rows)

    def as_text(self, columns: Sequence[int], places: Sequence[int]) -> str:
        """Return columns of some rows, with titles, separated by tabs: what spreadsheets paste.

        The first of `columns` is the networks'.
        """
        lines = ["\t".join(COLUMNS[column].title for column in columns)]
        for place in places:
            row = self._rows[place]
            name = model_title(row.whole.model)
            lines.append("\t".join([name, *(COLUMNS[column].text(row.whole) for column in columns[1:])]))
            if row.region is not None:
                values = [self._cells[place][column].region_text or "" for column in columns[1:]]
                lines.append("\t".join([f"{name}, selection", *values]))
        return "\n".join(lines) + "\n"

    def _arrange(self, *, reset: bool) -> None:
        if reset:
            self.beginResetModel()
        rows = self._given
        if self._column is not None:
            key = COLUMNS[self._column].key
            by_model = {row.whole.model: row for row in rows}
            whole = sorted_rows([row.whole for row in rows], key, descending=self._descending)
            rows = tuple(by_model[row.model] for row in whole)
        self._rows = rows
        columns = [_column_cells(column, rows) for column in COLUMNS]
        self._cells = tuple(zip(*columns, strict=True)) if rows else ()
        if reset:
            self.endResetModel()
        elif rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, len(COLUMNS) - 1))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102, N802 -- Qt's name and default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102, N802 -- Qt's name and default
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:  # noqa: D102
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        cell = self._cells[index.row()][index.column()]
        row = self._rows[index.row()].whole
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return cell.text
            case Qt.ItemDataRole.ToolTipRole:
                return row.note or f"{model_title(row.model)} ({row.model})"
            case Qt.ItemDataRole.AccessibleTextRole:
                region = "" if cell.region_text is None else f", selection {cell.region_text}"
                return f"{COLUMNS[index.column()].title} {cell.text}{region}"
            case _ if role == ROW_ROLE:
                return cell
        return None

    def headerData(  # noqa: D102, N802 -- Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> object:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(COLUMNS):
            return None
        column = COLUMNS[section]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return column.title
            case Qt.ItemDataRole.ToolTipRole | Qt.ItemDataRole.WhatsThisRole:
                return column.explanation
            case Qt.ItemDataRole.TextAlignmentRole:
                return LEFT if section == 0 else RIGHT
        return None


def _column_cells(column: MetricColumn, rows: Sequence[MetricRow]) -> list[MetricCell]:
    """Return a column's cells, the best marked among the networks (interpolation does not compete)."""
    best = _best_texts(column, [row.whole for row in rows])
    region_best = _best_texts(column, [row.region for row in rows if row.region is not None])
    cells = []
    for row in rows:
        region = row.region
        region_text: str | None = None
        if region is not None:
            region_text = column.text(region) if column.of_region else ""
        if column.key == "model":
            # The second line tells the weights' source as well: beside the title there is no room for it.
            source = row.whole.model.partition("@")[2]
            words = [source, "selection" if region is not None else ""]
            region_text = " · ".join(word for word in words if word) or None
        cells.append(
            MetricCell(
                column.text(row.whole),
                column.text(row.whole) in best,
                region_text,
                region_text is not None and region_text in region_best,
                is_region=region is not None,
            )
        )
    return cells


def _best_texts(column: MetricColumn, rows: Sequence[ScoreRow]) -> set[str]:
    """Return how the best value reads: what reads alike is best alike. Nothing is best of one."""
    if column.best is None:
        return set()
    values: dict[str, float] = {}
    for row in rows:
        value = getattr(row, column.key)
        if isinstance(value, int | float) and not math.isnan(value) and not row.model.startswith("bicubic_"):
            values[column.text(row)] = float(value)
    if len(values) < 2:
        return set()
    return {(max if column.best else min)(values, key=lambda text: values[text])}


class MetricDelegate(QStyledItemDelegate):
    """Draws the cells: the whole image's value, below it the selected region's in the accent's colour."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:  # noqa: D102
        cell = index.data(ROW_ROLE)
        assert isinstance(cell, MetricCell)
        palette = current_palette()
        rect = option_rect(option)
        state = RowState.of(option)
        painter.save()
        draw_background(
            painter, rect, RowState(state.selected, state.hovered, focused=False, enabled=True), palette
        )
        font = numbers_font(option_font(option))
        align = LEFT if index.column() == 0 else RIGHT
        inner = rect.adjusted(_PADDING, 0, -_PADDING, 0)
        bold = QFont(font)
        bold.setWeight(QFont.Weight.Bold)
        upper = inner
        if cell.region_text is not None:
            upper = QRect(inner.x(), inner.y() + 3, inner.width(), line_height(font))
            lower_font = small_font(bold if cell.region_best else font)
            lower = QRect(inner.x(), upper.bottom() + 1, inner.width(), line_height(lower_font))
            ink = palette.link if cell.is_region else palette.muted
            draw_text(painter, lower, cell.region_text, lower_font, ink, align)
        draw_text(painter, upper, cell.text, bold if cell.best else font, palette.text, align)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: D102, N802 -- Qt's name
        cell = index.data(ROW_ROLE)
        assert isinstance(cell, MetricCell)
        bold = numbers_font(option_font(option))
        bold.setWeight(QFont.Weight.Bold)
        width = QFontMetrics(bold).horizontalAdvance(cell.text) + 2 * _PADDING + 1
        height = line_height(bold) + 8
        if cell.region_text is not None:
            small = small_font(bold)
            width = max(width, QFontMetrics(small).horizontalAdvance(cell.region_text) + 2 * _PADDING + 1)
            height += line_height(small) - 1
        return QSize(width, height)
