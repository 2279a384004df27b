"""The tree of a network's taps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QTreeWidget, QTreeWidgetItem, QWidget

from srviewer.analysis.taps import Tap, attention_blocks, missing, taps
from srviewer.app.docks.choices import sentences
from srviewer.app.theme import small_font
from srviewer.zoo.spec import ModelSpec

_NAME = Qt.ItemDataRole.UserRole

OVERVIEW = "Before and after attention"
"""What the first row of the tree is called."""


@dataclass(frozen=True, eq=False)
class TapList:
    """The taps of a network.

    Attributes
    ----------
    taps : in the order in which features come about.
    has_attention : whether there are attention blocks.
    absent : sentences about what the network does not have; empty if it has everything.
    """

    taps: tuple[Tap, ...]
    has_attention: bool
    absent: str

    @classmethod
    def of(cls, spec: ModelSpec, title: str) -> TapList:
        """Return the taps of a network, which users call `title`."""
        return cls(taps(spec), bool(attention_blocks(spec)), sentences(missing(spec), spec, title))


class TapTree(QTreeWidget):
    """Blocks and their taps; above them the overview of all attention.

    Signals
    -------
    tap_chosen(str) : a tap's name; empty for the overview.
    """

    tap_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Taps of the network")
        self.setHeaderHidden(True)
        self.setUniformRowHeights(True)
        self.setIndentation(14)
        self.setFont(small_font(self.font()))
        self.setMinimumHeight(72)
        self._items: dict[str, QTreeWidgetItem] = {}
        self.currentItemChanged.connect(lambda item, _: self._tell(item))

    def show_taps(self, listed: TapList) -> None:
        """Show the taps of another network; none is chosen, unless one of that name was before."""
        before = self.chosen()
        blocked = self.blockSignals(True)
        self.clear()
        self._items = {}
        if listed.has_attention:
            self._add(None, OVERVIEW, "")
        for block, members in _blocks(listed.taps):
            if block == "network":
                self._add(None, members[0].label, members[0].name)
                continue
            parent = QTreeWidgetItem([block])
            self.addTopLevelItem(parent)
            for tap in members:
                words = tap.label.removeprefix(block).strip()
                self._add(parent, words[:1].upper() + words[1:], tap.name)
        if before is not None and before in self._items:
            self.setCurrentItem(self._items[before])
        self.blockSignals(blocked)

    def chosen(self) -> str | None:
        """Return the chosen tap's name, empty for the overview; None if none is chosen."""
        item = self.currentItem()
        name = None if item is None else item.data(0, _NAME)
        return None if name is None else str(name)

    def choose(self, name: str) -> None:
        """Choose a tap by its name, or the overview by the empty one."""
        item = self._items.get(name)
        if item is not None:
            self.setCurrentItem(item)

    def names(self) -> tuple[str, ...]:
        """Return the names of all taps in the tree, the overview's among them."""
        return tuple(self._items)

    def _add(self, parent: QTreeWidgetItem | None, words: str, name: str) -> None:
        item = QTreeWidgetItem([words])
        item.setData(0, _NAME, name)
        item.setToolTip(0, name or "Average features before and after every attention block")
        if parent is None:
            self.addTopLevelItem(item)
        else:
            parent.addChild(item)
        self._items[name] = item

    def _tell(self, item: QTreeWidgetItem | None) -> None:
        name = None if item is None else item.data(0, _NAME)
        if name is not None:
            self.tap_chosen.emit(str(name))


def _blocks(listed: Sequence[Tap]) -> list[tuple[str, list[Tap]]]:
    """Return taps by block, in order; each tap outside of blocks stands alone."""
    blocks: list[tuple[str, list[Tap]]] = []
    for tap in listed:
        if tap.block != "network" and blocks and blocks[-1][0] == tap.block:
            blocks[-1][1].append(tap)
        else:
            blocks.append((tap.block, [tap]))
    return blocks
