"""The networks that the session offers, as the list of models shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from srviewer.session.estimate import Workload
from srviewer.zoo import manifest
from srviewer.zoo.spec import FAMILY_NAMES, SPECS, Family, ModelSpec

ModelState = Literal["built in", "shipped", "official", "yours", "gettable", "by hand", "broken"]
"""How a network can run: at once (from which weights), after a download, after loading a file by hand, or not
at all.
"""

_RUNNABLE: tuple[ModelState, ...] = ("built in", "shipped", "official", "yours")


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One network in the list.

    Attributes
    ----------
    reference : what the zoo loads it by: an id, or a checkpoint's path.
    name : as its paper calls it; a checkpoint has its file's stem, which tells several apart.
    state : how it can run.
    family, scale, parameters, multi_adds_720p : from its specification; None where it is not known (yet).
    set5_psnr : dB as measured by us, if it was.
    error : one sentence why it cannot run; None unless `state` is ``"broken"``.
    """

    reference: str
    name: str
    state: ModelState
    family: Family | None = None
    scale: int | None = None
    parameters: int | None = None
    multi_adds_720p: int | None = None
    set5_psnr: float | None = None
    error: str | None = None

    @property
    def title(self) -> str:
        """Name and scale (``"BSRN ×4"``), or the stem of a checkpoint's file."""
        is_file = Path(self.reference).suffix.lower() in manifest.CHECKPOINT_SUFFIXES
        return self.name if self.scale is None or is_file else f"{self.name} ×{self.scale}"

    @property
    def runnable(self) -> bool:
        """Whether it can run at once."""
        return self.state in _RUNNABLE

    def described(self, spec: ModelSpec) -> ModelRow:
        """Return the row with what reading the checkpoint told."""
        return replace(
            self,
            family=spec.family,
            scale=spec.scale,
            parameters=spec.parameters,
            multi_adds_720p=spec.multi_adds_720p,
        )

    @property
    def workload(self) -> Workload | None:
        """What an estimate needs to know; None while the scale is not known."""
        return None if self.scale is None else Workload(self.reference, self.scale, self.multi_adds_720p)


def offered() -> tuple[ModelRow, ...]:
    """Return a row for each network that the program knows and for each of the user's own weights.

    Raises
    ------
    srviewer.zoo.errors.ManifestError
        If the program's own list of weights is broken.
    """
    rows = [_row(spec) for spec in SPECS.values()]
    rows.extend(
        ModelRow(
            weights.id,
            weights.id,
            "yours",
            weights.family,
            weights.scale,
            weights.parameters,
            set5_psnr=weights.set5_psnr,
        )
        for weights in manifest.catalogue()
        if weights.id not in SPECS and weights.source == "yours" and weights.installed
    )
    return tuple(rows)


def checkpoint_row(path: Path) -> ModelRow:
    """Return the row of a checkpoint file that was dropped; its family and scale are known once it is
    read.
    """
    return ModelRow(str(path), path.stem, "yours")


def known_scale(reference: str, rows: Iterable[ModelRow]) -> int | None:
    """Return a network's scale from its row, or by its id with any source (``"bsrn_x4@shipped"``); None if
    unknown.
    """
    for row in rows:
        if row.reference == reference and row.scale is not None:
            return row.scale
    spec = SPECS.get(reference.partition("@")[0])
    return None if spec is None else spec.scale


def known_title(reference: str, rows: Iterable[ModelRow]) -> str:
    """Return what users call a network: ``"BSRN ×4"``, with its source if that was asked for, or a file's
    stem.
    """
    for row in rows:
        if row.reference == reference:
            return row.title
    model, _, source = reference.partition("@")
    spec = SPECS.get(model)
    if spec is None:
        return Path(reference).stem
    return f"{spec.name} ×{spec.scale}" + (f" ({source})" if source else "")


def search(rows: Sequence[ModelRow], text: str) -> tuple[ModelRow, ...]:
    """Return the rows in which every word of `text` occurs: in name, reference, family, scale (x4, ×4) or
    state.
    """
    words = text.casefold().replace("×", "x").split()
    return tuple(row for row in rows if all(word in _searched(row) for word in words))


def by_family(rows: Sequence[ModelRow]) -> tuple[tuple[str, tuple[ModelRow, ...]], ...]:
    """Return the rows grouped by family, families in the order of their first row; unknown ones last."""
    groups: dict[Family | None, list[ModelRow]] = {}
    for row in rows:
        groups.setdefault(row.family, []).append(row)
    unknown = groups.pop(None, [])
    named = [(FAMILY_NAMES[family], tuple(group)) for family, group in groups.items() if family is not None]
    return (*named, *((("Other", tuple(unknown)),) if unknown else ()))


def default_ticked(rows: Sequence[ModelRow], scale: int = 4) -> tuple[str, ...]:
    """Return what is ticked at first: bicubic as base line, and the best network that runs at once.

    Best is the highest PSNR on Set5 as measured by us; networks that were not measured come after all that
    were, more Multi-Adds first.
    """
    able = [row for row in rows if row.runnable and row.scale == scale]
    base = [row.reference for row in able if row.family == "bicubic"][:1]
    networks = [row for row in able if row.family not in (None, "bicubic")]
    if not networks:
        return tuple(base)
    best = max(
        networks,
        key=lambda row: (row.set5_psnr is not None, row.set5_psnr or 0.0, row.multi_adds_720p or 0),
    )
    return (*base, best.reference)


def _row(spec: ModelSpec) -> ModelRow:
    installed = [weights for weights in manifest.weights_of(spec.id) if weights.installed]
    return ModelRow(
        spec.id,
        spec.name,
        manifest.availability(spec.id),
        spec.family,
        spec.scale,
        spec.parameters,
        spec.multi_adds_720p,
        installed[0].set5_psnr if installed else None,
    )


def _searched(row: ModelRow) -> str:
    family = "" if row.family is None else FAMILY_NAMES[row.family]
    scale = "" if row.scale is None else f"x{row.scale}"
    return f"{row.name} {row.reference} {family} {scale} {row.state}".casefold()
