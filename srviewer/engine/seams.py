"""The seam meter: how far a tiled result is from the untiled one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from srviewer.engine.backends import Backend, EagerTorch
from srviewer.engine.cutting import Subject
from srviewer.engine.device import choose_device, choose_precision, free_memory
from srviewer.engine.footprint import footprint_of, memory_budget
from srviewer.engine.request import SMALLEST_TILE, UpscaleOptions
from srviewer.engine.running import Run
from srviewer.engine.staged_run import GRID
from srviewer.engine.tiles import Box
from srviewer.engine.upscale import true_fp32
from srviewer.imaging.image import Image, Pixels
from srviewer.zoo.model import LoadedModel

LARGEST_SIDE = 1024
"""Most of a side that is compared, in input pixels."""

# Differences are seen to 1/257 of a level of 8 bits.
_DEPTH = np.dtype(np.uint16)
_TO_DEPTH = 257


@dataclass(frozen=True)
class Seams:
    """What tiles changed.

    Attributes
    ----------
    largest_difference : between the tiled and the untiled result, in levels of 255.
    psnr : between them, in dB of R, G and B; infinite where they are equal.
    region : what was compared: left, top, width and height in input pixels.
    tile : largest side of the tiles, in input pixels.
    tiles : how many they were.
    """

    largest_difference: float
    psnr: float
    region: tuple[int, int, int, int]
    tile: int
    tiles: int


def check_seams(
    image: Image,
    model: LoadedModel,
    options: UpscaleOptions | None = None,
    *,
    cancelled: Callable[[], bool] | None = None,
    backend: Backend | None = None,
) -> Seams:
    """Run a network tiled and untiled over the middle of an image, as much of it as fits, and compare.

    Parameters
    ----------
    image : what is, or was, upscaled.
    model, options, cancelled : as for `srviewer.engine.upscale.upscale`. Where `options` leaves no more than
        one tile, tiles of half the region are compared.
    backend : runs both, so that only tiles make a difference; None means eager torch.

    Raises
    ------
    srviewer.engine.request.UpscaleError, srviewer.engine.request.Cancelled
        As for `srviewer.engine.upscale.upscale`.
    """
    options, backend = options or UpscaleOptions(), backend or EagerTorch()
    device = choose_device(options.device)
    precision = choose_precision(
        "fp32" if model.spec.family == "bicubic" else options.precision,
        device,
        bits=image.bits,
        value_range=model.spec.value_range,
    )
    with torch.inference_mode(), true_fp32(device):
        footprint = footprint_of(
            model.spec, device, precision, backend.name, lambda: backend.prepare(model, device, precision)
        )
        room = footprint.pixels_in(memory_budget(options.max_memory, free_memory(device)))
        side = max(2 * SMALLEST_TILE, min(LARGEST_SIDE, math.isqrt(room)))
        width, height = min(side, image.width), min(side, image.height)
        x, y = (image.width - width) // 2, (image.height - height) // 2
        source = image.pixels[y : y + height, x : x + width]
        if image.bits == 8:
            source = source.astype(np.uint16) * _TO_DEPTH

        def made(choice: UpscaleOptions) -> tuple[Pixels, Run]:
            subject = Subject(
                width,
                height,
                _DEPTH,
                image.grey,
                lambda box: source[box.y : box.bottom, box.x : box.right],
            )
            run = Run(subject, model, device, precision, choice, backend)
            run.cancelled = cancelled or run.cancelled
            result: Pixels = np.empty((height * model.scale, width * model.scale, 3), _DEPTH)

            def keep(place: Box, pixels: Pixels) -> None:
                result[place.y : place.bottom, place.x : place.right] = pixels

            run.plan()
            run.make(keep)
            return result, run

        tiled, run = made(options)
        if run.tiles == 1:
            half = max(SMALLEST_TILE, -(-max(width, height) // (2 * GRID)) * GRID)
            tiled, run = made(replace(options, tile=half))
        whole, _ = made(replace(options, tile="off", max_memory=None))
    difference = tiled.astype(np.int32) - whole
    mean = float(np.square(difference, dtype=np.float64).mean())
    return Seams(
        largest_difference=float(np.abs(difference).max()) / _TO_DEPTH,
        psnr=math.inf if mean == 0 else 20 * math.log10(65535) - 10 * math.log10(mean),
        region=(x, y, width, height),
        tile=run.side or max(width, height),
        tiles=run.tiles,
    )
