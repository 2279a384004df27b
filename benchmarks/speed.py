"""What the engine gains: automatic settings against the same fused networks run plainly, tiles against none.

    python benchmarks/speed.py [--weights MODEL...] [--image FILE] [--write FILE]

First table: a photograph of 320 x 180 pixels, x4, pixels to pixels. Plainly means fp32, NCHW, untiled, eager,
under ``inference_mode``; ours is `srviewer.engine.upscale.upscale` with default options. Each runs in a
process of its own with torch's default number of threads, by turns; the times are medians. Agreement is the
PSNR between both results (RGB, 8 bits, whole image). Networks without weights given or installed have random
ones.

Second table: FMEN-S on 1280 x 720 pixels, automatic tiles against the untiled image, at the same precision,
each in processes of their own, by turns. Time is the median run. Memory is the peak of the resident set: as a
whole, and above what the process held before the run.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from turns import by_turns

from srviewer.engine.device import choose_device, native_bf16
from srviewer.engine.request import UpscaleOptions
from srviewer.engine.telemetry import memory_in_use, release_memory
from srviewer.engine.upscale import upscale
from srviewer.imaging.files import read_image
from srviewer.imaging.image import Image, Pixels
from srviewer.networks.fusion import fused
from srviewer.paths import resources_folder
from srviewer.zoo import families
from srviewer.zoo.errors import ZooError
from srviewer.zoo.model import LoadedModel, load_model
from srviewer.zoo.spec import SPECS
from srviewer.zoo.tensors import to_pixels, to_tensor

TARGETS = {"fmen_s_x4": 3.5, "safmn_x4": 1.7, "maffsrn_x4": 1.5, "bsrn_x4": 1.8}
TILED = "fmen_s_x4"
TILED_REPEATS = 3


def photograph(path: Path, width: int, height: int) -> Pixels:
    """Return a photograph's middle at a size: cut to the shape, then resized."""
    whole = PIL.Image.fromarray(read_image(path).pixels.astype(np.uint8))
    factor = min(whole.width / width, whole.height / height)
    left, top = (whole.width - width * factor) / 2, (whole.height - height * factor) / 2
    box = (left, top, left + width * factor, top + height * factor)
    return np.asarray(whole.resize((width, height), PIL.Image.Resampling.LANCZOS, box=box))


def model_of(model_id: str, references: list[str]) -> tuple[LoadedModel, str]:
    """Return a model, of `references` if one fits, else installed, else random, and which of these."""
    for reference in references:
        given = load_model(reference)
        if given.spec.id == model_id:
            return given, "given"
    try:
        return load_model(model_id), "installed"
    except ZooError:
        torch.manual_seed(0)
        network = fused(families.build(SPECS[model_id])).requires_grad_(False)
        return LoadedModel(model_id, SPECS[model_id], network, "random"), "random"


def plainly(model_id: str, references: list[str], pixels: Pixels) -> Callable[[], Pixels]:
    """Return the plain network, made ready."""
    model, _ = model_of(model_id, references)

    def run() -> Pixels:
        with torch.inference_mode():
            return to_pixels(model(to_tensor(pixels)), np.uint8)

    return run


def by_us(model_id: str, references: list[str], pixels: Pixels) -> Callable[[], Pixels]:
    """Return the engine, made ready."""
    model, _ = model_of(model_id, references)
    image = Image(pixels.copy())
    return lambda: upscale(image, model).image.pixels


def decibels(one: Pixels, two: Pixels) -> float:
    """Return the PSNR of two 8-bit pictures over all channels."""
    square = float(((one.astype(np.float64) - two) ** 2).mean())
    return math.inf if square == 0 else 10 * math.log10(255**2 / square)


def networks_table(path: Path, references: list[str]) -> list[str]:
    """Measure all networks at 320 x 180."""
    pixels = photograph(path, 320, 180)
    lines = [
        "| network | weights | plain ms | ours ms | ratio | target | precision | agreement dB |",
        "|---|---|---:|---:|---:|---:|---|---:|",
    ]
    precision = "bf16" if native_bf16() else "fp32"
    for model_id, target in TARGETS.items():
        model, weights = model_of(model_id, references)
        found = by_turns(
            {
                "plain": partial(plainly, model_id, references, pixels),
                "ours": partial(by_us, model_id, references, pixels),
            }
        )
        plain, ours = found["plain"], found["ours"]
        lines.append(
            f"| {model.spec.name} x4 | {weights} | {1000 * plain.seconds:.0f} | {1000 * ours.seconds:.0f} "
            f"| {plain.seconds / ours.seconds:.2f} | {target} | {precision} "
            f"| {decibels(plain.result, ours.result):.1f} |"
        )
        print(lines[-1], flush=True)
    return lines


