"""What the dialogs are built of: rows of labelled fields, a folder's field, remarks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)


class FormDialog(QDialog):
    """A dialog of labelled fields above a row of buttons.

    Attributes
    ----------
    column : what stands above the buttons, from top to bottom.
    buttons : the row of buttons.
    accept_button : the one that answers.
    """

    def __init__(self, title: str, accept: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(16, 16, 16, 16)
        outer.setSpacing(12)
        self.column = QVBoxLayout()
        self.column.setSpacing(8)
        outer.addLayout(self.column, 1)
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        self.accept_button: QPushButton = self.buttons.addButton(
            accept, QDialogButtonBox.ButtonRole.AcceptRole
        )
        self.accept_button.setDefault(True)
        for button in self.buttons.buttons():
            # Else Enter would cancel while the answer is not complete.
            if isinstance(button, QPushButton) and button is not self.accept_button:
                button.setAutoDefault(False)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        outer.addWidget(self.buttons)

    def add_form(self) -> QFormLayout:
        """Add a block of labelled fields."""
        form = QFormLayout()
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(8)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self.column.addLayout(form)
        return form

    def showEvent(self, event: QShowEvent) -> None:  # noqa: D102, N802 -- Qt's name
        # A style sheet's padding does not reach the text of a spin box.
        for field in self.findChildren(QAbstractSpinBox):
            line = field.lineEdit()
            if line is not None:
                line.setTextMargins(5, 0, 0, 0)
        super().showEvent(event)


class PathField(QWidget):
    """A path that can be typed or chosen.

    Attributes
    ----------
    edit : the field itself.
    """

    def __init__(self, name: str, path: Path | None, *, caption: str, patterns: str = "") -> None:
        super().__init__()
        self._caption, self._patterns = caption, patterns
        self.edit = QLineEdit("" if path is None else str(path))
        self.edit.setAccessibleName(name)
        self.edit.setMinimumWidth(320)
        button = QPushButton("Choose…")
        button.setAutoDefault(False)
        button.setAccessibleName(f"Choose {name.lower()}")
        button.clicked.connect(lambda _=False: self._choose())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.edit, 1)
        row.addWidget(button)
        self.setFocusProxy(self.edit)

    @property
    def path(self) -> Path | None:
        """What stands in the field; None if nothing does."""
        text = self.edit.text().strip()
        return Path(text).expanduser() if text else None

    def _choose(self) -> None:
        before = self.edit.text()
        if self._patterns:
            # Whether a file may be replaced is asked in the dialog, beside what else is asked.
            option = QFileDialog.Option.DontConfirmOverwrite
            chosen = QFileDialog.getSaveFileName(self, self._caption, before, self._patterns, options=option)[
                0
            ]
        else:
            chosen = QFileDialog.getExistingDirectory(self, self._caption, before)
        if chosen:
            self.edit.setText(chosen)


def remark(text: str = "", role: str = "muted") -> QLabel:
    """Return a paragraph below a field."""
    label = QLabel(text)
    label.setProperty("role", role)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
    return label


def choice_box(name: str, texts: Sequence[str], chosen: int) -> QComboBox:
    """Return a box to choose one of some texts from."""
    box = QComboBox()
    box.setAccessibleName(name)
    box.addItems(list(texts))
    box.setCurrentIndex(max(chosen, 0))
    return box


def mark_invalid(field: QLineEdit, invalid: bool) -> None:
    """Frame a field whose text cannot be used."""
    if bool(field.property("invalid")) != invalid:
        field.setProperty("invalid", invalid)
        field.style().unpolish(field)
        field.style().polish(field)
