"""The algebra that merges chains and sums of convolutions into one; `fused` applies it to a network."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Fusable(Protocol):
    """A module that knows its own merged form."""

    def fuse(self) -> nn.Module:
        """Return a new module that computes the same in evaluation mode with fewer operations."""
        ...


def fused(model: nn.Module) -> nn.Module:
    """Return the merged form of a network, in evaluation mode; the network itself stays as it is.

    Parameters
    ----------
    model : any of this room's networks, trained or fused, of any dtype and device.

    Returns
    -------
    A new module of the same class, dtype and device. Where nothing is left to merge, it is a copy.
    """
    merged = model.fuse() if isinstance(model, Fusable) else copy.deepcopy(model)
    return merged.eval()


@dataclass(frozen=True, eq=False)
class Kernel:
    """A stride-1 convolution as numbers, in float64 so that merging adds no rounding of its own.

    Attributes
    ----------
    weight : out x in x k x k, k odd; the convolution is centred (padded by k // 2).
    bias : out.
    """

    weight: Tensor
    bias: Tensor

    @property
    def size(self) -> int:
        """The side k of the kernel."""
        return int(self.weight.shape[-1])

    def write_to(self, conv: nn.Conv2d) -> None:
        """Copy these numbers into a convolution of the same shape, rounding to its dtype.

        Raises
        ------
        ValueError : the convolution has another shape or no bias.
        """
        if conv.weight.shape != self.weight.shape or conv.bias is None:
            raise ValueError(f"a kernel of {tuple(self.weight.shape)} does not fit {conv}")
        with torch.no_grad():
            conv.weight.copy_(self.weight)
            conv.bias.copy_(self.bias)


def kernel(weight: Tensor, bias: Tensor | None) -> Kernel:
    """Read a kernel from a convolution's weight (out x in x k x k) and bias (out, or None for zeros)."""
    exact_weight = _exact(weight)
    return Kernel(exact_weight, exact_weight.new_zeros(weight.shape[0]) if bias is None else _exact(bias))


def kernel_of(conv: nn.Conv2d) -> Kernel:
    """Read the kernel of a stride-1, undilated, ungrouped convolution."""
    return kernel(conv.weight, conv.bias)


def identity_kernel(channels: int, like: Kernel) -> Kernel:
    """Return the 1x1 kernel that changes nothing: a skip connection."""
    eye = torch.eye(channels, dtype=like.weight.dtype, device=like.weight.device)
    return Kernel(eye[:, :, None, None], like.bias.new_zeros(channels))


def batch_norm_kernel(norm: nn.BatchNorm2d) -> Kernel:
    """Return batch normalisation by its running statistics as a diagonal 1x1 kernel.

    Raises
    ------
    ValueError : the layer keeps no running statistics or has no affine parameters.
    """
    mean, variance, gamma, beta = norm.running_mean, norm.running_var, norm.weight, norm.bias
    if mean is None or variance is None or gamma is None or beta is None:
        raise ValueError(f"{norm} has no running statistics or no affine parameters to merge")
    factor = _exact(gamma) / torch.sqrt(_exact(variance) + norm.eps)
    return Kernel(torch.diag(factor)[:, :, None, None], _exact(beta) - _exact(mean) * factor)


def chain(first: Kernel, second: Kernel) -> Kernel:
    """Merge two convolutions run one after the other, at least one of them 1x1, into one.

    Where `second` is the larger one, the merged kernel under zero padding equals the chain only if the chain
    pads between the two with what `first` makes of zeros, its bias (as FMEN does).

    Raises
    ------
    ValueError : both kernels are larger than 1x1.
    """
    if first.size == 1:
        weight = torch.einsum("omhw,mi->oihw", second.weight, first.weight[:, :, 0, 0])
    elif second.size == 1:
        weight = torch.einsum("om,mihw->oihw", second.weight[:, :, 0, 0], first.weight)
    else:
        raise ValueError(
            f"kernels of sides {first.size} and {second.size} have no merged form of the larger one's size"
        )
    return Kernel(weight, second.weight.sum(dim=(2, 3)) @ first.bias + second.bias)


def parallel(*kernels: Kernel) -> Kernel:
    """Merge convolutions of one input whose outputs are added into one of the largest one's size."""
    size = max(part.size for part in kernels)
    weight = sum(
        (_centred(part.weight, size) for part in kernels[1:]), start=_centred(kernels[0].weight, size)
    )
    return Kernel(weight, sum((part.bias for part in kernels[1:]), start=kernels[0].bias))


def scaled(part: Kernel, factor: Tensor) -> Kernel:
    """Merge the multiplication by a learnt scalar into the convolution before it."""
    exact_factor = _exact(factor).reshape(())
    return Kernel(part.weight * exact_factor, part.bias * exact_factor)


def beside(left: Kernel, right: Kernel) -> Kernel:
    """Merge two convolutions of two inputs, whose outputs are added, into one of the concatenated inputs."""
    size = max(left.size, right.size)
    weight = torch.cat((_centred(left.weight, size), _centred(right.weight, size)), dim=1)
    return Kernel(weight, left.bias + right.bias)


def weight_normed(g: Tensor, v: Tensor) -> Tensor:
    """Return the weight g * v / |v|, the norm taken per output channel (Salimans and Kingma 2016, eq. 2).

    Parameters
    ----------
    g : out x 1 x 1 x 1, the length of each output channel's weights.
    v : out x in x k x k, their direction.
    """
    return v * (g / length_of(v))


def length_of(v: Tensor) -> Tensor:
    """Return the Euclidean length of each output channel's weights: out x in x k x k to out x 1 x 1 x 1."""
    return v.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()


def _exact(value: Tensor) -> Tensor:
    # Some accelerators have no float64, so merging is done on the CPU; meta tensors hold nothing to move.
    device = value.device if value.device.type == "meta" else torch.device("cpu")
    return value.detach().to(device=device, dtype=torch.float64)


def _centred(weight: Tensor, size: int) -> Tensor:
    margin = (size - weight.shape[-1]) // 2
    return nn.functional.pad(weight, (margin, margin, margin, margin))
