"""The doorway to the engine's runs from file to file and its seam meter, loaded when they are used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from srviewer.engine.request import FinishedTile, Progress, UpscaleOptions
from srviewer.imaging.image import Image
from srviewer.session.entries import ResultFacts, SeamCheck
from srviewer.session.geometry import PixelRect, Size

if TYPE_CHECKING:  # types only: their modules load torch
    from srviewer.engine.streaming import StreamedResult
    from srviewer.zoo.model import LoadedModel

_MOST_PIXELS = 1 << 40  # what could be opened may be upscaled: memory and disk are looked at by themselves


def facts_of(result: StreamedResult, bits: int) -> ResultFacts:
    """Return the facts about a result of `bits` per sample."""
    return ResultFacts(
        model=result.model,
        size=Size(result.width, result.height),
        bits=bits,
        scale=result.scale,
        device=result.device,
        precision=result.precision,
        tile=result.tile,
        tiles=result.tiles,
        exact=result.exact,
        seconds=result.seconds,
        megapixels_per_second=result.megapixels_per_second,
        peak_memory_bytes=result.peak_memory_bytes,
        fp32_tiles=result.fp32_tiles,
    )


def upscale_file(
    source: Path,
    output: Path,
    model: LoadedModel,
    options: UpscaleOptions,
    *,
    progress: Callable[[Progress], None],
    on_tile: Callable[[FinishedTile], None],
    cancelled: Callable[[], bool],
    paused: Callable[[], bool],
) -> StreamedResult:
    """Upscale a file into a new one, in bounded memory; nothing of that name is there before it is whole.

    Raises
    ------
    srviewer.engine.request.UpscaleError, srviewer.imaging.faults.ImageFileError
        If it cannot be done, with one sentence; disk and memory are looked at before.
    srviewer.engine.request.Cancelled
        If `cancelled` said so.
    """
    from srviewer.engine import streaming

    return streaming.upscale_file(
        source,
        output,
        model,
        options,
        max_pixels=_MOST_PIXELS,
        progress=progress,
        on_tile=on_tile,
        cancelled=cancelled,
        paused=paused,
    )


def check_seams(
    image: Image, model: LoadedModel, options: UpscaleOptions, cancelled: Callable[[], bool]
) -> SeamCheck:
    """Compare the tiled result with the untiled one, on as much of the image as fits into memory.

    Raises
    ------
    srviewer.engine.request.UpscaleError
        If it cannot be done, with one sentence.
    srviewer.engine.request.Cancelled
        If `cancelled` said so.
    """
    from srviewer.engine import seams

    found = seams.check_seams(image, model, options, cancelled=cancelled)
    return SeamCheck(found.largest_difference, found.psnr, PixelRect(*found.region))
