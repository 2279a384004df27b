"""The Metrics dock: how close each network comes to the ground truth, and at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QEvent, QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QGuiApplication, QKeyEvent, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QMenu,
    QScrollArea,
    QSizePolicy,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from srviewer.app.bridge import Bridge
from srviewer.app.docks.dock import Dock
from srviewer.app.docks.metric_rows import COLUMNS, MetricDelegate, MetricRow, MetricRows
from srviewer.app.model_facts import ModelFacts, facts_of, model_title
from srviewer.app.theme import small_font
from srviewer.session.document import Document
from srviewer.session.entries import ImageId
from srviewer.session.events import (
    CurrentChanged,
    ImagesChanged,
    ReferenceChanged,
    ResultsChanged,
    ScoresChanged,
    SelectionChanged,
    TickedChanged,
)
from srviewer.session.geometry import PixelRect
from srviewer.session.regions import STAYS_IN_FILE
from srviewer.session.scores import ScoreRow
from srviewer.session.wording import seams_text
from srviewer.zoo.spec import FAMILY_NAMES

if TYPE_CHECKING:
    from srviewer.app.docks.plots import ScatterPlot

CostAxis = Literal["parameters", "multi_adds", "seconds"]
"""What the scatter plot shows quality against."""

_AXES: Mapping[CostAxis, tuple[str, str]] = {
    "parameters": ("Parameters", "Parameters [K]"),
    "multi_adds": ("Multi-Adds", "Multi-Adds [G], 1280 × 720 result"),
    "seconds": ("Time", "Time for this image [ms]"),
}
_FORMS = (("CSV…", "csv"), ("JSON…", "json"), ("LaTeX…", "latex"), ("Markdown…", "markdown"))
_MOST_TALL_ROWS = 12
_PLOT_HEIGHT = 210
_FAMILIES = tuple(FAMILY_NAMES)


class MetricTable(QTableView):
    """The table itself, as tall as its rows.

    Signals
    -------
    copy_pressed : Ctrl+C was pressed.
    """

    copy_pressed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Metrics by network")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setMouseTracking(True)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setCornerButtonEnabled(False)
        self.verticalHeader().hide()
        self.verticalHeader().setMinimumSectionSize(16)
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header = self.horizontalHeader()
        header.setAccessibleName("Columns of metrics; click to sort")
        header.setMinimumSectionSize(24)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionsClickable(True)
        header.setHighlightSections(False)
        header.setFont(small_font(self.font()))
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102, N802 -- Qt's name
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy_pressed.emit()
        else:
            super().keyPressEvent(event)

    def fit_columns(self) -> None:
        """Give the networks' column the room that is left, but never less than its names need."""
        header = self.horizontalHeader()
        columns = [place for place in range(len(COLUMNS)) if not header.isSectionHidden(place)]
        needed = sum(max(self.sizeHintForColumn(one), header.sectionSizeHint(one)) for one in columns)
        fits = needed <= self.viewport().width()
        mode = QHeaderView.ResizeMode.Stretch if fits else QHeaderView.ResizeMode.ResizeToContents
        if header.sectionResizeMode(0) != mode:
            header.setSectionResizeMode(0, mode)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().resizeEvent(event)
        self.fit_columns()

    def fit_height(self) -> None:
        """Become as tall as the rows are, up to a dozen."""
        self.fit_columns()
        rows = min(self.model().rowCount(), _MOST_TALL_ROWS)
        height = (
            sum(self.rowHeight(row) for row in range(rows)) + self.horizontalHeader().sizeHint().height() + 2
        )
        if self.horizontalScrollBar().isVisible():
            height += self.horizontalScrollBar().height()
        self.setFixedHeight(height)


