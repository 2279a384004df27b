"""``srviewer lam``: which pixels of the input made a window of the result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from srviewer.cli import console, figure_file, options

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress, TaskID

    from srviewer.analysis.lam import Attribution, LamOptions, Window
    from srviewer.imaging.image import Pixels


def lam(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", parser=options.parse_path, help="The networks' input.")
    ],
    model: options.Models,
    at: Annotated[
        str, typer.Option("--at", metavar="ROW,COL", help="Top left corner of the window, in result pixels.")
    ],
    window: Annotated[
        int, typer.Option("--window", min=1, help="Side of the window, in result pixels.")
    ] = 16,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FIG", parser=options.parse_path, help="A .png, .pdf or .svg file."
        ),
    ] = None,
    save_map: Annotated[
        Path | None,
        typer.Option(
            "--save-map",
            metavar="FILE.npy",
            parser=options.parse_path,
            help="The map, float32, 0..1, of IMAGE's size; of several networks FILE_MODEL.npy each.",
        ),
    ] = None,
    objective: Annotated[
        Literal["gradient", "intensity"],
        typer.Option("--objective", help="What of the window is explained: its edges or its brightness."),
    ] = "gradient",
    path: Annotated[
        Literal["blur", "linear"],
        typer.Option("--path", help="What is integrated along: from a blurred picture or from black."),
    ] = "blur",
    steps: Annotated[int, typer.Option("--steps", min=1, help="Points on the path.")] = 50,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    device: options.Device = "auto",
    precision: options.PrecisionOption = "auto",
    tile: options.TileOption = "auto",
    max_memory: options.MaxMemory = None,
    json_output: options.Json = False,
) -> None:
    """Make local attribution maps and their diffusion index (Gu and Dong, CVPR 2021).

    The diffusion index is 100 (1 - Gini coefficient of the map): the wider the pixels that matter are spread,
    the larger it is.
    """
    row, col = _corner(at)
    figure_file.check_exact(precision, tile)
    figure_file.check_figure(output, overwrite=overwrite)
    if save_map is not None and save_map.suffix.lower() != ".npy":
        raise typer.BadParameter(f"{save_map}: a map is a .npy file", param_hint="--save-map")
    references = list(dict.fromkeys(model))
    targets = _targets(save_map, references)
    for target in targets:
        figure_file.check_free(target, overwrite=overwrite)

    from srviewer.analysis.lam import LamError, LamOptions, Window
    from srviewer.cli.loading import check_device, check_models
    from srviewer.engine.request import UpscaleError
    from srviewer.imaging.colour import to_srgb
    from srviewer.imaging.files import ImageFileError, read_image
    from srviewer.report.drawing import FigureError, save_figure
    from srviewer.report.lam_figures import lam_figure
    from srviewer.zoo.errors import ZooError

    check_models(references)
    check_device(device)
    choices = LamOptions(objective, path, steps, device=device, max_memory=max_memory)
    try:
        source = read_image(image)
        found = _maps(source.pixels, references, Window(row, col, window, window), choices, quiet=json_output)
        for target, (_, _, one) in zip(targets, found, strict=False):
            _save(target, one, overwrite=overwrite)
        if output is not None:
            figure = lam_figure(to_srgb(source).pixels, [(title, one) for _, title, one in found])
            save_figure(figure, output, overwrite=overwrite)
    except (ZooError, ImageFileError, FigureError, LamError, UpscaleError) as error:
        console.complain(str(error) if str(image) in str(error) else f"{image}: {error}")
        raise typer.Exit(1) from None
    for reference, _, one in found:
        if not one.map.any():
            console.complain(f"{reference}: note: nothing in the window depends on detail: the map is empty")
    if json_output:
        records = [_record(reference, one) for reference, _, one in found]
        several: dict[str, object] = {"models": records} if len(records) > 1 else {}
        console.print_json({"input": str(image), **records[0], **several})
        return
    for written in (*targets, *([] if output is None else [output])):
        typer.echo(str(written))
    for reference, _, one in found:
        typer.echo(f"DI {one.diffusion_index:7.3f}  Gini {one.gini:.4f}  {reference}")


def _corner(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+),(\d+)", text.replace(" ", ""))
    if match is None:
        raise typer.BadParameter(
            f"{text!r} is no place; write ROW,COL, for example 110,150", param_hint="--at"
        )
    return int(match[1]), int(match[2])


def _targets(save_map: Path | None, references: list[str]) -> list[Path]:
    """Return the maps' files, one per network; none where none is wanted."""
    from srviewer.session.naming import safe_model, unique_names

    if save_map is None:
        return []
    if len(references) == 1:
        return [save_map]
    names = unique_names(f"{save_map.stem}_{safe_model(reference)}.npy" for reference in references)
    return [save_map.with_name(name) for name in names]


def _maps(
    pixels: Pixels, references: list[str], window: Window, choices: LamOptions, *, quiet: bool
) -> list[tuple[str, str, Attribution]]:
    """Return each network's reference, its title in the figure, and its map."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from srviewer.analysis.lam import attribute
    from srviewer.zoo.model import load_model

    errors = Console(stderr=True)
    found = []
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=quiet or not errors.is_terminal,
    ) as bars:
        for reference in references:
            model = load_model(reference)
            task = bars.add_task(reference, total=choices.steps)
            one = attribute(
                pixels,
                model,
                window,
                choices,
                progress=_bar(bars, task),
            )
            plain = model.id == reference and "@" not in reference
            found.append((reference, f"{model.spec.name} ×{model.scale}" if plain else model.id, one))
    return found


def _bar(bars: Progress, task: TaskID) -> Callable[[int, int], None]:
    def told(done: int, steps: int) -> None:
        bars.update(task, completed=done, total=steps)

    return told


def _record(reference: str, found: Attribution) -> dict[str, object]:
    return {
        "model": reference,
        "scale": found.scale,
        "diffusion_index": found.diffusion_index,
        "gini": found.gini,
        "window": found.window.height,
        "row": found.window.row,
        "col": found.window.col,
        "objective": found.objective,
        "path": found.path,
        "steps": found.steps,
        "device": found.device,
        "seconds": found.seconds,
    }


def _save(path: Path, found: Attribution, *, overwrite: bool) -> None:
    import numpy as np

    from srviewer.imaging.atomic import whole_file

    with whole_file(path, overwrite=overwrite) as file:
        np.save(file, found.map)
