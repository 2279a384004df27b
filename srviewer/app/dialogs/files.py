"""The dialogs that ask for files and folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from PySide6.QtWidgets import QFileDialog, QWidget

from srviewer.imaging.formats import IMAGE_SUFFIXES
from srviewer.session.sessionfile import SESSION_SUFFIX
from srviewer.zoo.manifest import CHECKPOINT_SUFFIXES

TableSuffix = Literal["csv", "json", "latex", "markdown"]
"""The forms of a table of metrics."""

_TABLES: Mapping[TableSuffix, tuple[str, str]] = {
    "csv": ("CSV (*.csv)", ".csv"),
    "json": ("JSON (*.json)", ".json"),
    "latex": ("LaTeX (*.tex)", ".tex"),
    "markdown": ("Markdown (*.md)", ".md"),
}


class FileDialogs:
    """One class method for each question; None or an empty tuple means that the user thought better of it."""

    @classmethod
    def images(cls, folder: Path | None, parent: QWidget | None = None) -> tuple[Path, ...]:
        """Ask for files to open: images, checkpoints or a session."""
        sessions = frozenset({SESSION_SUFFIX})
        kinds = (
            ("All that can be opened", IMAGE_SUFFIXES | CHECKPOINT_SUFFIXES | sessions),
            ("Images", IMAGE_SUFFIXES),
            ("Checkpoints", CHECKPOINT_SUFFIXES),
            ("Sessions", sessions),
        )
        offered = ";;".join(f"{name} ({_patterns(suffixes)})" for name, suffixes in kinds)
        return cls._several(parent, "Open", folder, f"{offered};;All files (*)")

    @classmethod
    def folder(cls, folder: Path | None, parent: QWidget | None = None) -> Path | None:
        """Ask for a folder of images to open."""
        chosen = QFileDialog.getExistingDirectory(parent, "Open folder", _begin(folder))
        return Path(chosen) if chosen else None

    @classmethod
    def truth(cls, folder: Path | None, parent: QWidget | None = None) -> Path | None:
        """Ask for the file of a ground truth."""
        return cls._one(
            parent, "Choose ground truth", folder, f"Images ({_patterns(IMAGE_SUFFIXES)});;All files (*)"
        )

    @classmethod
    def checkpoints(cls, folder: Path | None, parent: QWidget | None = None) -> tuple[Path, ...]:
        """Ask for files of weights."""
        kinds = f"Checkpoints ({_patterns(CHECKPOINT_SUFFIXES)});;All files (*)"
        return cls._several(parent, "Import weights", folder, kinds)

    @classmethod
    def session_to_open(cls, folder: Path | None, parent: QWidget | None = None) -> Path | None:
        """Ask for a session file to open."""
        return cls._one(parent, "Open session", folder, f"Sessions (*{SESSION_SUFFIX});;All files (*)")

    @classmethod
    def session_to_save(cls, suggested: Path, parent: QWidget | None = None) -> Path | None:
        """Ask where to save the session; the dialog itself asks before a file is replaced."""
        return cls._target(parent, "Save session", suggested, f"Sessions (*{SESSION_SUFFIX})", SESSION_SUFFIX)

    @classmethod
    def table(cls, suggested: Path, form: TableSuffix, parent: QWidget | None = None) -> Path | None:
        """Ask where to write a table of metrics; the dialog itself asks before a file is replaced."""
        kinds, suffix = _TABLES[form]
        return cls._target(parent, "Export metrics", suggested.with_suffix(suffix), kinds, suffix)

    @classmethod
    def curves(cls, suggested: Path, parent: QWidget | None = None) -> Path | None:
        """Ask where to write curves; the dialog itself asks before a file is replaced."""
        return cls._target(parent, "Export curves", suggested.with_suffix(".csv"), "CSV (*.csv)", ".csv")

    @classmethod
    def attribution_map(cls, suggested: Path, parent: QWidget | None = None) -> Path | None:
        """Ask where to write an attribution map; the dialog itself asks before a file is replaced."""
        kinds = "NumPy arrays (*.npy)"
        return cls._target(parent, "Export map", suggested.with_suffix(".npy"), kinds, ".npy")

    @staticmethod
    def _one(parent: QWidget | None, title: str, folder: Path | None, kinds: str) -> Path | None:
        chosen = QFileDialog.getOpenFileName(parent, title, _begin(folder), kinds)[0]
        return Path(chosen) if chosen else None

    @staticmethod
    def _several(parent: QWidget | None, title: str, folder: Path | None, kinds: str) -> tuple[Path, ...]:
        return tuple(
            Path(one) for one in QFileDialog.getOpenFileNames(parent, title, _begin(folder), kinds)[0]
        )

    @staticmethod
    def _target(parent: QWidget | None, title: str, suggested: Path, kinds: str, suffix: str) -> Path | None:
        dialog = QFileDialog(parent, title, str(suggested.parent), kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix.removeprefix("."))
        dialog.selectFile(suggested.name)
        accepted = dialog.exec()
        files = dialog.selectedFiles() if accepted else []
        dialog.deleteLater()
        return Path(files[0]) if files else None


def _begin(folder: Path | None) -> str:
    return "" if folder is None else str(folder)


def _patterns(suffixes: frozenset[str]) -> str:
    return " ".join(f"*{suffix}" for suffix in sorted(suffixes))
