"""How the rows of the Queue dock are drawn, and where in them something can be clicked."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QDragEnterEvent,
    QDragMoveEvent,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QListView, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from srviewer.app.docks.job_rows import ROW_ROLE, JobAct, JobRow
from srviewer.app.docks.row_painting import (
    LEFT,
    MARGIN,
    Index,
    RowState,
    draw_background,
    draw_bar,
    draw_text,
    line_height,
    option_font,
    option_rect,
)
from srviewer.app.theme import Palette, current_palette, numbers_font, small_font

_NARROW = 640  # below this width the words stand below the name
_ACTS_WIDTH_SAMPLE = "Resume  Cancel"
_TEXT_SAMPLE = "tile 588 of 994 · 4100 ms/tile · 9.88 MP/s · 1.21 GB · 12:14 left"
_EMPTY = "Nothing to do. Tick networks and press Run."


def act_rects(row: JobRow, rect: QRect, font: QFont) -> list[tuple[JobAct, QRect]]:
    """Return where in a row each of its acts is written, from left to right."""
    metrics = QFontMetrics(small_font(font))
    height = line_height(font) + 8
    right = rect.right() - MARGIN + 1
    places: list[tuple[JobAct, QRect]] = []
    for act in reversed(row.acts):
        width = (
            metrics.horizontalAdvance(act) + 4
        )  # underlined and unhinted letters may be wider by a pixel or two
        places.insert(0, (act, QRect(right - width, rect.top(), width, height)))
        right -= width + MARGIN - 4
    return places


class JobDelegate(QStyledItemDelegate):
    """Draws the rows: name, bar, state in words, and what can be done."""

    def __init__(self, view: JobList) -> None:
        super().__init__(view)
        self._view = view

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:  # noqa: D102
        row = index.data(ROW_ROLE)
        assert isinstance(row, JobRow)
        rect = option_rect(option)
        font = option_font(option)
        palette = current_palette()
        state = RowState.of(option)
        painter.save()
        draw_background(painter, rect, state, palette)
        acts = act_rects(row, rect, font)
        for act, place in acts:
            link = QFont(small_font(font))
            link.setUnderline((row.id, act) == self._view.pointed)
            live = state.hovered or state.selected or row.state in ("running", "paused")
            draw_text(painter, place, act, link, palette.link if live else palette.muted)
        if rect.width() < _NARROW:
            self._paint_narrow(painter, rect, row, font, acts)
        else:
            self._paint_wide(painter, rect, row, font)
        painter.restore()

    def _paint_wide(self, painter: QPainter, rect: QRect, row: JobRow, font: QFont) -> None:
        palette = current_palette()
        small = numbers_font(small_font(font))
        metrics = QFontMetrics(small)
        right = rect.right() - 2 * MARGIN - metrics.horizontalAdvance(_ACTS_WIDTH_SAMPLE)
        words = min(metrics.horizontalAdvance(_TEXT_SAMPLE), rect.width() * 2 // 5)
        name = QRect(rect.x() + MARGIN, rect.y(), min(max(rect.width() // 5, 160), 280), rect.height())
        draw_text(painter, name, row.name, font, palette.text, elide=Qt.TextElideMode.ElideMiddle)
        left = name.right() + 1 + 2 * MARGIN
        if row.state == "failed":
            draw_text(
                painter, QRect(left, rect.y(), right - left, rect.height()), row.text, small, palette.error
            )
            return
        text = QRect(right - words, rect.y(), words, rect.height())
        draw_text(painter, text, row.text, small, palette.muted)
        bar = QRect(left, rect.center().y() - 2, text.left() - 2 * MARGIN - left, 6)
        if bar.width() >= 40:
            draw_bar(painter, bar, row.share, _fill(row, palette), palette)

    def _paint_narrow(
        self, painter: QPainter, rect: QRect, row: JobRow, font: QFont, acts: list[tuple[JobAct, QRect]]
    ) -> None:
        palette = current_palette()
        small = numbers_font(small_font(font))
        upper = line_height(font) + 8
        right = acts[0][1].left() - MARGIN if acts else rect.right() - MARGIN
        left = rect.x() + MARGIN
        draw_text(
            painter,
            QRect(left, rect.y(), right - left, upper),
            row.name,
            font,
            palette.text,
            LEFT,
            Qt.TextElideMode.ElideMiddle,
        )
        colour = palette.error if row.state == "failed" else palette.muted
        width = rect.right() - MARGIN - left
        draw_text(
            painter, QRect(left, rect.y() + upper - 4, width, line_height(small)), row.text, small, colour
        )
        if row.state != "failed":
            bar = QRect(left, rect.bottom() - 5, width, 3)
            draw_bar(painter, bar, row.share, _fill(row, palette), palette)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: D102, N802 -- Qt's name
        font = option_font(option)
        height = line_height(font) + 8
        if self._view.viewport().width() < _NARROW:
            height += line_height(small_font(font)) + 6
        return QSize(0, height)


def _fill(row: JobRow, palette: Palette) -> QColor:
    if row.state == "done":
        return palette.good_fill
    return palette.accent if row.state == "running" else palette.muted


class JobList(QListView):
    """The list itself: keys and clicks become acts.

    Attributes
    ----------
    pointed : the job and the act that the pointer is over.

    Signals
    -------
    act_clicked : an act was clicked (its row's index, the act).
    move_pressed : Alt+Up (-1) or Alt+Down (1) was pressed.
    remove_pressed, show_pressed, pause_pressed : Delete, Enter or Space was pressed.
    """

    act_clicked = Signal(object, str)
    move_pressed = Signal(int)
    remove_pressed = Signal()
    show_pressed = Signal()
    pause_pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.pointed: tuple[int, JobAct] | None = None
        self.setAccessibleName("Queue")
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMouseTracking(True)

    def _act_at(self, point: QPoint) -> tuple[Index, JobRow, JobAct] | None:
        index = self.indexAt(point)
        row = index.data(ROW_ROLE) if index.isValid() else None
        if isinstance(row, JobRow):
            for act, place in act_rects(row, self.visualRect(index), self.font()):
                if place.adjusted(-3, 0, 3, 0).contains(point):
                    return index, row, act
        return None

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102, N802 -- Qt's name
        alt = event.modifiers() == Qt.KeyboardModifier.AltModifier
        if alt and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.move_pressed.emit(-1 if event.key() == Qt.Key.Key_Up else 1)
        elif event.matches(QKeySequence.StandardKey.Delete):
            self.remove_pressed.emit()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.show_pressed.emit()
        elif event.key() == Qt.Key.Key_Space:
            self.pause_pressed.emit()
        else:
            super().keyPressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: D102, N802 -- Qt's name
        found = self._act_at(event.position().toPoint())
        pointed = None if found is None else (found[1].id, found[2])
        if pointed != self.pointed:
            self.pointed = pointed
            shape = Qt.CursorShape.PointingHandCursor if pointed else Qt.CursorShape.ArrowCursor
            self.viewport().setCursor(shape)
            self.viewport().update()
        super().mouseMoveEvent(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().mouseReleaseEvent(event)
        found = self._act_at(event.position().toPoint())
        if found is not None and event.button() == Qt.MouseButton.LeftButton:
            self.act_clicked.emit(found[0], found[2])

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: D102, N802 -- Qt's name
        # Files from elsewhere are the window's: a list that took them would hide them from it.
        if event.source() is self:
            super().dragEnterEvent(event)
        else:
            event.ignore()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: D102, N802 -- Qt's name
        if event.source() is self:
            super().dragMoveEvent(event)
        else:
            event.ignore()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().paintEvent(event)
        if self.model() is not None and self.model().rowCount() == 0:
            painter = QPainter(self.viewport())
            painter.setPen(current_palette().muted)
            inner = self.viewport().rect().adjusted(8, 8, -8, -8)
            painter.drawText(
                inner, int(Qt.TextFlag.TextWordWrap | LEFT & ~Qt.AlignmentFlag.AlignVCenter), _EMPTY
            )
            painter.end()
