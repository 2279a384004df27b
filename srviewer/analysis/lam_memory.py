"""Networks that keep less for their gradients: the features inside blocks are computed twice."""

from __future__ import annotations

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from srviewer.zoo.model import LoadedModel
from srviewer.zoo.spec import BicubicConfig, BSRNConfig, FMENConfig, MAFFSRNConfig, ModelSpec, SAFMNConfig


def checkpointed(model: LoadedModel) -> LoadedModel:
    """Return a copy whose blocks keep only their input for the gradients and compute the rest again.

    T. Chen, B. Xu, C. Zhang, C. Guestrin, "Training Deep Nets with Sublinear Memory Cost", 2016. Results and
    gradients are those of `model`, for about a third more time.
    """
    copied = model.to()
    for path in _blocks(model.spec):
        parent, _, name = path.rpartition(".")
        holder = copied.network.get_submodule(parent)
        setattr(holder, name, _Checkpointed(copied.network.get_submodule(path)))
    return copied


class _Checkpointed(nn.Module):
    """A module of one input that keeps this input only."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = checkpoint(self.inner, x, use_reentrant=False, preserve_rng_state=False)
        return result


def _blocks(spec: ModelSpec) -> list[str]:
    """Return the paths of the submodules, none inside another, that hold most of a network's features."""
    match spec.config:
        case BicubicConfig():
            return []
        case FMENConfig() as config:
            trunk = range(len(config.attention_depths) - 1)
            return ["warmup_hfab", *(f"blocks.{i}" for i in trunk), *(f"hfabs.{i}" for i in trunk)]
        case BSRNConfig() | SAFMNConfig() as config:
            return [f"blocks.{i}" for i in range(config.blocks)]
        case MAFFSRNConfig() as config:
            return [f"ffgs.{i}.mabs.{j}" for i in range(config.blocks) for j in range(4)]
