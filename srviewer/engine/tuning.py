"""Which backend, and which tile, is fastest for a network: measured here, and remembered."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from srviewer.engine.backends import Backend
from srviewer.engine.device import Device
from srviewer.engine.remembering import remember
from srviewer.engine.request import Precision
from srviewer.engine.staged_run import Program, run_stages
from srviewer.engine.tiles import Box
from srviewer.paths import user_cache_folder
from srviewer.zoo.model import LoadedModel

SIDES = (96, 128, 192, 256, 384)
"""Sides of tiles, in input pixels, that are tried."""

# Where measuring starts, and what is taken unmeasured: on a CPU the features of such a tile stay in its
# caches; on a GPU larger tiles are only slower to cancel (benchmarks/speed.md).
_START = {"cpu": 128, "cuda": 384, "mps": 384}
# Input pixels from which a job takes so long that the choice may take seconds.
_WORTH_MEASURING = {"cpu": 2_000_000, "cuda": 50_000_000, "mps": 20_000_000}
# Seconds for all measurements of one network together; one that has begun is finished.
_BUDGET = 6.0
# A backend must be faster than one named before it by this much: less is noise.
_WORTH_CHANGING = 1.03
_REPEATS = 2
_CACHE_VERSION = 1

Cost = Callable[[Backend, int], float]
"""Returns the seconds per input pixel that a backend takes with tiles of a side, halo included."""


@dataclass(frozen=True, eq=False)
class Choice:
    """How a network runs fastest.

    Attributes
    ----------
    backend : what executes it.
    side : of the tiles, in input pixels.
    measured : whether that was found out on this machine.
    """

    backend: Backend
    side: int
    measured: bool


def fastest(
    model: LoadedModel,
    device: Device,
    precision: Precision,
    backends: Sequence[Backend],
    *,
    pixels: int,
    fits: Callable[[Backend, int], bool],
    cost: Cost | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Choice:
    """Return the backend and the tile that take the least time per pixel.

    What was measured before is remembered, beside the footprints. A job too small to pay for measuring gets
    the first backend and the usual tile. Must be called under ``torch.inference_mode``.

    Parameters
    ----------
    model, device, precision : what is to run.
    backends : to choose from, the preferred ones first; not empty.
    pixels : that the job has, in the input.
    fits : tells whether the memory suffices for tiles of a side.
    cost : measures; None means `measured_cost`.
    clock : tells seconds, for the budget.
    """
    start = _START[device.kind]
    usual = Choice(backends[0], _largest_fitting(backends[0], start, fits), measured=False)
    key = _key(model, device, precision, backends)
    file = user_cache_folder() / "tuning.json"
    found = _REMEMBERED.get((file, key)) or _read(file).get(key)
    if found is None:
        if pixels < _WORTH_MEASURING[device.kind]:
            return usual
        measure = cost or (lambda backend, side: measured_cost(model, device, precision, backend, side))
        found = _search(backends, start, fits, measure, clock)
        if found is None:
            return usual
        _write(file, _read(file) | {key: found})
    _REMEMBERED[file, key] = found
    backend = next((one for one in backends if one.name == found[0]), backends[0])
    return Choice(backend, _largest_fitting(backend, found[1], fits), measured=True)


# Beside the file, since its folder may not be writable.
_REMEMBERED: dict[tuple[Path, str], tuple[str, int]] = {}


def _search(
    backends: Sequence[Backend],
    start: int,
    fits: Callable[[Backend, int], bool],
    cost: Cost,
    clock: Callable[[], float],
) -> tuple[str, int] | None:
    """Return the name of the fastest backend, and its side; None if no tile fits."""
    end = clock() + _BUDGET
    best: tuple[str, int] | None = None
    least = math.inf
    for backend in backends:
        sides = [side for side in SIDES if fits(backend, side)]
        if not sides or (best is not None and clock() >= end):
            continue
        side, found = _valley(backend, sides, start, cost, lambda: clock() < end)
        if best is None or found * _WORTH_CHANGING < least:
            best, least = (backend.name, side), found
    return best


def _valley(
    backend: Backend, sides: Sequence[int], start: int, cost: Cost, has_time: Callable[[], bool]
) -> tuple[int, float]:
    """Walk from the usual side to smaller and to larger ones for as long as that pays.

    The time per pixel falls with the halo's share and rises where the features leave the caches: one valley.
    """
    first = min(range(len(sides)), key=lambda number: abs(sides[number] - start))
    best, least = first, cost(backend, sides[first])
    for step in (1, -1):
        number = first + step
        while 0 <= number < len(sides) and has_time():
            found = cost(backend, sides[number])
            if found >= least:
                break
            best, least = number, found
            number += step
        if best != first:
            break
    return sides[best], least


def measured_cost(
    model: LoadedModel, device: Device, precision: Precision, backend: Backend, side: int
) -> float:
    """Return the seconds per input pixel that a backend takes with tiles of a side: the least of a few runs.

    One tile is run with what surrounds it. The first run, in which code is compiled, does not count.
    """
    program = None if model.spec.reach is not None else backend.program(model, device, precision)
    halo = model.spec.overlap if program is None else _mean_reach(program)
    whole = Box(0, 0, side + 2 * halo, side + 2 * halo)
    noise = torch.rand(1, 3, whole.height, whole.width, generator=torch.Generator().manual_seed(0))
    runner = backend.prepare(model, device, precision) if program is None else None
    found: list[Tensor] = []

    def run() -> None:
        if runner is not None:
            found.append(runner(noise))
        elif program is not None:
            run_stages(
                program,
                lambda _: noise,
                whole,
                (whole,),
                tick=lambda _: None,
                emit=lambda _, result: found.append(result),
            )
        found.pop().cpu()  # waits for the device

    run()
    seconds = []
    for _ in range(_REPEATS):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds) / side**2


def _mean_reach(program: Program) -> int:
    reaches = [stage.reach for stage in program.staged.stages]
    return round(sum(reaches) / len(reaches))


def _largest_fitting(backend: Backend, side: int, fits: Callable[[Backend, int], bool]) -> int:
    """Return the side, or the largest smaller one that fits; the smallest if none does."""
    return next((one for one in reversed(SIDES) if one <= side and fits(backend, one)), SIDES[0])


def _key(model: LoadedModel, device: Device, precision: Precision, backends: Sequence[Backend]) -> str:
    """Return a name for everything that the choice depends on; the device's name tells its threads."""
    spec = model.spec
    names = tuple(backend.name for backend in backends)
    text = repr((spec.family, spec.scale, spec.config, device.name, precision, names))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _read(file: Path) -> dict[str, tuple[str, int]]:
    """Read remembered choices; a missing, foreign or corrupt file holds none."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        if stored["version"] != _CACHE_VERSION:
            return {}
        found = {str(key): (str(name), int(side)) for key, (name, side) in stored["choices"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    return {key: value for key, value in found.items() if value[1] in SIDES}


def _write(file: Path, choices: dict[str, tuple[str, int]]) -> None:
    """Remember choices. Where the folder cannot be written they are measured again next time."""
    stored = {"version": _CACHE_VERSION, "choices": choices}
    remember(file, stored)
