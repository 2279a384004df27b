"""The Attribution dock: which pixels of the input made a window of each network's result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from srviewer.app.analysing import FoundAttribution
from srviewer.app.attributions import AttributionChoice, AttributionLayer, AttributionRow
from srviewer.app.docks.busy_row import BusyRow
from srviewer.app.docks.choices import Segments, pad_field, paragraph, scrolled, set_role
from srviewer.app.docks.dock import Dock
from srviewer.app.docks.map_view import MapView
from srviewer.app.theme import numbers_font, small_font
from srviewer.session.geometry import WHOLE, Point, Rect, Size

if TYPE_CHECKING:
    from srviewer.analysis.lam_objectives import Objective
    from srviewer.analysis.lam_paths import PathKind

_SIDES: tuple[int | None, ...] = (8, 16, 24, 32, 48, 64, None)
_OBJECTIVES: tuple[tuple[Objective, str], ...] = (
    ("gradient", "Edges (gradient)"),
    ("intensity", "Brightness (sum)"),
)
_PATHS: tuple[tuple[PathKind, str], ...] = (("blur", "From blurred"), ("linear", "From black"))
_LAYERS: tuple[tuple[AttributionLayer, str, str], ...] = (
    ("map", "Map", "Show how much each pixel of the input counts"),
    ("density", "Density", "Show the kernel density of the map"),
)
_LEGEND: Mapping[AttributionLayer, str] = {
    "map": "Pale yellow counts little, dark red most.",
    "density": "Violet is sparse, yellow dense.",
}
_LONGEST = 22  # characters of a network's title
_NARROW = 300  # logical pixels below which maps stand below each other
_NEGLIGIBLE = 0.01  # of the largest attribution: what a close-up may leave out
_CLOSEST = 48  # input pixels along a side that a close-up shows at least


class _Card(QWidget):
    """One network's map, its name and its numbers."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self.view = MapView(f"Attribution of {title}")
        self.name = QLabel(title)
        self.name.setWordWrap(True)
        self.numbers = QLabel()
        self.numbers.setFont(numbers_font(small_font(self.font())))
        self.numbers.setProperty("role", "muted")
        self.numbers.setWordWrap(True)
        for label in (self.name, self.numbers):  # names without spaces must not widen the dock
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        # Above the picture: its height is rounded, and neighbours' words shall stand on one line.
        column.addWidget(self.name)
        column.addWidget(self.numbers)
        column.addWidget(self.view)
        column.addStretch(1)


