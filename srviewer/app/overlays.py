"""What is drawn over the panes: captions, badges, the selected region, pointer, progress, the divider."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QLinearGradient, QPainter, QPen

from srviewer.app.difference import colour_table
from srviewer.app.pane_painter import snapped_rect
from srviewer.app.scene import PaneContent, Part
from srviewer.app.theme import Palette
from srviewer.session.comparison import Comparison
from srviewer.session.geometry import PixelRect, Point, Rect, Size

_DARK, _LIGHT = QColor(0, 0, 0, 190), QColor(255, 255, 255, 235)
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_CENTRE = Qt.AlignmentFlag.AlignCenter


@dataclass(frozen=True, slots=True, eq=False)
class Pen:
    """What overlays are drawn with; the painter counts in physical pixels.

    Attributes
    ----------
    painter : at work on the canvas.
    palette : the colours.
    font : the widget's.
    ratio : physical per logical pixel.
    """

    painter: QPainter
    palette: Palette
    font: QFont
    ratio: float

    def px(self, logical: float) -> int:
        """Return a logical length in physical pixels, at least one."""
        return max(round(logical * self.ratio), 1)

    def typeface(self, share: float = 1.0, *, bold: bool = False) -> QFont:
        """Return the widget's font, `share` as large, in physical pixels, with digits of one width."""
        font = QFont(self.font)
        points = self.font.pointSizeF()
        logical = points * 96 / 72 if points > 0 else self.font.pixelSize()
        font.setPixelSize(max(round(logical * share * self.ratio), 1))
        font.setFeature(QFont.Tag("tnum"), 1)
        if bold:
            font.setWeight(QFont.Weight.DemiBold)
        return font


@dataclass(frozen=True, slots=True)
class _Chip:
    text: str
    fill: QColor
    ink: QColor


def caption_rect(pen: Pen, part: Part) -> QRect:
    """Return where the caption of a pane lies on its picture, physical pixels; empty if there is no room."""
    return _Caption(pen, part).plate


def draw_caption(pen: Pen, part: Part) -> None:
    """Draw a pane's caption: on a plate over the picture, or below it in the crops figure."""
    if part.caption_below:
        _draw_caption_below(pen, part)
    else:
        _Caption(pen, part).draw()


