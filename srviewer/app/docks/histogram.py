"""The Histogram dock: how the values of each pane are distributed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QButtonGroup, QCheckBox, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from srviewer.app.docks.dock import Dock

if TYPE_CHECKING:
    from srviewer.app.docks.plots import Curve, CurvePlot

Channel = Literal["luma", "red", "green", "blue"]
"""What is counted."""

_CHANNELS: tuple[tuple[Channel, str, str], ...] = (
    ("luma", "Luma", "Show the distribution of Y of YCbCr"),
    ("red", "R", "Show the red channel"),
    ("green", "G", "Show the green channel"),
    ("blue", "B", "Show the blue channel"),
)
_FLOOR = 1e-3  # percent; where nothing was counted, a logarithmic axis shows this


@dataclass(frozen=True, slots=True)
class HistogramCurve:
    """One channel of one pane.

    Attributes
    ----------
    pane : its title, as in the legend.
    channel : what was counted.
    counts : pixels in bins of equal width over the whole range of values; 64 to 256 bins suit the plot.
    is_truth : whether it is the ground truth, which is drawn broken.
    """

    pane: str
    channel: Channel
    counts: tuple[int, ...]
    is_truth: bool = False


class HistogramDock(Dock):
    """Curves of all panes in one plot, as shares of their pixels: panes of any size can be compared."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("histogram", "Histogram", parent)
        self._histograms: tuple[HistogramCurve, ...] = ()
        self._channel: Channel = "luma"
        self._plot: CurvePlot | None = None
        self.logarithmic = QCheckBox("Log scale")
        self.logarithmic.setToolTip("Show rare values as well, by a logarithmic axis")
        self.logarithmic.toggled.connect(lambda _: self._draw())
        self._hint = QLabel("Open an image to see how its values are distributed.")
        self._hint.setProperty("role", "muted")
        self._hint.setWordWrap(True)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self._hint.setContentsMargins(8, 0, 8, 0)
        tools = QHBoxLayout()
        tools.setContentsMargins(8, 4, 8, 0)
        tools.setSpacing(2)
        self.channels = QButtonGroup(self)
        for place, (channel, text, tip) in enumerate(_CHANNELS):
            button = QToolButton()
            button.setText(text)
            button.setToolTip(tip)
            button.setAccessibleName(tip)
            button.setCheckable(True)
            button.setFixedWidth(button.fontMetrics().horizontalAdvance(text) + 18)
            button.setProperty("role", "segment")
            button.setChecked(channel == self._channel)
            self.channels.addButton(button, place)
            tools.addWidget(button)
        self.channels.idClicked.connect(self._choose)
        tools.addStretch(1)
        tools.addWidget(self.logarithmic)
        content = QWidget()
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(0, 0, 0, 4)
        self._column.setSpacing(4)
        self._column.addLayout(tools)
        self._column.addWidget(self._hint, 1)
        self.setWidget(content)
        self.visibilityChanged.connect(lambda _: self._draw())

    def set_histograms(self, histograms: Sequence[HistogramCurve], scope: str = "") -> None:
        """Show these histograms instead of those before.

        Parameters
        ----------
        histograms : any channels of any panes, in the order of the panes.
        scope : what was counted, in words ("whole image", "selection of 120 × 80 px").
        """
        self._histograms = tuple(histograms)
        self.title_row.count.setText(scope)
        self._draw()

    def shown(self) -> tuple[HistogramCurve, ...]:
        """Return the histograms of the chosen channel."""
        return tuple(one for one in self._histograms if one.channel == self._channel)

    def _choose(self, place: int) -> None:
        self._channel = _CHANNELS[place][0]
        self._draw()

    def _draw(self) -> None:
        shown = self.shown()
        self._hint.setVisible(not shown)
        if self._plot is None:
            if not shown or not self.isVisible():
                return
            # Drawing plots needs a third of a second of imports, which the window's first paint does without.
            from srviewer.app.docks.plots import CurvePlot

            self._plot = CurvePlot("Histogram", "Value, 0 to 255", "% of pixels")
            self._column.addWidget(self._plot, 1)
        self._plot.setVisible(bool(shown))
        if self.isVisible():
            self._plot.show_curves(self._curves(shown), logarithmic=self.logarithmic.isChecked())

    def _curves(self, shown: Sequence[HistogramCurve]) -> list[Curve]:
        from srviewer.app.docks.plots import Curve

        curves = []
        for place, one in enumerate(shown):
            total = sum(one.counts) or 1
            bins = len(one.counts)
            # Bins of other widths would be of other heights: the share is told for each of 256 values.
            shares = [100 * count / total * bins / 256 for count in one.counts]
            if self.logarithmic.isChecked():
                shares = [max(share, _FLOOR) for share in shares]
            middles = [(place + 0.5) * 255 / bins for place in range(bins)]
            curves.append(Curve(one.pane, middles, shares, place, dashed=one.is_truth))
        return curves

    def theme_changed(self) -> None:  # noqa: D102 -- told by Dock
        if self._plot is not None:
            self._plot.refresh()

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(340, 300)
