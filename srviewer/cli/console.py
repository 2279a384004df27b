"""What commands print: lines on standard error, tables and progress bars on a terminal."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


def complain(message: str) -> None:
    """Print one clear line about a fault on standard error."""
    typer.echo(f"srviewer: {message}", err=True)


def print_json(record: object) -> None:
    """Print one JSON value on one line of standard output, at once."""
    typer.echo(json.dumps(record, allow_nan=False, ensure_ascii=False))
    sys.stdout.flush()


def bytes_text(count: float | None) -> str:
    """Return a number of bytes for people, in powers of 1024: ``"1.2 GB"``."""
    if count is None:
        return "-"
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def count_text(count: float | None) -> str:
    """Return a count as papers print it: ``"341 K"``, ``"19.6 G"``."""
    if count is None:
        return "-"
    for unit in ("", "K", "M", "G"):
        if count < 1000:
            return (
                f"{count:.0f} {unit}".rstrip() if unit in ("", "K") or count >= 100 else f"{count:.1f} {unit}"
            )
        count /= 1000
    return f"{count:.1f} T"


def seconds_text(seconds: float) -> str:
    """Return a duration for people: ``"0.8 s"``, ``"12 s"``, ``"3:05"``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def tile_bars(*, quiet: bool) -> Bars:
    """Return progress bars on standard error, with ETA and live memory; none off a terminal or if `quiet`.

    Tasks carry the fields ``tiles`` (``"3/12"``), ``left`` (time) and ``memory``.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("tile {task.fields[tiles]}"),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[memory]}"),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )


def print_table(columns: list[str], rows: list[list[str]], *, right: frozenset[int] = frozenset()) -> None:
    """Print a table on standard output; the columns whose numbers are in `right` are aligned to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if number in right else "left", no_wrap=number == 0)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=240)  # into a pipe every row stays on its line, however long
    console.print(table, soft_wrap=not console.is_terminal)
