"""The ways to execute a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx

from srviewer.engine.device import Device
from srviewer.engine.heap import keep_freed_memory
from srviewer.engine.mixed import mixed
from srviewer.engine.replay import Replayed
from srviewer.engine.request import Precision
from srviewer.engine.staged_run import Program
from srviewer.engine.stages import staged
from srviewer.engine.tracing import traced
from srviewer.zoo.model import LoadedModel

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The torch dtype of each precision."""


# Input pixels. On a CPU the features of so many stay in its caches; 16 bits take half the room.
_AT_ONCE_PIXELS = {"cpu": 160 * 160, "cuda": 1 << 22, "mps": 1 << 20}
_NARROW_FACTOR = 4


class Runner(Protocol):
    """A network made ready for one device and precision."""

    def __call__(self, crop: Tensor) -> Tensor:
        """Upscale a crop.

        Parameters
        ----------
        crop : 1 x 3 x H x W, float32, 0..1, R, G, B, on the CPU.

        Returns
        -------
        1 x 3 x (scale H) x (scale W), any floating dtype, nominally 0..1 but not clipped, on the device.
        """
        ...


class Backend(Protocol):
    """A way to execute networks.

    Attributes
    ----------
    name : part of the key under which measurements are kept; changes when what is executed changes.
    """

    @property
    def name(self) -> str:
        """What identifies the backend and its version."""
        ...

    def prepare(self, model: LoadedModel, device: Device, precision: Precision) -> Runner:
        """Make `model` ready; the model itself stays as it is."""
        ...

    def program(self, model: LoadedModel, device: Device, precision: Precision) -> Program | None:
        """Make `model` ready to run in stages; None if it cannot be cut into such."""
        ...

    def at_once(self, model: LoadedModel, device: Device, precision: Precision, pixels: int) -> bool:
        """Return whether an image of so many input pixels is faster as a whole than in stages over tiles."""
        ...


class EagerTorch:
    """Plain torch, layer by layer, with the channels last in memory: what its fast convolutions expect.

    In bfloat16, whose 8 bits of mantissa would show, the layers that feel it most stay in fp32. A model that
    was made ready stays so as long as it lives: making it ready can take longer than a small image.
    """

    def __init__(self) -> None:
        self._ready: WeakKeyDictionary[LoadedModel, dict[tuple[Device, Precision], Runner]] = (
            WeakKeyDictionary()
        )
        self._programs: WeakKeyDictionary[LoadedModel, dict[tuple[Device, Precision], Program | None]] = (
            WeakKeyDictionary()
        )

    @property
    def name(self) -> str:
        """Torch's version, since another one may take other memory."""
        return f"torch-{torch.__version__}-3"

    def prepare(self, model: LoadedModel, device: Device, precision: Precision) -> Runner:
        """Copy the network to the device in the precision asked for, or return the copy made before."""
        ready = self._ready.setdefault(model, {})
        if (device, precision) not in ready:
            ready[device, precision] = self._copied(model, device, precision)
        return ready[device, precision]

    def program(self, model: LoadedModel, device: Device, precision: Precision) -> Program | None:
        """Cut the network into stages on the device, or return those cut before."""
        ready = self._programs.setdefault(model, {})
        if (device, precision) not in ready:
            placed, dtype = self._placed(model, device, precision)
            graph = placed.network if isinstance(placed.network, fx.GraphModule) else traced(placed.network)
            stages = None if graph is None else staged(graph)
            ready[device, precision] = (
                None
                if stages is None
                else Program(stages, model.scale, placed.spec.value_range, device.torch, dtype)
            )
        return ready[device, precision]

    def at_once(self, model: LoadedModel, device: Device, precision: Precision, pixels: int) -> bool:
        """Return whether a CPU's caches do not overflow, and a GPU's display stays alive."""
        return pixels <= _AT_ONCE_PIXELS[device.kind] * (1 if precision == "fp32" else _NARROW_FACTOR)

    def _copied(self, model: LoadedModel, device: Device, precision: Precision) -> Runner:
        placed, dtype = self._placed(model, device, precision)
        return _runner(placed, device, dtype)

    def _placed(
        self, model: LoadedModel, device: Device, precision: Precision
    ) -> tuple[LoadedModel, torch.dtype]:
        """Return a copy of the model that computes in a precision, and what it takes images as."""
        dtype = DTYPES[precision]
        if device.kind == "cpu":
            keep_freed_memory()
        if precision == "bf16":
            exact = model.to(device=device.torch, memory_format=torch.channels_last)
            network = mixed(exact.network, exact.spec, dtype, merge=device.kind == "cpu")
            if network is not None:
                return replace(
                    exact, network=network, spec=replace(exact.spec, value_range=1.0)
                ), torch.float32
        return model.to(device=device.torch, dtype=dtype, memory_format=torch.channels_last), dtype


def _runner(model: LoadedModel, device: Device, dtype: torch.dtype) -> Runner:
    """Return the model as something that takes crops from the CPU."""
    network = Replayed(model) if device.kind == "cuda" else model

    def run(crop: Tensor) -> Tensor:
        return network(crop.to(device=device.torch, dtype=dtype, memory_format=torch.channels_last))

    return run


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out: then a smaller tile may do.

    Only CUDA has a class for it; the others are told by their text.
    """
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in _OUT_OF_MEMORY)


_OUT_OF_MEMORY = (
    "out of memory",  # CUDA's libraries, MPS
    "not enough memory",  # torch's CPU allocator on Windows
    "can't allocate memory",  # torch's CPU allocator elsewhere
    "cannot allocate memory",
    "alloc_failed",  # cuDNN and cuBLAS
    "bad_alloc",
)
