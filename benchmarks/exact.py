"""How far exact tiles are from the untiled result, and what they cost.

    python benchmarks/exact.py matrix [MODEL...] [--weights FILE...] [--write exact_matrix.md]
    python benchmarks/exact.py cost [MODEL...] [--weights FILE...]

`matrix` compares, for every network and tile side and for images with odd and prime sides, the tiled with the
untiled result in fp32: the largest difference of the results rounded to 8 bits, and the PSNR of the
unrounded ones; in bf16, each one's PSNR to untiled fp32. `cost` measures time and peak memory of automatic
tiles and of the untiled run at 1024 x 1024 in fp32, in processes of their own. Networks without weights here
run with random ones.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srviewer.engine.backends import EagerTorch
from srviewer.engine.cutting import Subject
from srviewer.engine.device import choose_device
from srviewer.engine.request import Precision, UpscaleError, UpscaleOptions
from srviewer.engine.running import Run
from srviewer.engine.telemetry import PeakMeter
from srviewer.engine.tiles import Box
from srviewer.engine.upscale import upscale
from srviewer.imaging.files import read_image
from srviewer.imaging.image import Image, Pixels
from srviewer.imaging.resize import imresize
from srviewer.networks import fused
from srviewer.paths import resources_folder
from srviewer.zoo import families
from srviewer.zoo.errors import ZooError
from srviewer.zoo.model import LoadedModel, load_model
from srviewer.zoo.spec import SPECS

SIDES = (64, 96, 128, 200, 256, 512)
SIZES = ((257, 256), (521, 331))
"""Width and height; the last two have odd or prime sides."""
LARGE, LARGE_SIDES = (1499, 1201), (200, 512)


def models_of(model_id: str, files: list[Path]) -> list[LoadedModel]:
    """Return the network with the weights of each given file and with those installed; else random ones."""
    found = [
        dataclasses.replace(model, id=model_id, weights="authors'")
        for model in (load_model(str(file)) for file in files)
        if model.spec.id == model_id
    ]
    try:
        found.append(load_model(model_id))
    except ZooError:
        if not found:
            torch.manual_seed(0)
            network = fused(families.build(SPECS[model_id])).eval().requires_grad_(False)
            found.append(LoadedModel(model_id, SPECS[model_id], network, "random"))
    return found


def photo(width: int, height: int) -> Image:
    """Return a sample photograph of a size."""
    sample = read_image(resources_folder() / "samples" / "rocket.jpg").pixels
    return Image(np.ascontiguousarray(imresize(sample, size=(height, width))))


def run(model: LoadedModel, image: Image, precision: Precision, tile: int | None) -> tuple[Tensor, int]:
    """Return the unrounded result, 3 x H x W, and the number of tiles."""
    parts: list[tuple[Box, Tensor]] = []

    class Unrounded(Run):
        """Keeps what rounding would lose."""

        def _rounded(self, result: Tensor) -> Pixels:
            self.last = result[0].float().clone()
            return super()._rounded(result)

    subject = Subject(
        image.width,
        image.height,
        image.pixels.dtype,
        False,
        lambda box: image.pixels[box.y : box.bottom, box.x : box.right],
    )
    options = UpscaleOptions(device="cpu", tile=tile or "off")
    with torch.inference_mode():
        one = Unrounded(subject, model, choose_device("cpu"), precision, options, EagerTorch())
        one.plan()
        one.make(lambda place, _: parts.append((place, one.last)))
        result = torch.empty(3, image.height * model.scale, image.width * model.scale)
        for place, part in parts:
            result[:, place.y : place.bottom, place.x : place.right] = part
    return result, len(parts)


def psnr(one: Tensor, two: Tensor) -> float:
    """Return the PSNR in dB of values in 0..1."""
    return float(-10 * torch.log10((one.double() - two.double()).square().mean().clamp_min(1e-20)))


def levels(one: Tensor, two: Tensor) -> int:
    """Return the largest difference after rounding to 8 bits."""
    a, b = ((values.clamp(0, 1) * 255).round() for values in (one, two))
    return int((a - b).abs().max())


def matrix(ids: list[str], files: list[Path], write: Path | None) -> None:
    """Compare tiled with untiled."""
    sides, sizes = ", ".join(map(str, SIDES)), ", ".join(f"{w}x{h}" for w, h in SIZES)
    lines = [
        f"{platform.machine()}, torch {torch.__version__}; tiles of {sides} px on images of {sizes};",
        f"tiles of {', '.join(map(str, LARGE_SIDES))} px on {LARGE[0]}x{LARGE[1]}.",
        "",
        "| network | weights | runs | fp32: levels | fp32: least PSNR | bf16 untiled | bf16 tiled, least |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for model in (one for model_id in ids for one in models_of(model_id, files)):
        worst, least, runs = 0, float("inf"), 0
        whole_bf16 = tiled_bf16 = float("inf")
        for size in (*SIZES, LARGE):
            image = photo(*size)
            whole, _ = run(model, image, "fp32", None)
            for side in LARGE_SIDES if size == LARGE else SIDES:
                result, tiles = run(model, image, "fp32", side)
                if tiles == 1:
                    continue
                runs += 1
                worst, least = max(worst, levels(result, whole)), min(least, psnr(result, whole))
            if size == SIZES[1]:
                whole_bf16 = psnr(run(model, image, "bf16", None)[0], whole)
                tiled_bf16 = min(psnr(run(model, image, "bf16", side)[0], whole) for side in (64, 200))
        source = (
            "random" if model.weights == "random" else "authors'" if "authors" in model.weights else "shipped"
        )
        lines.append(
            f"| {model.spec.id} | {source} | {runs} | {worst} | {least:.1f} dB | {whole_bf16:.2f} dB | "
            f"{tiled_bf16:.2f} dB |"
        )
        print(lines[-1], flush=True)
    if write is not None:
        write.write_text("\n".join(["# Tiles against the untiled result", "", *lines, ""]), encoding="utf-8")


def once(model_id: str, files: list[Path], tile: str, side: int) -> None:
    """Run one network in this process and print what it took as JSON."""
    model, image = models_of(model_id, files)[0], photo(side, side)
    choice = UpscaleOptions(
        device="cpu",
        precision="fp32",
        tile="off" if tile == "off" else "auto" if tile == "auto" else int(tile),
    )
    upscale(
        photo(192, 192), model, dataclasses.replace(choice, tile=96)
    )  # code is loaded, weights are packed
    upscale(photo(128, 128), model, dataclasses.replace(choice, tile="off"))
    best, peak, tiles = float("inf"), 0, 0
    for _ in range(2):
        with PeakMeter(choose_device("cpu")) as meter:
            result = upscale(image, model, choice)
            peak = max(peak, meter.peak() - meter.before - result.image.pixels.nbytes)
        best, tiles = min(best, result.seconds), result.tiles
        del result
    print(json.dumps({"seconds": best, "peak": peak, "tiles": tiles}))


def cost(ids: list[str], files: list[Path], side: int, tiles: list[str]) -> None:
    """Compare time and memory of tiled and untiled runs."""
    print(f"{side} x {side}, fp32, {torch.get_num_threads()} threads; memory beyond input and output")
    print("| network | tile | tiles | time | of untiled | memory | of untiled |")
    print("|---|---|---|---|---|---|---|")
    for model_id in ids:
        whole: dict[str, float] | None = None
        for tile in ("off", *tiles):
            command = [sys.executable, __file__, "once", model_id, "--tile", tile, "--side", str(side)]
            command += [argument for file in files for argument in ("--weights", str(file))]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.returncode:
                raise UpscaleError(answer.stderr)
            found = json.loads(answer.stdout.splitlines()[-1])
            whole = whole or found
            print(
                f"| {model_id} | {tile} | {found['tiles']} | {found['seconds']:.2f} s | "
                f"{found['seconds'] / whole['seconds']:.2f}x | {found['peak'] / 1e6:.0f} MB | "
                f"{found['peak'] / whole['peak']:.2f}x |",
                flush=True,
            )


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("matrix", "cost", "once"))
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--weights", type=Path, action="append", default=[], help="a checkpoint to use")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    parser.add_argument("--tile", default="auto")
    parser.add_argument("--tiles", nargs="+", default=["auto"], help="tiles that `cost` compares")
    parser.add_argument("--side", type=int, default=1024, help="of the image that `cost` runs on")
    options = parser.parse_args()
    ids = options.models or [one for one in SPECS if not one.startswith("bicubic")]
    if options.what == "matrix":
        matrix(ids, options.weights, options.write)
    elif options.what == "once":
        once(ids[0], options.weights, options.tile, options.side)
    else:
        ids = options.models or ["bsrn_x4", "safmn_x4", "fmen_s_x4", "maffsrn_x4"]
        cost(ids, options.weights, options.side, options.tiles)


if __name__ == "__main__":
    main()