class MetricsDock(Dock):
    """The table of the shown image, and quality against cost.

    Signals
    -------
    export_wished : write the table in a form ("csv", "json", "latex", "markdown").
    scatter_export_wished : write the plot of quality against cost (`CostAxis`).
    """

    export_wished = Signal(str)
    scatter_export_wished = Signal(str)

    def __init__(self, document: Document, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__("metrics", "Metrics", parent)
        self._document = document
        self._region: tuple[ImageId, PixelRect] | None = None
        self._rgb = False
        self.rows = MetricRows(self)
        self.table = MetricTable()
        self.table.setModel(self.rows)
        self.table.setItemDelegate(MetricDelegate(self.table))
        self.protocol = _paragraph()
        self.hint = _paragraph()
        self.axis = QComboBox()
        self.axis.setAccessibleName("Cost that quality is plotted against")
        for axis, (name, _) in _AXES.items():
            self.axis.addItem(name, axis)
        self._plot: ScatterPlot | None = None
        self._plot_hint = _paragraph(
            "Run two networks on an image that has a ground truth to see quality against cost."
        )
        self._build()
        self._settling = QTimer(self)
        self._settling.setSingleShot(True)
        self._settling.setInterval(0)
        self._settling.timeout.connect(self.refresh)
        self.axis.currentIndexChanged.connect(lambda _: self._draw_plot())
        self.table.copy_pressed.connect(self.copy)
        self.table.customContextMenuRequested.connect(self._show_menu)
        header = self.table.horizontalHeader()
        header.sectionClicked.connect(self._sort)
        header.customContextMenuRequested.connect(self._show_header_menu)
        self._sorted: tuple[int, bool] | None = None
        self._checkpoints: dict[str, ModelFacts] = {}
        bridge.current_changed.connect(self._take)
        bridge.ticked_changed.connect(self._take)
        bridge.results_changed.connect(self._take)
        bridge.scores_changed.connect(self._take)
        bridge.reference_changed.connect(self._take)
        bridge.images_changed.connect(self._take)
        bridge.selection_changed.connect(self._take_selection)
        self.refresh()

    @property
    def cost_axis(self) -> CostAxis:
        """What the plot shows quality against."""
        return tuple(_AXES)[max(self.axis.currentIndex(), 0)]

    def copy(self) -> None:
        """Put the selected rows (all if none is) into the clipboard as text, columns separated by tabs."""
        header = self.table.horizontalHeader()
        columns = [column for column in range(len(COLUMNS)) if not header.isSectionHidden(column)]
        places = sorted({index.row() for index in self.table.selectionModel().selectedRows()})
        text = self.rows.as_text(columns, places or range(self.rows.rowCount()))
        QGuiApplication.clipboard().setText(text)

    def refresh(self) -> None:
        """Read the numbers of the shown image from the document."""
        current = self._document.current
        models = self._document.ticked
        self.title_row.count.setText("" if current is None else current.name)
        region = None
        if current is not None and self._region is not None and self._region[0] == current.id:
            region = self._region[1]
        has_truth = current is not None and current.reference is not None
        if current is None:
            self.rows.show_rows(())
        else:
            image = current.id
            shown_region = region if has_truth or current.by_region else None
            self.rows.show_rows(
                [
                    MetricRow(
                        self._row(image, model, None),
                        None if shown_region is None else self._row(image, model, shown_region),
                    )
                    for model in models
                ]
            )
        header = self.table.horizontalHeader()
        for place, column in enumerate(COLUMNS):
            hidden = column.with_truth not in (None, has_truth) or (
                column.key == "psnr_rgb" and not self._rgb
            )
            header.setSectionHidden(place, hidden)
        self.table.fit_height()
        self._explain(has_truth=has_truth)
        self._draw_plot()

    def know_checkpoint(self, path: Path, facts: ModelFacts) -> None:
        """Take what reading a checkpoint told: its cost, and the scale of its base line."""
        self._checkpoints[str(path)] = facts
        self.refresh()

    def _facts(self, model: str) -> ModelFacts | None:
        return self._checkpoints.get(model) or facts_of(model)

    def _row(self, image: ImageId, model: str, region: PixelRect | None) -> ScoreRow:
        """Return a network's row, its delta against bicubic at the same scale."""
        result = self._document.result(image, model)
        facts = self._facts(model)
        scale = result.facts.scale if result is not None else facts.scale if facts is not None else 0
        return self._document.score_rows(image, (model,), f"bicubic_x{scale}", region)[0]

    def _explain(self, *, has_truth: bool) -> None:
        """Say how the numbers were measured, and why some are missing."""
        current = self._document.current
        models = self._document.ticked
        lines: list[str] = []
        if current is not None and has_truth:
            scores = [self._document.score(current.id, model) for model in models]
            if any(score is not None for score in scores):
                # Loads image libraries: not before there is a score to explain.
                from srviewer.analysis.metrics import Metrics, describe_protocol

                crops = sorted({score.crop for score in scores if isinstance(score, Metrics)})
                lines.extend(describe_protocol(crop) + "." for crop in crops)
            if self.rows.has_regions and self._region is not None:
                box = self._region[1]
                lines.append(f"Selection: {box} of the input at {box.x}, {box.y}.")
        elif current is not None and current.by_region and self._region is not None and self.rows.has_regions:
            box = self._region[1]
            told = "LR dB of the selection: PSNR-Y between the input and the result scaled back"
            lines.append(f"{told} ({box}).")
        elif current is not None and any(row.whole.consistency is not None for row in self.rows.rows):
            lines.append(
                "LR dB: PSNR-Y between the input and the result scaled back (no ground truth given)."
            )
        checked = [] if current is None else self._document.results_of(current.id)
        lines.extend(
            f"{model_title(one.model)}: {seams_text(one.seams)} (region of {one.seams.region})."
            for one in checked
            if one.seams is not None and one.model in models
        )
        self.protocol.setText("\n".join(lines))
        self.protocol.setVisible(bool(lines))
        noted = [row.whole.note for row in self.rows.rows]
        noted += [row.region.note for row in self.rows.rows if row.region is not None and not has_truth]
        notes = dict.fromkeys(note for note in noted if note)
        hints = list(notes)
        if current is None or not models:
            hints = ["Open an image and tick networks to measure them."]
        elif current.by_region:
            hints.append(f"Measured on a selected region only: {STAYS_IN_FILE}.")
        elif any(one.streamed for one in self._document.results_of(current.id)):
            hints.append("Results that went to files are not measured: they do not fit into memory.")
        elif not has_truth:
            hints.append("For PSNR and SSIM, give this image a ground truth from its menu in Images.")
        self.hint.setText("\n".join(hints))
        self.hint.setVisible(bool(hints))

    def _build(self) -> None:
        """Lay everything out."""
        heading = QHBoxLayout()
        heading.setContentsMargins(8, 0, 4, 0)
        heading.setSpacing(4)
        label = QLabel("PSNR-Y against")
        label.setProperty("role", "muted")
        label.setBuddy(self.axis)
        heading.addWidget(label)
        heading.addWidget(self.axis)
        heading.addStretch(1)
        self.export_plot = QAction("Export plot…", self)
        self.export_plot.triggered.connect(lambda _=False: self.scatter_export_wished.emit(self.cost_axis))
        button = QToolButton()
        button.setDefaultAction(self.export_plot)
        button.setAccessibleName("Export plot")
        heading.addWidget(button)
        line = QFrame()
        line.setProperty("role", "line")
        line.setFixedHeight(1)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 4)
        column.setSpacing(8)
        column.addWidget(self.table)
        column.addWidget(self.protocol)
        column.addWidget(self.hint)
        column.addWidget(line)
        column.addLayout(heading)
        column.addWidget(self._plot_hint)
        column.addStretch(1)
        self._column = column
        area = QScrollArea()
        area.setWidget(content)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(area)
        self.title_row.add_button("copy", "Copy the table as text", self.copy)
        export = self.title_row.add_button("export", "Export the table")
        menu = QMenu(export)
        for text, form in _FORMS:
            menu.addAction(text, partial(self.export_wished.emit, form))
        export.setMenu(menu)
        export.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

    def _draw_plot(self) -> None:
        points = self._cost_points()
        enough = len(points) > 1
        self._plot_hint.setVisible(not enough)
        self.export_plot.setEnabled(enough)
        if self._plot is None:
            if not enough or not self.isVisible():
                return
            # Drawing plots needs a third of a second of imports, which the window's first paint does without.
            from srviewer.app.docks.plots import ScatterPlot

            self._plot = ScatterPlot("PSNR against cost")
            self._plot.setFixedHeight(_PLOT_HEIGHT)
            self._column.insertWidget(self._column.count() - 1, self._plot)
        from srviewer.app.docks.plots import LabelledPoint

        self._plot.setVisible(enough)
        self._plot.show_points(
            [LabelledPoint(name, cost, psnr, group) for name, cost, psnr, group in points],
            _AXES[self.cost_axis][1],
            "PSNR-Y [dB]",
        )

    def _cost_points(self) -> list[tuple[str, float, float, int]]:
        """Return (name, cost, PSNR-Y, family's number) of each network whose cost and quality are known."""
        points = []
        for row in self.rows.rows:
            cost = self._cost(row.whole)
            if cost and row.whole.psnr_y is not None and row.whole.psnr_y != float("inf"):
                facts = self._facts(row.whole.model)
                group = len(_FAMILIES) if facts is None else _FAMILIES.index(facts.family)
                points.append((model_title(row.whole.model), cost, row.whole.psnr_y, group))
        return points

    def _cost(self, row: ScoreRow) -> float | None:
        facts = self._facts(row.model)
        match self.cost_axis:
            case "parameters":
                return None if facts is None or facts.parameters is None else facts.parameters / 1e3
            case "multi_adds":
                return None if facts is None or facts.multi_adds_720p is None else facts.multi_adds_720p / 1e9
            case "seconds":
                return None if row.seconds is None else row.seconds * 1e3

    def _sort(self, column: int) -> None:
        """Sort by a column, the best first; again for the worst first; once more for the panes' order."""
        best_is_high = COLUMNS[column].best is True
        if self._sorted is None or self._sorted[0] != column:
            self._sorted = (column, best_is_high)
        elif self._sorted[1] == best_is_high:
            self._sorted = (column, not best_is_high)
        else:
            self._sorted = None
        header = self.table.horizontalHeader()
        header.setSortIndicatorShown(self._sorted is not None)
        if self._sorted is None:
            self.rows.sort(-1)
        else:
            order = Qt.SortOrder.DescendingOrder if self._sorted[1] else Qt.SortOrder.AscendingOrder
            header.setSortIndicator(column, order)
            self.rows.sort(column, order)
        self.table.fit_height()

    def _show_menu(self, at: QPoint) -> None:
        menu = QMenu(self)
        menu.addAction("Copy as text", self.copy).setShortcut(QKeySequence(QKeySequence.StandardKey.Copy))
        menu.addSeparator()
        for text, form in _FORMS:
            menu.addAction(f"Export as {text}", partial(self.export_wished.emit, form))
        self._popup(menu, self.table.viewport().mapToGlobal(at))

    def _show_header_menu(self, at: QPoint) -> None:
        menu = QMenu(self)
        rgb = menu.addAction("PSNR over RGB")
        rgb.setCheckable(True)
        rgb.setChecked(self._rgb)
        rgb.toggled.connect(self.show_rgb)
        self._popup(menu, self.table.horizontalHeader().viewport().mapToGlobal(at))

    def show_rgb(self, shown: bool) -> None:
        """Show or hide the column of PSNR over RGB."""
        self._rgb = shown
        self.refresh()

    @staticmethod
    def _popup(menu: QMenu, at: QPoint) -> None:
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(at)

    def _take(
        self,
        event: CurrentChanged
        | TickedChanged
        | ResultsChanged
        | ScoresChanged
        | ReferenceChanged
        | ImagesChanged,
    ) -> None:
        """Read anew, once for all changes of one act."""
        self._settling.start()

    def _take_selection(self, event: SelectionChanged) -> None:
        selection = event.selection
        self._region = None if selection is None else (event.image, selection.pixels)
        self._settling.start()

    def theme_changed(self) -> None:  # noqa: D102 -- told by Dock
        if self._plot is not None:
            self._plot.refresh()

    def event(self, event: QEvent) -> bool:  # noqa: D102
        if event.type() is QEvent.Type.Show:
            self._settling.start()
        return super().event(event)

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(372, 400)


def _paragraph(text: str = "") -> QLabel:
    label = QLabel(text)
    label.setProperty("role", "muted")
    label.setWordWrap(True)
    label.setContentsMargins(8, 0, 8, 0)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
