"""What the engine does on a GPU: images per second, memory, and a photograph from file to file.

    python benchmarks/gpu.py [--device cuda:0] [--weights MODEL...] [--megapixels 24] [--write FILE]

Images per second: at 320 x 180 and 1280 x 720, x4; plainly means fp32, NCHW, eager, without TF32, from a
tensor on the device to one; ours is the engine's own fp16 (its kernels replayed where the engine does so),
once the same way and once from pixels to pixels as `srviewer.engine.upscale.upscale` gives them. All by
turns, medians.

Memory: what torch allocates at most for FMEN-S on 256 x 256, as the papers count it (weights, input and
output included).

File to file: a photograph-like TIFF x4 into another one by `srviewer.engine.streaming.upscale_file`, with the
seconds that reading and writing took by themselves; writing goes on beside the network.

It needs no window; ``--device cpu`` tries it out (in bf16 or fp32, as that CPU likes).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from memory import photograph
from speed import TARGETS, model_of

from srviewer.engine import streaming
from srviewer.engine.backends import EagerTorch
from srviewer.engine.device import Device, choose_device, native_bf16
from srviewer.engine.request import Precision, UpscaleOptions
from srviewer.engine.telemetry import PeakMeter, release_memory
from srviewer.engine.upscale import true_fp32, upscale
from srviewer.imaging.files import write_image
from srviewer.imaging.image import Image
from srviewer.imaging.regions import open_regions
from srviewer.imaging.streaming import open_stream
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.tensors import to_tensor

SIZES = ((320, 180), (1280, 720))
TURNS = 7


def finished(device: Device, run: Callable[[], object]) -> Callable[[], object]:
    """Return a function that ends when the device has done all its work."""

    def whole() -> object:
        result = run()
        if device.kind == "cuda":
            torch.cuda.synchronize(device.torch)
        return result

    return whole


def medians(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return each way's median seconds; all run by turns, after two runs that do not count."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(TURNS + 2):
        for name, run in ways.items():
            begin = time.perf_counter()
            run()
            if turn > 1:
                taken[name].append(time.perf_counter() - begin)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def speed_rows(model: LoadedModel, weights: str, device: Device, precision: Precision) -> list[str]:
    """Measure one network at all sizes."""
    plain = model.to(device=device.torch)
    runner = EagerTorch().prepare(model, device, precision)
    options = UpscaleOptions(device=device.id, precision=precision)
    lines = []
    for width, height in SIZES:
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        batch = to_tensor(pixels).to(device.torch)
        image = Image(pixels)

        def run_plain(batch: torch.Tensor = batch) -> object:
            with torch.inference_mode(), true_fp32(device):
                return plain(batch)

        def run_ours(batch: torch.Tensor = batch) -> object:
            with torch.inference_mode():
                return runner(batch)

        def run_pixels(image: Image = image) -> object:
            return upscale(image, model, options)

        found = medians(
            {
                "plain": finished(device, run_plain),
                "tensors": finished(device, run_ours),
                "pixels": finished(device, run_pixels),
            }
        )
        lines.append(
            f"| {model.spec.id} | {weights} | {width} x {height} | {1 / found['plain']:.1f} "
            f"| {1 / found['tensors']:.1f} | {found['plain'] / found['tensors']:.2f} "
            f"| {1 / found['pixels']:.1f} | {found['plain'] / found['pixels']:.2f} |"
        )
        print(lines[-1], flush=True)
    return lines


def memory_line(model: LoadedModel, device: Device, precision: Precision) -> str:
    """Measure the most memory that a network takes at 256 x 256, plainly and in the engine's form."""
    batch = torch.rand(1, 3, 256, 256)
    parts = []
    kinds: tuple[Precision, ...] = ("fp32", precision)
    for kind in kinds:
        runner = EagerTorch().prepare(model, device, kind)
        release_memory(device)
        with torch.inference_mode(), PeakMeter(device) as meter:
            runner(batch)
        parts.append(f"{meter.peak() / 1e6:.1f} MB in {kind}")
    counted = "allocated by torch" if device.kind == "cuda" else "resident set of the process"
    return f"{model.spec.id} at 256 x 256, {counted} at most: {', '.join(dict.fromkeys(parts))}."


