"""The rows of the Models dock: which there are, what they say, and which a search finds."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, Qt

from srviewer.app.docks.row_painting import Index
from srviewer.app.model_facts import (
    CITATIONS,
    SOURCE_WORDS,
    ModelFacts,
    facts_of,
    family_title,
    is_checkpoint,
    model_title,
)
from srviewer.session.document import Document
from srviewer.session.wording import bytes_text, count_text, decibels_text, similarity_text
from srviewer.zoo.errors import ManifestError
from srviewer.zoo.manifest import Availability, Weights, availability, catalogue, weights_of
from srviewer.zoo.spec import FAMILY_NAMES, SPECS

ROW_ROLE = Qt.ItemDataRole.UserRole + 1
"""Gives an index's `ModelRow`, or the text of a heading."""

ModelState = Literal["ready", "gettable", "by hand"]
"""Whether a network can run at once, after a download, or after the user has brought its weights."""

_CHECKPOINTS = "Checkpoint files"
_OWN = "Your models"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """What one row says.

    Attributes
    ----------
    model : the network's reference.
    title : its first line.
    detail : its second line.
    badge : where its weights come from, or how to get them; may be empty.
    state : whether it can run.
    group : the heading it stands under.
    scale : its factor; None for a checkpoint that was not read yet.
    removable : whether its weights are the user's to remove.
    tip : everything that is known, as rich text.
    """

    model: str
    title: str
    detail: str
    badge: str
    state: ModelState
    group: str
    scale: int | None
    removable: bool
    tip: str

    def found_by(self, words: Sequence[str], scale: int | None) -> bool:
        """Tell whether a search for all of `words`, and for a scale unless that is None, finds this row."""
        if scale is not None and self.scale not in (scale, None):
            return False
        text = f"{self.title} {self.model} {self.group} {self.badge}".casefold().replace("×", "x")
        return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Download:
    """How far the download of a row's weights is; `share` is None while its size is unknown."""

    share: float | None
    text: str


_BADGES: Mapping[Availability, str] = {
    "built in": "",
    "shipped": "shipped",
    "official": "official",
    "yours": "yours",
    "gettable": "Get",
    "by hand": "by hand",
}

_STATES: Mapping[Availability, ModelState] = {
    "built in": "ready",
    "shipped": "ready",
    "official": "ready",
    "yours": "ready",
    "gettable": "gettable",
    "by hand": "by hand",
}


def listed_rows(checkpoints: Mapping[Path, ModelFacts], also: Iterable[str] = ()) -> tuple[ModelRow, ...]:
    """Return all rows: the program's networks by family, the user's own, and checkpoint files.

    Parameters
    ----------
    checkpoints : files that were loaded by path, with what is in them.
    also : references that need a row whatever they are, because they are ticked (``"bsrn_x4@shipped"``).

    Raises
    ------
    ManifestError
        If the program's own list of weights is broken.
    """
    rows = [_spec_row(model) for model in SPECS]
    own = {entry.id: entry for entry in catalogue() if entry.id not in SPECS}
    rows.extend(_own_row(entry) for entry in own.values())
    rows.extend(_checkpoint_row(str(path), facts) for path, facts in checkpoints.items())
    known = {row.model for row in rows}
    rows.extend(
        _checkpoint_row(model, None) if is_checkpoint(model) else _sourced_row(model)
        for model in dict.fromkeys(also)
        if model not in known
    )
    order = {group: place for place, group in enumerate(dict.fromkeys(row.group for row in rows))}
    return tuple(sorted(rows, key=lambda row: order[row.group]))


def bare_rows() -> tuple[ModelRow, ...]:
    """Return the rows of networks that need no weights, for when the list of weights cannot be read."""
    return tuple(
        _row(model, ModelFacts.of(spec), "", "ready", FAMILY_NAMES[spec.family], ())
        for model, spec in SPECS.items()
        if spec.family == "bicubic"
    )


