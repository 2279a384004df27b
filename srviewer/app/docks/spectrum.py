"""The Spectrum dock: at which frequencies pictures, their differences and features have their power."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QIcon, QPainter, QPen, QPixmap
from PySide6.QtWidgets import (
    QAbstractItemView,
    QDoubleSpinBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from srviewer.app.analysing import FoundSpectra
from srviewer.app.docks.busy_row import BusyRow
from srviewer.app.docks.choices import ModelBox, Segments, pad_field, paragraph, scrolled, set_role
from srviewer.app.docks.dock import Dock
from srviewer.app.spectra import PaneSpectrum
from srviewer.app.theme import current_palette, numbers_font, small_font
from srviewer.session.queue import Job

if TYPE_CHECKING:
    from srviewer.analysis.spectrum import Spectrum
    from srviewer.app.docks.plots import Curve
    from srviewer.app.docks.spectrum_plots import DensityPlot, SpectrumImage

SpectrumView = Literal["pictures", "differences", "attention"]
"""What the dock shows."""

CUT_OFF = 0.25
"""Cycles per pixel above which frequencies count as high, at first."""

_VIEWS: tuple[tuple[SpectrumView, str, str], ...] = (
    ("pictures", "Pictures", "Spectra of the input, the results and the ground truth"),
    (
        "differences",
        "Differences",
        "Spectra of each result minus the ground truth, or of A minus B",
    ),
    ("attention", "Attention", "Spectra of features before and after each attention block"),
)
_SCALES = (
    ("Density", "Show the densities before and after the chosen block"),
    ("Ratio", "Show the density after a block over that before it"),
)
_SIDES = (
    ("Before", "Show the spectrum of the features before the block"),
    ("After", "Show the spectrum of the features after the block"),
)
_IMAGE_HEIGHT = 216
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SWATCH = QSize(18, 10)


@dataclass(frozen=True, eq=False)
class _Line:
    """One row of the table: a picture's spectrum, or a block's before and after."""

    title: str
    spectra: tuple[Spectrum, ...]
    dashed: bool = False


class SpectrumDock(Dock):
    """Densities over frequency with a movable cut-off, shares above it, and one spectrum in two dimensions.

    Signals
    -------
    view_wished(str) : a `SpectrumView` was chosen.
    model_wished(str) : the network whose attention is looked at.
    cancel_wished : stop the job that records features.
    figure_wished, curves_wished : write what is shown as a figure, or as CSV.
    """

    view_wished = Signal(str)
    model_wished = Signal(str)
    cancel_wished = Signal()
    figure_wished = Signal()
    curves_wished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("spectrum", "Spectrum", parent)
        self._pictures: tuple[PaneSpectrum, ...] = ()
        self._scope = ""
        self._missing = ""
        self._attention: FoundSpectra | None = None
        self._told = ""
        self._job: Job | None = None
        self._lines: tuple[_Line, ...] = ()
        self._cut_off = CUT_OFF
        self._plot: DensityPlot | None = None
        self._image: SpectrumImage | None = None
        self.views = Segments([(text, tip) for _, text, tip in _VIEWS], self._choose_view)
        self.models = ModelBox("Network whose attention is looked at")
        self.models.currentIndexChanged.connect(lambda _: self.model_wished.emit(self.models.model_reference))
        self.scales = Segments(_SCALES, lambda _: self._draw())
        self.busy = BusyRow()
        self.busy.cancel_wished.connect(self.cancel_wished)
        self.cut_off_field = QDoubleSpinBox()
        self.cut_off_field.setRange(0, 0.5)
        self.cut_off_field.setDecimals(3)
        self.cut_off_field.setSingleStep(0.01)
        self.cut_off_field.setValue(CUT_OFF)
        self.cut_off_field.setPrefix("> ")
        pad_field(self.cut_off_field)
        self.cut_off_field.setAccessibleName("Cut-off in cycles per pixel")
        self.cut_off_field.setToolTip(
            "High frequencies, in cycles per pixel; the line in the plot can be dragged"
        )
        self.cut_off_field.setKeyboardTracking(False)
        self.cut_off_field.valueChanged.connect(self.set_cut_off)
        self.table = _table()
        self.table.itemSelectionChanged.connect(self._show_chosen)
        self.caption = QLabel()
        self.caption.setProperty("role", "muted")
        self.caption.setFont(small_font(self.font()))
        self.sides = Segments(_SIDES, lambda _: self._show_chosen())
        self.sides.choose(1)
        self.hint = paragraph()
        self._build()
        self.visibilityChanged.connect(lambda _: self._refresh())
        self._refresh()

    @property
    def view(self) -> SpectrumView:
        """What is shown."""
        return _VIEWS[self.views.place][0]

    @property
    def cut_off(self) -> float:
        """Cycles per pixel above which frequencies count as high."""
        return self._cut_off

    @property
    def pictures(self) -> tuple[PaneSpectrum, ...]:
        """The spectra of pictures or differences that are shown."""
        return self._pictures if self.view != "attention" else ()

    @property
    def attention(self) -> FoundSpectra | None:
        """The spectra around attention blocks that are shown."""
        return self._attention if self.view == "attention" else None

    def curves(self) -> tuple[tuple[str, Spectrum], ...]:
        """Return all curves that are shown, by name."""
        sides = ("before", "after")
        return tuple(
            (line.title if len(line.spectra) == 1 else f"{line.title} {sides[place]}", one)
            for line in self._lines
            for place, one in enumerate(line.spectra)
        )

    def shares(self) -> tuple[tuple[str, tuple[float, ...]], ...]:
        """Return each row's title and its high-frequency shares in percent."""
        return tuple(
            (line.title, tuple(one.high_frequency_share(self._cut_off) for one in line.spectra))
            for line in self._lines
        )

    def set_pictures(self, pictures: Sequence[PaneSpectrum], scope: str) -> None:
        """Show these spectra of pictures or differences; `scope` says in words what they cover."""
        self._pictures, self._scope = tuple(pictures), scope
        self._refresh()

    def set_missing(self, reason: str) -> None:
        """Say why there are no differences; empty where there are."""
        self._missing = reason
        self._refresh()

    def set_models(self, models: Sequence[tuple[str, str]], preferred: str = "") -> None:
        """Offer networks (references and titles) whose attention can be looked at."""
        self.models.show_models(list(models), preferred)

    def set_attention(self, found: FoundSpectra | None, job: Job | None, told: str) -> None:
        """Show spectra around attention blocks.

        Parameters
        ----------
        found : None while there are none.
        job : the one that makes them; None if there is none.
        told : what is not there, or why the job failed.
        """
        if (found, told) != (self._attention, self._told):
            self._attention, self._told = found, told
            self._job = job
            self._refresh()
        self._job = job
        self.busy.show_job(job if self.view == "attention" else None)
        self._settle_hint()

    def set_cut_off(self, cut_off: float) -> None:
        """Count frequencies above `cut_off` (cycles per pixel) as high."""
        cut_off = min(max(cut_off, 0.0), 0.5)
        if abs(cut_off - self._cut_off) < 1e-9:
            return
        self._cut_off = cut_off
        blocked = self.cut_off_field.blockSignals(True)
        self.cut_off_field.setValue(cut_off)
        self.cut_off_field.blockSignals(blocked)
        if self._plot is not None and self._image is not None:
            self._plot.set_cut_off(cut_off)
            self._image.set_cut_off(cut_off)
        self._write_shares()

    # Inside

    def _build(self) -> None:
        self._attention_row = QWidget()
        row = QHBoxLayout(self._attention_row)
        row.setContentsMargins(8, 0, 8, 0)
        row.setSpacing(8)
        row.addWidget(self.models, 1)
        row.addWidget(self.scales)
        top = QHBoxLayout()
        top.setContentsMargins(8, 4, 8, 0)
        top.addWidget(self.views)
        top.addStretch(1)
        top.addWidget(self.cut_off_field)
        self._caption_row = QWidget()
        caption = QHBoxLayout(self._caption_row)
        caption.setContentsMargins(8, 0, 8, 0)
        caption.addWidget(self.caption, 1)
        caption.addWidget(self.sides)
        content = QWidget()
        self._column = QVBoxLayout(content)
        self._column.setContentsMargins(0, 0, 0, 4)
        self._column.setSpacing(6)
        self._column.addLayout(top)
        self._column.addWidget(self._attention_row)
        self._column.addWidget(self.busy)
        self._column.addWidget(self.hint)
        self._column.addWidget(self.table)
        self._column.addWidget(self._caption_row)
        self._column.addStretch(1)
        self.setWidget(scrolled(content))
        export = self.title_row.add_button("export", "Export the spectra")
        menu = QMenu(export)
        self.figure_action = menu.addAction("Figure…", self.figure_wished.emit)
        self.curves_action = menu.addAction("CSV…", self.curves_wished.emit)
        export.setMenu(menu)
        export.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

    def _choose_view(self, place: int) -> None:
        self.view_wished.emit(_VIEWS[place][0])
        self._refresh()

    def choose_view(self, view: SpectrumView) -> None:
        """Show pictures, differences or attention."""
        place = next(place for place, one in enumerate(_VIEWS) if one[0] == view)
        self.views.choose(place)
        self._choose_view(place)

    def _refresh(self) -> None:
        """Show what there is for the view; nothing is drawn while nobody sees it."""
        attention = self.view == "attention"
        self._attention_row.setVisible(attention)
        self.busy.show_job(self._job if attention else None)
        self.sides.setVisible(attention)
        if attention:
            blocks = () if self._attention is None else self._attention.blocks
            self._lines = tuple(_Line(one.label, (one.spectrum_before, one.spectrum_after)) for one in blocks)
        else:
            self._lines = tuple(_Line(one.title, (one.spectrum,), one.is_truth) for one in self._pictures)
        self._settle_hint()
        there = bool(self._lines)
        for widget in (self.cut_off_field, self.table, self._caption_row):
            widget.setVisible(there)
        self.figure_action.setEnabled(there)
        self.curves_action.setEnabled(there)
        self.title_row.count.setText(self._scope)
        if not self.is_seen:
            return
        self._fill_table()
        self._draw()

    def _settle_hint(self) -> None:
        set_role(self.hint, "muted")
        text = ""
        middles = dict.fromkeys(str(one.middle) for one in self._pictures if one.middle is not None)
        match self.view:
            case "pictures" if not self._pictures:
                text = "Open an image to see at which frequencies it has its power."
            case "differences" if not self._pictures:
                text = self._missing or "Open an image and run networks to see how they differ."
            case "attention":
                text = self._told
            case _ if middles:
                text = f"Of larger pictures the middle {' and '.join(middles)} px."
        self.hint.setText(text)
        self.hint.setVisible(bool(text))

    def _fill_table(self) -> None:
        columns = max((len(line.spectra) for line in self._lines), default=1)
        chosen = self.table.currentRow()
        items = [self.table.item(row, 0) for row in range(self.table.rowCount())]
        titles = [item.text() for item in items if item is not None]
        blocked = self.table.blockSignals(True)
        self.table.setColumnCount(1 + columns)
        heads = ["Block", "before", "after"] if columns == 2 else ["Picture", "share"]
        for place, head in enumerate(heads):
            item = QTableWidgetItem(head)
            side = Qt.AlignmentFlag.AlignRight if place else Qt.AlignmentFlag.AlignLeft
            item.setTextAlignment(side | Qt.AlignmentFlag.AlignVCenter)
            if columns == 2 and place:  # as the chosen block's curves are drawn
                item.setIcon(self._swatch(place - 1, dashed=place == 1))
            self.table.setHorizontalHeaderItem(place, item)
        self.table.setRowCount(len(self._lines))
        for row, line in enumerate(self._lines):
            name = QTableWidgetItem(line.title)
            name.setToolTip(line.title)
            if columns == 1:
                name.setIcon(self._swatch(row, dashed=line.dashed))
            self.table.setItem(row, 0, name)
            for column in range(columns):
                number = QTableWidgetItem()
                number.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                number.setFont(numbers_font(self.table.font()))
                self.table.setItem(row, 1 + column, number)
        if self._lines:
            same = titles == [line.title for line in self._lines]
            start = chosen if same and 0 <= chosen < len(self._lines) else self._first_row()
            self.table.selectRow(start)
        self.table.blockSignals(blocked)
        self._write_shares()
        height = self.table.horizontalHeader().sizeHint().height() + 2
        height += sum(self.table.rowHeight(row) for row in range(self.table.rowCount()))
        self.table.setFixedHeight(height)

    def _first_row(self) -> int:
        """Return which row is chosen at first: of pictures the last result, else the first."""
        pictures = [place for place, line in enumerate(self._lines) if not line.dashed]
        return pictures[-1] if self.view == "pictures" and pictures else 0

    def _write_shares(self) -> None:
        for column in range(1, self.table.columnCount()):
            head = self.table.horizontalHeaderItem(column)
            if head is not None:
                head.setToolTip(f"Share of the density above {self._cut_off:g} cycles per pixel")
        for row, (_, shares) in enumerate(self.shares()):
            for column, share in enumerate(shares):
                item = self.table.item(row, 1 + column)
                if item is not None:
                    item.setText(share_text(share))

    def _swatch(self, place: int, *, dashed: bool) -> QIcon:
        """Return the line that stands for a curve in the plot."""
        palette, ratio = current_palette(), self.devicePixelRatioF()
        pixmap = QPixmap(_SWATCH * ratio)
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
        pen = QPen(palette.curves[place % len(palette.curves)], 2.2, style)
        if dashed:
            pen.setDashPattern([2.0, 1.4])
        painter.setPen(pen)
        middle = _SWATCH.height() / 2
        painter.drawLine(QPointF(1, middle), QPointF(_SWATCH.width() - 1, middle))
        painter.end()
        icon = QIcon(pixmap)
        icon.addPixmap(pixmap, QIcon.Mode.Selected)
        return icon

    # Drawing

    def _draw(self) -> None:
        if self._plot is None or self._image is None:
            if not self._lines or not self.is_seen:
                return
            # Drawing plots needs a third of a second of imports, which the window's first paint does without.
            from srviewer.app.docks.spectrum_plots import DensityPlot, SpectrumImage

            self._plot = DensityPlot(self._cut_off)
            self._plot.cut_off_dragged.connect(self.set_cut_off)
            self._image = SpectrumImage()
            self._image.setFixedHeight(_IMAGE_HEIGHT)
            self._image.set_cut_off(self._cut_off)
            place = self._column.indexOf(self.table)
            self._column.insertWidget(place, self._plot, 1)
            self._column.insertWidget(self._column.count() - 1, self._image)
        self._plot.setVisible(bool(self._lines))
        self._image.setVisible(bool(self._lines))
        if self._lines and self.is_seen:
            self._draw_curves(self._plot)
            self._show_chosen()

    def _draw_curves(self, plot: DensityPlot) -> None:
        if self.view != "attention":
            curves = [
                _curve(line.title, line.spectra[0], place, dashed=line.dashed)
                for place, line in enumerate(self._lines)
            ]
            plot.show_densities(curves, "Density [%]")
            return
        line = self._chosen()
        if line is None:
            return
        before, after = line.spectra
        if self.scales.place == 0:
            curves = [
                _curve("before", before, 0, dashed=True),
                _curve("after", after, 1),
            ]
            plot.show_densities(curves, "Density [%]")
        else:
            from srviewer.analysis.spectrum import ratio
            from srviewer.app.docks.plots import Curve

            ratios = Curve("ratio", before.frequency.tolist(), ratio(after, before).tolist(), 1)
            plot.show_densities([ratios], "After / before")

    def _chosen(self) -> _Line | None:
        row = self.table.currentRow()
        return self._lines[row] if 0 <= row < len(self._lines) else None

    def _show_chosen(self) -> None:
        line = self._chosen()
        if line is None or self._image is None or self._plot is None:
            return
        if self.view == "attention":
            self._draw_curves(self._plot)
        place = self.sides.place if len(line.spectra) == 2 else 0
        highest = max(float(one.log_power.max()) for each in self._lines for one in each.spectra)
        self._image.show_spectrum(line.spectra[place].log_power, highest)
        words = line.title if len(line.spectra) == 1 else f"{line.title}, {('before', 'after')[place]}"
        self.caption.setText(f"Spectrum of {words}")

    def theme_changed(self) -> None:  # noqa: D102 -- told by Dock
        if self._plot is not None and self._image is not None:
            self._plot.refresh()
            self._image.refresh()
        self._refresh()

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(340, 480)


