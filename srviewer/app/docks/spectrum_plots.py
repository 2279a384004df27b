"""The plots of the Spectrum dock: densities with their movable cut-off, and a spectrum in two dimensions."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QFontMetrics, QTransform
from PySide6.QtWidgets import QGraphicsEllipseItem, QWidget

from srviewer.app.difference import colour_table
from srviewer.app.docks.plots import Curve, CurvePlot, ThemedPlot
from srviewer.app.theme import current_palette, small_font

HIGHEST = 0.5
"""Cycles per pixel: the highest frequency that pixels can hold along an axis."""

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_RANGE = 100.0  # dB below the highest that the colours span at most


class _PowerAxis(pg.AxisItem):  # type: ignore[misc]  # pyqtgraph has no type information
    """A logarithmic axis whose numbers are all powers of ten, or all plain."""

    def logTickStrings(self, values: list[float], scale: float, spacing: float) -> list[str]:  # noqa: N802
        del scale, spacing
        return [
            power_text(value) if abs(value - round(value)) < 1e-6 else f"{10**value:.2g}" for value in values
        ]


def power_text(exponent: float) -> str:
    """Return a power of ten as axes write it: ``"10⁻⁴"``; those next to 1 are plain."""
    whole = round(exponent)
    return f"{10.0**whole:g}" if -2 <= whole <= 2 else f"10{str(whole).translate(_SUPERSCRIPTS)}"


class DensityPlot(CurvePlot):
    """Densities over frequency, and a line at the cut-off that can be dragged.

    Signals
    -------
    cut_off_dragged(float) : cycles per pixel.
    """

    cut_off_dragged = Signal(float)

    def __init__(self, cut_off: float, parent: QWidget | None = None) -> None:
        self._line: pg.InfiniteLine | None = None
        super().__init__(
            "Density over frequency", "Frequency [cycles/px]", "Density [%]", parent, has_legend=False
        )
        plot = self.getPlotItem()
        plot.setAxisItems({"left": _PowerAxis("left")})
        axis = plot.getAxis("left")
        axis.setStyle(tickFont=small_font(self.font()), tickLength=-4)
        axis.enableAutoSIPrefix(False)
        _fit_axis(self)
        self._line = pg.InfiniteLine(
            cut_off,
            movable=True,
            bounds=(0, HIGHEST),
            label="{value:.3f}",
            labelOpts={"position": 0.93, "movable": False},
        )
        self._line.setZValue(10)
        self._line.sigPositionChanged.connect(self._tell)
        self.setMinimumHeight(140)
        self.refresh()

    @property
    def cut_off(self) -> float:
        """Where the line stands, in cycles per pixel."""
        return 0.0 if self._line is None else float(self._line.value())

    def set_cut_off(self, cut_off: float) -> None:
        """Move the line."""
        if self._line is not None and abs(self.cut_off - cut_off) > 1e-9:
            self._line.setValue(cut_off)

    def show_densities(self, curves: Iterable[Curve], name: str) -> None:
        """Draw densities (or ratios of them) on a logarithmic axis; what is 0 or NaN leaves a gap."""
        shown = [Curve(one.name, one.x, _positive(one.y).tolist(), one.colour, one.dashed) for one in curves]
        self.name_vertical(name)
        self.show_curves(shown, logarithmic=True)

    def refresh(self) -> None:
        """Draw everything in the colours that are in force."""
        super().refresh()
        plot = self.getPlotItem()
        plot.setXRange(0, HIGHEST, padding=0.01)
        if self._line is None:
            return
        palette = current_palette()
        ratio = self.devicePixelRatioF()
        self._line.setPen(pg.mkPen(palette.muted, width=1.2 * ratio, style=Qt.PenStyle.DashLine))
        self._line.setHoverPen(pg.mkPen(palette.link, width=2 * ratio))
        self._line.label.setColor(palette.text)
        self._line.label.fill = pg.mkBrush(palette.surface)
        self._line.label.setFont(small_font(self.font()))
        self.addItem(self._line)  # the curves were cleared, and it with them

    def _tell(self) -> None:
        self.cut_off_dragged.emit(self.cut_off)


class SpectrumImage(ThemedPlot):
    """A centred power spectrum in dB, its axes in cycles per pixel, with a circle at the cut-off."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._circle: QGraphicsEllipseItem | None = None
        self._bar: pg.ColorBarItem | None = None
        super().__init__("Power spectrum in two dimensions", parent)
        self._image = pg.ImageItem(axisOrder="row-major")
        self._image.setLookupTable(colour_table("viridis"))
        self._cut_off = 0.25
        plot = self.getPlotItem()
        plot.addItem(self._image)
        plot.invertY(True)
        plot.setAspectLocked(True)
        plot.setRange(xRange=(-HIGHEST, HIGHEST), yRange=(-HIGHEST, HIGHEST), padding=0.02)
        ticks = [(value, f"{value:g}") for value in (-0.5, -0.25, 0, 0.25, 0.5)]
        for side in ("left", "bottom"):
            plot.getAxis(side).setTicks([ticks])
        _fit_axis(self)
        self._circle = QGraphicsEllipseItem()
        plot.addItem(self._circle)
        self._bar = pg.ColorBarItem(
            colorMap=pg.ColorMap(np.linspace(0, 1, 256), colour_table("viridis")), width=10, interactive=False
        )
        self._bar.setImageItem(self._image, insert_in=plot)
        self.refresh()

    def show_spectrum(self, decibels: NDArray[np.float32], highest: float) -> None:
        """Draw a spectrum: H x W, dB, zero frequency in the centre; `highest` has the brightest colour."""
        lowest = max(min(float(np.quantile(decibels, 0.01)), highest - 1), highest - _RANGE)
        height, width = decibels.shape
        self._image.setImage(decibels, autoLevels=False, levels=(lowest, highest))
        if self._bar is not None:
            self._bar.setLevels((lowest, highest))
        # Pixel centres lie on their frequencies: zero is that of row H // 2 and column W // 2.
        place = QTransform()
        place.scale(1 / width, 1 / height)
        place.translate(-(width // 2) - 0.5, -(height // 2) - 0.5)
        self._image.setTransform(place)

    def set_cut_off(self, cut_off: float) -> None:
        """Draw the circle at another frequency."""
        self._cut_off = cut_off
        if self._circle is not None:
            self._circle.setRect(QRectF(-cut_off, -cut_off, 2 * cut_off, 2 * cut_off))

    def refresh(self) -> None:
        """Draw axes and circle in the colours that are in force."""
        super().refresh()
        plot = self.getPlotItem()
        plot.showGrid(x=False, y=False)
        self.name_axes("x [cycles/px]", "y [cycles/px]")
        if self._circle is not None:
            pen = pg.mkPen("#ffffff", width=1.2, style=Qt.PenStyle.DashLine)
            pen.setCosmetic(True)
            self._circle.setPen(pen)
            self.set_cut_off(self._cut_off)
        palette = current_palette()
        if self._bar is not None:
            axis = self._bar.axis
            axis.setTextPen(pg.mkPen(palette.muted))
            axis.setPen(pg.mkPen(palette.outline))
            axis.setStyle(tickFont=small_font(self.font()))
            axis.setLabel("dB", color=palette.muted.name(), **{"font-size": "8pt"})


def _fit_axis(plot: ThemedPlot) -> None:
    """Give the lower axis the height of its numbers and its name, not more."""
    line = QFontMetrics(small_font(plot.font())).height()
    plot.getPlotItem().getAxis("bottom").setHeight(2 * line + 4)


def _positive(values: Iterable[float]) -> NDArray[np.float64]:
    """Return values as an array, NaN where a logarithm has none."""
    found = np.asarray(list(values), np.float64)
    return np.where(found > 0, found, np.nan)