def _spec_row(model: str) -> ModelRow:
    spec = SPECS[model]
    how = availability(model)
    listed = weights_of(model)
    removable = any(entry.source == "yours" and entry.installed for entry in listed)
    return _row(
        model,
        ModelFacts.of(spec),
        _BADGES[how],
        _STATES[how],
        family_title(spec.family),
        listed,
        removable=removable,
    )


def _sourced_row(model: str) -> ModelRow:
    """Return the row of a reference that names its weights' source."""
    name, _, source = model.partition("@")
    facts = facts_of(model)
    listed = tuple(entry for entry in weights_of(name) if entry.source == source)
    installed = any(entry.installed for entry in listed)
    group = _OWN if facts is None or name not in SPECS else family_title(facts.family)
    state: ModelState = "ready" if installed else "gettable" if any(one.urls for one in listed) else "by hand"
    badge = source if installed else _BADGES["gettable" if state == "gettable" else "by hand"]
    return _row(model, facts, badge, state, group, listed)


def _own_row(entry: Weights) -> ModelRow:
    facts = ModelFacts(entry.family, entry.id, entry.scale, entry.parameters)
    state: ModelState = "ready" if entry.installed else "by hand"
    badge = "yours" if entry.installed else "by hand"
    return _row(entry.id, facts, badge, state, _OWN, (entry,), removable=True)


def _checkpoint_row(model: str, facts: ModelFacts | None) -> ModelRow:
    return _row(model, facts, "file", "ready", _CHECKPOINTS, (), removable=True)


def _row(
    model: str,
    facts: ModelFacts | None,
    badge: str,
    state: ModelState,
    group: str,
    listed: Sequence[Weights],
    *,
    removable: bool = False,
) -> ModelRow:
    return ModelRow(
        model,
        _title(model, facts),
        _detail(facts),
        badge,
        state,
        group,
        None if facts is None else facts.scale,
        removable,
        _tip(model, facts, listed),
    )


def _title(model: str, facts: ModelFacts | None) -> str:
    name = model.partition("@")[0]
    return model_title(model) if name in SPECS or facts is None else f"{model_title(model)} ×{facts.scale}"


def _detail(facts: ModelFacts | None) -> str:
    if facts is None:
        return "checkpoint"
    if facts.family == "bicubic":
        return "base line"
    if facts.parameters is None:
        return family_title(facts.family)
    if facts.multi_adds_720p is None:
        return f"{count_text(facts.parameters)} · {family_title(facts.family)}"
    return f"{count_text(facts.parameters)} · {count_text(facts.multi_adds_720p)} Multi-Adds"


def _tip(model: str, facts: ModelFacts | None, listed: Sequence[Weights]) -> str:
    """Return a tool tip: the paper, the costs, and each set of weights with source, licence and scores."""
    lines = [f"<b>{html.escape(_title(model, facts))}</b>"]
    if facts is not None:
        lines.append(html.escape(CITATIONS[facts.family]))
        if facts.parameters:
            lines.append(f"{facts.parameters:,} parameters")
        if facts.multi_adds_720p:
            lines.append(f"{count_text(facts.multi_adds_720p)} Multi-Adds for a 1280 × 720 result")
    for entry in listed:
        here = (
            ""
            if entry.installed
            else ", not installed" + ("" if entry.size is None else f" ({bytes_text(entry.size)})")
        )
        lines.append(f"Weights: {SOURCE_WORDS[entry.source]}{here}; licence {html.escape(entry.licence)}")
        lines.extend(
            f"&nbsp;&nbsp;{html.escape(score.dataset)}: {decibels_text(score.psnr_y)} dB"
            f" / {similarity_text(score.ssim_y)}"
            for score in entry.scores
        )
        if entry.data:
            lines.append(f"&nbsp;&nbsp;trained on {html.escape(entry.data)}")
    lines.append(f"<code>-m {html.escape(model)}</code>")
    return "<br>".join(lines)


