"""``srviewer train``: weights of one's own."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from srviewer.cli import console, options
from srviewer.session.wording import clock_text

if TYPE_CHECKING:
    from srviewer.training.data import TrainingData
    from srviewer.training.request import TrainingOptions, TrainingProgress, TrainingResult

_NOTES_SHOWN = 5


def _known_recipe(name: str) -> str:
    from srviewer.training.recipes import RECIPES

    if name not in RECIPES:
        close = difflib.get_close_matches(name.lower(), RECIPES, n=2, cutoff=0.6)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(RECIPES)}"
        raise typer.BadParameter(f"no recipe {name!r}; {hint}")
    return name


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", callback=_known_recipe, help="A network's id, as safmn_x4.")
    ],
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="DIR",
            parser=options.parse_path,
            help="A folder of pictures, searched with its subfolders.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR|FILE",
            parser=options.parse_path,
            help="A folder for weights, checkpoint and log, or the .safetensors file to write them beside.",
        ),
    ],
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="M", help="Time for the whole training.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Or its number of steps.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the output folder.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Begin with the weights of a model or file: the same network, or that of another scale.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of first weights and patches.")] = 0,
    validation: Annotated[
        int,
        typer.Option("--validation", min=0, help="Pictures set aside to choose the best weights by."),
    ] = 16,
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where.", rich_help_panel="Engine")
    ] = "auto",
    devices: Annotated[
        int, typer.Option("--devices", min=1, help="GPUs on each host.", rich_help_panel="Engine")
    ] = 1,
    nodes: Annotated[int, typer.Option("--nodes", min=1, help="Hosts.", rich_help_panel="Engine")] = 1,
    precision: Annotated[
        Literal["auto", "fp32", "bf16"],
        typer.Option("--precision", help="auto is bf16 where it is native.", rich_help_panel="Engine"),
    ] = "auto",
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="Of the CPU; by default all.", rich_help_panel="Engine"),
    ] = None,
    compiled: Annotated[
        bool,
        typer.Option("--compile/--no-compile", help="Compile layers, on CUDA.", rich_help_panel="Engine"),
    ] = True,
) -> None:
    """Train a network by its paper's recipe on a folder of pictures.

    Low-resolution pictures are made by MATLAB-style bicubic. The weights that do best on pictures set aside
    are kept in RECIPE.safetensors, ready for `srviewer upscale -m`. Ctrl-C keeps a checkpoint to go on from.
    """
    if (minutes is None) == (steps is None):
        raise typer.BadParameter("give either --minutes or --steps")
    if minutes is not None and not 0 < minutes < float("inf"):
        raise typer.BadParameter("must be positive", param_hint="--minutes")
    if importlib.util.find_spec("lightning") is None:
        console.complain("training needs more packages; get them with: pip install 'srviewer[train]'")
        raise typer.Exit(1)

    from srviewer.training.request import TrainingOptions

    asked = TrainingOptions(
        recipe=recipe,
        data=data,
        output=output,
        minutes=minutes,
        steps=steps,
        start=start,
        resume=resume,
        seed=seed,
        device=device,
        devices=devices,
        nodes=nodes,
        precision=precision,
        threads=threads,
        validation=validation,
        compile=compiled,
    )
    _run(asked)


def _run(asked: TrainingOptions) -> None:
    from srviewer.training.errors import TrainingError
    from srviewer.training.loop import is_first_rank, train
    from srviewer.zoo.errors import ZooError

    try:
        with _view() as view:
            result = train(asked, loading=view.loading, loaded=_tell_data, progress=view.progress)
    except (TrainingError, ZooError) as error:
        console.complain(str(error))
        raise typer.Exit(1) from None
    if is_first_rank():
        _tell_result(asked, result)
    raise typer.Exit(130 if result.interrupted else 0)


def _tell_data(data: TrainingData) -> None:
    for note in data.notes[:_NOTES_SHOWN]:
        console.complain(note)
    if len(data.notes) > _NOTES_SHOWN:
        console.complain(f"and {len(data.notes) - _NOTES_SHOWN:,} more like these")
    typer.echo(f"{data.text}; {len(data.validation)} set aside", err=True)
    if not data.validation:
        typer.echo("without pictures set aside, the last weights are kept, not the best", err=True)


def _tell_result(asked: TrainingOptions, result: TrainingResult) -> None:
    """Say where the weights lie on standard output, and everything else on standard error."""
    spent = f"{result.steps:,} steps in {clock_text(result.minutes * 60)}"
    score = "" if result.psnr is None else f", validation {result.psnr:.3f} dB"
    typer.echo(f"{'interrupted after ' if result.interrupted else ''}{spent}{score}", err=True)
    if result.interrupted:
        typer.echo(f"go on by the same command with --resume (from {result.checkpoint})", err=True)
    if result.weights is not None:
        typer.echo(str(result.weights))


class _View:
    """What the user sees of a training while it runs."""

    def __init__(
        self, loading: Callable[[int, int], None], progress: Callable[[TrainingProgress], None]
    ) -> None:
        self.loading, self.progress = loading, progress


@contextlib.contextmanager
def _view() -> Iterator[_View]:
    """Draw progress bars on a terminal, and write lines now and then where there is none."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
    from rich.text import Text

    from srviewer.training.telling import LineTeller

    terminal = Console(stderr=True)
    if not terminal.is_terminal:

        def read_all(done: int, total: int) -> None:
            if done == total:
                typer.echo(f"{done:,} pictures read", err=True)

        yield _View(read_all, LineTeller(lambda line: typer.echo(line, err=True)))
        return
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
        console=terminal,
    )
    task = bars.add_task("Reading pictures", left="", total=None)
    facts = Text(style="dim", no_wrap=True, overflow="ellipsis")
    loss = ""

    def read(done: int, total: int) -> None:
        bars.update(task, completed=done, total=total, left=f"{done:,}/{total:,}")

    def step(progress: TrainingProgress) -> None:
        nonlocal loss
        if progress.loss is not None:
            loss = f"loss {progress.loss:.5f}   "
        psnr = "" if progress.psnr is None else f"   validation {progress.psnr:.3f} dB"
        facts.plain = f"{loss}rate {progress.rate:.1e}   {progress.steps_per_second:.2f} steps/s{psnr}"
        bars.update(
            task,
            description=f"Step {progress.step:,}",
            completed=progress.done,
            total=1.0,
            left=f"{clock_text(progress.eta_seconds)} left",
        )

    with Live(Group(bars, facts), console=terminal, transient=True, refresh_per_second=4):
        yield _View(read, step)