class Timed:
    """Passes calls on and counts the seconds of some."""

    def __init__(self, inner: Any, names: tuple[str, ...], taken: dict[str, float], label: str) -> None:
        self._inner = inner
        self._names = names
        self._taken = taken
        self._label = label

    def __getattr__(self, name: str) -> Any:
        """Return what the inner object has; a watched function as one that is timed."""
        found = getattr(self._inner, name)
        if name not in self._names:
            return found

        def timed(*arguments: Any, **options: Any) -> Any:
            begin = time.perf_counter()
            try:
                return found(*arguments, **options)
            finally:
                self._taken[self._label] = self._taken.get(self._label, 0.0) + time.perf_counter() - begin

        return timed

    def __enter__(self) -> Self:
        """Enter the inner object's block."""
        self._inner.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:  # noqa: PYI036  # handed on
        """Leave it."""
        return self._inner.__exit__(*error)


def from_file_to_file(model: LoadedModel, device: Device, precision: Precision, megapixels: float) -> str:
    """Upscale a photograph and tell where the time went."""
    taken: dict[str, float] = {}
    opened, began = open_regions, open_stream

    def open_timed(*arguments: Any, **options: Any) -> Any:
        source = opened(*arguments, **options)
        return source and Timed(source, ("read",), taken, "reading")

    def begin_timed(*arguments: Any, **options: Any) -> Any:
        return Timed(began(*arguments, **options), ("write_rows", "finish"), taken, "writing")

    options = UpscaleOptions(device=device.id, precision=precision)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "photo.tif")
        image = photograph(megapixels)
        write_image(image, source)
        setattr(streaming, "open_regions", open_timed)  # noqa: B010
        setattr(streaming, "open_stream", begin_timed)  # noqa: B010
        try:
            for name in ("warm", "timed"):
                taken.clear()
                begin = time.perf_counter()
                result = streaming.upscale_file(source, Path(folder, f"{name}.tif"), model, options)
                whole = time.perf_counter() - begin
        finally:
            setattr(streaming, "open_regions", opened)  # noqa: B010
            setattr(streaming, "open_stream", began)  # noqa: B010
    shares = ", ".join(f"{name} {seconds:.1f} s ({seconds / whole:.0%})" for name, seconds in taken.items())
    return (
        f"{model.spec.id}, {image.width} x {image.height} to {result.width} x {result.height}, "
        f"{result.precision}, tiles of {result.tile}: {whole:.1f} s in all; by themselves {shares}."
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--weights", nargs="+", default=[], metavar="MODEL", help="ids or checkpoint files")
    parser.add_argument("--networks", nargs="+", default=list(TARGETS), choices=list(TARGETS))
    parser.add_argument("--megapixels", type=float, default=24.0, help="of the photograph")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write all there as Markdown")
    arguments = parser.parse_args()
    device = choose_device(arguments.device)
    precision: Precision = "fp16" if device.kind == "cuda" else "bf16" if native_bf16() else "fp32"
    heading = f"{device.name}, torch {torch.__version__}, Python {sys.version.split()[0]}, {precision}"
    lines = [
        heading,
        "",
        "| network | weights | input | plain images/s | ours | ratio | ours, pixels to pixels | ratio |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(lines), flush=True)
    models = {model_id: model_of(model_id, arguments.weights) for model_id in TARGETS}
    fmen, safmn = models["fmen_s_x4"][0], models["safmn_x4"][0]
    ends = ["", memory_line(fmen, device, precision), ""]  # first, while nothing else holds memory
    for model, weights in (models[model_id] for model_id in arguments.networks):
        lines += speed_rows(model, weights, device, precision)
    ends += [from_file_to_file(model, device, precision, arguments.megapixels) for model in (fmen, safmn)]
    print("\n".join(ends))
    if arguments.write:
        text = "\n".join(["# On a GPU", "", "`python benchmarks/gpu.py`", "", *lines, *ends, ""])
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
