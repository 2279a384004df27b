"""What the engine gains over the same networks run plainly, and over two inference libraries run directly.

    python benchmarks/backends.py [--weights MODEL...] [--rounds 5] [--json FILE] [--write FILE]

One photograph, the same number of threads for all; every way in a process of its own, by turns (`turns.py`);
the times are medians. Shapes are compiled and caches are filled before the first turn.

- plain: the fused network, eager torch, fp32, NCHW, untiled, under ``inference_mode``.
- OpenVINO, ONNX Runtime: the same network as each library's converter takes it, untiled, latency settings.
- ours: `srviewer.engine.upscale.upscale` with default options but for the precision, from pixels to pixels;
  the others go from tensor to tensor, which spares them the rounding.

The height is 184 and not 180 because ONNX has no adaptive pooling: SAFMN exports only where its grids divide
the sides, that is by 8. Agreement is the PSNR to plain (RGB, whole image, clipped to 0..1, not rounded; ours
rounded to 8 bits, so at most 59 dB where all is well). Networks without weights given or installed have
random ones.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from speed import model_of, photograph
from turns import Way, by_turns

from srviewer.engine.device import choose_device, native_bf16
from srviewer.engine.request import UpscaleOptions
from srviewer.engine.upscale import upscale
from srviewer.imaging.image import Image, Pixels
from srviewer.paths import resources_folder
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.tensors import to_tensor

NETWORKS = ("fmen_s_x4", "bsrn_x4", "bsrn_s_x4", "safmn_x4", "maffsrn_x4")

Result = npt.NDArray[np.float32]
"""1 x 3 x H x W, in the network's value range."""


@dataclass(frozen=True)
class Row:
    """One way to run one network.

    Attributes
    ----------
    network, weights : what was run, and where its weights come from.
    way : how it was run.
    precision : in which it was asked to compute.
    milliseconds : the median.
    times_plain : how often it runs while plain runs once.
    agreement : PSNR to plain in dB; None for plain itself.
    """

    network: str
    weights: str
    way: str
    precision: str
    milliseconds: float
    times_plain: float
    agreement: float | None


def agreement(found: Result, expected: Result) -> float:
    """Return the PSNR of two results in 0..1, over all channels."""
    square = float(((found.clip(0, 1).astype(np.float64) - expected.clip(0, 1)) ** 2).mean())
    return math.inf if square == 0 else -10 * math.log10(square)


def plainly(model_id: str, references: list[str], image: Image) -> Callable[[], Result]:
    """Return the network as torch runs it by itself."""
    model, batch = _model_and_batch(model_id, references, image)

    def run() -> Result:
        with torch.inference_mode():
            return np.asarray(model.network(batch))

    return run


def by_us(
    model_id: str, references: list[str], image: Image, options: UpscaleOptions
) -> Callable[[], Pixels]:
    """Return the engine; from pixels to pixels."""
    model, _ = model_of(model_id, references)
    return lambda: upscale(image, model, options).image.pixels


def by_openvino(model_id: str, references: list[str], image: Image, hint: str) -> Callable[[], Result]:
    """Return the network as OpenVINO's converter takes it."""
    import openvino

    model, batch = _model_and_batch(model_id, references, image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, about shapes that become constants
        converted = openvino.convert_model(model.network, example_input=batch, input=list(batch.shape))
    settings = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = openvino.Core().compile_model(converted, "CPU", settings)
    array = batch.numpy()
    return lambda: np.asarray(compiled(array)[0])


def by_onnx_runtime(model_id: str, references: list[str], image: Image) -> Callable[[], Result]:
    """Return the network as ONNX Runtime runs it."""
    import onnxruntime  # it comes without types

    model, batch = _model_and_batch(model_id, references, image)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "network.onnx")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tracer, about shapes that become constants
            torch.onnx.export(
                model.network, (batch,), path, dynamo=False, opset_version=17, input_names=["image"]
            )
        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    array = batch.numpy()
    return lambda: np.asarray(session.run(None, {"image": array})[0])


