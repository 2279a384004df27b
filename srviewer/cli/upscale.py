"""``srviewer upscale``: image files in, upscaled image files out."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from srviewer.cli import console, options
from srviewer.session.wording import bytes_text, clock_text, duration_text

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from srviewer.engine.request import Progress, UpscaleOptions, UpscaleResult
    from srviewer.engine.seams import Seams
    from srviewer.engine.streaming import StreamedResult
    from srviewer.imaging.files import WriteOptions
    from srviewer.imaging.image import Image
    from srviewer.zoo.model import LoadedModel

MAX_PIXELS = 1_000_000_000
STREAMED_BYTES = 1 << 29
"""Results larger than this are written as they are made: half a gigabyte is no burden on any machine."""

Format = Literal["png", "jpg", "jpeg", "webp", "tif", "tiff", "bmp", "avif"]


def upscale(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Image files, folders, or globs in quotes.")
    ],
    model: options.Models,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            parser=options.parse_path,
            help="A file if it ends like an image, else a folder, made if missing.",
        ),
    ],
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="Format of the results in a folder; by default the input's."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quality: Annotated[
        int, typer.Option("--quality", min=1, max=100, help="Quality of JPEG, WebP and AVIF.")
    ] = 95,
    subsampling: Annotated[
        Literal["4:4:4", "4:2:2", "4:2:0"], typer.Option("--subsampling", help="Chroma subsampling of JPEG.")
    ] = "4:4:4",
    self_ensemble: Annotated[
        bool,
        typer.Option(
            "--self-ensemble", help="Average over all eight flips and turns: a little better, 8 times slower."
        ),
    ] = False,
    check_seams: Annotated[
        bool,
        typer.Option(
            "--check-seams",
            help="Run the middle of each image untiled too, and tell the largest difference that tiles make.",
        ),
    ] = False,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            "--max-pixels",
            metavar="N",
            parser=options.parse_count,
            show_default="1G",
            help="Refuse inputs of more pixels.",
        ),
    ] = None,
    device: options.Device = "auto",
    precision: options.PrecisionOption = "auto",
    tile: options.TileOption = "auto",
    max_memory: options.MaxMemory = None,
    json_output: options.Json = False,
) -> None:
    """Upscale images with one network or several.

    In a folder, results are named {stem}_{model}. A file that exists is refused without --overwrite.
    Exit status: 0 all done, 1 some input failed (the rest is done), 2 wrong usage.
    """
    from srviewer.cli.loading import check_device, check_models
    from srviewer.engine.request import UpscaleOptions
    from srviewer.imaging.files import FOREIGN_SUFFIXES, IMAGE_SUFFIXES, WriteOptions

    check_models(model)
    check_device(device)
    if "" in inputs:
        raise typer.BadParameter("the path is empty", param_hint="INPUT")
    suffix, folder = output.suffix.lower(), _is(Path.is_dir, output)
    if suffix in FOREIGN_SUFFIXES and not folder:
        raise typer.BadParameter(
            f"{output}: {suffix} files are not written; name a {', '.join(sorted(IMAGE_SUFFIXES))} file or a "
            "folder",
            param_hint="--output",
        )
    one_file = suffix in IMAGE_SUFFIXES and not folder
    images, ignored = _found(inputs, None if one_file else output)
    if one_file and (len(images) + len(ignored) > 1 or len(set(model)) > 1):
        raise typer.BadParameter(
            f"{output} is one file, but there are several results; name a folder", param_hint="--output"
        )
    if one_file and file_format is not None:
        raise typer.BadParameter("a file's own ending says its format", param_hint="--format")
    run = _Run(
        models=list(dict.fromkeys(model)),
        output=output,
        one_file=one_file,
        suffix=f".{file_format}" if file_format else None,
        overwrite=overwrite,
        options=UpscaleOptions(device, precision, options.tile_of(tile), max_memory, self_ensemble),
        writing=WriteOptions(
            jpeg_quality=quality, jpeg_subsampling=subsampling, webp_quality=quality, avif_quality=quality
        ),
        max_pixels=max_pixels or MAX_PIXELS,
        check_seams=check_seams,
        json=json_output,
    )
    for path, reason in ignored:
        run.failed(path, run.models, reason)
    with console.tile_bars(quiet=json_output) as bars:
        for path in images:
            run.image(path, bars)
    raise typer.Exit(1 if run.failures else 0)


def _found(inputs: list[str], results: Path | None) -> tuple[list[Path], list[tuple[Path, str]]]:
    """Return the files behind the inputs, each once, and what holds none with the reason.

    A file that is named itself is tried whatever it is called; in folders and patterns the names decide. A
    folder of `results` below a folder that is searched is passed over: it may hold those of an earlier call.
    """
    from srviewer.session.dropping import expand

    images: dict[Path, Path] = {}  # by where they lie, however they were named
    ignored: list[tuple[Path, str]] = []
    for given in inputs:
        path = Path(given).expanduser()
        if _is(Path.is_file, path):
            images.setdefault(_place(path), path)
            continue
        dropped = expand([given])
        found = {_place(image): image for image in dropped.images}
        if found and results is not None and path.resolve() in results.resolve().parents:
            found = {place: image for place, image in found.items() if results.resolve() not in place.parents}
            if not found:
                ignored.append((path, f"{path}: it holds no image but the results in {results}"))
        for place, image in found.items():
            images.setdefault(place, image)
        ignored += [(one.path, f"{one.path}: it {one.reason}") for one in dropped.ignored]
        ignored += [(one, f"{one}: a file of weights is given with -m") for one in dropped.checkpoints]
    return list(images.values()), ignored


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):  # a folder above it must not be looked into: searching it says why
        return False


def _place(path: Path) -> Path:
    """Return where a file lies, whatever way leads there; links to it lie where they are themselves."""
    return path.parent.resolve() / path.name


def _suffix(path: Path) -> str:
    """Return the suffix of results of a file: its own if it is an image's, else that of its content."""
    from srviewer.imaging.files import IMAGE_SUFFIXES, ImageFileError, probe, usual_suffix

    if path.suffix.lower() in IMAGE_SUFFIXES:
        return path.suffix
    try:
        return usual_suffix(probe(path).format)
    except ImageFileError:  # reading it says why
        return path.suffix


