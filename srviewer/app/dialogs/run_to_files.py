"""The dialog that asks where results are written that are too large for memory."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from srviewer.app.dialogs.form import FormDialog, PathField, remark
from srviewer.session.geometry import Size
from srviewer.session.naming import numbered, safe_model, unique_names
from srviewer.session.wording import bytes_text, clock_text, plural

SUFFIX = ".tif"
"""Of results that are written as they are made: tiled TIFF is what can be read by region again."""


@dataclass(frozen=True, slots=True)
class FileRun:
    """A network for an image whose result goes to a file.

    Attributes
    ----------
    stem : of the image's file.
    model : the network's reference.
    title : what users call it.
    output : size of the result in pixels.
    needed_bytes : that its file takes at most.
    seconds : that it will probably take; None where nothing comparable ran yet.
    memory_bytes : that it will probably take at its peak; None where nothing comparable ran yet.
    is_chosen : whether it is run unless the user says otherwise.
    """

    stem: str
    model: str
    title: str
    output: Size
    needed_bytes: int
    seconds: float | None
    memory_bytes: int | None = None
    is_chosen: bool = True


class RunToFilesDialog(FormDialog):
    """Asks which networks run, and for the folder; says what that takes, and whether the disk can hold it."""

    def __init__(
        self,
        runs: Sequence[FileRun],
        folder: Path | None,
        parent: QWidget | None = None,
        *,
        taken: Collection[Path] = (),
    ) -> None:
        super().__init__("Run to files", "Run", parent)
        self._runs = tuple(runs)
        self._taken = frozenset(taken)
        self._paths: tuple[Path | None, ...] = ()
        why = remark(
            "These results are too large for memory: each is written as it is made, as a tiled TIFF with "
            "reduced levels, and shown from its file."
        )
        self.column.addWidget(why)
        self.list = QListWidget()
        self.list.setAccessibleName("Networks to run, and their files")
        for run in self._runs:
            item = QListWidgetItem()
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Checked if run.is_chosen else Qt.CheckState.Unchecked)
            self.list.addItem(item)
        lines = min(max(len(self._runs), 2), 8)
        self.list.setFixedHeight(lines * 2 * (self.list.fontMetrics().lineSpacing() + 6) + 8)
        self.column.addWidget(self.list)
        self.folder = PathField("Folder", folder, caption="Folder for the results")
        self.add_form().addRow("Folder", self.folder)
        self.sum = remark()
        self.column.addWidget(self.sum)
        self.fault = remark("", "warning")
        self.column.addWidget(self.fault)
        self.column.addStretch(1)
        self.folder.edit.textChanged.connect(lambda _: self._settle())
        self.list.itemChanged.connect(lambda _: self._settle())
        self._settle()
        self.resize(600, self.sizeHint().height())

    @classmethod
    def ask(
        cls,
        runs: Sequence[FileRun],
        folder: Path | None,
        parent: QWidget | None = None,
        *,
        taken: Collection[Path] = (),
    ) -> tuple[Path | None, ...] | None:
        """Ask where the results of some runs go; `taken` names the files that queued runs will write.

        Returns
        -------
        The path for each run in order, None for one that was left out; None if the user thought better of it.
        """
        dialog = cls(runs, folder, parent, taken=taken)
        accepted = dialog.exec()
        answer = dialog.answer() if accepted else None
        dialog.deleteLater()
        return answer

    def answer(self) -> tuple[Path | None, ...]:
        """Return the paths as they were shown."""
        return self._paths

    def _settle(self) -> None:
        """Show what comes of the fields."""
        folder = self.folder.path
        chosen = [self.list.item(row).checkState() == Qt.CheckState.Checked for row in range(len(self._runs))]
        names = unique_names(f"{run.stem}_{safe_model(run.model)}{SUFFIX}" for run in self._runs)
        usable = folder is not None and folder.is_dir()
        self._paths = tuple(
            self._free(folder, name) if folder is not None and usable and wanted else None
            for name, wanted in zip(names, chosen, strict=True)
        )
        self.list.blockSignals(True)
        for row, (run, name, path) in enumerate(zip(self._runs, names, self._paths, strict=True)):
            parts = [str(run.output), f"up to {bytes_text(run.needed_bytes)}"]
            if run.seconds is not None:
                parts.append(f"about {clock_text(run.seconds)}")
            if run.memory_bytes is not None:
                parts.append(f"about {bytes_text(run.memory_bytes)} of memory")
            shown = name if path is None else path.name
            self.list.item(row).setText(f"{run.title}: {shown}\n{' · '.join(parts)}")
        self.list.blockSignals(False)
        needed = sum(run.needed_bytes for run, wanted in zip(self._runs, chosen, strict=True) if wanted)
        fault = self._fault(folder, needed)
        self.sum.setText(self._sum(folder, chosen, needed) if usable and any(chosen) else "")
        self.sum.setVisible(bool(self.sum.text()))
        self.fault.setText(fault)
        self.fault.setVisible(bool(fault))
        self.accept_button.setEnabled(not fault and any(chosen))

    def _free(self, folder: Path, name: str) -> Path:
        """Return the path of a file that is not there, and will not be."""
        return folder / numbered(name, lambda one: (folder / one).exists() or folder / one in self._taken)

    def _sum(self, folder: Path | None, chosen: Sequence[bool], needed: int) -> str:
        seconds = [run.seconds for run, wanted in zip(self._runs, chosen, strict=True) if wanted]
        known = [one for one in seconds if one is not None]
        parts = [f"{plural(sum(chosen), 'file')}, up to {bytes_text(needed)}"]
        if known:
            about = "about" if len(known) == len(seconds) else "at least"
            parts.append(f"{about} {clock_text(sum(known))}")
        free = None if folder is None else _free_bytes(folder)
        if free is not None:
            parts.append(f"{bytes_text(free)} free there")
        return " · ".join(parts)

    @staticmethod
    def _fault(folder: Path | None, needed: int) -> str:
        if folder is None:
            return "Choose a folder."
        if not folder.is_dir():
            return f"{folder} is not a folder."
        free = _free_bytes(folder)
        if free is not None and needed > free:
            return (
                f"The results may take {bytes_text(needed)}, and {bytes_text(free)} are free in {folder}: "
                f"choose another folder, or fewer networks."
            )
        return ""


def _free_bytes(folder: Path) -> int | None:
    """Return what is free on a folder's disk; None where that cannot be told."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
