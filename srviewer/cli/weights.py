"""``srviewer weights``: list, download, import and verify the files of weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srviewer.cli import console, options
from srviewer.session.wording import bytes_text

if TYPE_CHECKING:
    from rich.progress import TaskID

    from srviewer.zoo.manifest import Weights

app = typer.Typer(help="List, get, import and verify weights.", no_args_is_help=True)


def _record(entry: Weights) -> dict[str, object]:
    return {
        "id": entry.id,
        "source": entry.source,
        "installed": entry.installed,
        "path": str(entry.path),
        "sha256": entry.sha256,
        "family": entry.family,
        "scale": entry.scale,
        "licence": entry.licence,
        "urls": list(entry.urls),
        "bytes": entry.size,
        "scores": {score.dataset: {"psnr_y": score.psnr_y, "ssim_y": score.ssim_y} for score in entry.scores},
    }


@app.command("list")
def list_weights(json_output: options.Json = False) -> None:
    """List every set of weights: those that come with the program, the authors', and yours."""
    from srviewer.zoo.errors import ManifestError
    from srviewer.zoo.manifest import broken_entries, catalogue

    try:
        entries = catalogue()
    except ManifestError as error:
        console.complain(str(error))
        raise typer.Exit(1) from None
    for fault in broken_entries():
        console.complain(str(fault))
    if json_output:
        console.print_json({"weights": [_record(entry) for entry in entries]})
        return
    rows = [
        [
            f"{entry.id}@{entry.source}",
            "installed" if entry.installed else f"srviewer weights get {entry.id}",
            bytes_text(entry.size),
            *(
                next(
                    (
                        f"{score.psnr_y:.2f}/{score.ssim_y:.4f}"
                        for score in entry.scores
                        if score.dataset == dataset
                    ),
                    "-",
                )
                for dataset in ("Set5", "Set14")
            ),
            entry.licence,
        ]
        for entry in entries
    ]
    console.print_table(["weights", "here", "size", "Set5", "Set14", "licence"], rows, right=frozenset({2}))


@app.command("get")
def get(
    model: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Ids, such as bsrn_x4.")],
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for an answer.")] = 30.0,
) -> None:
    """Download the authors' weights into your data folder; a broken download goes on where it stopped."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    from srviewer.zoo.download import DownloadProgress
    from srviewer.zoo.errors import ZooError
    from srviewer.zoo.library import get_weights

    failed = False
    terminal = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=terminal,
        transient=True,
        disable=not terminal.is_terminal,
    ) as bars:
        for name in model:
            task = bars.add_task(name, total=None)

            def told(progress: DownloadProgress, task: TaskID = task) -> None:
                bars.update(task, completed=progress.received, total=progress.total)

            try:
                entry = get_weights(name, progress=told, timeout=timeout)
            except ZooError as error:
                failed = True
                console.complain(str(error))
            else:
                typer.echo(f"{entry.id}@{entry.source}: {entry.path}")
            bars.remove_task(task)
    raise typer.Exit(1 if failed else 0)


@app.command("import")
def import_file(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", parser=options.parse_path, help="Checkpoints: .pth, .pt or .safetensors."
        ),
    ],
    model: Annotated[str | None, typer.Option("--id", help="Keep it under this id (one file only).")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace weights imported under that id before.")
    ] = False,
) -> None:
    """Check a checkpoint and keep a copy of it in your data folder, as MODEL@yours."""
    from srviewer.zoo.errors import ZooError
    from srviewer.zoo.library import import_weights

    if model is not None and len(files) > 1:
        raise typer.BadParameter("one id is for one file", param_hint="--id")
    failed = False
    for file in files:
        try:
            entry = import_weights(file, model=model, overwrite=overwrite)
        except ZooError as error:
            failed = True
            console.complain(str(error))
        else:
            typer.echo(f"{entry.id}@yours: {entry.path}")
    raise typer.Exit(1 if failed else 0)


@app.command("verify")
def verify(json_output: options.Json = False) -> None:
    """Check the hash and the loading of every installed file of weights."""
    from srviewer.zoo.errors import ManifestError
    from srviewer.zoo.library import verify_weights

    try:
        verdicts = verify_weights()
    except ManifestError as error:
        console.complain(str(error))
        raise typer.Exit(1) from None
    if json_output:
        console.print_json(
            {
                "verified": [
                    {
                        "id": None if verdict.weights is None else verdict.weights.id,
                        "source": None if verdict.weights is None else verdict.weights.source,
                        "path": str(verdict.path),
                        "ok": verdict.fault is None,
                        "fault": verdict.fault,
                    }
                    for verdict in verdicts
                ]
            }
        )
    for verdict in verdicts:
        if verdict.fault is not None:
            console.complain(f"{verdict.path}: {verdict.fault}")
        elif not json_output and verdict.weights is not None:
            typer.echo(f"{verdict.weights.id}@{verdict.weights.source}: ok ({verdict.path})")
    raise typer.Exit(1 if any(verdict.fault for verdict in verdicts) else 0)
