"""``srviewer benchmark``: the tables of the papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srviewer.cli import console, figure_file, options
from srviewer.session.wording import clock_text


def benchmark(
    datasets: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET...",
            parser=options.parse_path,
            help="Folders of test images, with or without their LR images.",
        ),
    ],
    model: options.Models,
    scale: Annotated[int, typer.Option("--scale", "-s", min=2, help="Scale factor.")],
    runtime: Annotated[
        bool,
        typer.Option(
            "--runtime", help="Also the median time and peak memory for inputs of 256x256 and 320x180."
        ),
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="MODEL",
            help="One of the networks: adds what others save in Multi-Adds and parameters per 0.01 dB lost.",
        ),
    ] = None,
    precision: options.PrecisionOption = "fp32",
    device: options.Device = "auto",
    tile: options.TileOption = "off",
    max_memory: options.MaxMemory = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            parser=options.parse_path,
            help="Write the table to a file instead.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    json_output: options.Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print a LaTeX table (booktabs).")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """Measure networks on test sets by the papers' protocol: PSNR and SSIM on Y, S pixels shaved, fp32.

    A dataset is a folder of any of these kinds: *_HR.png beside *_LR.png; image_SRF_S/ folders of such; HR/
    beside LR_bicubic/XS/; or HR images alone, whose LR images are made by MATLAB-style bicubic.
    """
    forms = {"json": json_output, "csv": csv, "latex": latex, "markdown": markdown}
    chosen = [form for form, wanted in forms.items() if wanted]
    if len(chosen) > 1:
        raise typer.BadParameter("choose one of --json, --csv, --latex and --markdown")
    if output is not None:
        figure_file.check_free(output, overwrite=overwrite)

    from srviewer.cli.loading import check_device, check_models
    from srviewer.engine.request import UpscaleError, UpscaleOptions
    from srviewer.report.benchmark import BenchmarkError, BenchmarkProgress
    from srviewer.report.benchmark import benchmark as run
    from srviewer.report.datasets import DatasetError, find_dataset
    from srviewer.report.tables import render
    from srviewer.zoo.errors import ZooError
    from srviewer.zoo.model import load_model

    check_models(model)
    check_device(device)
    faults = 0
    loaded, found = [], []
    for reference in dict.fromkeys(model):
        try:
            loaded.append(load_model(reference))
        except ZooError as error:
            faults += 1
            console.complain(str(error))
    for folder in dict.fromkeys(datasets):
        try:
            found.append(find_dataset(folder, scale))
        except DatasetError as error:
            faults += 1
            console.complain(str(error))
    if not loaded or not found:
        raise typer.Exit(1)
    with console.tile_bars(quiet=json_output) as bars:
        task = bars.add_task("", tiles="", left="", memory="")

        def told(progress: BenchmarkProgress) -> None:
            eta = progress.eta_seconds
            bars.update(
                task,
                description=f"{progress.dataset} {progress.model}",
                completed=progress.done,
                total=progress.total,
                tiles=f"{progress.done}/{progress.total}",
                left="" if eta is None else f"{clock_text(eta)} left",
            )

        try:
            measured = run(
                loaded,
                found,
                options=UpscaleOptions(device, precision, options.tile_of(tile), max_memory),
                runtime=runtime,
                baseline=baseline,
                progress=told,
            )
        except (BenchmarkError, UpscaleError) as error:
            console.complain(str(error))
            raise typer.Exit(2 if isinstance(error, BenchmarkError) else 1) from None
    for failure in measured.failures:
        console.complain(f"{failure.subject}: {failure.reason}")
    form = chosen[0] if chosen else "text"
    table = render(measured, form)  # type: ignore[arg-type]  # the dictionary's keys are the forms
    if output is None:
        typer.echo(table, nl=False)
    else:
        try:
            output.write_text(table, "utf-8")
        except OSError as error:
            console.complain(f"{output}: cannot be written: {error.strerror or error}")
            raise typer.Exit(1) from None
    raise typer.Exit(1 if faults or measured.failures else 0)