class _Caption:
    """A caption's measures: as wide as its longest line, at most as the pane; what does not fit is elided."""

    def __init__(self, pen: Pen, part: Part) -> None:
        self._pen, self._content = pen, part.content
        self._bold, self._plain = pen.typeface(bold=True), pen.typeface(0.92)
        self._title, self._line = QFontMetrics(self._bold), QFontMetrics(self._plain)
        self._pad, self._gap = pen.px(8), pen.px(6)
        margin = pen.px(8)
        self._chips = _chips(pen, part)
        self._lines = part.content.lines if part.content.picture is not None else ()
        clip = part.clip
        room = clip.width - 2 * margin - 2 * self._pad
        chips = sum(self._chip_width(chip) + self._gap for chip in self._chips)
        texts = [chips + self._title.horizontalAdvance(part.content.title) + 1]
        texts += [self._line.horizontalAdvance(line) + 1 for line in self._lines]
        self._width = min(max(texts), room)
        leading = self._title.height() + pen.px(8)
        # A small pane is there for its picture: the plate takes a third of its height at most.
        rows = max((clip.height // 3 - leading) // (self._line.height() + pen.px(1)), 0)
        self._lines = self._lines[:rows]
        height = leading + len(self._lines) * (self._line.height() + pen.px(1))
        fits = room >= pen.px(48) and clip.height >= leading + margin
        at_right = part.badge == "B" and clip.x > part.rect.x  # wipe: B's caption keeps to B's side
        width = self._width + 2 * self._pad
        x = clip.right - margin - width if at_right else clip.x + margin
        self.plate = QRect(x, clip.y + margin, width, height) if fits else QRect()

    def draw(self) -> None:
        if self.plate.isEmpty():
            return
        pen, painter = self._pen, self._pen.painter
        _draw_plate(pen, self.plate)
        x, y = self.plate.left() + self._pad, self.plate.top() + pen.px(4)
        height = self._title.height()
        for chip in self._chips:
            width = self._chip_width(chip)
            _draw_chip(pen, QRect(x, y, width, height), chip)
            x += width + self._gap
        painter.setFont(self._bold)
        painter.setPen(pen.palette.caption_text)
        room = self.plate.right() + 1 - self._pad - x
        title = self._title.elidedText(self._content.title, Qt.TextElideMode.ElideMiddle, room)
        painter.drawText(QRect(x, y, room, height), _LEFT, title)
        painter.setFont(self._plain)
        error = self._content.is_error
        painter.setPen(QColor("#ffb4ac") if error else pen.palette.caption_muted)
        y += height + pen.px(1)
        for line in self._lines:
            text = self._line.elidedText(line, Qt.TextElideMode.ElideRight, self._width)
            painter.drawText(
                QRect(self.plate.left() + self._pad, y, self._width, self._line.height()), _LEFT, text
            )
            y += self._line.height() + pen.px(1)

    def _chip_width(self, chip: _Chip) -> int:
        small = QFontMetrics(self._pen.typeface(0.78, bold=True))
        return max(
            small.horizontalAdvance(chip.text) + self._pen.px(7), self._title.height() - self._pen.px(2)
        )


def _chips(pen: Pen, part: Part) -> list[_Chip]:
    """Return the badges before a caption's title: the key that chooses the pane, and whether it is A or B."""
    chips = []
    if part.number is not None and not part.caption_below:
        chips.append(_Chip(str(part.number), QColor(255, 255, 255, 38), pen.palette.caption_muted))
    if part.badge is not None:
        fill = pen.palette.accent if part.badge == "A" else QColor("#b4601a")
        chips.append(_Chip(part.badge, fill, QColor("#ffffff")))
    return chips


def _draw_chip(pen: Pen, room: QRect, chip: _Chip) -> None:
    painter = pen.painter
    inset = pen.px(1)
    box = QRectF(room).adjusted(0, inset, 0, -inset)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=True)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(chip.fill)
    painter.drawRoundedRect(box, pen.px(3), pen.px(3))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
    painter.setFont(pen.typeface(0.78, bold=True))
    painter.setPen(chip.ink)
    painter.drawText(box, _CENTRE, chip.text)


def _draw_plate(pen: Pen, plate: QRect) -> None:
    """Draw the half-opaque ground on which text can be read over any picture."""
    painter = pen.painter
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=True)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(pen.palette.caption)
    painter.drawRoundedRect(QRectF(plate), pen.px(5), pen.px(5))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)


def _draw_caption_below(pen: Pen, part: Part) -> None:
    """Draw a crop's caption below it, centred, on the canvas itself."""
    painter, content, rect = pen.painter, part.content, part.rect
    bold, plain = pen.typeface(bold=True), pen.typeface(0.92)
    title, line = QFontMetrics(bold), QFontMetrics(plain)
    ink, second = ink_on(pen.palette.canvas)
    y = rect.bottom + pen.px(4)
    painter.setFont(bold)
    painter.setPen(ink)
    text = title.elidedText(content.title, Qt.TextElideMode.ElideRight, rect.width)
    painter.drawText(QRect(rect.x, y, rect.width, title.height()), _CENTRE, text)
    first = content.lines[0] if content.lines else ""
    painter.setFont(plain)
    painter.setPen(pen.palette.error if content.is_error else second)
    text = line.elidedText(first, Qt.TextElideMode.ElideRight, rect.width)
    painter.drawText(QRect(rect.x, y + title.height() + pen.px(1), rect.width, line.height()), _CENTRE, text)


def ink_on(ground: QColor) -> tuple[QColor, QColor]:
    """Return the colours of first and second text that can be read on a plain ground."""
    if ground.lightnessF() > 0.5:
        return QColor("#14161a"), QColor("#33383f")
    return QColor("#f2f3f5"), QColor("#b9bec6")


