"""Keeping the layers that read and write pictures in float32 while the rest runs in bfloat16."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from srviewer.zoo.spec import Family

_ENDS: Mapping[Family, tuple[str, ...]] = MappingProxyType(
    {
        "fmen": ("head", "tail"),
        "bsrn": ("shallow", "upsample"),
        "safmn": ("to_feat", "to_img"),
        "maffsrn": ("head", "tail3", "tail5"),
    }
)


class Float32(nn.Module):
    """A layer that autocast does not touch: bfloat16's 8 bits of mantissa are coarser than a level of 255."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """Run the layer in float32, whatever `x` is."""
        with torch.autocast(x.device.type, enabled=False):
            output: Tensor = self.inner(x.float())
        return output


def guard_ends(network: nn.Module, family: Family) -> None:
    """Wrap the first and last layers of a network, in place."""
    for name in _ENDS.get(family, ()):
        setattr(network, name, Float32(getattr(network, name)))


def bare(network: nn.Module) -> nn.Module:
    """Return a copy of a network without the wrapping."""
    copied = copy.deepcopy(network)
    for name, layer in list(copied.named_children()):
        if isinstance(layer, Float32):
            setattr(copied, name, layer.inner)
    return copied
