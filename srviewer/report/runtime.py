"""The time and memory that one pass of a network takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from srviewer.engine.backends import DTYPES, Backend, EagerTorch, Runner
from srviewer.engine.device import Device
from srviewer.engine.request import Precision, UpscaleOptions
from srviewer.engine.staged_run import Program
from srviewer.engine.telemetry import PeakMeter, release_memory
from srviewer.engine.upscale import upscale
from srviewer.imaging.image import Image
from srviewer.zoo.model import LoadedModel

_WARM_UP_PASSES = 2
_LEAST_PASSES = 5
_MOST_PASSES = 50
_ENOUGH_SECONDS = 1.0


@dataclass(frozen=True)
class Runtime:
    """What one pass costs.

    Attributes
    ----------
    milliseconds : median over the passes.
    peak_memory_bytes : the most memory in use, weights and input included: allocated by torch (CUDA, MPS) or
        the process's resident set (CPU).
    passes : how many were timed.
    """

    milliseconds: float
    peak_memory_bytes: int
    passes: int


def time_network(
    model: LoadedModel,
    options: UpscaleOptions,
    *,
    width: int,
    height: int,
    cancelled: Callable[[], bool] | None = None,
) -> Runtime | None:
    """Time untiled passes over an input that is already on the device, as the NTIRE challenges do.

    Reading, conversion to and from pixels and transfers are left out. Two passes warm up; then at least 5 are
    timed, more until a second is full, at most 50.

    Parameters
    ----------
    model : any network.
    options : its device and precision count; tiles, a limit of memory and self-ensemble do not.
    width, height : of the input in pixels.
    cancelled : asked before the passes.

    Returns
    -------
    Runtime, or None if the memory does not suffice for the whole input.

    Raises
    ------
    UpscaleError
        The device is not there, or the network fails.
    Cancelled
        `cancelled` said so.
    """
    timed = _TimedPasses(EagerTorch(), width, height)
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    plain = replace(options, tile="off", max_memory=None, self_ensemble=False)
    result = upscale(Image(pixels=noise), model, plain, cancelled=cancelled, backend=timed)
    return timed.found[0] if timed.found and result.tiles == 1 else None


class _TimedPasses:
    """A backend that repeats each pass over the whole input and keeps what it costs.

    The engine calls it as any other, so what is timed runs in its precision, memory format and numeric mode.
    """

    def __init__(self, inner: Backend, width: int, height: int) -> None:
        self.found: list[Runtime] = []
        self._inner = inner
        self._size = height, width

    @property
    def name(self) -> str:
        return self._inner.name

    def prepare(self, model: LoadedModel, device: Device, precision: Precision) -> Runner:
        run = self._inner.prepare(model, device, precision)

        def timed(crop: Tensor) -> Tensor:
            if tuple(crop.shape[-2:]) != self._size:  # the engine fell back to tiles
                return run(crop)
            # Moved here, so that a pass finds nothing to move.
            given = crop.to(device=device.torch, dtype=DTYPES[precision], memory_format=torch.channels_last)
            for _ in range(_WARM_UP_PASSES):
                run(given)
            release_memory(device)
            seconds: list[float] = []
            with PeakMeter(device) as meter:
                while len(seconds) < _LEAST_PASSES or (
                    sum(seconds) < _ENOUGH_SECONDS and len(seconds) < _MOST_PASSES
                ):
                    seconds.append(_seconds_of(run, given, device))
            self.found.append(Runtime(1000 * statistics.median(seconds), meter.peak(), len(seconds)))
            return run(given)

        return timed

    def program(self, model: LoadedModel, device: Device, precision: Precision) -> Program | None:
        return self._inner.program(model, device, precision)

    def at_once(self, model: LoadedModel, device: Device, precision: Precision, pixels: int) -> bool:
        return self._inner.at_once(model, device, precision, pixels)


def _seconds_of(run: Runner, given: Tensor, device: Device) -> float:
    _wait_for(device)
    begin = time.perf_counter()
    run(given)
    _wait_for(device)
    return time.perf_counter() - begin


def _wait_for(device: Device) -> None:
    """Let queued work end: GPUs run behind Python's back."""
    if device.kind == "cuda":
        torch.cuda.synchronize(device.torch)
    elif device.kind == "mps":
        torch.mps.synchronize()
