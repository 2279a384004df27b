"""The tables of a benchmark, as papers print them."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from srviewer.report.rows import Benchmark, BenchmarkRow, ImageScore

TableForm = Literal["text", "markdown", "latex", "csv", "json"]
"""The forms that `render` knows."""

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]
"""What JSON can hold."""

Rank = Literal["best", "second", "plain"]

NOTHING = "–"
"""Stands in a table where there is no value."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    title : what stands above it.
    group : the heading that it shares with its neighbours, or "".
    numeric : whether numbers stand in it, which are aligned at their right.
    """

    title: str
    group: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """What stands in a table at one place, and how it does within its column."""

    text: str
    rank: Rank = "plain"


@dataclass(frozen=True)
class Table:
    """A table to print: one row of `cells` per network, the protocol in the caption, remarks below it."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    remarks: tuple[str, ...] = ()


def render(benchmark: Benchmark, form: TableForm) -> str:
    """Write a benchmark in one of the forms; the text ends in a line feed.

    ``text``, ``markdown`` and ``latex`` have a row for each network and columns for each data set; ``csv``
    and ``json`` have a row for each network and data set, with the unrounded numbers.
    """
    match form:
        case "text":
            return text(table_of(benchmark))
        case "markdown":
            return markdown(table_of(benchmark))
        case "latex":
            return latex(table_of(benchmark))
        case "csv":
            return csv_rows(benchmark)
        case "json":
            return json_text(benchmark)


def table_of(benchmark: Benchmark) -> Table:
    """Arrange a benchmark as a table of networks against data sets.

    The highest PSNR and SSIM of each data set are ranked best, the next second where there are at least three
    different values; what prints alike ranks alike. Columns that hold nothing at all are left out.
    """
    models = list(dict.fromkeys(row.model for row in benchmark.rows))
    datasets = list(dict.fromkeys(row.dataset for row in benchmark.rows))
    found = {(row.model, row.dataset): row for row in benchmark.rows}
    any_row = {row.model: row for row in reversed(benchmark.rows)}
    columns: list[tuple[Column, list[Cell]]] = [
        (Column("Model", numeric=False), [Cell(model) for model in models]),
    ]
    for title, of_network in _NETWORK_COLUMNS:
        columns.append((Column(title), [Cell(of_network(any_row[model])) for model in models]))
    for dataset in datasets:
        rows = [found.get((model, dataset)) for model in models]
        for title, of_row, ranked in _DATASET_COLUMNS:
            texts = [NOTHING if row is None else of_row(row) for row in rows]
            ranks = _ranks(texts, ranked=ranked)
            cells = [Cell(text, rank) for text, rank in zip(texts, ranks, strict=True)]
            columns.append((Column(title, dataset), cells))
    kept = [pair for pair in columns if not pair[0].numeric or any(cell.text != NOTHING for cell in pair[1])]
    return Table(
        caption=benchmark.caption,
        columns=tuple(column for column, _ in kept),
        rows=tuple(zip(*(cells for _, cells in kept), strict=True)),
        remarks=(
            *benchmark.notes,
            *(f"{failure.subject}: {failure.reason}" for failure in benchmark.failures),
        ),
    )


def text(table: Table) -> str:
    """Write a table in aligned columns for a terminal."""
    titles = [f"{column.group} {column.title}".strip() for column in table.columns]
    body = [titles, *([cell.text for cell in row] for row in table.rows)]
    widths = [max(len(line[index]) for line in body) for index in range(len(titles))]
    lines = [_aligned(line, widths, table.columns, "  ").rstrip() for line in body]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join([*lines, "", table.caption, *table.remarks]) + "\n"