def _curve(name: str, spectrum: Spectrum, colour: int, *, dashed: bool = False) -> Curve:
    from srviewer.app.docks.plots import Curve

    return Curve(name, spectrum.frequency.tolist(), spectrum.density.tolist(), colour, dashed)


def share_text(percent: float) -> str:
    """Return a share in percent with three digits: ``"12.3 %"``, ``"0.046 %"``, ``"2.1 · 10⁻⁵ %"``."""
    if percent >= 0.001 or percent <= 0:
        return f"{percent:.3g} %"
    exponent = math.floor(math.log10(percent))
    return f"{percent / 10.0**exponent:.1f} · 10{str(exponent).translate(_SUPERSCRIPTS)} %"


def _table() -> QTableWidget:
    table = QTableWidget()
    table.setAccessibleName("Shares above the cut-off; the chosen row is drawn below")
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    table.setShowGrid(False)
    table.setWordWrap(False)
    table.setTabKeyNavigation(False)
    table.setIconSize(_SWATCH)
    table.verticalHeader().hide()
    table.verticalHeader().setMinimumSectionSize(16)
    table.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
    table.verticalHeader().setDefaultSectionSize(table.fontMetrics().height() + 7)
    header = table.horizontalHeader()
    header.setFont(small_font(table.font()))
    header.setHighlightSections(False)
    header.setMinimumSectionSize(40)
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    table.setColumnCount(2)
    header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
    return table
