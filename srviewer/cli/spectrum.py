"""``srviewer spectrum``: power spectra of results, or of features before and after attention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from srviewer.cli import console, figure_file, options

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from srviewer.analysis.spectrum import Spectrum
    from srviewer.engine.request import UpscaleOptions
    from srviewer.imaging.image import Image
    from srviewer.report.spectrum_figures import AttentionSpectra
    from srviewer.zoo.model import LoadedModel

    Plane = NDArray[np.float64]

Box = tuple[int, int, int, int]


def spectrum(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", parser=options.parse_path, help="What to upscale.")
    ],
    model: options.Models,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FIG", parser=options.parse_path, help="A .png, .pdf or .svg file."
        ),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(
            "--truth", metavar="FILE", parser=options.parse_path, help="The ground truth: one curve more."
        ),
    ] = None,
    difference: Annotated[
        bool, typer.Option("--difference", help="Also of each result minus the truth (needs --truth).")
    ] = False,
    with_taps: Annotated[
        bool,
        typer.Option("--taps", help="Of features before and after each attention block, not of pictures."),
    ] = False,
    region: Annotated[
        str | None, typer.Option("--region", metavar="X,Y,W,H", help="This region of the results only.")
    ] = None,
    channel: Annotated[
        Literal["luma", "mean"], typer.Option("--channel", help="What stands for a colour picture.")
    ] = "luma",
    cut_off: Annotated[
        float,
        typer.Option(
            "--cut-off", min=0.0, max=0.5, help="Cycles per pixel above which frequencies are high."
        ),
    ] = 0.25,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that exists.")] = False,
    device: options.Device = "auto",
    precision: options.PrecisionOption = "auto",
    tile: options.TileOption = "auto",
    max_memory: options.MaxMemory = None,
    json_output: options.Json = False,
) -> None:
    """Show at which frequencies the input, each result and the truth have their power.

    A curve is the mean power on rings of equal frequency (cycles per pixel of that picture), in percent of
    their sum, without a window and with frequency zero. The high-frequency share is what lies above the
    cut-off, in percent.
    """
    box = None if region is None else options.parse_region(region)
    if difference and truth is None:
        raise typer.BadParameter("needs the ground truth: --truth FILE", param_hint="--difference")
    if with_taps and truth is not None:
        raise typer.BadParameter("a ground truth has no features", param_hint="--truth")
    if with_taps:
        figure_file.check_exact(precision, tile)

    from srviewer.analysis.features import FeatureError
    from srviewer.cli.loading import check_device, check_models
    from srviewer.engine.request import UpscaleError, UpscaleOptions
    from srviewer.imaging.files import ImageFileError, read_image
    from srviewer.report.drawing import FigureError, save_figure
    from srviewer.zoo.errors import ZooError
    from srviewer.zoo.model import load_model

    check_models(model)
    check_device(device)
    figure_file.check_figure(output, overwrite=overwrite)
    engine = UpscaleOptions(device, precision, options.tile_of(tile), max_memory)
    try:
        loaded = [(reference, load_model(reference)) for reference in dict.fromkeys(model)]
        source = read_image(image)
        if with_taps:
            several = len(loaded) > 1
            blocks = [pair for one in loaded for pair in _blocks(one, source, box, engine, several=several)]
            curves = [
                (f"{name} {side}", found)
                for name, pair in blocks
                for side, found in (("before", pair.spectrum_before), ("after", pair.spectrum_after))
            ]
        else:
            blocks = []
            answer = None if truth is None else read_image(truth)
            curves = _pictures(loaded, source, answer, difference, box, channel, engine)
        if output is not None:
            drawn = _figure(loaded, curves, blocks, cut_off)
            save_figure(drawn, output, overwrite=overwrite)
    except (ZooError, ImageFileError, FigureError, FeatureError, UpscaleError) as error:
        console.complain(str(error) if str(image) in str(error) else f"{image}: {error}")
        raise typer.Exit(1) from None
    if json_output:
        console.print_json(_record(image, curves, blocks, box, channel, cut_off))
        return
    if output is not None:
        typer.echo(str(output))
    for name, found in curves:
        typer.echo(f"{found.high_frequency_share(cut_off):10.4g} %  above {cut_off:g} cycles/px  {name}")


def _pictures(
    loaded: list[tuple[str, LoadedModel]],
    source: Image,
    truth: Image | None,
    difference: bool,
    box: Box | None,
    channel: Literal["luma", "mean"],
    engine: UpscaleOptions,
) -> list[tuple[str, Spectrum]]:
    """Return the spectra of the input, each result, the truth and the differences, with their names."""
    from srviewer.analysis.spectrum import plane_of
    from srviewer.analysis.spectrum import spectrum as spectrum_of
    from srviewer.engine.upscale import upscale

    scales = {one.scale for _, one in loaded}
    _check_region(box, source, scales)
    scale = min(scales)
    part = source.pixels
    if box is not None:
        x, y, width, height = _input_box(box, scale)
        part = part[y : y + height, x : x + width]
    curves = [("input", spectrum_of(plane_of(part, channel)))]
    differences = []
    answer = None if truth is None else plane_of(truth.pixels, channel)
    for name, one in loaded:
        result = plane_of(upscale(source, one, engine).image.pixels, channel)
        curves.append((name, spectrum_of(_inside(result, box))))
        if answer is not None:
            answer = _cut_to(answer, result.shape, one)
            if difference:
                differences.append((f"{name} - truth", spectrum_of(_inside(result - answer, box))))
    if answer is not None:
        curves.append(("truth", spectrum_of(_inside(answer, box))))
    return curves + differences


def _blocks(
    named: tuple[str, LoadedModel],
    source: Image,
    box: Box | None,
    engine: UpscaleOptions,
    *,
    several: bool,
) -> list[tuple[str, AttentionSpectra]]:
    """Return a network's attention blocks by name; say what it does not have."""
    from srviewer.analysis.features import record
    from srviewer.analysis.spectrum import spectrum as spectrum_of
    from srviewer.analysis.taps import attention_blocks, missing
    from srviewer.report.spectrum_figures import AttentionSpectra

    reference, model = named
    for sentence in missing(model):
        console.complain(f"note: {sentence}")
    blocks = attention_blocks(model)
    _check_region(box, source, {model.scale})
    wanted = [tap for block in blocks for tap in (block.before, block.after)]
    found = record(
        source.pixels,
        model,
        wanted,
        region=None if box is None else _input_box(box, model.scale),
        channels=(),
        device=engine.device,
        max_memory=engine.max_memory,
    )
    pairs = []
    for block in blocks:
        before, after = found.at(block.before).average, found.at(block.after).average
        title = f"{model.id} {block.label}" if several else block.label
        pair = AttentionSpectra(title, before, after, spectrum_of(before), spectrum_of(after))
        pairs.append((f"{reference} {block.name}", pair))
    return pairs


