"""What the rows of lists draw alike: backgrounds, text, badges, boxes, bars and links."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen, QPolygonF
from PySide6.QtWidgets import QStyle, QStyleOptionViewItem

from srviewer.app.theme import Palette

Index = QModelIndex | QPersistentModelIndex
"""What Qt's views name an item by."""

MARGIN = 8
"""Logical pixels from a row's edges to what stands in it."""

_RADIUS = 4.0
_BADGE_PADDING = 6

LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


@dataclass(frozen=True, slots=True)
class RowState:
    """How a row stands in its list."""

    selected: bool
    hovered: bool
    focused: bool
    enabled: bool

    @classmethod
    def of(cls, option: QStyleOptionViewItem) -> RowState:
        """Return the state that a view hands to its delegate."""
        state = option.state
        flag = QStyle.StateFlag
        return cls(
            bool(state & flag.State_Selected),
            bool(state & flag.State_MouseOver),
            bool(state & flag.State_HasFocus),
            bool(state & flag.State_Enabled),
        )


def option_rect(option: QStyleOptionViewItem) -> QRect:
    """Return where a row lies in its view."""
    rect: QRect = option.rect
    return QRect(rect)


def option_font(option: QStyleOptionViewItem) -> QFont:
    """Return a copy of the font of a row."""
    font: QFont = option.font
    return QFont(font)


def draw_background(painter: QPainter, rect: QRect, state: RowState, palette: Palette) -> None:
    """Fill a row by its state; a row that holds the keyboard's focus gets a frame."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if state.selected:
        painter.fillRect(rect, palette.selection)
    elif state.hovered:
        painter.fillRect(rect, palette.hover)
    if state.focused:
        painter.setPen(QPen(palette.link, 1))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRoundedRect(QRectF(rect).adjusted(1.5, 1.5, -1.5, -1.5), _RADIUS - 1, _RADIUS - 1)


def draw_text(
    painter: QPainter,
    rect: QRect,
    text: str,
    font: QFont,
    colour: QColor,
    align: Qt.AlignmentFlag = LEFT,
    elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
) -> int:
    """Write one line, shortened to the rectangle; return its width."""
    shown = QFontMetrics(font).elidedText(text, elide, rect.width())
    painter.setFont(font)
    painter.setPen(colour)
    painter.drawText(rect, int(align | Qt.TextFlag.TextSingleLine), shown)
    return QFontMetrics(font).horizontalAdvance(shown)


def badge_width(text: str, font: QFont) -> int:
    """Return how wide a badge is."""
    return QFontMetrics(font).horizontalAdvance(text) + 2 * _BADGE_PADDING


def badge_rect(row: QRect, text: str, font: QFont) -> QRect:
    """Return where a badge lies: at the right of its row, in the middle."""
    width, height = badge_width(text, font), QFontMetrics(font).height() + 4
    return QRect(row.right() - MARGIN - width + 1, row.center().y() - height // 2 + 1, width, height)


def draw_badge(
    painter: QPainter, rect: QRect, text: str, font: QFont, ink: QColor, *, framed: bool, ground: QColor
) -> None:
    """Draw a word on a rounded ground; a framed one can be clicked."""
    painter.setPen(QPen(ink, 1) if framed else Qt.PenStyle.NoPen)
    painter.setBrush(ground)
    painter.drawRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), rect.height() / 2, rect.height() / 2)
    painter.setFont(font)
    painter.setPen(ink)
    painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), text)


def draw_check_box(painter: QPainter, rect: QRect, palette: Palette, *, checked: bool, enabled: bool) -> None:
    """Draw a check box of the given square."""
    box = QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5)
    on = checked and enabled
    painter.setPen(QPen(palette.accent if on else palette.muted if enabled else palette.faint, 1))
    painter.setBrush(palette.accent if on else palette.surface if enabled else Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(box, 3, 3)
    if checked:
        pen = QPen(palette.on_accent if enabled else palette.faint, 1.8)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        shape = ((0.22, 0.54), (0.42, 0.73), (0.78, 0.29))
        points = [QPointF(box.x() + x * box.width(), box.y() + y * box.height()) for x, y in shape]
        painter.drawPolyline(QPolygonF(points))


def draw_bar(painter: QPainter, rect: QRect, share: float, fill: QColor, palette: Palette) -> None:
    """Draw a bar of which `share` (0..1) is filled."""
    radius = rect.height() / 2
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(palette.track)
    painter.drawRoundedRect(QRectF(rect), radius, radius)
    if share > 0:
        filled = QRectF(rect)
        filled.setWidth(max(rect.width() * min(share, 1.0), rect.height()))
        painter.setBrush(fill)
        painter.drawRoundedRect(filled, radius, radius)


def line_height(font: QFont) -> int:
    """Return the height of one line."""
    return QFontMetrics(font).height()
