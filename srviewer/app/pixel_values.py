"""The pixel grid and the values written into pixels that are large enough on the screen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QImage, QPainter

from srviewer.app.pane_painter import snapped, snapped_rect
from srviewer.app.scene import Part
from srviewer.imaging.pyramid import Rectangle

_GRID = QColor(128, 128, 128, 120)  # grey, half through: seen on black and on white
_INKS = (QColor(255, 255, 255), QColor(0, 0, 0))
_LARGEST = 40  # physical pixels of a number's font: beyond it nothing is read more easily
_MOST_LABELS = 4096  # of 8-bit values there are 512; 16-bit ones come and go


class PixelValues:
    """Draws grid and values; keeps every number it has drawn, since text is what takes the time."""

    def __init__(self) -> None:
        self._labels: dict[tuple[int, bool], tuple[QImage, int]] = {}
        self._font = QFont()
        self._line_height = 1

    def draw(self, painter: QPainter, part: Part, font: QFont, ratio: float) -> None:
        """Draw over one pane where its pixels are large enough, else nothing.

        Parameters
        ----------
        painter : in physical pixels of the canvas.
        part : the pane.
        font : the widget's.
        ratio : physical per logical pixel: values need 48 logical pixels to be read.
        """
        picture, viewport = part.content.picture, part.viewport
        if picture is None or not viewport.shows_values(picture.size):
            return
        seen = viewport.visible_pixels(picture.size)
        if seen is None:
            return
        clip, image = part.clip, viewport.image_rect()
        painter.save()
        painter.setClipRect(QRect(clip.x, clip.y, clip.width, clip.height))
        painter.translate(part.rect.x, part.rect.y)
        across, down = image.width / picture.size.width, image.height / picture.size.height
        shown = snapped_rect(image).intersected(QRect(0, 0, part.rect.width, part.rect.height))
        for column in range(seen.x, seen.right + 1):
            painter.fillRect(
                QRect(snapped(image.left + column * across), shown.top(), 1, shown.height()), _GRID
            )
        for row in range(seen.y, seen.bottom + 1):
            painter.fillRect(QRect(shown.left(), snapped(image.top + row * down), shown.width(), 1), _GRID)
        if across >= 48 * ratio:
            area = Rectangle(seen.x, seen.y, seen.width, seen.height)
            lefts = [snapped(image.left + column * across) for column in range(seen.x, seen.right + 1)]
            tops = [snapped(image.top + row * down) for row in range(seen.y, seen.bottom + 1)]
            self._draw_values(painter, picture.values(area), lefts, tops, font)
        painter.restore()

    def _draw_values(
        self, painter: QPainter, values: NDArray[np.int32], lefts: list[int], tops: list[int], font: QFont
    ) -> None:
        """Write three lines into each pixel; `lefts` and `tops` are their edges, one more than pixels."""
        full = 255 if values.max(initial=0) <= 255 else 65535
        # Three lines of up to three digits; the five of 16 bits have to be smaller to fit in.
        self._set_in(font, int((lefts[1] - lefts[0]) / (4.4 if full == 255 else 5.4)))
        bright = (values @ np.array([299, 587, 114], np.int32) > 500 * full).tolist()
        line = self._line_height
        for row, (numbers, dark_inks) in enumerate(zip(values.tolist(), bright, strict=True)):
            y = (tops[row] + tops[row + 1] - 3 * line) // 2
            for column, (number, dark_ink) in enumerate(zip(numbers, dark_inks, strict=True)):
                if number[0] < 0:
                    continue
                middle = lefts[column] + lefts[column + 1]
                for place, value in enumerate(number):
                    label, width = self._label(value, dark_ink=dark_ink)
                    painter.drawImage((middle - width) // 2, y + place * line, label)

    def _set_in(self, font: QFont, pixels: int) -> None:
        """Take a size; other labels than those drawn so far if it is another."""
        wanted = QFont(font)
        wanted.setPixelSize(min(max(pixels, 6), _LARGEST))
        wanted.setFeature(QFont.Tag("tnum"), 1)
        if wanted != self._font or len(self._labels) > _MOST_LABELS:
            self._labels.clear()
            self._font = wanted
            self._line_height = QFontMetrics(wanted).height()

    def _label(self, value: int, *, dark_ink: bool) -> tuple[QImage, int]:
        """Return a number as a picture of its own, and its width."""
        found = self._labels.get((value, dark_ink))
        if found is None:
            text = str(value)
            width = QFontMetrics(self._font).horizontalAdvance(text) + 2
            image = QImage(width, self._line_height, QImage.Format.Format_ARGB32_Premultiplied)
            image.fill(Qt.GlobalColor.transparent)
            painter = QPainter(image)
            painter.setFont(self._font)
            painter.setPen(_INKS[dark_ink])
            painter.drawText(image.rect(), Qt.AlignmentFlag.AlignCenter, text)
            painter.end()
            found = self._labels[value, dark_ink] = (image, width)
        return found