def markdown(table: Table) -> str:
    """Write a table in GitHub's Markdown: the best bold, the second best underlined."""
    marks: dict[Rank, str] = {"best": "**{}**", "second": "<ins>{}</ins>", "plain": "{}"}
    titles = [_markdown_escaped(f"{column.group} {column.title}".strip()) for column in table.columns]
    body = [
        titles,
        *([marks[cell.rank].format(_markdown_escaped(cell.text)) for cell in row] for row in table.rows),
    ]
    widths = [max(3, *(len(line[index]) for line in body)) for index in range(len(titles))]
    lines = [f"| {_aligned(line, widths, table.columns, ' | ')} |" for line in body]
    rule = [
        "-" * (width - 1) + ":" if column.numeric else "-" * width
        for width, column in zip(widths, table.columns, strict=True)
    ]
    lines.insert(1, f"| {' | '.join(rule)} |")
    remarks = [line for remark in table.remarks for line in ("", _markdown_escaped(remark))]
    return "\n".join([*lines, "", _markdown_escaped(table.caption), *remarks]) + "\n"


def latex(table: Table) -> str:
    r"""Write a table in LaTeX (``booktabs``): the best in ``\textbf``, the second best in ``\underline``."""
    marks: dict[Rank, str] = {"best": r"\textbf{%s}", "second": r"\underline{%s}", "plain": "%s"}
    body = [[marks[cell.rank] % _latex_escaped(cell.text) for cell in row] for row in table.rows]
    titles = [_latex_escaped(column.title) for column in table.columns]
    widths = [max(len(line[index]) for line in [titles, *body]) for index in range(len(titles))]
    lines = [r"% needs \usepackage{booktabs}", r"\begin{table}", r"\centering"]
    lines.append(rf"\caption{{{_latex_escaped(' '.join([table.caption, *table.remarks]))}}}")
    alignment = "".join("r" if column.numeric else "l" for column in table.columns)
    lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule"]
    lines += _latex_groups(table.columns)
    lines.append(_aligned(titles, widths, table.columns, " & ") + r" \\")
    lines.append(r"\midrule")
    lines += [_aligned(line, widths, table.columns, " & ") + r" \\" for line in body]
    lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def csv_rows(benchmark: Benchmark) -> str:
    """Write one line per network and data set, unrounded; infinity is ``inf``, a missing value empty."""
    names = [field.name for field in fields(BenchmarkRow) if field.name != "scores"]
    return _csv(names, [[getattr(row, name) for name in names] for row in benchmark.rows])


def csv_images(benchmark: Benchmark) -> str:
    """Write one line per network, data set and picture, unrounded."""
    names = [field.name for field in fields(ImageScore)]
    return _csv(
        ["model", "dataset", "scale", *names],
        [
            [row.model, row.dataset, row.scale, *(getattr(score, name) for name in names)]
            for row in benchmark.rows
            for score in row.scores
        ],
    )


def json_value(benchmark: Benchmark) -> dict[str, JsonValue]:
    """Return a benchmark as values for `json.dumps`; infinity becomes None, since JSON cannot hold it."""
    rows: list[JsonValue] = []
    for row in benchmark.rows:
        values = {
            field.name: _finite(getattr(row, field.name)) for field in fields(row) if field.name != "scores"
        }
        values["scores"] = [
            {field.name: _finite(getattr(score, field.name)) for field in fields(score)}
            for score in row.scores
        ]
        rows.append(values)
    return {
        "rows": rows,
        "protocol": benchmark.caption,
        "scale": benchmark.scale,
        "device": benchmark.device,
        "precision": benchmark.precision,
        "baseline": benchmark.baseline,
        "notes": list(benchmark.notes),
        "failures": [
            {"model": failure.model, "dataset": failure.dataset, "error": failure.reason}
            for failure in benchmark.failures
        ],
    }


