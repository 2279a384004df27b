"""The smallest overlap at which tiles equal the whole image, measured per network.

    python benchmarks/overlap.py MODEL... --images FOLDER

prints for each overlap the largest difference (in 8-bit levels) and the PSNR (RGB, peak 255, whole images,
both rounded to 8 bits) between the tiled and the untiled result in fp32, and the smallest overlap that keeps
every image within one level and 60 dB. Whole-image layers never get there: the numbers tell how far off.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from srviewer.engine.tiles import plan
from srviewer.imaging.files import read_image
from srviewer.zoo.model import LoadedModel, load_model
from srviewer.zoo.tensors import to_pixels, to_tensor

LEVELS = 1
DECIBELS = 60.0


def tiled(model: LoadedModel, batch: torch.Tensor, side: int, overlap: int) -> torch.Tensor:
    """Upscale a 1 x 3 x H x W batch in tiles."""
    scale = model.scale
    height, width = batch.shape[-2:]
    result = torch.empty(1, 3, height * scale, width * scale)
    for tile in plan(width, height, side=side, overlap=overlap):
        crop, core, place = tile.crop, tile.core.within(tile.crop).times(scale), tile.core.times(scale)
        answer = model(batch[:, :, crop.y : crop.bottom, crop.x : crop.right])
        result[:, :, place.y : place.bottom, place.x : place.right] = answer[
            :, :, core.y : core.bottom, core.x : core.right
        ]
    return result


def difference(one: torch.Tensor, two: torch.Tensor) -> tuple[int, float]:
    """Return the largest difference in levels and the PSNR in dB of two batches rounded to 8 bits."""
    a, b = (to_pixels(batch, np.uint8).astype(np.int64) for batch in (one, two))
    square = float(((a - b) ** 2).mean())
    return int(np.abs(a - b).max()), math.inf if square == 0 else 10 * math.log10(255**2 / square)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="an id or a checkpoint file")
    parser.add_argument("--images", type=Path, required=True, help="a folder of images to upscale")
    parser.add_argument("--pattern", default="*_LR.png", help="which files in it (default %(default)s)")
    parser.add_argument("--side", type=int, default=48, help="side of the tiles' cores (default %(default)s)")
    parser.add_argument(
        "--overlaps", type=int, nargs="+", default=[4, 6, 8, 10, 12, 14, 16, 20, 24, 32, 42], metavar="N"
    )
    options = parser.parse_args()
    batches = [to_tensor(read_image(path).pixels) for path in sorted(options.images.glob(options.pattern))]
    if not batches:
        parser.error(f"{options.images} holds no {options.pattern}")
    with torch.inference_mode():
        for reference in options.models:
            model = load_model(reference).to(memory_format=torch.channels_last)
            whole = [model(batch) for batch in batches]
            print(f"{model.id}: reach {model.spec.reach}, overlap in use {model.spec.overlap}")
            smallest: int | None = None
            for overlap in options.overlaps:
                found = [
                    difference(tiled(model, batch, options.side, overlap), full)
                    for batch, full in zip(batches, whole, strict=True)
                ]
                levels, decibels = max(one for one, _ in found), min(one for _, one in found)
                print(f"  overlap {overlap:3d}: {levels:3d} levels, {decibels:6.2f} dB")
                good = levels <= LEVELS and decibels >= DECIBELS
                smallest = (smallest if smallest is not None else overlap) if good else None
            print(f"  smallest: {'none' if smallest is None else smallest}", flush=True)


if __name__ == "__main__":
    main()
