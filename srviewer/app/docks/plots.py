"""The plots of the docks, in the colours of the theme."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyqtgraph as pg
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QSizePolicy, QWidget

from srviewer.app.theme import Palette, current_palette, small_font

_SYMBOLS = ("o", "s", "t1", "d", "p", "h", "star")


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a plot.

    Attributes
    ----------
    name : in the legend.
    x, y : its points.
    colour : its place among the palette's curves.
    dashed : whether it is drawn broken.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: int
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class LabelledPoint:
    """One point of a scatter plot; points of one `group` share colour and symbol."""

    label: str
    x: float
    y: float
    group: int


class ThemedPlot(pg.PlotWidget):  # type: ignore[misc]  # pyqtgraph has no type information
    """A plot whose axes, grid and ground follow the theme; the mouse leaves it as it is."""

    def __init__(self, accessible_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(accessible_name)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        self.setFrameShape(self.Shape.NoFrame)
        self.setMinimumSize(QSize(120, 100))
        plot = self.getPlotItem()
        plot.setContentsMargins(0, 4, 8, 0)
        for side in ("left", "bottom"):
            axis = plot.getAxis(side)
            axis.setStyle(tickFont=small_font(self.font()), tickLength=-4)
            axis.enableAutoSIPrefix(False)
        self.refresh()

    def refresh(self) -> None:
        """Draw axes and ground in the colours that are in force."""
        palette = current_palette()
        self.setBackground(palette.surface)
        plot = self.getPlotItem()
        for side in ("left", "bottom"):
            axis = plot.getAxis(side)
            axis.setPen(pg.mkPen(palette.outline))
            axis.setTextPen(pg.mkPen(palette.muted))
        plot.showGrid(x=True, y=True, alpha=0.18)

    def name_axes(self, bottom: str, left: str) -> None:
        """Write what the axes show."""
        plot = self.getPlotItem()
        style = {
            "color": current_palette().muted.name(),
            "font-size": f"{small_font(self.font()).pointSizeF():.1f}pt",
        }
        plot.setLabel("bottom", bottom, **style)
        plot.setLabel("left", left, **style)

    def wheelEvent(self, event: object) -> None:  # noqa: D102, N802 -- Qt's name
        # A plot without zoom would swallow the wheel of the dock that it scrolls with.
        event.ignore()  # type: ignore[attr-defined]


class CurvePlot(ThemedPlot):
    """Lines, with a legend unless something else names them."""

    def __init__(
        self,
        accessible_name: str,
        bottom: str,
        left: str,
        parent: QWidget | None = None,
        *,
        has_legend: bool = True,
    ) -> None:
        self._curves: tuple[Curve, ...] = ()
        self._names = (bottom, left)
        self._has_legend = has_legend
        self._legend: pg.LegendItem | None = None
        super().__init__(accessible_name, parent)

    def show_curves(self, curves: Iterable[Curve], *, logarithmic: bool = False) -> None:
        """Draw these curves instead of those before; `logarithmic` concerns the vertical axis."""
        self._curves = tuple(curves)
        plot = self.getPlotItem()
        plot.setLogMode(y=logarithmic)
        self.refresh()

    def refresh(self) -> None:
        """Draw everything in the colours that are in force."""
        super().refresh()
        self.name_axes(*self._names)
        palette = current_palette()
        plot = self.getPlotItem()
        plot.clear()
        if self._has_legend:
            self._show_legend(palette)
        for curve in self._curves:
            style = Qt.PenStyle.DashLine if curve.dashed else Qt.PenStyle.SolidLine
            pen = pg.mkPen(
                _curve_colour(palette, curve.colour), width=1.6 * self.devicePixelRatioF(), style=style
            )
            plot.plot(list(curve.x), list(curve.y), pen=pen, name=curve.name, antialias=True)

    def _show_legend(self, palette: Palette) -> None:
        if self._legend is None:
            self._legend = self.getPlotItem().addLegend(offset=(-8, 8), verSpacing=-4, labelTextSize="8pt")
        self._legend.clear()
        self._legend.setLabelTextColor(palette.text)
        self._legend.setBrush(pg.mkBrush(_translucent(palette.surface, 200)))

    def name_vertical(self, left: str) -> None:
        """Write what the vertical axis shows."""
        self._names = (self._names[0], left)
        self.name_axes(*self._names)


class ScatterPlot(ThemedPlot):
    """Points with their names beside them."""

    def __init__(self, accessible_name: str, parent: QWidget | None = None) -> None:
        self._points: tuple[LabelledPoint, ...] = ()
        self._names = ("", "")
        super().__init__(accessible_name, parent)

    def show_points(self, points: Iterable[LabelledPoint], bottom: str, left: str) -> None:
        """Draw these points instead of those before; the same ones again cost nothing."""
        shown = (tuple(points), (bottom, left))
        if shown != (self._points, self._names):
            self._points, self._names = shown
            self.refresh()

    def refresh(self) -> None:
        """Draw everything in the colours that are in force."""
        super().refresh()
        self.name_axes(*self._names)
        palette = current_palette()
        plot = self.getPlotItem()
        plot.clear()
        if not self._points:
            return
        low, high = min(point.x for point in self._points), max(point.x for point in self._points)
        bottom, top = min(point.y for point in self._points), max(point.y for point in self._points)
        across, up = (high - low) or max(abs(high), 1e-9), (top - bottom) or 0.1
        # Names stand towards the middle, so that those of the outermost points stay inside.
        plot.setXRange(low - across * 0.12, high + across * 0.12, padding=0)
        plot.setYRange(bottom - up * 0.2, top + up * 0.2, padding=0)
        for point in self._points:
            colour = _curve_colour(palette, point.group)
            plot.plot(
                [point.x],
                [point.y],
                pen=None,
                symbol=_SYMBOLS[point.group % len(_SYMBOLS)],
                symbolSize=9,
                symbolBrush=colour,
                symbolPen=pg.mkPen(palette.surface),
            )
            to_the_right = point.x <= (low + high) / 2
            name = pg.TextItem(point.label, color=palette.text, anchor=(-0.06 if to_the_right else 1.06, 0.5))
            name.setFont(small_font(self.font()))
            name.setPos(point.x, point.y)
            plot.addItem(name)


class MemorySparkline(pg.PlotWidget):  # type: ignore[misc]  # pyqtgraph has no type information
    """A small line without axes: memory over the last while."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Memory over time")
        self.setToolTip("Memory that the program used over the last while")
        self.setFixedSize(QSize(96, 18))
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setFrameShape(self.Shape.NoFrame)
        self.setMenuEnabled(False)
        self.hideButtons()
        self.setMouseEnabled(x=False, y=False)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        plot = self.getPlotItem()
        plot.hideAxis("left")
        plot.hideAxis("bottom")
        plot.setContentsMargins(0, 0, 0, 0)
        self.setBackground(None)
        self._line = plot.plot(antialias=True)
        self.refresh()

    def show_samples(self, samples: Iterable[tuple[float, int]]) -> None:
        """Draw (seconds, bytes) in order of time."""
        pairs = tuple(samples)
        megabytes = [memory / 2**20 for _, memory in pairs]
        self._line.setData([seconds for seconds, _ in pairs], megabytes)
        if megabytes:
            # At least 64 MB from top to bottom: noise of a few megabytes is a flat line.
            middle = (max(megabytes) + min(megabytes)) / 2
            reach = max(max(megabytes) - min(megabytes), 64.0) / 2 * 1.15
            self.getPlotItem().setYRange(middle - reach, middle + reach, padding=0)

    def refresh(self) -> None:
        """Draw the line in the colours that are in force."""
        self._line.setPen(pg.mkPen(current_palette().link, width=1.4 * self.devicePixelRatioF()))

    def wheelEvent(self, event: object) -> None:  # noqa: D102, N802 -- Qt's name
        event.ignore()  # type: ignore[attr-defined]


def _curve_colour(palette: Palette, place: int) -> QColor:
    return palette.curves[place % len(palette.curves)]


def _translucent(colour: QColor, alpha: int) -> QColor:
    clear = QColor(colour)
    clear.setAlpha(alpha)
    return clear
