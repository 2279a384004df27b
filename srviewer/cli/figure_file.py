"""What commands check of a figure's file before they begin a long computation."""

from __future__ import annotations

from pathlib import Path

import typer

from srviewer.cli import console

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")


def check_figure(path: Path | None, *, overwrite: bool) -> None:
    """End with a usage error where the suffix is no figure's, and with status 1 where the file is there."""
    if path is None:
        return
    if path.suffix.lower() not in FIGURE_SUFFIXES:
        raise typer.BadParameter(
            f"{path}: a figure is a {', '.join(FIGURE_SUFFIXES)} file", param_hint="--output"
        )
    check_free(path, overwrite=overwrite)


def check_free(path: Path, *, overwrite: bool) -> None:
    """End with status 1 where a file exists and is not to be replaced, or its folder does not exist."""
    try:
        if path.exists() and not overwrite:
            console.complain(f"{path}: the file exists; --overwrite replaces it")
            raise typer.Exit(1)
        if not path.parent.is_dir():
            console.complain(f"{path}: its folder does not exist")
            raise typer.Exit(1)
    except OSError as error:  # a folder that may not be looked into, a name too long
        console.complain(f"{path}: it cannot be written: {error.strerror or error}")
        raise typer.Exit(1) from None


def check_exact(precision: str, tile: str) -> None:
    """End with a usage error where 16 bits or tiles are asked of what is computed in fp32 and at once."""
    if precision not in ("auto", "fp32"):
        raise typer.BadParameter(
            f"features and gradients are computed in fp32, not {precision}", param_hint="--precision"
        )
    if tile not in ("auto", "off"):
        raise typer.BadParameter("features and gradients are computed without tiles", param_hint="--tile")