def json_text(benchmark: Benchmark) -> str:
    """Write a benchmark as one JSON object that any parser takes."""
    return json.dumps(json_value(benchmark), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _thousands(value: int) -> str:
    """Print a count as papers do, in K: ``352K``, ``1,006K``."""
    return f"{value / 1e3:,.0f}K" if value else NOTHING


def _billions(value: int) -> str:
    """Print a count as papers do, in G: ``19.2G``."""
    return f"{value / 1e9:,.1f}G" if value else NOTHING


def _millions(value: int) -> str:
    return f"{value / 1e6:,.1f}M" if value else NOTHING


def _decibels(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.2f}"


def _maybe(value: float | None, digits: int) -> str:
    return NOTHING if value is None else f"{value:,.{digits}f}"


def _megabytes(value: int | None) -> str:
    return NOTHING if value is None else f"{value / 1e6:,.1f}"


_NETWORK_COLUMNS: tuple[tuple[str, Callable[[BenchmarkRow], str]], ...] = (
    ("Params", lambda row: _thousands(row.params)),
    ("Multi-Adds", lambda row: _billions(row.multi_adds)),
    ("Acts", lambda row: _millions(row.activations)),
    ("Convs", lambda row: str(row.convs) if row.convs else NOTHING),
    ("Time 256×256 [ms]", lambda row: _maybe(row.runtime_ms, 1)),
    ("Mem 256×256 [MB]", lambda row: _megabytes(row.peak_memory_bytes)),
    ("Time 320×180 [ms]", lambda row: _maybe(row.runtime_ms_320x180, 1)),
    ("Mem 320×180 [MB]", lambda row: _megabytes(row.peak_memory_bytes_320x180)),
)

_DATASET_COLUMNS: tuple[tuple[str, Callable[[BenchmarkRow], str], bool], ...] = (
    ("PSNR", lambda row: _decibels(row.psnr_y), True),
    ("SSIM", lambda row: _maybe(row.ssim_y, 4), True),
    ("G/0.01 dB", lambda row: _saved(row.multi_adds_saved_per_hundredth_db, 1e9), False),
    ("K/0.01 dB", lambda row: _saved(row.params_saved_per_hundredth_db, 1e3), False),
)


def _saved(value: float | None, unit: float) -> str:
    return _maybe(None if value is None else value / unit, 2)


def _ranks(texts: Sequence[str], *, ranked: bool) -> list[Rank]:
    """Rank the printed values of a column, highest first."""
    if not ranked:
        return ["plain" for _ in texts]
    values = {text: math.inf if text == "∞" else float(text) for text in texts if text != NOTHING}
    order = sorted(set(values.values()), reverse=True)
    if len(order) < 2:
        return ["plain" for _ in texts]
    second = order[1] if len(order) > 2 else None
    return [
        "plain"
        if text == NOTHING
        else "best"
        if values[text] == order[0]
        else "second"
        if values[text] == second
        else "plain"
        for text in texts
    ]


def _aligned(line: Sequence[str], widths: Sequence[int], columns: Sequence[Column], between: str) -> str:
    return between.join(
        entry.rjust(width) if column.numeric else entry.ljust(width)
        for entry, width, column in zip(line, widths, columns, strict=True)
    )


def _latex_groups(columns: Sequence[Column]) -> list[str]:
    """Write the line of shared headings and the rules below them."""
    spans: list[tuple[str, int, int]] = []
    for index, column in enumerate(columns, start=1):
        if spans and spans[-1][0] == column.group:
            spans[-1] = (column.group, spans[-1][1], index)
        else:
            spans.append((column.group, index, index))
    if all(not group for group, _, _ in spans):
        return []
    headings = [
        rf"\multicolumn{{{last - first + 1}}}{{c}}{{{_latex_escaped(group)}}}" for group, first, last in spans
    ]
    rules = [rf"\cmidrule(lr){{{first}-{last}}}" for group, first, last in spans if group]
    return [" & ".join(headings) + r" \\", " ".join(rules)]


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "×": r"$\times$",
        "∞": r"$\infty$",
        "σ": r"$\sigma$",
        "–": "--",
        **{special: f"\\{special}" for special in "&%$#_{}"},
    }
)


def _latex_escaped(plain: str) -> str:
    return plain.translate(_LATEX)


_MARKDOWN = str.maketrans({special: f"\\{special}" for special in "\\|*`<"})


def _markdown_escaped(plain: str) -> str:
    return plain.translate(_MARKDOWN)


def _csv(names: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return buffer.getvalue()


def _finite(value: JsonValue) -> JsonValue:
    return None if isinstance(value, float) and not math.isfinite(value) else value