def draw_message(pen: Pen, area: PixelRect, title: str, text: str, *, is_error: bool = False) -> None:
    """Write a title and a sentence in the middle of a pane that has no picture."""
    painter = pen.painter
    ink, second = ink_on(pen.palette.canvas)
    width = min(area.width - pen.px(32), pen.px(420))
    if width < pen.px(40):
        return
    bold, plain = pen.typeface(1.08, bold=True), pen.typeface()
    flags = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
    anywhere = int(Qt.TextFlag.TextWrapAnywhere | Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
    body = QFontMetrics(plain).boundingRect(QRect(0, 0, width, area.height), flags, text)
    if body.width() > width:  # a path without spaces
        flags = anywhere
        body = QFontMetrics(plain).boundingRect(QRect(0, 0, width, area.height), flags, text)
    heading = QFontMetrics(bold)
    gap = pen.px(6) if text and title else 0
    x = area.x + (area.width - width) // 2
    y = area.y + (area.height - heading.height() - gap - body.height()) // 2
    painter.setFont(bold)
    painter.setPen(ink)
    shown = heading.elidedText(title, Qt.TextElideMode.ElideMiddle, width)
    painter.drawText(QRect(x, y, width, heading.height()), _CENTRE, shown)
    painter.setFont(plain)
    error = QColor("#ffb4ac") if pen.palette.canvas.lightnessF() < 0.5 else QColor("#8c1008")
    painter.setPen(error if is_error else second)
    painter.drawText(QRect(x, y + heading.height() + gap, width, body.height() + 1), flags, text)


def draw_selection(pen: Pen, part: Part, area: Rect) -> None:
    """Draw the selected region's frame: coloured between two dark lines, so it is seen on any picture."""
    frame = snapped_rect(part.viewport.rect_to_pane(area)).translated(part.rect.x, part.rect.y)
    one = max(round(pen.ratio), 1)
    width = 2 * one  # around the region, which stays whole
    box = frame.adjusted(-width, -width, width, width)
    draw_frame(pen.painter, frame, one, QColor(0, 0, 0, 120))
    draw_frame(pen.painter, box, width, pen.palette.box)
    draw_frame(pen.painter, box.adjusted(-one, -one, one, one), one, _DARK)


def draw_frame(painter: QPainter, box: QRect, width: int, colour: QColor) -> None:
    """Fill the `width` outermost pixels of a box: exact at any pixel ratio, unlike a stroked outline."""
    if box.width() <= 2 * width or box.height() <= 2 * width:
        painter.fillRect(box, colour)
        return
    inner = box.height() - 2 * width
    painter.fillRect(QRect(box.left(), box.top(), box.width(), width), colour)
    painter.fillRect(QRect(box.left(), box.bottom() + 1 - width, box.width(), width), colour)
    painter.fillRect(QRect(box.left(), box.top() + width, width, inner), colour)
    painter.fillRect(QRect(box.right() + 1 - width, box.top() + width, width, inner), colour)


def draw_pointer(pen: Pen, part: Part, point: Point) -> None:
    """Mark a whole-image point: frame its pixel where that is large enough, else a cross with a hole."""
    size = part.content.picture.size if part.content.picture is not None else part.viewport.reference
    pixel = part.viewport.pixel_under(part.viewport.to_pane(point), size)
    one = max(round(pen.ratio), 1)
    if pixel is not None and part.viewport.pixel_size(size) >= 6 * pen.ratio:
        box = snapped_rect(part.viewport.pixel_to_pane(*pixel, size)).translated(part.rect.x, part.rect.y)
        draw_frame(pen.painter, box.adjusted(-one, -one, one, one), one, _DARK)
        draw_frame(pen.painter, box, one, _LIGHT)
        return
    at = part.viewport.to_pane(point)
    x, y = part.rect.x + math.floor(at.x), part.rect.y + math.floor(at.y)
    near, far = pen.px(3), pen.px(10)
    for colour, grow in ((_DARK, one), (_LIGHT, 0)):
        for first, last in ((-far, -near), (near, far)):
            length = last - first
            across = QRect(x + first, y, length, one)
            down = QRect(x, y + first, one, length)
            pen.painter.fillRect(across.adjusted(-grow, -grow, grow, grow), colour)
            pen.painter.fillRect(down.adjusted(-grow, -grow, grow, grow), colour)


def draw_progress(pen: Pen, part: Part, busy: float) -> None:
    """Draw how far a pane's result is: a line along its lower edge."""
    clip, height = part.clip, pen.px(3)
    y = clip.bottom - height
    pen.painter.fillRect(clip.x, y, clip.width, height, QColor(0, 0, 0, 150))
    done = round(clip.width * min(max(busy, 0.0), 1.0))
    pen.painter.fillRect(clip.x, y, done, height, pen.palette.link if _is_dark(pen) else pen.palette.accent)


def _is_dark(pen: Pen) -> bool:
    return pen.palette.name == "dark"


def draw_divider(pen: Pen, pane: PixelRect, comparison: Comparison) -> None:
    """Draw the wipe's divider with the handle to drag it by."""
    painter = pen.painter
    upright = comparison.orientation == "vertical"
    at = round(comparison.divider_pixel(Size(pane.width, pane.height)))
    half = max(round(pen.ratio / 2), 1)
    for reach, colour in ((2 * half, _DARK), (half, _LIGHT)):
        if upright:
            painter.fillRect(pane.x + at - reach, pane.y, 2 * reach, pane.height, colour)
        else:
            painter.fillRect(pane.x, pane.y + at - reach, pane.width, 2 * reach, colour)
    middle = QPointF(pane.x + at, pane.y + pane.height / 2)
    if not upright:
        middle = QPointF(pane.x + pane.width / 2, pane.y + at)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=True)
    painter.translate(middle)
    if not upright:
        painter.rotate(90)
    painter.scale(pen.ratio, pen.ratio)
    painter.setPen(QPen(_DARK, 1))
    painter.setBrush(QColor(250, 250, 250))
    painter.drawEllipse(QPointF(0, 0), 13, 13)
    painter.setPen(QPen(QColor(40, 42, 46), 1.8, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    for side in (-1, 1):
        painter.drawPolyline([QPointF(side * 3.5, -4), QPointF(side * 7.5, 0), QPointF(side * 3.5, 4)])
    painter.restore()


def draw_difference_key(pen: Pen, pane: PixelRect, comparison: Comparison) -> None:
    """Draw what a difference's colours mean: the map from 0 to the difference that is shown brightest."""
    painter, font = pen.painter, pen.typeface(0.85)
    text, pad, margin = QFontMetrics(font), pen.px(8), pen.px(8)
    first, last = "0", f"{255 / comparison.gain:.3g} / 255"
    bar_width, bar_height, gap = pen.px(120), pen.px(8), pen.px(6)
    width = 2 * pad + text.horizontalAdvance(first) + bar_width + text.horizontalAdvance(last) + 2 * gap + 2
    height = text.height() + pen.px(8)
    plate = QRect(pane.x + margin, pane.bottom - margin - height, width, height)
    if width > pane.width - 2 * margin or pane.height < 4 * height:
        return
    _draw_plate(pen, plate)
    painter.setFont(font)
    painter.setPen(pen.palette.caption_muted)
    x = plate.left() + pad
    painter.drawText(QRect(x, plate.top(), text.horizontalAdvance(first) + 1, height), _LEFT, first)
    x += text.horizontalAdvance(first) + gap
    colours = colour_table(comparison.colour_map)
    gradient = QLinearGradient(x, 0, x + bar_width, 0)
    for step in range(17):
        red, green, blue = colours[step * 255 // 16].tolist()
        gradient.setColorAt(step / 16, QColor(red, green, blue))
    painter.fillRect(QRect(x, plate.top() + (height - bar_height) // 2, bar_width, bar_height), gradient)
    x += bar_width + gap
    painter.drawText(QRect(x, plate.top(), text.horizontalAdvance(last) + 1, height), _LEFT, last)


def difference_content(a: PaneContent, b: PaneContent, comparison: Comparison) -> tuple[str, tuple[str, ...]]:
    """Return title and lines of the difference's caption."""
    return f"|A − B| × {comparison.gain:g}", (f"A: {a.title}", f"B: {b.title}")