class AttributionDock(Dock):
    """Where to look, of which networks and how; and what came of it, side by side.

    Signals
    -------
    picking_wished(bool) : pick points on the canvas, or stop that.
    choice_wished(object) : an `AttributionChoice`.
    model_wished(str, bool) : have a network run with the next ones, or leave it out.
    look_wished(str, float, bool) : the `AttributionLayer`, its opacity, and whether it lies over the canvas.
    run_wished, cancel_wished : begin, or stop what runs.
    figure_wished, map_wished : write the maps as a figure, or as .npy.
    """

    picking_wished = Signal(bool)
    choice_wished = Signal(object)
    model_wished = Signal(str, bool)
    look_wished = Signal(str, float, bool)
    run_wished = Signal()
    cancel_wished = Signal()
    figure_wished = Signal()
    map_wished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("attribution", "Attribution", parent)
        self._rows: tuple[AttributionRow, ...] = ()
        self._choice = AttributionChoice()
        self._has_image = self._has_centre = False
        self._cards: dict[str, _Card] = {}
        self._checks: dict[str, QCheckBox] = {}
        self._build_controls()
        self._build()
        self._settle()

    def _build_controls(self) -> None:
        self.pick = QToolButton()
        self.pick.setText("Pick point")
        self.pick.setCheckable(True)
        self.pick.setProperty("role", "segment")
        self.pick.setFixedWidth(self.pick.fontMetrics().horizontalAdvance("Pick point") + 24)
        self.pick.setToolTip("Click on the canvas to choose the middle of the window (P)")
        self.pick.setAccessibleName("Pick the window's middle on the canvas")
        self.pick.clicked.connect(lambda checked: self.picking_wished.emit(bool(checked)))
        self.place = QLabel()
        self.place.setProperty("role", "muted")
        self.place.setFont(numbers_font(self.font()))
        self.side = QComboBox()
        self.side.setAccessibleName("Side of the window in result pixels")
        for side in _SIDES:
            self.side.addItem("Selection" if side is None else f"{side} × {side} px", side)
        self.side.setToolTip("Part of the result that is explained, in its pixels")
        self.objective = QComboBox()
        self.objective.setAccessibleName("What of the window is explained")
        for objective, text in _OBJECTIVES:
            self.objective.addItem(text, objective)
        self.path = QComboBox()
        self.path.setAccessibleName("What is integrated along")
        for path, text in _PATHS:
            self.path.addItem(text, path)
        self.path.setToolTip("Pictures along which gradients are taken, up to the input itself")
        self.steps = QSpinBox()
        self.steps.setRange(1, 500)
        self.steps.setSuffix(" steps")
        self.steps.setAccessibleName("Steps along the path")
        self.steps.setKeyboardTracking(False)
        pad_field(self.steps)
        for box in (self.side, self.objective, self.path):
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(6)
            box.currentIndexChanged.connect(lambda _: self._choose())
        self.steps.valueChanged.connect(lambda _: self._choose())
        self.run = QPushButton("Run")
        self.run.setToolTip("Make the maps of the ticked networks, as jobs of the queue")
        self.run.clicked.connect(lambda _=False: self.run_wished.emit())
        self.busy = BusyRow()
        self.busy.cancel_wished.connect(self.cancel_wished)
        self.hint = paragraph()
        self.layers = Segments([(text, tip) for _, text, tip in _LAYERS], lambda _: self._look())
        self.close_up = QCheckBox("Close-up")
        self.close_up.setChecked(True)
        self.close_up.setToolTip("Show the surroundings of the window that count, not the whole image")
        self.close_up.toggled.connect(lambda _: self._draw())
        self.on_canvas = QCheckBox("On canvas")
        self.on_canvas.setToolTip("Lay the maps over the results on the canvas")
        self.on_canvas.setChecked(True)
        self.on_canvas.toggled.connect(lambda _: self._look())
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(80)
        self.opacity.setAccessibleName("Opacity of the maps in percent")
        self.opacity.setToolTip("Opacity of the maps")
        self.opacity.valueChanged.connect(lambda _: self._look())
        self.legend = paragraph()

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setContentsMargins(8, 4, 8, 0)
        top.addWidget(self.pick)
        top.addWidget(self.place, 1)
        top.addWidget(self.run)
        form = QFormLayout()
        form.setContentsMargins(8, 0, 8, 0)
        form.setHorizontalSpacing(8)
        form.setVerticalSpacing(4)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(_muted("Window"), self.side)
        form.addRow(_muted("Explain"), self.objective)
        path = QHBoxLayout()
        path.setSpacing(4)
        path.addWidget(self.path, 1)
        path.addWidget(self.steps)
        form.addRow(_muted("Path"), path)
        self._networks = QGridLayout()
        self._networks.setContentsMargins(8, 0, 8, 0)
        self._networks.setVerticalSpacing(3)
        self._look_row = QWidget()
        look = QVBoxLayout(self._look_row)
        look.setContentsMargins(8, 0, 8, 0)
        look.setSpacing(4)
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.layers)
        first.addStretch(1)
        first.addWidget(self.close_up)
        second.addWidget(self.on_canvas)
        second.addSpacing(8)
        second.addWidget(_muted("Opacity"))
        second.addWidget(self.opacity, 1)
        look.addLayout(first)
        look.addLayout(second)
        grid = QWidget()
        self._grid = QGridLayout(grid)
        self._grid.setContentsMargins(8, 0, 8, 0)
        self._grid.setSpacing(8)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 8)
        column.setSpacing(6)
        column.addLayout(top)
        column.addLayout(form)
        column.addLayout(self._networks)
        column.addWidget(self.busy)
        column.addWidget(self.hint)
        column.addWidget(self._look_row)
        column.addWidget(grid)
        column.addWidget(self.legend)
        column.addStretch(1)
        self.setWidget(scrolled(content))
        export = self.title_row.add_button("export", "Export the maps")
        menu = QMenu(export)
        self.figure_action = menu.addAction("Figure…", self.figure_wished.emit)
        self.map_action = menu.addAction("Map as .npy…", self.map_wished.emit)
        export.setMenu(menu)
        export.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)

    # What is shown

    @property
    def found(self) -> tuple[tuple[AttributionRow, FoundAttribution], ...]:
        """The maps that are shown."""
        return tuple((row, row.found) for row in self._rows if row.found is not None and row.chosen)

    def show_state(
        self,
        rows: Sequence[AttributionRow],
        choice: AttributionChoice,
        centre: Point | None,
        size: Size | None,
    ) -> None:
        """Show what is known.

        Parameters
        ----------
        rows : the ticked networks.
        choice : how windows are explained.
        centre : the window's middle in whole-image coordinates; None if there is none.
        size : of the input; None without an image.
        """
        self._rows, self._choice = tuple(rows), choice
        for box, value in (
            (self.side, choice.side),
            (self.objective, choice.objective),
            (self.path, choice.path),
        ):
            blocked = box.blockSignals(True)
            box.setCurrentIndex(next(i for i in range(box.count()) if box.itemData(i) == value))
            box.blockSignals(blocked)
        blocked = self.steps.blockSignals(True)
        self.steps.setValue(choice.steps)
        self.steps.blockSignals(blocked)
        if centre is None or size is None:
            self.place.setText("")
        else:
            x, y = int(centre.x * size.width), int(centre.y * size.height)
            self.place.setText(f"x {x}  y {y} of the input")
        self._has_image, self._has_centre = size is not None, centre is not None
        self._settle()
        self._draw()

    def set_picking(self, picking: bool) -> None:
        """Show whether points are picked on the canvas."""
        self.pick.setChecked(picking)

    def _settle(self) -> None:
        """Enable what can be done, and say what is missing."""
        self._fill_networks()
        jobs = [row.job for row in self._rows if row.job is not None and not row.job.finished]
        active = next((job for job in jobs if job.active), None)
        self.busy.show_job(active or (jobs[0] if jobs else None))
        ready = self._has_image and self._has_centre and any(row.chosen for row in self._rows)
        self.run.setEnabled(ready)
        failed = [row for row in self._rows if row.job is not None and row.job.state == "failed"]
        text, role = "", "muted"
        if not self._has_image:
            text = "Open an image to ask which of its pixels made a part of a result."
        elif not self._rows:
            text = "Tick a network first."
        elif not self._has_centre:
            wanted = "Select a region" if self._choice.side is None else "Pick a point, or select a region,"
            text = f"{wanted} to say which part of the result is to be explained."
        elif failed:
            text = " ".join(f"{row.title}: {row.job.error}." for row in failed if row.job is not None)
            role = "error"
        elif any(row.found is not None and not row.is_current for row in self._rows):
            text = "These maps are of another window or made otherwise. Run makes them anew."
        elif any(row.found is not None and not row.found.attribution.map.any() for row in self._rows):
            text = "Nothing in the window depends on detail of the input: the map is empty."
        set_role(self.hint, role)
        self.hint.setText(text)
        self.hint.setVisible(bool(text))
        there = bool(self.found)
        self._look_row.setVisible(there)
        self.legend.setVisible(there)
        self.legend.setText(_LEGEND[_LAYERS[self.layers.place][0]])
        self.figure_action.setEnabled(there)
        self.map_action.setEnabled(there)

    def _fill_networks(self) -> None:
        if list(self._checks) != [row.model for row in self._rows]:
            for check in self._checks.values():
                self._networks.removeWidget(check)
                check.deleteLater()
            self._checks = {}
            for place, row in enumerate(self._rows):
                check = self._checks[row.model] = QCheckBox()
                check.clicked.connect(
                    lambda checked, model=row.model: self.model_wished.emit(model, bool(checked))
                )
                self._networks.addWidget(check, place // 2, place % 2)
        for row in self._rows:
            self._checks[row.model].setText(_shortened(row.title))
            self._checks[row.model].setToolTip(row.title)
            self._checks[row.model].setChecked(row.chosen)

    def _draw(self) -> None:
        """Bring the cards in line with the maps."""
        found = self.found
        wanted = [row.model for row, _ in found]
        for model in [model for model in self._cards if model not in wanted]:
            gone = self._cards.pop(model)
            self._grid.removeWidget(gone)
            gone.deleteLater()
        close = close_up([one for _, one in found]) if self.close_up.isChecked() and found else WHOLE
        layer = _LAYERS[self.layers.place][0]
        columns = min(len(found), 3) if self.width() >= _NARROW else 1
        for place, (row, one) in enumerate(found):
            if row.model not in self._cards:
                self._cards[row.model] = _Card(row.title)
            card = self._cards[row.model]
            self._grid.addWidget(card, place // columns, place % columns, Qt.AlignmentFlag.AlignTop)
            image = one.heat if layer == "map" else one.density
            card.view.show_picture(
                one.ground,
                [(image, self.opacity.value() / 100)],
                shape=QSize(one.size.width, one.size.height),
                area=close,
                window=window_area(one),
            )
            card.name.setText(row.title)
            card.numbers.setText(_numbers(row, one))
            card.view.setToolTip(f"{row.title}: {_numbers(row, one)}")
        for column in range(3):
            self._grid.setColumnStretch(column, 1 if column < columns else 0)

    def _choose(self) -> None:
        self.choice_wished.emit(
            dataclasses.replace(
                self._choice,
                side=self.side.currentData(),
                objective=self.objective.currentData(),
                path=self.path.currentData(),
                steps=self.steps.value(),
            )
        )

    def _look(self) -> None:
        self._settle()
        self._draw()
        layer = _LAYERS[self.layers.place][0]
        self.look_wished.emit(layer, self.opacity.value() / 100, self.on_canvas.isChecked())

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(340, 480)


def window_area(found: FoundAttribution) -> Rect:
    """Return where a map's window lies, in whole-image coordinates."""
    return found.order.window.whole_image(found.size.times(found.attribution.scale))


def close_up(found: Sequence[FoundAttribution]) -> Rect:
    """Return the part of the image around the windows that holds what counts in any of the maps.

    Parameters
    ----------
    found : maps of one input.
    """
    import numpy as np

    size = found[0].size
    left, top, right, bottom = size.width, size.height, 0, 0
    for one in found:
        rows = np.flatnonzero((one.attribution.map > _NEGLIGIBLE).any(axis=1))
        columns = np.flatnonzero((one.attribution.map > _NEGLIGIBLE).any(axis=0))
        window = window_area(one)
        left = min(left, int(window.left * size.width), *columns[:1].tolist())
        top = min(top, int(window.top * size.height), *rows[:1].tolist())
        right = max(right, round(window.right * size.width + 0.5), *(columns[-1:] + 1).tolist())
        bottom = max(bottom, round(window.bottom * size.height + 0.5), *(rows[-1:] + 1).tolist())
    x, width = _widened(left, right, size.width)
    y, height = _widened(top, bottom, size.height)
    return Rect(x / size.width, y / size.height, (x + width) / size.width, (y + height) / size.height)


def _widened(first: int, last: int, length: int) -> tuple[int, int]:
    """Return the beginning and length of a span with some room around it, inside 0..`length`."""
    wanted = min(max(last - first + 8, _CLOSEST), length)
    start = min(max((first + last - wanted) // 2, 0), length - wanted)
    return start, wanted


def _numbers(row: AttributionRow, found: FoundAttribution) -> str:
    attribution = found.attribution
    parts = [f"DI {attribution.diffusion_index:.2f}", f"Gini {attribution.gini:.3f}"]
    if not row.is_current:
        box = found.order.window
        parts.append(f"window {box.width} × {box.height} at row {box.y}, column {box.x}")
    return " · ".join(parts)


def _shortened(title: str) -> str:
    """Return a title that fits beside another one; the tool tip has all of it."""
    return title if len(title) <= _LONGEST else f"{title[: _LONGEST // 2]}…{title[-_LONGEST // 2 + 1 :]}"


def _muted(text: str) -> QLabel:
    label = QLabel(text)
    label.setProperty("role", "muted")
    return label
