"""``srviewer figure``: the papers' visual comparison of one crop from several networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srviewer.cli import console, figure_file, options

if TYPE_CHECKING:
    from srviewer.engine.request import UpscaleOptions
    from srviewer.report.figures import CropCell


def figure(
    image: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGE", parser=options.parse_path, help="What to upscale (or the truth: --evaluate)."
        ),
    ],
    model: options.Models,
    crop: Annotated[
        str, typer.Option("--crop", metavar="X,Y,W,H", help="The box, in pixels of the results.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FIG", parser=options.parse_path, help="A .png, .pdf or .svg file."
        ),
    ],
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth", metavar="FILE", parser=options.parse_path, help="The ground truth: adds PSNR and SSIM."
        ),
    ] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="IMAGE is the ground truth; its bicubic reduction is upscaled.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    device: options.Device = "auto",
    precision: options.PrecisionOption = "auto",
    tile: options.TileOption = "auto",
    max_memory: options.MaxMemory = None,
) -> None:
    """Draw a picture with a box, and that box from every network; with PSNR and SSIM if there is a truth."""
    if truth is not None and evaluate:
        raise typer.BadParameter("either --truth names the ground truth, or IMAGE is it (--evaluate)")
    box = options.parse_region(crop)
    figure_file.check_figure(output, overwrite=overwrite)

    from srviewer.analysis.metrics import MetricsError
    from srviewer.cli.loading import check_device, check_models
    from srviewer.engine.request import UpscaleError, UpscaleOptions
    from srviewer.imaging.files import ImageFileError
    from srviewer.report.drawing import FigureError, save_figure
    from srviewer.report.figures import crop_figure
    from srviewer.session.loading import LoadError
    from srviewer.zoo.errors import ZooError

    check_models(model)
    check_device(device)
    engine = UpscaleOptions(device, precision, options.tile_of(tile), max_memory)
    try:
        cells = _cells(image, list(dict.fromkeys(model)), truth, evaluate, engine)
        save_figure(crop_figure(cells, box, name=image.name), output, overwrite=overwrite)
    except (ZooError, ImageFileError, FigureError, MetricsError, UpscaleError, LoadError) as error:
        console.complain(str(error))
        raise typer.Exit(1) from None
    typer.echo(str(output))


def _cells(
    path: Path, models: list[str], truth_path: Path | None, evaluate: bool, engine: UpscaleOptions
) -> list[CropCell]:
    """Return the figure's pictures: the ground truth first where there is one, then each network's result."""
    from srviewer.analysis.metrics import measure
    from srviewer.engine.upscale import upscale
    from srviewer.imaging.colour import to_srgb
    from srviewer.imaging.files import read_image
    from srviewer.report.drawing import FigureError
    from srviewer.report.figures import CropCell
    from srviewer.session.loading import cut_to_multiple, reduced
    from srviewer.zoo.model import load_model

    loaded = [load_model(reference) for reference in models]
    scales = {one.scale for one in loaded}
    if len(scales) > 1:
        raise FigureError(
            f"{path}: the networks have different scales ({', '.join(map(str, sorted(scales)))})"
        )
    (scale,) = scales
    source = read_image(path)
    truth = source if evaluate else None if truth_path is None else read_image(truth_path)
    if evaluate:
        truth = cut_to_multiple(source, scale)
        source = reduced(truth, scale)
    cells = []
    if truth is not None:
        cells.append(CropCell("HR", to_srgb(truth).pixels, truth=True))
    for one in loaded:
        result = upscale(source, one, engine).image
        score = None if truth is None else measure(result.pixels, truth.pixels, scale=scale)
        title = f"{one.spec.name} ×{scale}" if one.id in models and "@" not in one.id else one.id
        shown = to_srgb(result).pixels
        cells.append(
            CropCell(title, shown) if score is None else CropCell(title, shown, score.psnr_y, score.ssim_y)
        )
    return cells
