"""The command line: one module per command, each importing what it needs only when it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from srviewer import __version__
from srviewer.cli import (
    benchmark,
    complexity,
    doctor,
    features,
    figure,
    gui,
    lam,
    metrics,
    models,
    spectrum,
    train,
    upscale,
    weights,
)

app = typer.Typer(
    name="srviewer",
    help="Upscale images with lightweight super-resolution networks, and judge the result.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("gui")(gui.gui)
app.command("upscale")(upscale.upscale)
app.command("metrics")(metrics.metrics)
app.command("benchmark")(benchmark.benchmark)
app.command("figure")(figure.figure)
app.command("spectrum")(spectrum.spectrum)
app.command("lam")(lam.lam)
app.command("features")(features.features)
app.command("models")(models.models)
app.add_typer(weights.app, name="weights")
app.command("train")(train.train)
app.command("complexity")(complexity.complexity)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"srviewer {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Upscale images with lightweight super-resolution networks, and judge the result."""


def with_command(arguments: list[str]) -> list[str]:
    """Return the command line with ``gui`` put in where no command stands: paths alone open the window.

    A single word that is no command and no path is left alone, so that it is refused as the misspelt command
    that it likely is.
    """
    if not arguments:
        return ["gui"]
    first = arguments[0]
    names = {command.name for command in app.registered_commands} | {
        group.name for group in app.registered_groups
    }
    if first in names or first in ("-h", "--help", "--version"):
        return arguments
    word = not first.startswith("-") and not any(mark in first for mark in "./\\")
    return arguments if word and not Path(first).exists() else ["gui", *arguments]


def main() -> None:
    """Run the command line: exit status 0 all done, 1 some input failed, 2 wrong usage, 130 interrupted."""
    try:
        app(with_command(sys.argv[1:]), standalone_mode=True)
    except Exception as error:
        if os.environ.get("SRVIEWER_DEBUG"):
            raise
        typer.echo(f"srviewer: internal error: {type(error).__name__}: {error}", err=True)
        typer.echo("srviewer: set SRVIEWER_DEBUG=1 to see where it happened", err=True)
        sys.exit(1)
