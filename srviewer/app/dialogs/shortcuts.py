"""The dialog that shows every key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt
from PySide6.QtGui import QFont
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QLineEdit,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)


@dataclass(frozen=True, slots=True)
class ShortcutRow:
    """One action.

    Attributes
    ----------
    group : what it is listed under (its menu, or "Canvas").
    text : what it does.
    keys : as the platform writes them; empty if it has none.
    """

    group: str
    text: str
    keys: str


class ShortcutsDialog(QDialog):
    """All actions with their keys, by group, with a search."""

    def __init__(self, rows: Sequence[ShortcutRow], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        self.search = QLineEdit()
        self.search.setPlaceholderText("Search…")
        self.search.setAccessibleName("Search shortcuts")
        self.search.setClearButtonEnabled(True)
        self.tree = QTreeWidget()
        self.tree.setAccessibleName("Shortcuts")
        self.tree.setColumnCount(2)
        self.tree.setHeaderLabels(["Action", "Keys"])
        self.tree.setRootIsDecorated(False)
        self.tree.setItemsExpandable(False)
        self.tree.setIndentation(12)
        self.tree.setUniformRowHeights(True)
        self.tree.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.tree.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.tree.header().setStretchLastSection(False)
        bold = QFont(self.font())
        bold.setWeight(QFont.Weight.DemiBold)
        for group in dict.fromkeys(row.group for row in rows):
            heading = QTreeWidgetItem([group, ""])
            heading.setFont(0, bold)
            heading.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.tree.addTopLevelItem(heading)
            for row in rows:
                if row.group == group:
                    heading.addChild(QTreeWidgetItem([row.text, row.keys]))
            heading.setFirstColumnSpanned(True)
        self.tree.expandAll()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 16, 16, 16)
        column.setSpacing(8)
        column.addWidget(self.search)
        column.addWidget(self.tree, 1)
        column.addWidget(buttons)
        self.search.textChanged.connect(self._find)
        self.resize(480, 600)

    @classmethod
    def show_rows(cls, rows: Sequence[ShortcutRow], parent: QWidget | None = None) -> ShortcutsDialog:
        """Show all shortcuts beside the window, which stays usable; the dialog goes when it is closed."""
        dialog = cls(rows, parent)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()
        return dialog

    def _find(self, text: str) -> None:
        words = text.casefold().split()
        for place in range(self.tree.topLevelItemCount()):
            heading = self.tree.topLevelItem(place)
            assert heading is not None
            shown = 0
            for below in range(heading.childCount()):
                item = heading.child(below)
                assert item is not None
                found = all(
                    word in f"{heading.text(0)} {item.text(0)} {item.text(1)}".casefold() for word in words
                )
                item.setHidden(not found)
                shown += found
            heading.setHidden(shown == 0)
