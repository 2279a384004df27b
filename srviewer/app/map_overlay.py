"""Maps that lie over panes: attribution or its density, and the frame of the window that is explained."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRect, QRectF, Qt
from PySide6.QtGui import QColor, QImage, QPainter

from srviewer.app.overlays import Pen, draw_frame
from srviewer.app.pane_painter import snapped_rect
from srviewer.app.scene import Part
from srviewer.session.geometry import Rect

_WINDOW = QColor("#00d5ff")  # neither a colour of the maps' nor that of the selection
_DARK = QColor(0, 0, 0, 190)


@dataclass(frozen=True, slots=True, eq=False)
class MapOverlay:
    """A map over a pane.

    Attributes
    ----------
    image : of any size, over the whole image; transparent where nothing is to be seen.
    opacity : 0..1, on top of its own.
    """

    image: QImage
    opacity: float


def draw_overlay(painter: QPainter, part: Part, overlay: MapOverlay) -> None:
    """Draw the part of a map that a pane shows, in physical pixels; the painter is clipped to the pane."""
    whole = part.viewport.image_rect()
    left, top = part.rect.x + whole.left, part.rect.y + whole.top
    clip = QRectF(part.clip.x, part.clip.y, part.clip.width, part.clip.height)
    target = QRectF(left, top, whole.width, whole.height).intersected(clip)
    if target.isEmpty() or overlay.opacity <= 0:
        return
    across, down = overlay.image.width() / whole.width, overlay.image.height() / whole.height
    source = QRectF(
        (target.left() - left) * across,
        (target.top() - top) * down,
        target.width() * across,
        target.height() * down,
    )
    painter.save()
    painter.setOpacity(overlay.opacity)
    # Pixels of the map stay blocks when they are larger than the screen's: each stands for an input pixel.
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, on=across > 1)
    painter.drawImage(target, overlay.image, source, Qt.ImageConversionFlag.AutoColor)
    painter.restore()


def draw_window(pen: Pen, part: Part, area: Rect) -> None:
    """Frame the window of the result that is explained (whole-image coordinates)."""
    inner = snapped_rect(part.viewport.rect_to_pane(area)).translated(part.rect.x, part.rect.y)
    one = max(round(pen.ratio), 1)
    box = QRect(inner).adjusted(-2 * one, -2 * one, 2 * one, 2 * one)
    draw_frame(pen.painter, inner.adjusted(-one, -one, one, one), one, _DARK)
    draw_frame(pen.painter, box, one, _WINDOW)
    draw_frame(pen.painter, box.adjusted(-one, -one, one, one), one, _DARK)