@dataclass
class _Run:
    """One call of the command: its choices, and what came of it so far."""

    models: list[str]
    output: Path
    one_file: bool
    suffix: str | None
    overwrite: bool
    options: UpscaleOptions
    writing: WriteOptions
    max_pixels: int
    check_seams: bool
    json: bool
    failures: int = 0
    _loaded: dict[str, LoadedModel | str] = dataclasses.field(default_factory=dict)
    _made: set[Path] = dataclasses.field(default_factory=set)
    _said: set[str] = dataclasses.field(default_factory=set)

    def failed(self, path: Path, models: list[str], reason: str) -> None:
        """Tell in one line of a file that was not done with `models`; the rest goes on."""
        self.failures += 1
        if reason not in self._said:  # that weights are missing is the same for every file
            self._said.add(reason)
            console.complain(reason)
        if self.json:
            for model in models:
                console.print_json({"input": str(path), "model": model, "error": reason})

    def image(self, path: Path, bars: Bars) -> None:
        """Upscale one file with every network."""
        from srviewer.engine.device import choose_device, free_memory
        from srviewer.imaging.files import ImageFileError, read_image

        ready = []
        for model, loaded, target in self._ready(path):
            if self._is_large(path, loaded.scale):
                self._stream(path, model, loaded, target, bars)
            else:
                ready.append((model, loaded, target))
        if not ready:
            return
        try:
            image = read_image(
                path,
                max_pixels=self.max_pixels,
                max_memory=self.options.max_memory or free_memory(choose_device("cpu")),
            )
        except ImageFileError as error:
            self.failed(path, [model for model, _, _ in ready], str(error))
            return
        for note in image.notes:
            console.complain(f"{path}: note: {note}")
        for model, loaded, target in ready:
            self._result(path, image, model, loaded, target, bars)

    def _ready(self, path: Path) -> Iterator[tuple[str, LoadedModel, Path]]:
        """Yield the networks that can run on a file, each with where its result goes; tell of the others."""
        for model in self.models:
            loaded = self._load(model)
            if isinstance(loaded, str):
                self.failed(path, [model], loaded)
                continue
            target = self._target(path, model)
            refusal = self._refusal(target)
            if refusal is not None:
                self.failed(path, [model], refusal)
                continue
            self._made.add(target.resolve())
            yield model, loaded, target

    def _load(self, model: str) -> LoadedModel | str:
        """Return the network, read once, or the sentence that says why it cannot be had."""
        from srviewer.zoo.errors import ZooError
        from srviewer.zoo.model import load_model

        if model not in self._loaded:
            try:
                self._loaded[model] = load_model(model)
            except ZooError as error:
                self._loaded[model] = str(error)
        return self._loaded[model]

    def _target(self, path: Path, model: str) -> Path:
        """Return where the result of a file goes."""
        from srviewer.session.naming import safe_model

        if self.one_file:
            return self.output
        return self.output / f"{path.stem}_{safe_model(model)}{self.suffix or _suffix(path)}"

    def _refusal(self, target: Path) -> str | None:
        """Say why a result must not be written, before any work is done for it; None where it may."""
        if target.resolve() in self._made:
            return f"{target}: two results of this call would have this name"
        try:
            if target.exists() and not self.overwrite:
                return f"{target}: the file exists; --overwrite replaces it"
        except OSError as error:  # its folder must not be looked into, or its name is too long
            return f"{target}: it cannot be written: {error.strerror or error}"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            return f"{target.parent}: the folder cannot be made: {error.strerror or error}"
        return (
            None if os.access(target.parent, os.W_OK) else f"{target.parent}: the folder cannot be written to"
        )

    def _is_large(self, path: Path, scale: int) -> bool:
        """Tell whether the result of a file should never be in memory as a whole."""
        from srviewer.imaging.files import ImageFileError, probe

        try:
            found = probe(path)
        except ImageFileError:  # reading it says why
            return False
        return found.width * found.height * scale**2 * 3 * (2 if found.bits > 8 else 1) > STREAMED_BYTES

    def _stream(self, path: Path, model: str, loaded: LoadedModel, target: Path, bars: Bars) -> None:
        """Run one network from file to file, and tell before what it will cost."""
        from srviewer.engine.request import UpscaleError
        from srviewer.engine.streaming import StreamEstimate, upscale_file
        from srviewer.imaging.files import ImageFileError

        def told(cost: StreamEstimate) -> None:
            disk, memory = bytes_text(cost.disk_bytes), bytes_text(cost.memory_bytes)
            console.complain(
                f"{path}: the result will have {cost.width} x {cost.height} pixels, and take up to {disk} on "
                f"the disk, about {memory} of memory and {duration_text(cost.seconds)}"
            )

        try:
            with self._bar(path, model, bars) as progress:
                result = upscale_file(
                    path,
                    target,
                    loaded,
                    self.options,
                    writing=self.writing,
                    overwrite=self.overwrite,
                    max_pixels=self.max_pixels,
                    estimated=told,
                    progress=progress,
                )
            seams = self._seams_of_file(path, loaded) if self.check_seams else None
        except (UpscaleError, ImageFileError) as error:
            self.failed(path, [model], f"{path}: {error}" if isinstance(error, UpscaleError) else str(error))
            return
        self._told(path, model, target, result, (result.width, result.height), seams)
        for note in result.notes:
            console.complain(f"{target}: note: {note}")

    def _result(
        self, path: Path, image: Image, model: str, loaded: LoadedModel, target: Path, bars: Bars
    ) -> None:
        """Run one network on one picture and write what it gives."""
        from srviewer.engine.request import UpscaleError
        from srviewer.engine.seams import check_seams
        from srviewer.engine.upscale import upscale as run
        from srviewer.imaging.files import ImageFileError, write_image

        try:
            with self._bar(path, model, bars) as progress:
                result = run(image, loaded, self.options, progress=progress)
            notes = write_image(result.image, target, overwrite=self.overwrite, options=self.writing)
            seams = check_seams(image, loaded, self.options) if self.check_seams else None
        except (UpscaleError, ImageFileError) as error:
            # the engine knows no file names, files name themselves
            self.failed(path, [model], f"{path}: {error}" if isinstance(error, UpscaleError) else str(error))
            return
        self._told(path, model, target, result, (result.image.width, result.image.height), seams)
        for note in notes:
            console.complain(f"{target}: note: {note}")

    @contextmanager
    def _bar(self, path: Path, model: str, bars: Bars) -> Iterator[Callable[[Progress], None]]:
        """Show a bar for one run; yields what its progress is told to."""
        task = bars.add_task(f"{path.name} · {model}", total=None, tiles="", left="", memory="")

        def told(progress: Progress) -> None:
            eta = progress.eta_seconds
            bars.update(
                task,
                completed=progress.tiles_done,
                total=progress.tiles,
                tiles=f"{progress.tiles_done}/{progress.tiles}",
                left="" if eta is None else f"{clock_text(eta)} left",
                memory=bytes_text(progress.memory_bytes),
            )

        try:
            yield told
        finally:
            bars.remove_task(task)

    def _seams_of_file(self, path: Path, loaded: LoadedModel) -> Seams | None:
        """Compare tiled with untiled in the middle of a large file; None if it is not read by region."""
        from srviewer.engine.seams import LARGEST_SIDE, check_seams
        from srviewer.imaging.image import Image
        from srviewer.imaging.regions import open_regions

        source = open_regions(path, max_pixels=self.max_pixels)
        if source is None:
            return None
        with source:
            width, height = min(LARGEST_SIDE, source.width), min(LARGEST_SIDE, source.height)
            middle = source.read((source.width - width) // 2, (source.height - height) // 2, width, height)
        return check_seams(Image(middle, grey=source.grey), loaded, self.options)

    def _told(
        self,
        path: Path,
        model: str,
        target: Path,
        result: UpscaleResult | StreamedResult,
        size: tuple[int, int],
        seams: Seams | None,
    ) -> None:
        """Tell of a finished result."""
        if self.json:
            record: dict[str, object] = {
                "input": str(path),
                "output": str(target),
                "model": model,
                "scale": result.scale,
                "device": result.device,
                "precision": result.precision,
                "tile": result.tile,
                "tiles": result.tiles,
                "exact": result.exact,
                "seconds": result.seconds,
                "megapixels_per_second": result.megapixels_per_second,
                "peak_memory_bytes": result.peak_memory_bytes,
                "fp32_tiles": result.fp32_tiles,
            }
            if seams is not None:
                record["seams"] = {
                    "largest_difference": seams.largest_difference,
                    "psnr": seams.psnr if math.isfinite(seams.psnr) else None,
                    "region": list(seams.region),
                    "tile": seams.tile,
                    "tiles": seams.tiles,
                }
            console.print_json(record)
            return
        tiles = "untiled" if result.tiles == 1 else f"{result.tiles} tiles"
        remarks = "" if result.exact else "; not exact: tiles meet layers that look at the whole image"
        if result.fp32_tiles:
            remarks += f"; {result.fp32_tiles} tiles again in fp32"
        peak = bytes_text(result.peak_memory_bytes)
        took = duration_text(result.seconds)
        typer.echo(
            f"{target}  {size[0]}x{size[1]}  {took}, {tiles}, {result.precision}, peak {peak}{remarks}"
        )
        if seams is not None:
            _, _, width, height = seams.region
            typer.echo(
                f"{target}  seams: at most {seams.largest_difference:.3f} of 255 between {seams.tiles} tiles "
                f"of {seams.tile} px and none ({seams.psnr:.1f} dB), in the input's middle {width}x{height}"
            )
