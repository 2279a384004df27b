"""The comparison canvas: turns mouse, wheel and gestures into wishes."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QEnterEvent,
    QImage,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QWidget

from srviewer.app.canvas_view import CanvasView, Hud
from srviewer.app.overlays import caption_rect
from srviewer.app.scene import PaneContent, Part, central_region
from srviewer.app.tile_cache import TileCache
from srviewer.session.geometry import Point, Size
from srviewer.session.selection import Selection
from srviewer.session.viewport import Viewport, WheelStep

__all__ = ["Canvas", "Hud", "PaneContent"]

_NOTCH = 120.0  # eighths of a degree, as Qt counts the wheel
_TOUCHPAD_NOTCH = 40.0  # pixels of scrolling that count as a notch where there is no wheel


class _Drag(enum.Enum):
    """What a pressed button is doing."""

    PAN = "pan"
    SELECT = "select"
    DIVIDER = "divider"
    CARRY = "carry"  # a pane out of the window
    REGION = "region"  # of the crops, over the overview


@dataclass(frozen=True, slots=True, eq=False)
class _Press:
    """A pressed button: what it will do once it has moved, from where, with what shown."""

    drag: _Drag
    button: Qt.MouseButton
    at: Point
    part: Part
    viewport: Viewport
    moved: bool = False


class Canvas(CanvasView):
    """All panes of the comparison, under one viewport.

    The wheel zooms at the cursor, dragging pans, dragging with the right button selects; a double click goes
    between fit and 1:1. Nothing changes here by that: wishes go out, `set_viewport` and the like come back.

    Signals
    -------
    viewport_wished(object) : a `Viewport`.
    comparison_wished(object) : a `Comparison`: the divider was dragged, or A and B swapped.
    selection_wished(object) : a `Selection`, or None.
    pane_size_changed(object) : the `Size` of each pane, physical pixels.
    hovered(object) : the whole-image `Point` under the pointer; None where there is none.
    pane_clicked(object) : a `Pane` was clicked without dragging.
    point_picked(object) : instead of that, the whole-image `Point` that was clicked while points are picked.
    drag_out_wished(object) : a `Pane` is being carried out (by its caption, or with Alt).
    context_menu_wished(object, QPoint) : the `Pane` and where on the screen.
    """

    viewport_wished = Signal(object)
    comparison_wished = Signal(object)
    selection_wished = Signal(object)
    hovered = Signal(object)
    pane_clicked = Signal(object)
    point_picked = Signal(object)
    drag_out_wished = Signal(object)
    context_menu_wished = Signal(object, QPoint)

    def __init__(self, parent: QWidget | None = None, *, cache: TileCache | None = None) -> None:
        super().__init__(parent, cache=cache)
        self._press: _Press | None = None
        self._picking = False
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setAccessibleName("Comparison canvas")
        self.setAccessibleDescription("The panes side by side: wheel zooms, drag pans, right-drag selects")

    @property
    def is_picking(self) -> bool:
        """Whether a click picks a point."""
        return self._picking

    def set_picking(self, picking: bool) -> None:
        """Let a click pick a point rather than choose a pane; dragging pans as ever."""
        self._picking = picking
        shape = Qt.CursorShape.PointingHandCursor if picking else Qt.CursorShape.CrossCursor
        self.setCursor(shape)

    # Where

    def _at(self, position: QPointF) -> Point:
        """Return the middle of the physical pixel under a logical position: what is seen is what counts."""
        ratio = self.devicePixelRatioF()
        return Point(math.floor(position.x() * ratio) + 0.5, math.floor(position.y() * ratio) + 0.5)

    def _near_divider(self, point: Point) -> bool:
        pane = self.scene.divider
        if pane is None:
            return False
        local = Point(point.x - pane.x, point.y - pane.y)
        return self._comparison.near_divider(
            local, Size(pane.width, pane.height), 6 * self.devicePixelRatioF()
        )

    def _on_caption(self, point: Point, part: Part) -> bool:
        if (
            part.caption_below
            or not self._hud.captions
            or part.role != "pane"
            or part.content.picture is None
        ):
            return False
        # Text is measured as it is drawn, on something that could be drawn on.
        sheet = QImage(1, 1, QImage.Format.Format_RGB32)
        painter = QPainter(sheet)
        plate: QRect = caption_rect(self.pen(painter), part)
        painter.end()
        return plate.contains(int(point.x), int(point.y))

    # Dragging

    def _begin(self, button: Qt.MouseButton, modifiers: Qt.KeyboardModifier, point: Point) -> _Press | None:
        """Return what a press begins; None where there is nothing to begin."""
        part = self.scene.at(point)
        if part is None:
            return None
        if button == Qt.MouseButton.RightButton:
            drag = _Drag.SELECT
        elif button != Qt.MouseButton.LeftButton:
            return None
        elif self._near_divider(point):
            drag = _Drag.DIVIDER
        elif part.role == "overview":
            drag = _Drag.REGION
        elif modifiers & Qt.KeyboardModifier.AltModifier or self._on_caption(point, part):
            drag = _Drag.CARRY
        else:
            drag = _Drag.PAN
        return _Press(drag, button, point, part, part.viewport)

    def _drag_to(self, press: _Press, point: Point) -> None:
        if press.drag is _Drag.PAN:
            if press.part.role != "crop":
                self._wish_viewport(press.viewport.panned(point.x - press.at.x, point.y - press.at.y))
        elif press.drag is _Drag.SELECT:
            self._select(press, point)
        elif press.drag is _Drag.DIVIDER:
            size = Size(press.part.rect.width, press.part.rect.height)
            self.comparison_wished.emit(self._comparison.with_divider_at(press.part.local(point), size))
        elif press.drag is _Drag.REGION:
            self._move_region(press.part, point)

    def _select(self, press: _Press, point: Point) -> None:
        first = press.viewport.to_image(press.part.local(press.at))
        last = press.viewport.to_image(press.part.local(point))
        selection = Selection.between(first, last, self.input_size)
        if selection is not None and selection != self._selection:
            self.selection_wished.emit(selection)

    def _move_region(self, part: Part, point: Point) -> None:
        """Bring the crops' region under the pointer, as far as the image goes."""
        region = self._selection or central_region(self.input_size)
        wanted = part.viewport.to_image(part.local(point))
        centre = region.area.centre
        columns = round((wanted.x - centre.x) * region.lr.width)
        rows = round((wanted.y - centre.y) * region.lr.height)
        moved = region.moved(columns, rows)
        if moved != self._selection:
            self.selection_wished.emit(moved)

    def _zoom_region(self, notches: float) -> None:
        """Make the crops' region smaller (closer) or larger about its middle, by at least a pixel."""
        region = self._selection or central_region(self.input_size)
        box, factor = region.pixels, math.exp2(-notches / 4)
        step = -1 if notches > 0 else 1
        width = max(min(_scaled(box.width, factor, step), region.lr.width), 1)
        height = max(min(_scaled(box.height, factor, step), region.lr.height), 1)
        grown = replace(
            region,
            pixels=replace(
                box,
                x=min(max(box.x + (box.width - width) // 2, 0), region.lr.width - width),
                y=min(max(box.y + (box.height - height) // 2, 0), region.lr.height - height),
                width=width,
                height=height,
            ),
        )
        if grown != region:
            self.selection_wished.emit(grown)

    def _pick(self, part: Part, point: Point) -> None:
        picked = part.viewport.to_image(part.local(point))
        if 0 <= picked.x < 1 and 0 <= picked.y < 1:
            self.point_picked.emit(picked)

    def _wish_viewport(self, viewport: Viewport) -> None:
        if viewport != self._viewport:
            self.viewport_wished.emit(viewport)

    def _zoom(self, part: Part, point: Point, notches: float, step: WheelStep) -> None:
        if part.role in ("overview", "crop"):
            self._zoom_region(notches)
            return
        self._wish_viewport(part.viewport.wheeled(notches, part.local(point), step))
        self._grasp_anew(point)

    def _grasp_anew(self, point: Point) -> None:
        """Let a drag that goes on while the wheel turns start from what is shown now."""
        press = self._press
        if press is not None and press.drag is _Drag.PAN and self._viewport is not None:
            part = next((one for one in self.scene.parts if one.key == press.part.key), press.part)
            self._press = replace(press, at=point, part=part, viewport=part.viewport)

    # Pointing

    def _hover(self, point: Point | None) -> None:
        part = self.scene.at(point) if point is not None else None
        where = None
        if part is not None and point is not None:
            where = part.viewport.to_image(part.local(point))
            if not (0 <= where.x < 1 and 0 <= where.y < 1):
                where = None
        pointed = part.key if part is not None else None
        if (where, pointed) != (self._pointer, self._pointed):
            self._pointer, self._pointed = where, pointed
            self.hovered.emit(where)
            if self._hud.pointer:
                self.update()

    def _show_cursor(self, point: Point) -> None:
        press = self._press
        divider = press.drag is _Drag.DIVIDER if press is not None else self._near_divider(point)
        if divider:
            upright = self._comparison.orientation == "vertical"
            shape = Qt.CursorShape.SplitHCursor if upright else Qt.CursorShape.SplitVCursor
        elif press is not None and press.moved and press.drag is _Drag.PAN:
            shape = Qt.CursorShape.ClosedHandCursor
        elif press is None and (part := self.scene.at(point)) is not None and self._on_caption(point, part):
            shape = Qt.CursorShape.OpenHandCursor
        elif self.scene.parts:
            picking = Qt.CursorShape.PointingHandCursor
            shape = picking if self._picking else Qt.CursorShape.CrossCursor
        else:
            shape = Qt.CursorShape.ArrowCursor
        if self.cursor().shape() != shape:
            self.setCursor(shape)

    # Qt

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 -- Qt's name
        """Begin what the button is for; the middle one swaps A and B."""
        point = self._at(event.position())
        if self._press is None:
            self._press = self._begin(event.button(), event.modifiers(), point)
        swappable = self._comparison.a is not None and self._comparison.b is not None
        if event.button() == Qt.MouseButton.MiddleButton and swappable:
            self.comparison_wished.emit(self._comparison.swapped())
        self._show_cursor(point)
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Go on with a drag, or tell what the pointer is over."""
        point, press = self._at(event.position()), self._press
        if press is not None and not event.buttons() & press.button:  # its release went elsewhere
            self._press = press = None
        if press is not None:
            far = math.hypot(point.x - press.at.x, point.y - press.at.y) / self.devicePixelRatioF()
            carry = press.drag is _Drag.CARRY
            needed = QApplication.startDragDistance() if carry else 0 if press.drag is _Drag.DIVIDER else 3
            if press.moved or far >= needed:
                if carry:
                    self._press = None
                    self.drag_out_wished.emit(press.part.content.pane)
                else:
                    self._press = replace(press, moved=True)
                    self._drag_to(press, point)
        self._hover(point)
        self._show_cursor(point)
        event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """End a drag; without one it was a click."""
        press = self._press
        point = self._at(event.position())
        if press is not None and event.button() == press.button:
            self._press = None
            if not press.moved:
                pane = press.part.content.pane
                if self._picking and press.button == Qt.MouseButton.LeftButton:
                    self._pick(press.part, point)
                elif press.drag is _Drag.SELECT:
                    self.context_menu_wished.emit(pane, event.globalPosition().toPoint())
                elif press.drag is _Drag.REGION:
                    self._move_region(press.part, point)
                elif press.drag is not _Drag.DIVIDER:
                    self.pane_clicked.emit(pane)
        self._show_cursor(point)
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Go from fit to 1:1 at the point, or back."""
        point = self._at(event.position())
        part = self.scene.at(point)
        event.accept()
        if event.button() != Qt.MouseButton.LeftButton or part is None or self._picking:
            return
        if self._near_divider(point) or part.role in ("overview", "crop"):
            return
        now = part.viewport
        self._wish_viewport(now.one_to_one(part.local(point)) if now.fitted else now.fit())

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Zoom at the cursor: 2^(1/8) a notch or its share, finer with Shift, coarser with Ctrl."""
        point = self._at(event.position())
        part, notches = self.scene.at(point), _notches(event)
        if part is None or notches == 0:
            event.ignore()
            return
        modifiers = event.modifiers()
        step: WheelStep = "normal"
        if modifiers & Qt.KeyboardModifier.ShiftModifier:
            step = "fine"
        elif modifiers & Qt.KeyboardModifier.ControlModifier:
            step = "coarse"
        self._zoom(part, point, notches, step)
        self._hover(point)
        event.accept()

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802
        """Take the menu key; the right button asks when it is released, because it may be dragging."""
        event.accept()
        if event.reason() == QContextMenuEvent.Reason.Mouse or not self.scene.parts:
            return
        parts = self.scene.parts
        part = next((one for one in parts if one.key == self._pointed), parts[0])
        self.context_menu_wished.emit(part.content.pane, self.mapToGlobal(self.rect().center()))

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        """Point at nothing."""
        super().leaveEvent(event)
        self._hover(None)

    def enterEvent(self, event: QEnterEvent) -> None:  # noqa: N802
        """Point where the pointer comes in."""
        super().enterEvent(event)
        self._hover(self._at(event.position()))

    def event(self, event: QEvent) -> bool:
        """Zoom by pinching on a touchpad."""
        if (
            isinstance(event, QNativeGestureEvent)
            and event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture
        ):
            point = self._at(event.position())
            part = self.scene.at(point)
            if part is not None and event.value() > -1:
                self._zoom(part, point, math.log2(1 + event.value()) * 8, "normal")
            return True
        return super().event(event)


def _notches(event: QWheelEvent) -> float:
    """Return by how many notches a wheel was turned; touchpads without notches count their pixels."""
    angle = event.angleDelta()
    turned = angle.y()
    if turned == 0 and event.modifiers() & (
        Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.ShiftModifier
    ):
        turned = angle.x()  # some systems turn the axes with Alt or Shift
    if turned:
        return turned / _NOTCH
    return event.pixelDelta().y() / _TOUCHPAD_NOTCH


def _scaled(length: int, factor: float, step: int) -> int:
    """Return `length` times `factor`, but at least a pixel away from it."""
    scaled = round(length * factor)
    return scaled if scaled != length else length + step