def _model_and_batch(model_id: str, references: list[str], image: Image) -> tuple[LoadedModel, torch.Tensor]:
    model, _ = model_of(model_id, references)
    return model, to_tensor(image.pixels) * model.spec.value_range


def measured(model_id: str, references: list[str], image: Image, rounds: int) -> list[Row]:
    """Measure one network in all ways."""
    model, weights = model_of(model_id, references)
    common = (model_id, references, image)
    cpu = UpscaleOptions(device="cpu")
    ways: dict[tuple[str, str], Way] = {
        ("plain", "fp32"): partial(plainly, *common),
        ("ours", "fp32"): partial(by_us, *common, replace(cpu, precision="fp32")),
        ("OpenVINO", "fp32"): partial(by_openvino, *common, "f32"),
        ("ONNX Runtime", "fp32"): partial(by_onnx_runtime, *common),
    }
    if native_bf16():
        ways["ours", "auto (bf16)"] = partial(by_us, *common, cpu)
        ways["OpenVINO", "bf16"] = partial(by_openvino, *common, "bf16")
    found = by_turns({" ".join(name): way for name, way in ways.items()}, rounds=rounds)
    plain = found["plain fp32"]
    expected = plain.result / model.spec.value_range
    rows = []
    for way, precision in ways:
        one = found[f"{way} {precision}"]
        result = (
            one.result.transpose(2, 0, 1)[None] / 255
            if way == "ours"
            else one.result / model.spec.value_range
        )
        rows.append(
            Row(
                network=f"{model.spec.name} x{model.scale}",
                weights=weights,
                way=way,
                precision=precision,
                milliseconds=1000 * one.seconds,
                times_plain=plain.seconds / one.seconds,
                agreement=None if one is plain else agreement(result, expected),
            )
        )
    return rows


def table(rows: list[Row]) -> list[str]:
    """Return the rows in Markdown; the last column sets ours against the fastest other of its precision."""
    lines = [
        "| network | weights | way | precision | ms | times plain | agreement dB | ours / fastest other |",
        "|---|---|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        against = ""
        if row.way == "ours":
            others = [
                other.milliseconds
                for other in rows
                if other.network == row.network
                and other.way != "ours"
                and ("bf16" in other.precision) == ("bf16" in row.precision)
            ]
            against = f"{row.milliseconds / min(others):.2f}"
        decibels = "" if row.agreement is None else f"{row.agreement:.1f}"
        lines.append(
            f"| {row.network} | {row.weights} | {row.way} | {row.precision} | {row.milliseconds:.0f} "
            f"| {row.times_plain:.2f} | {decibels} | {against} |"
        )
    return lines


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", nargs="+", default=[], metavar="MODEL", help="ids or checkpoint files")
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--image", type=Path, help="the photograph (default: the bundled sample)")
    parser.add_argument("--size", default="320x184", help="of the input; sides are multiples of 8")
    parser.add_argument("--rounds", type=int, default=5, help="of three runs each")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    parser.add_argument("--write", type=Path, help="file for the table, in Markdown")
    arguments = parser.parse_args()
    width, height = (int(side) for side in arguments.size.split("x"))
    path = arguments.image or next(
        one for one in sorted((resources_folder() / "samples").iterdir()) if one.suffix in (".jpg", ".png")
    )
    image = Image(photograph(path, width, height).copy())
    rows: list[Row] = []
    for model_id in arguments.networks:
        found = measured(model_id, arguments.weights, image, arguments.rounds)
        print("\n".join(table(found)[2:] if rows else table(found)), flush=True)
        rows += found
    about = (
        f"{choose_device('cpu').name}; torch {torch.__version__}; {width} x {height} pixels; "
        f"medians of {3 * arguments.rounds} runs."
    )
    print(about)
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"about": about, "rows": [asdict(row) for row in rows]}, indent=1), encoding="utf-8"
        )
    if arguments.write:
        text = "\n".join(["# Ours, plain, and other libraries", "", about, "", *table(rows), ""])
        arguments.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
