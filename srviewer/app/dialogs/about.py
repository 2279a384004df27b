"""The dialog that tells what the program is made of, and under which licences."""

from __future__ import annotations

import html
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QTabWidget,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from srviewer import __version__
from srviewer.app.model_facts import CITATIONS, SOURCE_WORDS, family_title
from srviewer.app.theme import application_icon
from srviewer.zoo.errors import ManifestError
from srviewer.zoo.manifest import Weights, catalogue

_LIBRARIES = (
    "PySide6-Essentials",
    "pyqtgraph",
    "torch",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "tifffile",
    "imagecodecs",
    "safetensors",
    "matplotlib",
    "psutil",
    "platformdirs",
    "typer",
    "rich",
)


@dataclass(frozen=True, slots=True)
class Library:
    """A library that the program uses: its name, its version, and its licence as it states it itself."""

    name: str
    version: str
    licence: str


def libraries() -> tuple[Library, ...]:
    """Return the libraries that are installed; none of them is imported for it."""
    found = []
    for name in _LIBRARIES:
        try:
            told = metadata.metadata(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(Library(name, metadata.version(name), _licence(told)))
    return tuple(found)


def _licence(told: metadata.PackageMetadata) -> str:
    """Return a licence's name from a package's metadata, where it stands in one of three places."""
    if "License-Expression" in told:
        return told["License-Expression"]
    listed = [
        one.rpartition("::")[2].strip()
        for one in told.get_all("Classifier") or []
        if one.startswith("License")
    ]
    named = [one for one in listed if one != "OSI Approved"]
    if named:
        return ", ".join(named)
    if "License" not in told:
        return "see its own licence file"
    first, *rest = told["License"].strip().splitlines() or [""]
    return first if first and not rest else "see its own licence file"


class AboutDialog(QDialog):
    """Name and version, the libraries' licences, and the networks' papers with their weights' licences."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("About SR Viewer")
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(12)
        top = QHBoxLayout()
        top.setSpacing(16)
        drawing = QLabel()
        drawing.setPixmap(application_icon().pixmap(QSize(64, 64)))
        top.addWidget(drawing, 0, Qt.AlignmentFlag.AlignTop)
        python = ".".join(str(part) for part in sys.version_info[:3])
        words = QLabel(
            f"<h2>SR Viewer {html.escape(__version__)}</h2>"
            "<p>Upscale images with lightweight super-resolution networks, and judge the result.</p>"
            f"<p>Apache License 2.0 · Python {python}</p>"
        )
        words.setWordWrap(True)
        words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        top.addWidget(words, 1)
        column.addLayout(top)
        self.tabs = QTabWidget()
        self.tabs.addTab(_page("Networks", networks_text()), "Networks and weights")
        self.tabs.addTab(_page("Libraries", libraries_text(libraries())), "Libraries")
        column.addWidget(self.tabs, 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column.addWidget(buttons)
        self.resize(620, 520)

    @classmethod
    def show_it(cls, parent: QWidget | None = None) -> AboutDialog:
        """Show the dialog beside the window, which stays usable; it goes when it is closed."""
        dialog = cls(parent)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()
        return dialog


def libraries_text(found: Sequence[Library]) -> str:
    """Return the libraries as a table in rich text."""
    rows = "".join(
        f"<tr><td>{html.escape(one.name)}&nbsp;&nbsp;</td><td>{html.escape(one.version)}&nbsp;&nbsp;</td>"
        f"<td>{html.escape(one.licence)}</td></tr>"
        for one in found
    )
    return f"<table cellpadding='3'>{rows}</table>"


def networks_text() -> str:
    """Return the families' papers, and each set of weights with its source and licence, as rich text."""
    try:
        listed: tuple[Weights, ...] = catalogue()
    except ManifestError as error:
        return f"<p>{html.escape(str(error))}</p>"
    parts = []
    for family, paper in CITATIONS.items():
        parts.append(f"<h3>{family_title(family)}</h3><p>{html.escape(paper)}</p>")
        lines = [
            f"<li>{html.escape(entry.id)}: {SOURCE_WORDS[entry.source]}, {html.escape(entry.licence)}"
            + (f"<br>{html.escape(entry.origin)}" if entry.urls else "")
            + "</li>"
            for entry in listed
            if entry.family == family
        ]
        if lines:
            parts.append(f"<ul>{''.join(lines)}</ul>")
    return "".join(parts)


def _page(name: str, text: str) -> QTextBrowser:
    page = QTextBrowser()
    page.setAccessibleName(name)
    page.setOpenExternalLinks(True)
    page.setHtml(text)
    return page
