"""How much memory a network takes, measured on small tiles, and how large a tile may therefore be."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from srviewer.engine.backends import Runner
from srviewer.engine.device import Device
from srviewer.engine.remembering import remember
from srviewer.engine.request import SMALLEST_TILE, Precision, UpscaleError
from srviewer.engine.telemetry import PeakMeter, release_memory
from srviewer.paths import user_cache_folder
from srviewer.zoo.spec import ModelSpec
from srviewer.zoo.tensors import to_pixels

_PROBE_SIDES = {"cpu": (96, 192), "cuda": (128, 384), "mps": (128, 384)}
SAFETY = 1.5
"""What memory that was measured on small tiles is multiplied by.

Convolution libraries may choose other algorithms for larger tiles, with other scratch space, and a heap that
keeps what was freed (`heap`) holds pieces that do not fit.
"""
GENEROUS_BYTES_PER_PIXEL = 32 * 1024
"""More than any network of these families takes: what fits at this rate fits without being measured."""
_CACHE_VERSION = 1
_FREE_SHARE = 0.8


@dataclass(frozen=True)
class Footprint:
    """The bytes that a run takes, as a line: `fixed` + `per_pixel` * pixels that the network sees."""

    fixed: float
    per_pixel: float

    def at(self, pixels: int) -> int:
        """Return the bytes expected for a crop of so many input pixels."""
        return math.ceil(self.fixed + self.per_pixel * pixels)

    def pixels_in(self, budget: int) -> int:
        """Return how many input pixels fit into so many bytes; 0 if none."""
        return max(0, math.floor((budget - self.fixed) / self.per_pixel))


@dataclass(frozen=True)
class Surroundings:
    """Where and how large an image is to be upscaled: what the choice of a tile rests on.

    Attributes
    ----------
    width, height : of the image, in input pixels.
    overlap, align : of the plan.
    local : whether each output pixel depends on its neighbourhood only, so that tiles change nothing.
    device : where it runs.
    budget : bytes that the network may take.
    limited : whether the user set that budget.
    """

    width: int
    height: int
    overlap: int
    align: int
    local: bool
    device: Device
    budget: int
    limited: bool


def memory_budget(max_memory: int | None, free: int) -> int:
    """Return the bytes that the network may take: the user's limit, or 80 % of what is `free`."""
    return max_memory if max_memory is not None else int(_FREE_SHARE * free)


