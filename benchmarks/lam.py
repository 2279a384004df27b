"""The time and memory of an attribution map against the plain way to make one.

    python benchmarks/lam.py MODEL... [--image FILE] [--device cpu] [--threads 2] [--repeats 3]

prints for each network the seconds of 50 steps one by one (gradients of the parameters on, channels first,
the whole picture) and those of `attribute`, on the same threads of one process and in turns; the ratio of the
fastest runs, by the clock and (on a CPU) by the processor time that they took, which tells the same on a busy
machine; that the maps agree; and the peak memory of `attribute` with and without a limit. Memory is what the
resident set grew by (CPU) or what torch allocated (CUDA).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from srviewer.analysis.lam import Attribution, LamError, LamOptions, Window, attribute
from srviewer.engine.device import Device, choose_device
from srviewer.engine.telemetry import PeakMeter, release_memory
from srviewer.imaging.files import read_image
from srviewer.imaging.image import Pixels
from srviewer.zoo.model import LoadedModel, load_model

STEPS, SIGMA = 50, 1.2
SAMPLE = Path(__file__).resolve().parent.parent / "resources" / "samples" / "chelsea.png"


@dataclass(frozen=True)
class Times:
    """Seconds by the clock, and of this process's processors."""

    clock: float
    processor: float

    @classmethod
    def now(cls) -> Times:
        """Return the present."""
        return cls(time.perf_counter(), time.process_time())

    def passed(self) -> Times:
        """Return the time since then."""
        now = Times.now()
        return Times(now.clock - self.clock, now.processor - self.processor)


def fastest(runs: list[Times]) -> Times:
    """Return the shortest of each time."""
    return Times(min(one.clock for one in runs), min(one.processor for one in runs))


def one_by_one(pixels: Pixels, model: LoadedModel, window: Window, device: Device) -> NDArray[np.float64]:
    """Return the normalised map, made step by step with nothing saved."""
    plain = model.to(device=device.torch)
    plain.network.requires_grad_(True)
    picture = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max
    axis = np.arange(-4, 5)
    squares = axis[:, None] ** 2 + axis[None] ** 2
    kernels = [np.exp(-squares / (2 * (sigma + 1e-5) ** 2)) for sigma in np.linspace(SIGMA, 0, STEPS + 1)]
    kernels = [kernel / kernel.sum() for kernel in kernels]
    total = np.zeros_like(picture)
    rows = slice(window.row, window.row + window.height)
    columns = slice(window.col, window.col + window.width)
    for step in range(STEPS):
        point = cv2.filter2D(picture, -1, kernels[step + 1])
        derivative = cv2.filter2D(picture, -1, (kernels[step + 1] - kernels[step]) * STEPS)
        batch = torch.from_numpy(point.transpose(2, 0, 1)[None].astype(np.float32))
        batch = batch.to(device.torch).requires_grad_()
        result = plain(batch)
        down = (result[..., 1:, :-1] - result[..., :-1, :-1]).square()
        across = (result[..., :-1, 1:] - result[..., :-1, :-1]).square()
        objective = (down + across).clamp_min(1e-30).sqrt()[..., rows, columns].sum()
        plain.network.zero_grad()
        torch.autograd.backward(objective)
        assert batch.grad is not None
        total += batch.grad[0].double().cpu().numpy().transpose(1, 2, 0) * derivative
    values: NDArray[np.float64] = np.abs(total.sum(axis=2))
    values /= values.max()
    return values


def peak(pixels: Pixels, model: LoadedModel, window: Window, options: LamOptions) -> tuple[int, Attribution]:
    """Return the bytes that a map takes at most, and the map."""
    device = choose_device(options.device)
    release_memory(device)
    with PeakMeter(device) as meter:
        found = attribute(pixels, model, window, options)
    return meter.peak() - meter.before, found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="an id or a checkpoint file")
    parser.add_argument("--image", type=Path, default=SAMPLE, help="the input (default: a sample)")
    parser.add_argument(
        "--side", type=int, default=64, help="of the part of it in pixels (default %(default)s)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, mps (default %(default)s)")
    parser.add_argument("--threads", type=int, help="of torch on the CPU (default: torch's choice)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of both ways (default %(default)s)")
    parser.add_argument("--max-memory", type=float, default=200, help="the limit in MB (default %(default)s)")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    pixels = read_image(options.image).pixels
    top, left = ((side - options.side) // 2 for side in pixels.shape[:2])
    pixels = pixels[max(0, top) :, max(0, left) :][: options.side, : options.side]
    print(
        f"{device.name}, torch {torch.__version__}, {pixels.shape[1]}x{pixels.shape[0]} px, {STEPS} steps\n"
    )
    print(
        "| network | one by one [s] | this [s] | faster | by processor time | batch | correlation | peak "
        "| limit | peak with it |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for reference in options.models:
        model = load_model(reference)
        row, col = ((side * model.scale - 16) // 2 for side in pixels.shape[:2])
        window = Window(row, col)
        free = LamOptions(device=options.device)
        attribute(
            pixels, model, window, LamOptions(device=options.device, steps=2)
        )  # loads code, fills caches
        plain_times, times = [], []
        for _ in range(options.repeats):
            started = Times.now()
            plain = one_by_one(pixels, model, window, device)
            plain_times.append(started.passed())
            started = Times.now()
            attribute(pixels, model, window, free)
            times.append(started.passed())
        slow, fast = fastest(plain_times), fastest(times)
        taken, found = peak(pixels, model, window, free)
        limit = int(options.max_memory * 1e6)
        limited = LamOptions(device=options.device, max_memory=limit)
        try:
            attribute(pixels, model, window, LamOptions(device=options.device, steps=1, max_memory=limit))
            bounded, lean = peak(pixels, model, window, limited)
            with_limit = (
                f"{bounded / 1e6:.0f} MB, batch {lean.batch}{', features twice' if lean.checkpointed else ''}"
            )
        except LamError:
            with_limit = "refused"
        agreement = np.corrcoef(plain.ravel(), found.map.ravel())[0, 1]
        print(
            f"| {model.id} | {slow.clock:.2f} | {fast.clock:.2f} | {slow.clock / fast.clock:.2f}x | "
            f"{slow.processor / fast.processor:.2f}x | {found.batch} | {agreement:.6f} | "
            f"{taken / 1e6:.0f} MB | {limit / 1e6:.0f} MB | {with_limit} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
