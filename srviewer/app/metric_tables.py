"""The table of metrics as a file: CSV, JSON, LaTeX or Markdown."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from srviewer.session.scores import ScoreRow
from srviewer.session.wording import bytes_text, decibels_text, difference_text, duration_text
from srviewer.session.wording import similarity_text as ssim_text

if TYPE_CHECKING:
    from srviewer.report.tables import Rank, Table

MetricsForm = Literal["csv", "json", "latex", "markdown"]
"""The forms of a table."""


@dataclass(frozen=True, slots=True)
class MetricsSheet:
    """The numbers of one image.

    Attributes
    ----------
    image : its name.
    rows : of the ticked networks, in order.
    titles : what the rows' networks are called, in the same order.
    region_rows : the same for the selected region; empty without one.
    region : x, y, width, height in the input's pixels; None without a selection.
    protocol : how the numbers were measured.
    device : what the networks ran on.
    """

    image: str
    rows: tuple[ScoreRow, ...]
    titles: tuple[str, ...]
    region_rows: tuple[ScoreRow, ...] = ()
    region: tuple[int, int, int, int] | None = None
    protocol: str = ""
    device: str = ""

    @property
    def has_truth(self) -> bool:
        """Whether there are numbers against a ground truth."""
        return any(row.psnr_y is not None for row in self.rows)


def rendered(sheet: MetricsSheet, form: MetricsForm) -> str:
    """Write a sheet in one of the forms; the text ends in a line feed."""
    match form:
        case "csv":
            return _csv(sheet)
        case "json":
            return _json(sheet)
        case "latex" | "markdown":
            from srviewer.report.tables import latex, markdown

            return latex(_table(sheet)) if form == "latex" else markdown(_table(sheet))


_FIELDS = tuple(field.name for field in dataclasses.fields(ScoreRow))


def _csv(sheet: MetricsSheet) -> str:
    """Write one line per network and area, unrounded; a missing value is empty, infinity is ``inf``."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["image", "area", *_FIELDS])
    for area, rows in (("whole", sheet.rows), ("selection", sheet.region_rows)):
        for row in rows:
            values = [getattr(row, name) for name in _FIELDS]
            writer.writerow([sheet.image, area, *("" if value is None else value for value in values)])
    return stream.getvalue()


def _json(sheet: MetricsSheet) -> str:
    """Write one object; infinity becomes None, since JSON has none."""

    def values(row: ScoreRow) -> dict[str, object]:
        plain = dataclasses.asdict(row)
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in plain.items()
        }

    return (
        json.dumps(
            {
                "image": sheet.image,
                "protocol": sheet.protocol,
                "device": sheet.device,
                "rows": [values(row) for row in sheet.rows],
                "region": None if sheet.region is None else list(sheet.region),
                "region_rows": [values(row) for row in sheet.region_rows],
            },
            indent=1,
            ensure_ascii=False,
            allow_nan=False,
        )
        + "\n"
    )


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    text: Callable[[ScoreRow], str]
    value: Callable[[ScoreRow], float | None] | None = None


_WITH_TRUTH = (
    _Column("PSNR-Y", lambda row: decibels_text(row.psnr_y), lambda row: row.psnr_y),
    _Column("SSIM-Y", lambda row: ssim_text(row.ssim_y), lambda row: row.ssim_y),
    _Column("PSNR-RGB", lambda row: decibels_text(row.psnr_rgb), lambda row: row.psnr_rgb),
    _Column("vs bicubic", lambda row: difference_text(row.delta_db)),
)
_WITHOUT_TRUTH = (
    _Column("LR consistency", lambda row: decibels_text(row.consistency), lambda row: row.consistency),
)
_COSTS = (
    _Column("Time", lambda row: duration_text(row.seconds)),
    _Column("Peak memory", lambda row: bytes_text(row.peak_memory_bytes)),
)


def _table(sheet: MetricsSheet) -> Table:
    """Arrange a sheet for printing, the best numbers marked."""
    from srviewer.report.tables import Cell, Column, Table

    measured = _WITH_TRUTH if sheet.has_truth else _WITHOUT_TRUTH
    groups = [("", sheet.rows, (*measured, *_COSTS))]
    if sheet.region_rows and sheet.has_truth:
        groups.append(("Selection", sheet.region_rows, _WITH_TRUTH))
    columns = [Column("Network", numeric=False)]
    cells = [[Cell(title)] for title in sheet.titles]
    for group, rows, shown in groups:
        for column in shown:
            columns.append(Column(column.title, group))
            ranks = _ranks([None if column.value is None else column.value(row) for row in rows])
            for line, row, rank in zip(cells, rows, ranks, strict=True):
                line.append(Cell(column.text(row), rank))
    where = (
        ""
        if sheet.region is None
        else "; selection {2} × {3} px of the input at {0}, {1}".format(*sheet.region)
    )
    told = "; ".join(part for part in (sheet.image, sheet.protocol, sheet.device) if part)
    notes = dict.fromkeys(row.note for row in sheet.rows if row.note)
    return Table(f"{told}{where}.", tuple(columns), tuple(tuple(line) for line in cells), tuple(notes))


def _ranks(values: Sequence[float | None]) -> list[Rank]:
    """Mark the highest and the second highest of two values or more."""
    known = sorted({value for value in values if value is not None}, reverse=True)
    if len(known) < 2:
        return ["plain" for _ in values]
    return ["best" if value == known[0] else "second" if value == known[1] else "plain" for value in values]
