"""``srviewer features``: what happens inside a network, at its named taps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from srviewer.cli import console, figure_file, options

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from srviewer.analysis.features import FeatureRecord, TapFeatures
    from srviewer.analysis.taps import Tap
    from srviewer.zoo.model import LoadedModel
    from srviewer.zoo.spec import ModelSpec


def features(
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="A network's id or a checkpoint file.")
    ],
    image: Annotated[
        Path | None,
        typer.Argument(
            metavar="IMAGE", parser=options.parse_path, help="The network's input (not needed for --list)."
        ),
    ] = None,
    tap: Annotated[
        list[str] | None,
        typer.Option("--tap", metavar="NAME", help="A tap (hfab2.attention) or a block (hfab2). Repeat."),
    ] = None,
    list_taps: Annotated[bool, typer.Option("--list", help="List the network's taps and end.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FIG|DIR",
            parser=options.parse_path,
            help="A .png, .pdf or .svg file; or a folder for one figure per tap, with its channels.",
        ),
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", metavar="X,Y,W,H", help="This region of IMAGE only.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    device: options.Device = "auto",
    precision: options.PrecisionOption = "auto",
    tile: options.TileOption = "auto",
    max_memory: options.MaxMemory = None,
    json_output: options.Json = False,
) -> None:
    """Show features inside a network: average maps, channels and statistics.

    Without --tap a figure shows features before and after each attention block; with one tap its channels;
    with several their average maps.
    """
    box = None if region is None else options.parse_region(region)
    figure_file.check_exact(precision, tile)
    if image is None and not list_taps:
        raise typer.BadParameter("name the network's input", param_hint="IMAGE")

    from srviewer.analysis.features import FeatureError, record
    from srviewer.analysis.taps import missing
    from srviewer.cli.loading import check_device, check_models
    from srviewer.engine.request import UpscaleError
    from srviewer.imaging.files import ImageFileError, read_image
    from srviewer.report.drawing import FigureError
    from srviewer.zoo.errors import ZooError
    from srviewer.zoo.model import load_model
    from srviewer.zoo.spec import SPECS

    check_models([model])
    check_device(device)
    single = (
        output is not None and output.suffix.lower() in figure_file.FIGURE_SUFFIXES and not output.is_dir()
    )
    if single:
        figure_file.check_figure(output, overwrite=overwrite)
    try:
        if list_taps or image is None:  # needs no weights
            described = SPECS[model] if model in SPECS else load_model(model).spec
            _list(model, _wanted(described, tap), missing(described), json_output=json_output)
            return
        loaded = load_model(model)
        wanted = _wanted(loaded.spec, tap)
        for sentence in missing(loaded):
            console.complain(f"note: {sentence}")
        source = read_image(image)
        one_tap = single and tap is not None and len(wanted) == 1
        found = record(
            source.pixels,
            loaded,
            wanted,
            region=box,
            channels=None if one_tap or (output is not None and not single) else (),
            device=device,
            max_memory=max_memory,
        )
        written = []
        if output is not None:
            drawn = (
                [(output, _figure(loaded, found, chosen=tap is not None))]
                if single
                else _figures(output, image.stem, model, loaded, found, overwrite)
            )
            written = _saved(drawn, overwrite=overwrite)
    except (ZooError, ImageFileError, FigureError, FeatureError, UpscaleError) as error:
        console.complain(str(error) if image is None or str(image) in str(error) else f"{image}: {error}")
        raise typer.Exit(1) from None
    if json_output:
        region_used = list(found.region)
        rows = [_row(one) for one in found.features]
        console.print_json({"input": str(image), "model": model, "region": region_used, "taps": rows})
        return
    for path in written:
        typer.echo(str(path))
    if not written:
        _table(found)


def _wanted(spec: ModelSpec, names: list[str] | None) -> tuple[Tap, ...]:
    """Return the taps asked for in the network's order; a usage error where one does not exist."""
    from srviewer.analysis.taps import find_taps, taps

    if names is None:
        return taps(spec)
    try:
        chosen = {tap for name in names for tap in find_taps(spec, name)}
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--tap") from None
    return tuple(tap for tap in taps(spec) if tap in chosen)


def _list(model: str, wanted: tuple[Tap, ...], absent: tuple[str, ...], *, json_output: bool) -> None:
    for sentence in absent:
        console.complain(f"note: {sentence}")
    if json_output:
        rows = [
            {"name": tap.name, "label": tap.label, "block": tap.block, "kind": tap.kind} for tap in wanted
        ]
        console.print_json({"model": model, "taps": rows})
        return
    console.print_table(["tap", "what", "kind"], [[tap.name, tap.label, tap.kind] for tap in wanted])


def _table(found: FeatureRecord) -> None:
    rows = [
        [
            one.tap.name,
            "×".join(map(str, one.shape)),
            *(f"{value:.4g}" for value in (one.mean, one.std, one.minimum, one.maximum)),
        ]
        for one in found.features
    ]
    console.print_table(["tap", "shape", "mean", "std", "min", "max"], rows, right=frozenset({2, 3, 4, 5}))


def _row(one: TapFeatures) -> dict[str, object]:
    import math

    def number(value: float) -> float | None:
        return value if math.isfinite(value) else None  # JSON knows neither NaN nor infinity

    return {
        "name": one.tap.name,
        "shape": list(one.shape),
        "mean": number(one.mean),
        "std": number(one.std),
        "min": number(one.minimum),
        "max": number(one.maximum),
    }


def _figure(loaded: LoadedModel, found: FeatureRecord, *, chosen: bool) -> Figure:
    """Draw one figure: attention blocks, or the taps that were chosen."""
    from srviewer.analysis.taps import attention_blocks
    from srviewer.report.feature_figures import attention_figure, overview_figure, tap_figure

    blocks = attention_blocks(loaded)
    if not chosen and blocks:
        return attention_figure(found, blocks)
    if chosen and len(found.features) == 1:
        return tap_figure(found.features[0], name=loaded.spec.name)
    return overview_figure(found.features, name=loaded.id)


def _figures(
    folder: Path, stem: str, model: str, loaded: LoadedModel, found: FeatureRecord, overwrite: bool
) -> list[tuple[Path, Figure]]:
    """Draw one figure per tap, named {stem}_{model}_{tap}.png; nothing is drawn if one of them exists."""
    from srviewer.report.drawing import FigureError
    from srviewer.report.feature_figures import tap_figure
    from srviewer.session.naming import safe_model

    if not found.features:
        raise FigureError(f"{loaded.id} has no features to draw")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FigureError(f"{folder}: the folder cannot be made: {error.strerror or error}") from None
    paths = [folder / f"{stem}_{safe_model(model)}_{one.tap.name}.png" for one in found.features]
    for path in paths:
        figure_file.check_free(path, overwrite=overwrite)
    return [
        (path, tap_figure(one, name=loaded.spec.name))
        for path, one in zip(paths, found.features, strict=True)
    ]


def _saved(drawn: list[tuple[Path, Figure]], *, overwrite: bool) -> list[Path]:
    from srviewer.report.drawing import save_figure

    for path, figure in drawn:
        save_figure(figure, path, overwrite=overwrite)
    return [path for path, _ in drawn]
