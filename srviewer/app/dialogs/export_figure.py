"""The dialog that asks how a figure is exported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QWidget,
)

from srviewer.app.dialogs.form import FormDialog, PathField, choice_box, remark

_SUFFIXES = (".png", ".pdf", ".svg")
_FORMATS = ("PNG, 300 dots per inch", "PDF", "SVG")
_PATTERNS = "Figures (*.png *.pdf *.svg)"
_WIDTHS = (("Two columns", 7.16), ("One column", 3.5))  # inches, of conference papers
_PANE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True, slots=True)
class FigurePane:
    """A picture that the figure may show.

    Attributes
    ----------
    key : by which the answer names it.
    title : as it stands below the picture.
    """

    key: str
    title: str


@dataclass(frozen=True, slots=True)
class FigureAnswer:
    """What the user chose.

    Attributes
    ----------
    path : with one of the suffixes .png, .pdf, .svg.
    panes : keys of the pictures, in the order of the figure.
    name : what stands below the overview.
    width : of the figure, inches.
    overwrite : whether the file exists and may be replaced.
    """

    path: Path
    panes: tuple[str, ...]
    name: str
    width: float
    overwrite: bool


class ExportFigureDialog(FormDialog):
    """Asks for the pictures of a figure (if it has any), its width, and its file."""

    def __init__(
        self, suggested: Path, panes: Sequence[FigurePane] = (), name: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__("Export figure", "Export", parent)
        self.panes = QListWidget()
        self.panes.setAccessibleName("Pictures in the figure")
        self.panes.setDragDropMode(QListWidget.DragDropMode.InternalMove)
        for pane in panes:
            item = QListWidgetItem(pane.title)
            item.setData(_PANE, pane.key)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked)
            self.panes.addItem(item)
        self.panes.setFixedHeight(max(self.panes.sizeHintForRow(0), 22) * min(max(len(panes), 3), 8) + 12)
        if panes:
            self.column.addWidget(QLabel("Pictures (drag to reorder)"))
            self.column.addWidget(self.panes)
        self.name = QLineEdit(name)
        self.name.setAccessibleName("Name below the overview")
        self.preset = choice_box("Width", [f"{text}, {width:g} in" for text, width in _WIDTHS] + ["Other"], 0)
        self.width_field = QDoubleSpinBox()
        self.width_field.setRange(1.5, 20.0)
        self.width_field.setDecimals(2)
        self.width_field.setSingleStep(0.25)
        self.width_field.setSuffix(" in")
        self.width_field.setValue(_WIDTHS[0][1])
        self.width_field.setEnabled(False)
        self.width_field.setAccessibleName("Width in inches")
        suffix = suggested.suffix.lower() if suggested.suffix.lower() in _SUFFIXES else _SUFFIXES[0]
        self.format = choice_box("Format", _FORMATS, _SUFFIXES.index(suffix))
        self.file = PathField(
            "File", suggested.with_suffix(suffix), caption="Export figure", patterns=_PATTERNS
        )
        self.replace = QCheckBox("Replace the file that is there")
        form = self.add_form()
        if panes:
            form.addRow("Name", self.name)
        form.addRow("Width", self.preset)
        form.addRow("Inches", self.width_field)
        form.addRow("Format", self.format)
        form.addRow("File", self.file)
        self.remark = remark("", "warning")
        self.column.addWidget(self.replace)
        self.column.addWidget(self.remark)
        self.column.addStretch(1)
        self.preset.currentIndexChanged.connect(self._choose_width)
        self.format.currentIndexChanged.connect(self._choose_format)
        self.file.edit.textChanged.connect(lambda _: self._settle())
        self.replace.toggled.connect(lambda _: self._settle())
        self.panes.itemChanged.connect(lambda _: self._settle())
        self._settle()
        self.resize(520, self.sizeHint().height())

    @classmethod
    def ask(
        cls, suggested: Path, panes: Sequence[FigurePane] = (), name: str = "", parent: QWidget | None = None
    ) -> FigureAnswer | None:
        """Ask how to export a figure; None if the user thought better of it.

        Parameters
        ----------
        suggested : the path to begin with.
        panes : the pictures in order; empty for a figure without pictures.
        name : what stands below the overview.
        parent : the window.
        """
        dialog = cls(suggested, panes, name, parent)
        accepted = dialog.exec()
        answer = dialog.answer() if accepted else None
        dialog.deleteLater()
        return answer

    def answer(self) -> FigureAnswer | None:
        """Return what stands in the fields; None without a file."""
        path = self.file.path
        if path is None:
            return None
        return FigureAnswer(
            path, self.chosen(), self.name.text(), self.width_field.value(), self.replace.isChecked()
        )

    def chosen(self) -> tuple[str, ...]:
        """Return the keys of the ticked pictures in order."""
        items = [self.panes.item(place) for place in range(self.panes.count())]
        return tuple(str(item.data(_PANE)) for item in items if item.checkState() is Qt.CheckState.Checked)

    def _choose_width(self, place: int) -> None:
        self.width_field.setEnabled(place == len(_WIDTHS))
        if place < len(_WIDTHS):
            self.width_field.setValue(_WIDTHS[place][1])

    def _choose_format(self, place: int) -> None:
        path = self.file.path
        if path is not None and path.suffix.lower() != _SUFFIXES[place]:
            known = path.suffix.lower() in _SUFFIXES
            renamed = (
                path.with_suffix(_SUFFIXES[place]) if known else path.with_name(path.name + _SUFFIXES[place])
            )
            self.file.edit.setText(str(renamed))

    def _settle(self) -> None:
        path = self.file.path
        fault = ""
        exists = False
        if path is None or not path.name:
            fault = "Choose a file."
        elif path.suffix.lower() not in _SUFFIXES:
            fault = "The file's name has to end in .png, .pdf or .svg."
        else:
            self.format.setCurrentIndex(_SUFFIXES.index(path.suffix.lower()))
            exists = path.exists()
            if self.panes.count() and not self.chosen():
                fault = "Tick at least one picture."
            elif not path.parent.is_dir():
                fault = f"The folder {path.parent} does not exist."
        self.replace.setVisible(exists)
        if not exists:
            self.replace.setChecked(False)
        self.remark.setText(fault)
        self.remark.setVisible(bool(fault))
        self.accept_button.setEnabled(not fault and (not exists or self.replace.isChecked()))
