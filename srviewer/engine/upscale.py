"""Running a network over an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from srviewer.engine.automatic import Automatic
from srviewer.engine.backends import Backend
from srviewer.engine.cutting import Focus, Subject
from srviewer.engine.device import Device, choose_device, choose_precision, free_memory
from srviewer.engine.opacity import enlarged_alpha
from srviewer.engine.request import (
    FinishedTile,
    Progress,
    UpscaleError,
    UpscaleOptions,
    UpscaleResult,
)
from srviewer.engine.running import Run
from srviewer.engine.telemetry import PeakMeter, release_memory
from srviewer.engine.tiles import Box
from srviewer.imaging.alpha import bleed_colours
from srviewer.imaging.image import Image, Pixels
from srviewer.zoo.model import LoadedModel

# Shared by all runs, since it keeps networks ready.
_AUTOMATIC = Automatic()
# Bytes: giving less back to the system costs more time, in getting it again, than it does good.
_WORTH_RELEASING = 256 << 20


def upscale(
    image: Image,
    model: LoadedModel,
    options: UpscaleOptions | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    on_tile: Callable[[FinishedTile], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    paused: Callable[[], bool] | None = None,
    focus: Focus | None = None,
    backend: Backend | None = None,
) -> UpscaleResult:
    """Upscale an image.

    Transparent images: colours are bled under transparent pixels first, and alpha is enlarged by bicubic
    interpolation. Grey images stay grey (the luma of the network's colours). Profile and EXIF are kept.

    Parameters
    ----------
    image : what to upscale, 8 or 16 bits.
    model : the network; it is left as it is.
    options : how to run it; None means all defaults.
    progress : told before the first tile and after each.
    on_tile : gets each finished tile, as pixels of its own.
    cancelled : asked between tiles; True ends the run.
    paused : asked between tiles; while True nothing is done, and `cancelled` is still asked.
    focus : the part in view; tiles there are made first.
    backend : how the network is executed; None means eager torch.

    Returns
    -------
    The result, of the input's dtype, values clipped and rounded to the nearest level.

    Raises
    ------
    UpscaleError
        If there is no such device, or the memory does not suffice even for the smallest tile, or the network
        gives NaN or infinity in fp32 as well.
    Cancelled
        If `cancelled` said so.
    """
    options = options or UpscaleOptions()
    backend = backend or default_backend()
    device = choose_device(options.device)
    precision = choose_precision(
        "fp32" if model.spec.family == "bicubic" else options.precision,
        device,
        bits=image.bits,
        value_range=model.spec.value_range,
    )
    with torch.inference_mode(), true_fp32(device):
        canvas = _canvas(image, model.scale)
        source = image.pixels if image.alpha is None else bleed_colours(image.pixels, image.alpha)
        subject = Subject(
            image.width,
            image.height,
            image.pixels.dtype,
            image.grey,
            lambda box: source[box.y : box.bottom, box.x : box.right],
        )
        run = Run(subject, model, device, precision, options, backend, held=canvas.nbytes)
        run.progress = progress or run.progress
        run.on_tile = on_tile or run.on_tile
        run.cancelled = cancelled or run.cancelled
        run.paused = paused or run.paused

        def keep(place: Box, pixels: Pixels) -> None:
            canvas[place.y : place.bottom, place.x : place.right] = pixels

        run.plan(focus)
        with PeakMeter(device) as meter:
            run.make(keep)
            alpha = None if image.alpha is None else enlarged_alpha(image.alpha, model.scale)
            seconds = run.stopwatch.seconds()
        if meter.peak() - meter.before > _WORTH_RELEASING:
            release_memory(device)
        return UpscaleResult(
            image=dataclasses.replace(image, pixels=canvas, alpha=alpha, path=None),
            model=model.id,
            scale=model.scale,
            device=device.name,
            precision=precision,
            tile=run.side,
            tiles=run.tiles,
            exact=run.exact,
            seconds=seconds,
            megapixels_per_second=run.stopwatch.megapixels_per_second(),
            peak_memory_bytes=meter.peak(),
            fp32_tiles=run.fp32_tiles,
        )


def _canvas(image: Image, scale: int) -> Pixels:
    """Return room for the result.

    Raises
    ------
    UpscaleError
        If the machine has less memory free: better told now than the process killed later.
    """
    height, width = image.height * scale, image.width * scale
    channels = 3 if image.alpha is None else 4
    needed = height * width * channels * image.pixels.itemsize
    free = free_memory(Device("cpu", "cpu", "memory"))
    too_large = UpscaleError(
        f"the result of {width} x {height} pixels needs {needed / 1e9:.1f} GB of memory, "
        f"and {free / 1e9:.1f} GB are free"
    )
    if needed > free:
        raise too_large
    try:
        return np.empty((height, width, 3), image.pixels.dtype)
    except MemoryError:
        raise too_large from None


def default_backend() -> Backend:
    """Return the backend that runs networks where none is named."""
    return _AUTOMATIC


@contextmanager
def true_fp32(device: Device) -> Iterator[None]:
    """Keep CUDA from rounding fp32 to TF32 (10 bits of mantissa), unlike what a CPU calls fp32."""
    if device.kind != "cuda":
        yield
        return
    # torch 2.9 renamed the switches, warns where the old names are used, and fails where both are.
    conv, matmul = getattr(torch.backends.cudnn, "conv", None), torch.backends.cuda.matmul
    if conv is not None and hasattr(conv, "fp32_precision"):
        before = conv.fp32_precision, matmul.fp32_precision
        conv.fp32_precision = matmul.fp32_precision = "ieee"
        try:
            yield
        finally:
            conv.fp32_precision, matmul.fp32_precision = before
        return
    allowed = torch.backends.cudnn.allow_tf32, matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, matmul.allow_tf32 = allowed