@dataclass(frozen=True)
class Measured:
    """What one process measured of one way to run."""

    seconds: float
    peak: int
    growth: int
    tile: int | None
    tiles: int
    precision: str


def child(path: Path, references: list[str], options: UpscaleOptions) -> None:
    """Run FMEN-S at 1280 x 720 in this process and print what it took."""
    image = Image(photograph(path, 1280, 720).copy())
    model, _ = model_of(TILED, references)
    device = choose_device("auto")
    upscale(Image(image.pixels[:64, :64].copy()), model, options)  # code is loaded, the network made ready
    seconds, peaks, growths = [], [], []
    for _ in range(TILED_REPEATS):
        release_memory(device)
        before = memory_in_use(device)
        result = upscale(image, model, options)
        seconds.append(result.seconds)
        peaks.append(result.peak_memory_bytes)
        growths.append(result.peak_memory_bytes - before)
    found = Measured(
        statistics.median(seconds), max(peaks), max(growths), result.tile, result.tiles, result.precision
    )
    print(json.dumps(vars(found)))


def in_a_process(arguments: list[str]) -> Measured:
    """Run this script as a child and return what it measured."""
    ran = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True)
    return Measured(**json.loads(ran.stdout.splitlines()[-1]))


def tiles_table(path: Path, references: list[str]) -> list[str]:
    """Measure FMEN-S at 1280 x 720, with automatic tiles and with none."""
    lines = [
        "| precision | tiles | seconds | ratio | peak MB | peak above start MB | ratio | ratio above start |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for precision in ("bf16", "fp32") if native_bf16() else ("fp32",):
        common = ["--image", str(path), "--precision", precision]
        common += ["--weights", *references] if references else []
        rounds = [
            {tile: in_a_process([*common, "--child", tile]) for tile in ("auto", "off")} for _ in range(2)
        ]
        auto, off = (
            min((one[tile] for one in rounds), key=lambda one: one.seconds) for tile in ("auto", "off")
        )
        lines.append(
            f"| {off.precision} | none | {off.seconds:.2f} | 1 "
            f"| {off.peak / 1e6:.0f} | {off.growth / 1e6:.0f} | 1 | 1 |"
        )
        lines.append(
            f"| {auto.precision} | {auto.tiles} of {auto.tile} px | {auto.seconds:.2f} "
            f"| {auto.seconds / off.seconds:.2f} | {auto.peak / 1e6:.0f} | {auto.growth / 1e6:.0f} "
            f"| {auto.peak / off.peak:.2f} | {auto.growth / off.growth:.2f} |"
        )
        print("\n".join(lines[-2:]), flush=True)
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", nargs="+", default=[], metavar="MODEL", help="ids or checkpoint files")
    parser.add_argument("--image", type=Path, help="the photograph (default: the bundled sample)")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the tables there as Markdown")
    parser.add_argument("--child", choices=["auto", "off"], help=argparse.SUPPRESS)
    parser.add_argument("--precision", choices=["bf16", "fp32"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    path = options.image or next(
        one for one in sorted((resources_folder() / "samples").iterdir()) if one.suffix in (".jpg", ".png")
    )
    if options.child is not None:
        child(path, options.weights, UpscaleOptions(tile=options.child, precision=options.precision))
        return
    heading = f"{choose_device('auto').name}, torch {torch.__version__}, Python {sys.version.split()[0]}"
    print(heading)
    tables = [networks_table(path, options.weights), tiles_table(path, options.weights)]
    if options.write:
        given = " --weights FILE..." if options.weights else ""
        text = f"# Speed and memory\n\n`python benchmarks/speed.py{given}` on {heading}.\n"
        captions = ("320 x 180 pixels, x4", f"{SPECS[TILED].name} x4 on 1280 x 720 pixels")
        for caption, lines in zip(captions, tables, strict=True):
            text += f"\n## {caption}\n\n" + "\n".join(lines) + "\n"
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
