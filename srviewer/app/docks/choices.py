"""Small parts of the docks that look inside networks: segments, boxes of networks, paragraphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QButtonGroup,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from srviewer.zoo.spec import ModelSpec


class Segments(QWidget):
    """Buttons of which one is down.

    Parameters
    ----------
    choices : texts and tips.
    chosen : told of the place that a user chose.
    """

    def __init__(
        self,
        choices: Sequence[tuple[str, str]],
        chosen: Callable[[int], object],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.group = QButtonGroup(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for place, (text, tip) in enumerate(choices):
            button = QToolButton()
            button.setText(text)
            button.setToolTip(tip)
            button.setAccessibleName(tip)
            button.setCheckable(True)
            button.setProperty("role", "segment")
            button.setFixedWidth(button.fontMetrics().horizontalAdvance(text) + 18)
            button.setChecked(place == 0)
            self.group.addButton(button, place)
            row.addWidget(button)
        self.group.idClicked.connect(lambda place: chosen(place))

    @property
    def place(self) -> int:
        """Which button is down."""
        return self.group.checkedId()

    def button(self, place: int) -> QToolButton:
        """Return a button."""
        button = self.group.button(place)
        assert isinstance(button, QToolButton)
        return button

    def choose(self, place: int) -> None:
        """Press a button down; nobody is told."""
        self.button(place).setChecked(True)


class ModelBox(QComboBox):
    """A box to choose one of the ticked networks from, by their references."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)

    @property
    def model_reference(self) -> str:
        """The chosen network; empty if there is none."""
        return str(self.currentData() or "")

    def show_models(self, models: Sequence[tuple[str, str]], preferred: str = "") -> None:
        """Offer networks (references and titles); the chosen one stays if it is among them."""
        if models == [(self.itemData(place), self.itemText(place)) for place in range(self.count())]:
            return
        wanted = self.model_reference or preferred
        blocked = self.blockSignals(True)
        self.clear()
        for reference, title in models:
            self.addItem(title, reference)
        references = [reference for reference, _ in models]
        if wanted not in references:
            wanted = preferred
        self.setCurrentIndex(references.index(wanted) if wanted in references else 0)
        self.blockSignals(blocked)


def pad_field(field: QAbstractSpinBox) -> None:
    """Keep the text of a spin box from its edge: a style sheet's padding does not reach it."""
    line = field.lineEdit()
    if line is not None:
        line.setTextMargins(5, 0, 0, 0)


def sentences(told: Sequence[str], spec: ModelSpec, title: str) -> str:
    """Return sentences about a network, which is called by its id there, as users read them."""
    return " ".join(f"{one.replace(spec.id, title)}." for one in told)


def paragraph(text: str = "") -> QLabel:
    """Return a muted text of several lines."""
    label = QLabel(text)
    label.setProperty("role", "muted")
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
    label.setContentsMargins(8, 0, 8, 0)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label


def set_role(label: QLabel, role: str) -> None:
    """Let a label be read as something else: "muted", "error", "warning"."""
    if label.property("role") != role:
        label.setProperty("role", role)
        label.style().unpolish(label)
        label.style().polish(label)


def scrolled(content: QWidget) -> QScrollArea:
    """Return a widget in an area that scrolls up and down."""
    area = QScrollArea()
    area.setWidget(content)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area
