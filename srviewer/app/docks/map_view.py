"""A small picture with maps over it, as the docks show them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from srviewer.app.theme import current_palette
from srviewer.session.geometry import WHOLE, Rect

_WINDOW = QColor("#00a0d0")
_SMALLEST = 48


class MapView(QWidget):
    """A picture and what lies over it, fitted into the widget; a part of it where one is chosen.

    Signals
    -------
    clicked : by mouse, or by Enter or Space.
    doubled : double-clicked.
    """

    clicked = Signal()
    doubled = Signal()

    def __init__(self, name: str, parent: QWidget | None = None, *, tallest: int = 260) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self._tallest = tallest
        self._ground: QImage | None = None
        self._layers: tuple[tuple[QImage, float], ...] = ()
        self._area = WHOLE
        self._window: Rect | None = None
        self._is_chosen = False
        self._shape = QSize(4, 3)
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumSize(_SMALLEST, _SMALLEST // 2)

    def show_picture(
        self,
        ground: QImage | None,
        layers: Sequence[tuple[QImage, float]] = (),
        *,
        shape: QSize | None = None,
        area: Rect = WHOLE,
        window: Rect | None = None,
    ) -> None:
        """Show this from now on.

        Parameters
        ----------
        ground : the picture below; None shows nothing.
        layers : pictures over it, of any size, and their opacities.
        shape : width and height in pixels of what they show; the ground's by default.
        area : the part that is shown, 0..1.
        window : what is framed, 0..1.
        """
        self._ground, self._layers = ground, tuple(layers)
        if ground is not None:
            self._shape = shape or ground.size()
        self._area, self._window = area, window
        self.updateGeometry()
        self.update()

    def set_chosen(self, chosen: bool) -> None:
        """Frame the picture as the one that is worked with."""
        if chosen != self._is_chosen:
            self._is_chosen = chosen
            self.update()

    @property
    def area(self) -> Rect:
        """The part that is shown, 0..1."""
        return self._area

    def _aspect(self) -> float:
        """Return height over width of what is shown."""
        width = self._area.width * self._shape.width()
        return min(max(self._area.height * self._shape.height() / max(width, 1e-9), 0.1), 4.0)

    def _target(self) -> QRectF:
        """Return where the picture lies, in physical pixels."""
        ratio = self.devicePixelRatioF()
        width, height = self.width() * ratio, self.height() * ratio
        across = min(width, height / self._aspect())
        down = across * self._aspect()
        return QRectF(
            math.floor((width - across) / 2), math.floor((height - down) / 2), round(across), round(down)
        )

    def hasHeightForWidth(self) -> bool:  # noqa: D102, N802 -- Qt's name
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: D102, N802 -- Qt's name
        return max(min(round(width * self._aspect()), self._tallest), _SMALLEST // 2)

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(120, self.heightForWidth(120))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102, N802 -- Qt's name
        del event
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.scale(1 / ratio, 1 / ratio)
        palette = current_palette()
        target = self._target()
        if self._ground is None:
            painter.fillRect(target, palette.raised)
        else:
            painter.save()
            painter.setClipRect(target)
            for image, opacity in ((self._ground, 1.0), *self._layers):
                source = QRectF(
                    self._area.left * image.width(),
                    self._area.top * image.height(),
                    self._area.width * image.width(),
                    self._area.height * image.height(),
                )
                smooth = source.width() > target.width()
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, on=smooth)
                painter.setOpacity(opacity)
                painter.drawImage(target, image, source, Qt.ImageConversionFlag.AutoColor)
            painter.restore()
            if self._window is not None:
                self._draw_window(painter, target, self._window, ratio)
        if self._is_chosen or self.hasFocus():
            width = (2 if self._is_chosen else 1) * ratio
            pen = QPen(palette.accent if self._is_chosen else palette.link, width)
            pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
            painter.setPen(pen)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(target.adjusted(width / 2, width / 2, -width / 2, -width / 2))
        painter.end()

    def _draw_window(self, painter: QPainter, target: QRectF, window: Rect, ratio: float) -> None:
        across, down = target.width() / self._area.width, target.height() / self._area.height
        box = QRectF(
            target.left() + (window.left - self._area.left) * across,
            target.top() + (window.top - self._area.top) * down,
            window.width * across,
            window.height * down,
        )
        out = 1.5 * ratio  # the window itself stays in sight
        box.adjust(-out, -out, out, out)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for colour, width in ((QColor("#ffffff"), 2.6), (_WINDOW, 1.4)):
            pen = QPen(colour, width * ratio)
            pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
            painter.setPen(pen)
            painter.drawRect(box)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: D102, N802 -- Qt's name
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.clicked.emit()
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: D102, N802 -- Qt's name
        if event.button() == Qt.MouseButton.LeftButton:
            self.doubled.emit()
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102, N802 -- Qt's name
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.clicked.emit()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: QFocusEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().focusOutEvent(event)
        self.update()
