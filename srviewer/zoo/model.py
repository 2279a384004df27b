"""Models that are ready to run: a network with its weights, taking and giving pictures in 0..1."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from srviewer.zoo import families
from srviewer.zoo.checkpoint import read_checkpoint
from srviewer.zoo.errors import CheckpointError
from srviewer.zoo.manifest import Resolved, resolve
from srviewer.zoo.spec import SPECS, ModelSpec


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network with its weights.

    Attributes
    ----------
    id : what files and tables call it: the reference it was loaded by, or the stem of a checkpoint's path.
    spec : what is known of the network.
    network : fused, in evaluation mode, its parameters without gradients. It works in its own value range.
    weights : where the weights come from, in words for the user.
    """

    id: str
    spec: ModelSpec
    network: nn.Module
    weights: str

    @property
    def scale(self) -> int:
        """Output pixels per input pixel, along each side."""
        return self.spec.scale

    def __call__(self, batch: Tensor) -> Tensor:
        """Upscale a batch of pictures.

        The gradient mode is the caller's, and nothing is clamped: gradients flow, overshoot stays visible.
        Pictures below the network's smallest side are continued by their last row and column, and the result
        is cut.

        Parameters
        ----------
        batch : N x 3 x H x W, R, G, B, nominally 0..1, of the dtype and on the device that the network is in.

        Returns
        -------
        N x 3 x (H * scale) x (W * scale), nominally 0..1, same dtype and device.

        Raises
        ------
        ValueError
            If `batch` has another shape.
        """
        if batch.ndim != 4 or batch.shape[1] != 3 or 0 in batch.shape:
            raise ValueError(f"a batch must be N x 3 x H x W and not empty, not {tuple(batch.shape)}")
        height, width = batch.shape[-2:]
        value_range = self.spec.value_range
        inside = _continued(batch, self.spec.smallest_side)
        result: Tensor = self.network(inside * value_range if value_range != 1 else inside)
        if inside is not batch:
            result = result[..., : height * self.scale, : width * self.scale]
        return result / value_range if value_range != 1 else result

    def to(
        self,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        memory_format: torch.memory_format | None = None,
    ) -> LoadedModel:
        """Return a copy on another device, of another dtype or memory format; this one stays as it is."""
        network = copy.deepcopy(self.network)
        if memory_format is not None:
            network = network.to(memory_format=memory_format)  # type: ignore[call-overload]  # torch's stubs forget it
        return replace(self, network=network.to(device=device, dtype=dtype))


def load_model(reference: str) -> LoadedModel:
    """Load the model that a reference stands for.

    Parameters
    ----------
    reference : an id of ``SPECS`` or of imported weights, alone or with ``@official``, ``@shipped`` or
        ``@yours``, or the path of a checkpoint.

    Returns
    -------
    The model in float32 on the CPU.

    Raises
    ------
    UnknownModelError
        If the reference names neither a known model nor a file.
    NotInstalledError
        If the model's weights are not on this machine.
    CheckpointError
        If the file of weights cannot be used.
    """
    found = resolve(reference)
    if found.path is None:
        spec = SPECS[found.model or reference]
        return _ready(found, spec, families.build(spec, fused=True))
    read = families.recognise(read_checkpoint(found.path), found.path)
    if found.model in SPECS and read.spec.id != found.model:
        raise CheckpointError(found.path, f"holds {read.spec.id}, not {found.model}")
    return _ready(found, read.spec, families.fused_network(read))


def _ready(found: Resolved, spec: ModelSpec, network: nn.Module) -> LoadedModel:
    return LoadedModel(found.id, spec, network.eval().requires_grad_(False), found.text)


def _continued(batch: Tensor, smallest_side: int) -> Tensor:
    """Repeat the last row and column until both sides have `smallest_side` pixels; the batch itself if so."""
    height, width = batch.shape[-2:]
    if height >= smallest_side and width >= smallest_side:
        return batch
    # Indexing is differentiable on every device in every dtype; torch's replicate padding is not.
    rows = torch.arange(max(height, smallest_side), device=batch.device).clamp_(max=height - 1)
    columns = torch.arange(max(width, smallest_side), device=batch.device).clamp_(max=width - 1)
    return batch[..., rows, :][..., columns]