class ModelRows(QAbstractListModel):
    """The rows that a search finds, under their headings, as Qt's views want them.

    Attributes
    ----------
    fault : why the list of weights cannot be read; empty where it can.
    """

    def __init__(self, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.fault = ""
        self._document = document
        self._checkpoints: dict[Path, ModelFacts] = {}
        self._downloads: dict[str, Download] = {}
        self._all: tuple[ModelRow, ...] = ()
        self._shown: list[ModelRow | str] = []
        self._words: tuple[str, ...] = ()
        self._scale: int | None = None
        self.refresh()

    def refresh(self) -> None:
        """Read the lists of weights again."""
        try:
            self._all = listed_rows(self._checkpoints, self._document.ticked)
            self.fault = ""
        except ManifestError as error:
            self._all = bare_rows()
            self.fault = str(error)
        self._show()

    def add_checkpoint(self, path: Path, facts: ModelFacts) -> None:
        """Have a row for a checkpoint file."""
        self._checkpoints[path] = facts
        self.refresh()

    def forget_checkpoint(self, path: Path) -> None:
        """Have no row for a checkpoint file any more."""
        if self._checkpoints.pop(path, None) is not None:
            self.refresh()

    def search(self, text: str, scale: int | None) -> None:
        """Show the rows that hold all words of `text`, and of one scale unless that is None."""
        words = tuple(text.casefold().replace("×", "x").split())
        if (words, scale) != (self._words, self._scale):
            self._words, self._scale = words, scale
            self._show()

    def ticked_changed(self) -> None:
        """Draw other ticks; a ticked reference without a row gets one."""
        known = {row.model for row in self._all}
        if not known.issuperset(self._document.ticked) and not self.fault:
            self.refresh()
        elif self._shown:
            self.dataChanged.emit(self.index(0), self.index(len(self._shown) - 1))

    def set_download(self, model: str, share: float | None, text: str) -> None:
        """Show how far a download is; an empty text ends it."""
        if text:
            self._downloads[model] = Download(share, text)
        else:
            self._downloads.pop(model, None)
        index = self.index_of(model)
        if index.isValid():
            self.dataChanged.emit(index, index)

    def download(self, model: str) -> Download | None:
        """Return how far the download of a row's weights is, if there is one."""
        return self._downloads.get(model)

    def is_ticked(self, model: str) -> bool:
        """Tell whether a network is ticked."""
        return model in self._document.ticked

    def row(self, index: Index) -> ModelRow | None:
        """Return the network of an index; None for a heading."""
        shown = self._shown[index.row()] if index.isValid() and index.row() < len(self._shown) else None
        return shown if isinstance(shown, ModelRow) else None

    def index_of(self, model: str) -> QModelIndex:
        """Return the index of a network; an invalid one if it is not shown."""
        for place, shown in enumerate(self._shown):
            if isinstance(shown, ModelRow) and shown.model == model:
                return self.index(place)
        return QModelIndex()

    @property
    def models(self) -> tuple[ModelRow, ...]:
        """The networks that are shown, in order."""
        return tuple(shown for shown in self._shown if isinstance(shown, ModelRow))

    def _show(self) -> None:
        self.beginResetModel()
        self._shown = []
        group = ""
        for row in self._all:
            if row.found_by(self._words, self._scale):
                if row.group != group:
                    group = row.group
                    self._shown.append(group)
                self._shown.append(row)
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102, N802 -- Qt's name and default
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:  # noqa: D102
        if not index.isValid() or index.row() >= len(self._shown):
            return None
        shown = self._shown[index.row()]
        if role == ROW_ROLE:
            return shown
        if isinstance(shown, str):
            return (
                shown if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole) else None
            )
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return shown.title
            case Qt.ItemDataRole.ToolTipRole:
                return shown.tip
            case Qt.ItemDataRole.AccessibleTextRole:
                ticked = "ticked" if self.is_ticked(shown.model) else "not ticked"
                return f"{shown.title}, {shown.detail}, {shown.badge or 'built in'}, {ticked}"
            case Qt.ItemDataRole.CheckStateRole:
                on = self.is_ticked(shown.model)
                return (Qt.CheckState.Checked if on else Qt.CheckState.Unchecked).value
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:  # noqa: D102
        if not index.isValid() or isinstance(self._shown[index.row()], str):
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
