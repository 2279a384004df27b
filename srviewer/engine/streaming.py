"""Upscaling from file to file, for images and results that memory does not hold."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from srviewer.engine.backends import Backend
from srviewer.engine.cutting import Subject
from srviewer.engine.device import choose_device, choose_precision, free_memory
from srviewer.engine.opacity import enlarged_rows
from srviewer.engine.request import FinishedTile, Precision, Progress, UpscaleError, UpscaleOptions
from srviewer.engine.running import Run
from srviewer.engine.telemetry import PeakMeter
from srviewer.engine.tiles import Box
from srviewer.engine.upscale import default_backend, true_fp32
from srviewer.imaging.alpha import bleed_colours
from srviewer.imaging.files import WriteOptions, read_image
from srviewer.imaging.formats import FormatName
from srviewer.imaging.image import Image, Pixels
from srviewer.imaging.regions import RegionSource, open_regions
from srviewer.imaging.streaming import StreamWriter, estimated_bytes, open_stream
from srviewer.zoo.model import LoadedModel


@dataclass(frozen=True)
class StreamEstimate:
    """What a run from file to file will cost.

    Attributes
    ----------
    width, height : of the result, in pixels.
    disk_bytes : most that the file can take.
    memory_bytes, seconds : foretold from one tile; with a CPU the memory of the whole process.
    """

    width: int
    height: int
    disk_bytes: int
    memory_bytes: int
    seconds: float


@dataclass(frozen=True, eq=False)
class StreamedResult:
    """A result that was written as it was made.

    Attributes
    ----------
    path : the file.
    width, height : its pixels.
    notes : what the format could not hold, one sentence each.

    The others are as in `srviewer.engine.request.UpscaleResult`.
    """

    path: Path
    width: int
    height: int
    model: str
    scale: int
    device: str
    precision: Precision
    tile: int | None
    tiles: int
    exact: bool
    seconds: float
    megapixels_per_second: float
    peak_memory_bytes: int
    fp32_tiles: int
    notes: tuple[str, ...]


def upscale_file(
    input_path: Path,
    output_path: Path,
    model: LoadedModel,
    options: UpscaleOptions | None = None,
    *,
    file_format: FormatName | None = None,
    writing: WriteOptions | None = None,
    overwrite: bool = False,
    max_pixels: int = 1_000_000_000,
    estimated: Callable[[StreamEstimate], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
    on_tile: Callable[[FinishedTile], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    paused: Callable[[], bool] | None = None,
    backend: Backend | None = None,
) -> StreamedResult:
    """Upscale an image file into another one, a band of rows after the other.

    The input is read by region where its format allows (TIFF, PNG, BMP), else whole. The result is the same
    as that of `srviewer.engine.upscale.upscale`, but for colours under fully transparent pixels.

    Parameters
    ----------
    input_path, output_path : the files; nothing of the output's name is there before it is whole.
    model, options, progress, on_tile, cancelled, paused, backend : as for `srviewer.engine.upscale.upscale`.
    file_format, writing, overwrite : as for `srviewer.imaging.streaming.open_stream`.
    max_pixels : refuse inputs of more.
    estimated : told what the run will cost before it begins; may raise to refuse.

    Raises
    ------
    UpscaleError
        As for `srviewer.engine.upscale.upscale`.
    srviewer.imaging.files.ImageFileError
        If a file cannot be read or written, or the disk cannot hold the result.
    Cancelled
        If `cancelled` said so.
    """
    options, backend = options or UpscaleOptions(), backend or default_backend()
    device = choose_device(options.device)
    with ExitStack() as stack:
        source = open_regions(input_path, max_pixels=max_pixels)
        opened = _Whole(read_image(input_path, max_pixels=max_pixels)) if source is None else source
        stack.callback(opened.close)
        precision = choose_precision(
            "fp32" if model.spec.family == "bicubic" else options.precision,
            device,
            bits=opened.bits,
            value_range=model.spec.value_range,
        )
        stack.enter_context(torch.inference_mode())
        stack.enter_context(true_fp32(device))
        meter = stack.enter_context(PeakMeter(device))
        run = Run(_subject(opened), model, device, precision, options, backend, in_rows=True)
        run.progress, run.cancelled = progress or run.progress, cancelled or run.cancelled
        run.paused, run.on_tile = paused or run.paused, on_tile or run.on_tile
        width, height = opened.width * model.scale, opened.height * model.scale
        depth: Literal[8, 16] = 8 if opened.bits == 8 else 16
        writer = open_stream(
            output_path,
            width=width,
            height=height,
            bits=depth,
            grey=opened.grey,
            alpha=opened.has_alpha,
            icc=opened.icc,
            exif=opened.exif,
            format=file_format,
            overwrite=overwrite,
            options=writing or WriteOptions(),
        )
        stack.enter_context(writer)
        run.plan()
        waiting = _require_memory(run, opened)
        if estimated is not None:
            channels = (1 if opened.grey else 3) + opened.has_alpha
            disk = estimated_bytes(width, height, depth, channels, writer.format)
            meter.peak()  # what it has seen: foretelling counts anew
            cost = run.foretold(waiting if device.kind == "cpu" else 0)
            estimated(StreamEstimate(width, height, disk, cost.memory_bytes, cost.seconds))
        bands = _Bands(run.bands(), opened, model.scale, writer)
        stack.callback(bands.close)
        run.make(bands.keep)
        bands.wait()
        notes = writer.finish()
        return StreamedResult(
            path=output_path,
            width=width,
            height=height,
            model=model.id,
            scale=model.scale,
            device=device.name,
            precision=precision,
            tile=run.side,
            tiles=run.tiles,
            exact=run.exact,
            seconds=run.stopwatch.seconds(),
            megapixels_per_second=run.stopwatch.megapixels_per_second(),
            peak_memory_bytes=meter.peak(),
            fp32_tiles=run.fp32_tiles,
            notes=tuple(dict.fromkeys((*opened.notes, *notes))),
        )


class _Whole:
    """An image in memory, read as if by region."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self.width, self.height = image.width, image.height
        self.bits = image.bits
        self.grey, self.has_alpha = image.grey, image.alpha is not None
        self.icc, self.exif, self.path, self.format = image.icc, image.exif, image.path, image.format
        self.notes = image.notes
        self.levels = ((image.width, image.height),)

    def read(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> Pixels:
        """Return the pixels of a rectangle."""
        return self._image.pixels[y : y + height, x : x + width]

    def read_alpha(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> Pixels | None:
        """Return the opacity of a rectangle."""
        alpha = self._image.alpha
        return None if alpha is None else alpha[y : y + height, x : x + width]

    def close(self) -> None:
        """Nothing is open."""


def _subject(source: RegionSource | _Whole) -> Subject:
    def read(box: Box) -> Pixels:
        pixels = source.read(box.x, box.y, box.width, box.height)
        if not source.has_alpha:
            return pixels
        alpha = source.read_alpha(box.x, box.y, box.width, box.height)
        return pixels if alpha is None else bleed_colours(pixels, alpha)

    dtype = np.dtype(np.uint8 if source.bits == 8 else np.uint16)
    return Subject(source.width, source.height, dtype, source.grey, read)


def _require_memory(run: Run, source: RegionSource | _Whole) -> int:
    """Refuse a run whose bands alone would not fit; return the bytes that these take."""
    rows = max(stop - start for start, stop in run.bands())
    channels = 3 + source.has_alpha
    needed = 2 * rows * source.width * run.model.scale**2 * channels * source.bits // 8
    free = free_memory(choose_device("cpu"))
    if needed > free:
        raise UpscaleError(
            f"the rows of the result that are made together need {needed / 1e9:.1f} GB of memory, and "
            f"{free / 1e9:.1f} GB are free"
        )
    return needed


class _Bands:
    """Gathers finished tiles into bands of rows, which are written beside the work on the next.

    Parameters
    ----------
    rows : input rows of each band, from the first to one behind the last, from top to bottom.
    source : the input, for its opacity.
    scale : of the network.
    writer : takes the rows.
    """

    def __init__(
        self,
        rows: tuple[tuple[int, int], ...],
        source: RegionSource | _Whole,
        scale: int,
        writer: StreamWriter,
    ) -> None:
        self._rows = rows
        self._source = source
        self._scale = scale
        self._writer = writer
        self._next = 0
        self._band: Pixels | None = None
        self._seen: set[Box] = set()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="srviewer-writer")
        self._writing: Future[None] | None = None

    def keep(self, place: Box, pixels: Pixels) -> None:
        """Take a finished rectangle of the result."""
        start, stop = self._rows[self._next]
        top = start * self._scale
        if place.y < top:
            return  # made again in fp32 after its band was written; what was written is finite
        if self._band is None:
            height, width = (stop - start) * self._scale, self._source.width * self._scale
            self._band = np.empty((height, width, 3), pixels.dtype)
        self._band[place.y - top : place.bottom - top, place.x : place.right] = pixels
        self._seen.add(place)
        if sum(one.pixels for one in self._seen) == self._band.shape[0] * self._band.shape[1]:
            band, self._band = self._band, None
            self._seen.clear()
            self._next += 1
            self.wait()
            self._writing = self._pool.submit(self._write, band, start, stop)

    def wait(self) -> None:
        """Wait until what was handed over is written; raise what went wrong there."""
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _write(self, band: Pixels, start: int, stop: int) -> None:
        alpha: Pixels | None = None
        if self._source.has_alpha:
            alpha = enlarged_rows(self._alpha_rows, self._source.height, self._scale, start, stop)
        self._writer.write_rows(band, alpha)

    def _alpha_rows(self, top: int, bottom: int) -> Pixels:
        rows = self._source.read_alpha(0, top, self._source.width, bottom - top)
        assert rows is not None
        return rows