def _figure(
    loaded: list[tuple[str, LoadedModel]],
    curves: list[tuple[str, Spectrum]],
    blocks: list[tuple[str, AttentionSpectra]],
    cut_off: float,
) -> Figure:
    """Draw pictures' spectra, or where there are attention blocks theirs."""
    from srviewer.report.drawing import FigureError
    from srviewer.report.spectrum_figures import SpectrumCurve, attention_spectrum_figure, spectrum_figure

    if blocks:
        return attention_spectrum_figure([pair for _, pair in blocks], cut_off=cut_off)
    if not curves:
        raise FigureError("there is no attention block to draw")
    titles = {"input": "Input", "truth": "HR"}
    for name, one in loaded:
        plain = one.id == name and "@" not in name
        titles[name] = f"{one.spec.name} ×{one.scale}" if plain else one.id
        titles[f"{name} - truth"] = f"{titles[name]} - HR"
    return spectrum_figure(
        [SpectrumCurve(titles.get(name, name), found) for name, found in curves], cut_off=cut_off
    )


def _record(
    image: Path,
    curves: list[tuple[str, Spectrum]],
    blocks: list[tuple[str, AttentionSpectra]],
    box: Box | None,
    channel: str,
    cut_off: float,
) -> dict[str, object]:
    """Return what ``--json`` prints: densities and shares in percent, frequencies in cycles per pixel."""
    from srviewer.analysis.spectrum import ratio

    record: dict[str, object] = {
        "input": str(image),
        "region": None if box is None else list(box),
        "channel": "features" if blocks else channel,
        "cut_off": cut_off,
        "curves": [
            {
                "name": name,
                "frequency": found.frequency.tolist(),
                "density": found.density.tolist(),
                "high_frequency_share": found.high_frequency_share(cut_off),
            }
            for name, found in curves
        ],
    }
    if blocks:
        record["ratios"] = [
            {
                "name": name,
                "frequency": pair.spectrum_after.frequency.tolist(),
                # JSON knows no NaN: nothing before, so no ratio
                "ratio": [
                    value if value == value else None
                    for value in ratio(pair.spectrum_after, pair.spectrum_before).tolist()
                ],
            }
            for name, pair in blocks
        ]
    return record


def _check_region(box: Box | None, source: Image, scales: set[int]) -> None:
    from srviewer.engine.request import UpscaleError

    if box is None:
        return
    if len(scales) > 1:
        listed = ", ".join(f"×{scale}" for scale in sorted(scales))
        raise UpscaleError(f"a region of the results needs networks of one scale, not {listed}")
    (scale,) = scales
    width, height = source.width * scale, source.height * scale
    if box[0] + box[2] > width or box[1] + box[3] > height:
        raise UpscaleError(
            f"the region {box[2]} × {box[3]} at {box[0]}, {box[1]} does not lie inside the results, "
            f"which have {width} × {height} px"
        )


def _cut_to(truth: Plane, result: tuple[int, ...], model: LoadedModel) -> Plane:
    """Return the truth without what the reduction to the input left out: less than one input pixel."""
    from srviewer.engine.request import UpscaleError

    spare = [one - other for one, other in zip(truth.shape, result, strict=True)]
    if not all(0 <= one < model.scale for one in spare):
        raise UpscaleError(
            f"the truth has {truth.shape[1]} × {truth.shape[0]} px and the result of {model.id} "
            f"{result[1]} × {result[0]}: they are not of the same picture"
        )
    return truth[: result[0], : result[1]]


def _input_box(box: Box, scale: int) -> Box:
    """Return the input pixels that a region of the results touches."""
    left, top = box[0] // scale, box[1] // scale
    right, bottom = -(-(box[0] + box[2]) // scale), -(-(box[1] + box[3]) // scale)
    return left, top, right - left, bottom - top


def _inside(plane: Plane, box: Box | None) -> Plane:
    if box is None:
        return plane
    x, y, width, height = box
    return plane[y : y + height, x : x + width]
