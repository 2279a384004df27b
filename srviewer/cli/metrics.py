"""``srviewer metrics``: how close a result comes to the truth, by the papers' protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from srviewer.cli import console, options


def metrics(
    result: Annotated[Path, typer.Argument(metavar="A", parser=options.parse_path, help="The result.")],
    truth: Annotated[Path, typer.Argument(metavar="B", parser=options.parse_path, help="The ground truth.")],
    scale: Annotated[
        int,
        typer.Option("--scale", "-s", min=1, help="Scale factor S: S pixels are shaved from every border."),
    ],
    region: Annotated[
        str | None, typer.Option("--region", metavar="X,Y,W,H", help="Measure this region of B only.")
    ] = None,
    json_output: options.Json = False,
) -> None:
    """Measure PSNR and SSIM of A against B.

    Y of YCbCr as in the papers (16..235), S pixels shaved from every border, peak 255, SSIM with an 11x11
    Gaussian window of sigma 1.5.
    """
    from srviewer.analysis.metrics import MetricsError, measure
    from srviewer.imaging.files import ImageFileError, read_image

    part = None if region is None else options.parse_region(region)
    try:
        one, two = read_image(result), read_image(truth)
        measured = measure(one.pixels, two.pixels, scale=scale, region=part)
    except (ImageFileError, MetricsError) as error:
        # pixels know no file names, files name themselves
        console.complain(f"{result}: {error}" if isinstance(error, MetricsError) else str(error))
        raise typer.Exit(1) from None
    if json_output:
        console.print_json(measured.to_json())
        return
    ssim = "-" if measured.ssim_y is None else f"{measured.ssim_y:.4f}"
    typer.echo(f"PSNR-Y    {measured.psnr_y:.3f} dB")
    typer.echo(f"SSIM-Y    {ssim}")
    typer.echo(f"PSNR-RGB  {measured.psnr_rgb:.3f} dB")
    typer.echo(f"protocol  {measured.protocol}")
