"""The dialog that asks where and how results are saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QLineEdit, QPlainTextEdit, QSpinBox, QWidget

from srviewer.app.dialogs.form import FormDialog, PathField, choice_box, mark_invalid, remark
from srviewer.app.dialogs.output import (
    FORMS,
    LOSSY,
    SUBSAMPLINGS,
    OutputChoice,
    OutputItem,
    format_of,
    losses,
    planned_paths,
)
from srviewer.session.naming import FIELDS, NamingError
from srviewer.session.wording import plural


@dataclass(frozen=True, slots=True)
class SaveAnswer:
    """What the user chose.

    Attributes
    ----------
    choice : to begin with next time; how files are encoded.
    paths : of each item, in order.
    """

    choice: OutputChoice
    paths: tuple[Path, ...]


class SaveResultsDialog(FormDialog):
    """Asks for folder, names, format and quality, and shows the names that come of it."""

    def __init__(
        self, items: Sequence[OutputItem], choice: OutputChoice, parent: QWidget | None = None
    ) -> None:
        super().__init__("Save results", f"Save {plural(len(items), 'result')}", parent)
        self._items = tuple(items)
        self._paths: tuple[Path, ...] = ()
        self.folder = PathField("Folder", choice.folder, caption="Folder for the results")
        self.template = QLineEdit(choice.template)
        self.template.setAccessibleName("Name template")
        self.format = choice_box("Format", tuple(FORMS.values()), tuple(FORMS).index(choice.form))
        self.quality = QSpinBox()
        self.quality.setRange(1, 100)
        self.quality.setValue(choice.quality)
        self.quality.setAccessibleName("Quality")
        self.subsampling = choice_box(
            "Chroma subsampling", tuple(SUBSAMPLINGS.values()), tuple(SUBSAMPLINGS).index(choice.subsampling)
        )
        self.existing = choice_box(
            "Files that exist", ["Keep both: number the new one", "Replace"], int(choice.replace)
        )
        form = self.add_form()
        form.addRow("Folder", self.folder)
        form.addRow("Names", self.template)
        fields = remark("May hold " + ", ".join(f"{{{field}}}" for field in FIELDS))
        fields.setWordWrap(False)
        form.addRow("", fields)
        form.addRow("Format", self.format)
        form.addRow("Quality", self.quality)
        form.addRow("JPEG colour", self.subsampling)
        form.addRow("Existing files", self.existing)
        self.preview = QPlainTextEdit()
        self.preview.setReadOnly(True)
        self.preview.setAccessibleName("Names of the files")
        self.preview.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.preview.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.preview.setTabChangesFocus(True)
        self.preview.setFixedHeight(self.preview.fontMetrics().lineSpacing() * min(len(items) + 1, 6) + 16)
        self.column.addWidget(QLabel("Files"))
        self.column.addWidget(self.preview)
        self.remark = remark("", "warning")
        self.column.addWidget(self.remark)
        self.column.addStretch(1)
        for signal in (
            self.folder.edit.textChanged,
            self.template.textChanged,
            self.format.currentIndexChanged,
            self.quality.valueChanged,
            self.subsampling.currentIndexChanged,
            self.existing.currentIndexChanged,
        ):
            signal.connect(lambda _=None: self._settle())
        self._settle()
        self.resize(560, self.sizeHint().height())

    @classmethod
    def ask(
        cls, items: Sequence[OutputItem], choice: OutputChoice, parent: QWidget | None = None
    ) -> SaveAnswer | None:
        """Ask how to save some results, beginning with `choice`; None if the user thought better of it."""
        dialog = cls(items, choice, parent)
        accepted = dialog.exec()
        answer = dialog.answer() if accepted else None
        dialog.deleteLater()
        return answer

    def choice(self) -> OutputChoice:
        """Return what stands in the fields."""
        return OutputChoice(
            self.folder.path,
            self.template.text(),
            tuple(FORMS)[self.format.currentIndex()],
            self.quality.value(),
            tuple(SUBSAMPLINGS)[self.subsampling.currentIndex()],
            self.existing.currentIndex() == 1,
        )

    def answer(self) -> SaveAnswer:
        """Return what was chosen, with the paths as they were shown."""
        return SaveAnswer(self.choice(), self._paths)

    def _settle(self) -> None:
        """Show what comes of the fields."""
        choice = self.choice()
        formats = {format_of(item, choice) for item in self._items}
        self.quality.setEnabled(bool(formats & LOSSY))
        self.subsampling.setEnabled("JPEG" in formats)
        fault = ""
        try:
            self._paths = planned_paths(self._items, choice)
        except NamingError as error:
            fault = f"{error}."
            self._paths = ()
        mark_invalid(self.template, bool(fault))
        if not fault and choice.folder is None:
            fault = "Choose a folder."
        elif (
            not fault and choice.folder is not None and choice.folder.exists() and not choice.folder.is_dir()
        ):
            fault = f"{choice.folder} is not a folder."
        self.preview.setPlainText("\n".join(path.name for path in self._paths))
        lines = [fault[:1].upper() + fault[1:]] if fault else list(losses(self._items, choice))
        if not fault:
            replaced = sum(path.exists() for path in self._paths) if choice.replace else 0
            if replaced:
                lines.insert(0, f"{plural(replaced, 'file')} will be replaced.")
        self.remark.setText("\n".join(lines))
        self.remark.setVisible(bool(lines))
        self.accept_button.setEnabled(not fault and bool(self._paths))
