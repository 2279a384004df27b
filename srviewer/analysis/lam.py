"""Local attribution maps: which pixels of a picture made a window of its upscaled result.

J. Gu, C. Dong, "Interpreting Super-Resolution Networks with Local Attribution Maps", CVPR 2021.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srviewer.analysis.lam_maps import density, gini, normalised
from srviewer.analysis.lam_memory import checkpointed
from srviewer.analysis.lam_objectives import Objective, Window, objective_of
from srviewer.analysis.lam_paths import AttributionPath, PathKind, PathStep
from srviewer.engine.backends import EagerTorch, is_out_of_memory
from srviewer.engine.device import Device, choose_device, free_memory
from srviewer.engine.footprint import Footprint, footprint_of, memory_budget
from srviewer.engine.request import Cancelled
from srviewer.engine.telemetry import release_memory
from srviewer.engine.tiles import Box
from srviewer.engine.upscale import true_fp32
from srviewer.imaging.image import Pixels
from srviewer.zoo.model import LoadedModel

__all__ = [
    "Attribution",
    "LamError",
    "LamOptions",
    "Objective",
    "PathKind",
    "Window",
    "attribute",
]

# Input pixels in a batch: enough for all threads of a CPU while its caches still hold the features; for GPUs
# an estimate of what keeps them busy.
_BATCH_PIXELS = {"cpu": 20_000, "cuda": 1_000_000, "mps": 200_000}
# More than any network of the zoo takes for its gradients: what fits at this rate is not measured.
_GENEROUS_BYTES_PER_PIXEL = 160 * 1024
# Of a picture in 0..1: attributions below this are what rounding makes of a picture without detail.
_NEGLIGIBLE = 1e-9


class LamError(ValueError):
    """A map cannot be made as asked. The message is one sentence for the user."""


@dataclass(frozen=True)
class LamOptions:
    """How to make an attribution map; the defaults are the reference's.

    Attributes
    ----------
    objective : what of the window is explained.
    path : what is integrated along.
    steps : points on the path.
    sigma : of the blur path's first point, in pixels.
    device : as `srviewer.engine.device.choose_device` takes it.
    max_memory : bytes that the network may take with all that its gradients need; None for 80 % of what is
        free.
    batch : points that run at once; None for the fastest that fits.

    Raises
    ------
    LamError
        If a value is none of these.
    """

    objective: Objective = "gradient"
    path: PathKind = "blur"
    steps: int = 50
    sigma: float = 1.2
    device: str = "auto"
    max_memory: int | None = None
    batch: int | None = None

    def __post_init__(self) -> None:
        if self.objective not in get_args(Objective):
            raise LamError(f"no objective {self.objective!r}: choose one of {', '.join(get_args(Objective))}")
        if self.path not in get_args(PathKind):
            raise LamError(f"no path {self.path!r}: choose one of {', '.join(get_args(PathKind))}")
        if self.steps < 1 or not 0 < self.sigma < np.inf:
            raise LamError("a path needs at least one step and a blur of more than 0 pixels")
        if self.batch is not None and self.batch < 1:
            raise LamError("a batch holds at least one point of the path")


@dataclass(frozen=True, eq=False)
class Attribution:
    """Which pixels of a picture made a window of the result.

    Attributes
    ----------
    model, scale : the network.
    window : what was explained, in pixels of the result.
    objective, path, steps : how.
    map : H x W of the input, float32, 0..1, read-only: |sum over channels| of `attributions` over its
        maximum. All 0 where nothing but rounding is left, as for a picture without detail.
    attributions : H x W x 3, float32, read-only: the path integral's share of each sample, with its sign.
    gini, diffusion_index : of the map; 0 and 100 for a map of zeros.
    device : by name.
    batch : points that ran at once, at most.
    checkpointed : whether memory allowed only to compute features twice rather than to keep them.
    seconds : time spent.
    """

    model: str
    scale: int
    window: Window
    objective: Objective
    path: PathKind
    steps: int
    map: NDArray[np.float32]
    attributions: NDArray[np.float32]
    gini: float
    diffusion_index: float
    device: str
    batch: int
    checkpointed: bool
    seconds: float

    def density(self) -> NDArray[np.float32]:
        """Return the density of attribution, H x W, float32, 0..1 (`srviewer.analysis.lam_maps.density`)."""
        return density(self.map)


def attribute(
    pixels: Pixels,
    model: LoadedModel,
    window: Window,
    options: LamOptions | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Attribution:
    """Make the local attribution map of a window of a network's result.

    The mean over the path of the objective's gradient times the path's derivative. The network runs in fp32,
    its parameters frozen. A network that sees only so far runs on what it can see of the picture.

    Parameters
    ----------
    pixels : H x W x 3, uint8 or uint16, R, G, B: the network's input.
    model : any network; it stays as it is.
    window : in pixels of the result.
    options : None means all defaults.
    progress : told of the steps done and all steps, before the first and after each batch.
    cancelled : asked before each batch; True ends the run.

    Raises
    ------
    LamError
        If the window does not lie inside the result, the memory does not suffice, or the network's gradients
        are NaN or infinite.
    UpscaleError
        If there is no such device.
    Cancelled
        If `cancelled` said so.
    """
    options = options or LamOptions()
    device = choose_device(options.device)
    started = time.perf_counter()
    height, width = pixels.shape[:2]
    _check(window, height * model.scale, width * model.scale)
    box = _seen(window, model, height, width)
    path = AttributionPath(pixels, kind=options.path, steps=options.steps, sigma=options.sigma, box=box)
    with torch.inference_mode(mode=False), torch.enable_grad(), true_fp32(device):
        run = _Run(model, window, options, device, path)
        run.progress = progress or run.progress
        run.cancelled = cancelled or run.cancelled
        sums = run.finish()
    if not np.isfinite(sums).all():
        raise LamError(f"{model.id}: its gradients are not finite numbers, so there is no map")
    attributions = np.zeros((height, width, 3), np.float32)
    attributions[box.y : box.bottom, box.x : box.right] = sums
    values = normalised(attributions, negligible=_NEGLIGIBLE)
    for array in (attributions, values):
        array.flags.writeable = False
    inequality = gini(values)
    return Attribution(
        model=model.id,
        scale=model.scale,
        window=window,
        objective=options.objective,
        path=options.path,
        steps=options.steps,
        map=values,
        attributions=attributions,
        gini=inequality,
        diffusion_index=100 * (1 - inequality),
        device=device.name,
        batch=run.batch,
        checkpointed=run.checkpointed,
        seconds=time.perf_counter() - started,
    )


def _check(window: Window, height: int, width: int) -> None:
    """Refuse a window that does not lie inside a result."""
    row, col = window.row, window.col
    inside = row >= 0 and col >= 0 and row + window.height <= height and col + window.width <= width
    if not inside or min(window.height, window.width) < 1:
        raise LamError(
            f"the window of {window.width} × {window.height} px at row {row}, column {col} does not lie in "
            f"the result of {width} × {height} px"
        )


def _seen(window: Window, model: LoadedModel, height: int, width: int) -> Box:
    """Return the part of the input that can influence the window, forward differences included."""
    reach, scale = model.spec.reach, model.scale
    if reach is None:
        return Box(0, 0, width, height)
    top, left = max(0, window.row // scale - reach), max(0, window.col // scale - reach)
    bottom = min(height, (window.row + window.height) // scale + 1 + reach)
    right = min(width, (window.col + window.width) // scale + 1 + reach)
    return Box(left, top, right - left, bottom - top)


class _Run:
    """One run: the network made ready, and the sum over the path."""

    def __init__(
        self,
        model: LoadedModel,
        window: Window,
        options: LamOptions,
        device: Device,
        path: AttributionPath,
    ) -> None:
        self.progress: Callable[[int, int], None] = lambda _, __: None
        self.cancelled: Callable[[], bool] = lambda: False
        self.batch = 1
        self.checkpointed = False
        self._path = path
        self._device = device
        self._objective = options.objective
        box, scale = path.box, model.scale
        self._window = replace(window, row=window.row - box.y * scale, col=window.col - box.x * scale)
        frozen = model.to(device=device.torch, dtype=torch.float32, memory_format=torch.channels_last)
        frozen.network.requires_grad_(False)
        self._model = frozen
        self._limit(options)

    def _limit(self, options: LamOptions) -> None:
        """Choose how many points run at once, and whether features are kept or computed twice."""
        pixels, device = self._path.box.pixels, self._device
        wanted = options.batch or max(1, _BATCH_PIXELS[device.kind] // pixels)
        wanted = min(wanted, options.steps)
        budget = memory_budget(options.max_memory, free_memory(device))
        if wanted * pixels * _GENEROUS_BYTES_PER_PIXEL > budget:
            room = self._footprint().pixels_in(budget)
            if room < pixels:
                self._model = checkpointed(self._model)
                self.checkpointed = True
                measured = self._footprint()
                room = measured.pixels_in(budget)
                if room < pixels:
                    raise LamError(
                        f"{self._model.id} would take about {measured.at(pixels) / 1e9:.2f} GB for one step "
                        f"over {self._path.box.width} × {self._path.box.height} px, and may take "
                        f"{budget / 1e9:.2f} GB"
                    )
            wanted = min(wanted, room // pixels)
        self.batch = wanted

    def _footprint(self) -> Footprint:
        """Return what a step takes per pixel: remembered, or measured on two small pictures."""
        name = f"{EagerTorch().name}-gradients{'-checkpointed' if self.checkpointed else ''}"
        return footprint_of(self._model.spec, self._device, "fp32", name, lambda: self._probe)

    def _probe(self, crop: Tensor) -> Tensor:
        height, width = (side * self._model.scale for side in crop.shape[-2:])
        return self._gradients(crop, Window(0, 0, height, width))

    def finish(self) -> NDArray[np.float64]:
        """Return the mean over the path of gradient times derivative, of the box, H x W x 3."""
        steps = self._path.steps
        total = np.zeros((self._path.box.height, self._path.box.width, 3))
        self.progress(0, steps)
        done = 0
        points = iter(self._path)
        while chunk := list(islice(points, self.batch)):
            total += self._share(chunk)
            done += len(chunk)
            self.progress(done, steps)
        return total / steps

    def _share(self, chunk: list[PathStep]) -> NDArray[np.float64]:
        """Return the sum over some points; where memory runs out, in smaller batches from here on."""
        if self.cancelled():
            raise Cancelled
        planes = np.stack([step.point.transpose(2, 0, 1) for step in chunk])
        try:
            gradients = self._gradients(torch.from_numpy(planes.astype(np.float32)), self._window)
            found = gradients.cpu().double().permute(0, 2, 3, 1).numpy()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            share: NDArray[np.float64] = sum(
                (gradient * step.derivative for gradient, step in zip(found, chunk, strict=True)),
                start=np.zeros(found.shape[1:]),
            )
            return share
        # Outside the handler, whose traceback holds the tensors that are to be freed.
        release_memory(self._device)
        half = len(chunk) // 2
        if half == 0:
            raise LamError(
                f"{self._model.id} ran out of memory on {self._device.name} over "
                f"{self._path.box.width} × {self._path.box.height} px"
            )
        self.batch = half
        return self._share(chunk[:half]) + self._share(chunk[half:])

    def _gradients(self, planes: Tensor, window: Window) -> Tensor:
        """Return the objective's gradient by each sample of N x 3 x H x W pictures, on the device."""
        batch = planes.to(device=self._device.torch, memory_format=torch.channels_last).requires_grad_()
        objective = objective_of(self._model(batch), window, self._objective)
        (gradients,) = torch.autograd.grad(objective, batch)
        return gradients
