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