def auto_side(place: Surroundings, footprint: Callable[[], Footprint]) -> int | None:
    """Choose the tile for an image.

    A local network gets the tile that is fastest, since its result does not depend on it. A network with
    whole-image layers runs untiled as long as the image is of moderate size and fits, since tiles change its
    result; beyond that it gets large tiles.

    Parameters
    ----------
    place : what the choice rests on.
    footprint : measures the network; called only if the memory could matter.

    Returns
    -------
    The side of the tiles' cores in input pixels; None for the whole image at once.

    Raises
    ------
    UpscaleError
        If not even the smallest tile fits into the limit that the user set.
    """
    side = _wanted_side(place)
    if _generous(place, side) <= place.budget:
        return side
    measured = footprint()
    room = measured.pixels_in(place.budget)
    if side is None and place.width * place.height <= room:
        return None
    crop = math.isqrt(room)
    largest = crop - 2 * (-(-place.overlap // place.align) * place.align)
    if side is not None:
        largest = min(largest, side)
    elif largest >= max(place.width, place.height):
        return None
    largest = largest // place.align * place.align
    if largest >= SMALLEST_TILE:
        return largest
    smallest = min(SMALLEST_TILE + 2 * place.overlap, place.width) * min(
        SMALLEST_TILE + 2 * place.overlap, place.height
    )
    if place.limited and measured.at(smallest) > place.budget:
        raise UpscaleError(
            f"the memory limit of {place.budget / 1e6:.0f} MB is too small: the network needs about "
            f"{measured.at(smallest) / 1e6:.0f} MB for its smallest tile"
        )
    return SMALLEST_TILE


def staged_side(place: Surroundings, footprint: Callable[[], Footprint], *, at_once: bool) -> int | None:
    """Choose the tile for a network that runs in stages: its result does not depend on it.

    Parameters
    ----------
    place : what the choice rests on.
    footprint : measures the network; called only if the memory could matter.
    at_once : whether the image is to run as a whole, if that fits.

    Returns
    -------
    The side of the tiles in input pixels; None for the whole image at once.

    Raises
    ------
    UpscaleError
        If not even the smallest tile fits into the limit that the user set.
    """
    side = _STAGED_SIDE[place.device.kind]
    if at_once:
        if place.width * place.height * GENEROUS_BYTES_PER_PIXEL <= place.budget:
            return None
        if footprint().at(place.width * place.height) <= place.budget:
            return None
    if (side + 2 * place.align) ** 2 * GENEROUS_BYTES_PER_PIXEL <= place.budget:
        return side
    room = math.isqrt(footprint().pixels_in(place.budget // 2)) - 2 * place.align
    side = min(side, room // place.align * place.align)
    if side < SMALLEST_TILE and place.limited:
        raise UpscaleError(
            f"the memory limit of {place.budget / 1e6:.0f} MB is too small: the network needs about "
            f"{2 * footprint().at((SMALLEST_TILE + 2 * place.align) ** 2) / 1e6:.0f} MB for its smallest tile"
        )
    return max(side, SMALLEST_TILE)


# Sides of cores, in input pixels. On a CPU tiles of this size keep the features in its caches (the times are
# in benchmarks/speed.md). On a GPU they only keep the display alive and cancelling quick. Where tiles change
# the result they are larger, and begin later: correctness before speed.
_LOCAL_SIDE = {"cpu": 192, "cuda": 1024, "mps": 512}
_STAGED_SIDE = {"cpu": 128, "cuda": 1024, "mps": 512}
_WHOLE_IMAGE_SIDE = {"cpu": 512, "cuda": 1024, "mps": 512}
_UNTILED_PIXELS = {"cpu": 1 << 20, "cuda": 1 << 22, "mps": 1 << 20}


def _wanted_side(place: Surroundings) -> int | None:
    """Return the tile that would be chosen if memory were no matter."""
    kind = place.device.kind
    if not place.local:
        return None if place.width * place.height <= _UNTILED_PIXELS[kind] else _WHOLE_IMAGE_SIDE[kind]
    side = _LOCAL_SIDE[kind]
    # What two tiles would hold is quicker at once: cutting it would nearly double the overlap.
    return None if place.width * place.height <= 2 * side * side else side


def _generous(place: Surroundings, side: int | None) -> int:
    """Return more bytes than a tile of `side` can be expected to take."""
    if side is None:
        return place.width * place.height * GENEROUS_BYTES_PER_PIXEL
    crop = side + 2 * (place.overlap + place.align)
    return min(crop, place.width) * min(crop, place.height) * GENEROUS_BYTES_PER_PIXEL


def footprint_of(
    spec: ModelSpec, device: Device, precision: Precision, backend: str, prepare: Callable[[], Runner]
) -> Footprint:
    """Return a network's footprint: remembered, or measured now and remembered.

    Parameters
    ----------
    spec, device, precision, backend : what it depends on.
    prepare : makes the network ready; called only if nothing is remembered.
    """
    file = user_cache_folder() / "footprints.json"
    key = _key(spec, device, precision, backend)
    found = _REMEMBERED.get((file, key))
    if found is None:
        found = _read(file).get(key)
        if found is None:
            found = measure(prepare(), device)
            _write(file, _read(file) | {key: found})
        _REMEMBERED[file, key] = found
    return found


# Beside the file, since its folder may not be writable.
_REMEMBERED: dict[tuple[Path, str], Footprint] = {}


def measure(runner: Runner, device: Device) -> Footprint:
    """Run a network over two small tiles and put a line through their peaks.

    The peak is what torch allocated (CUDA, MPS) or what the resident set grew by (CPU), conversion to pixels
    included. Must be called under ``torch.inference_mode``.
    """
    small, large = _PROBE_SIDES[device.kind]
    generator = np.random.default_rng(0)
    peaks: list[int] = []
    for side in (small, large):
        crop = torch.from_numpy(generator.random((1, 3, side, side), np.float32))
        runner(crop[:, :, :32, :32])  # weights are repacked and code is loaded on the first call
        release_memory(device)
        with PeakMeter(device) as meter:
            to_pixels(torch.nan_to_num(runner(crop)), np.uint8)
        peaks.append(meter.peak() - meter.before)
    per_pixel = (peaks[1] - peaks[0]) / (large**2 - small**2)
    # Half of a tile's peak bounds the slope from below where noise, or reused memory, spoilt the difference.
    per_pixel = max(per_pixel, peaks[1] / large**2 / 2, 64.0)
    fixed = max(0.0, peaks[1] - per_pixel * large**2)
    return Footprint(fixed * SAFETY, per_pixel * SAFETY)


def _key(spec: ModelSpec, device: Device, precision: Precision, backend: str) -> str:
    """Return a name for everything that a footprint depends on."""
    text = repr((spec.family, spec.scale, spec.config, device.name, precision, backend))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _read(file: Path) -> dict[str, Footprint]:
    """Read remembered footprints; a missing, foreign or corrupt file holds none."""
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
        if stored["version"] != _CACHE_VERSION:
            return {}
        found = {
            str(key): Footprint(float(fixed), float(slope))
            for key, (fixed, slope) in stored["footprints"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}
    return {
        key: value
        for key, value in found.items()
        if 0 <= value.fixed < math.inf and 0 < value.per_pixel < math.inf
    }


def _write(file: Path, footprints: dict[str, Footprint]) -> None:
    """Remember footprints. Where the folder cannot be written they are measured again next time."""
    stored = {
        "version": _CACHE_VERSION,
        "footprints": {key: [value.fixed, value.per_pixel] for key, value in footprints.items()},
    }
    remember(file, stored)
