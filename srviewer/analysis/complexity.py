"""How large a network is and how much it computes, counted without running it on data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from srviewer.zoo import families
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.spec import ModelSpec


@dataclass(frozen=True)
class Complexity:
    """Counts of one network for one size of result.

    Attributes
    ----------
    params : learnt numbers.
    multi_adds : multiplications of convolution and linear weights with features; not those of activations or
        fixed interpolation kernels, nor the additions of biases.
    activations : elements of the outputs of all convolutions and linear layers.
    convs : how many of those are run.
    size : (width, height) of the result in pixels.
    """

    params: int
    multi_adds: int
    activations: int
    convs: int
    size: tuple[int, int]


def complexity(
    model: LoadedModel | ModelSpec | nn.Module,
    size: tuple[int, int] = (1280, 720),
    *,
    input_size: tuple[int, int] | None = None,
) -> Complexity:
    """Count a network as the papers' tables do (NTIRE's efficiency report: activations, convolutions).

    Parameters
    ----------
    model : a network of the zoo, or a module with an attribute `scale`. The zoo's are counted in the form
        that their papers print: FMEN fused, MAFFSRN with its weight norm and two tails. A module is counted
        as it is.
    size : (width, height) of the result; the input is that over the scale, rounded (1280 over 3 is 427).
    input_size : (width, height) of the input instead.

    Returns
    -------
    The counts; their `size` is that of the result that was asked for.

    Raises
    ------
    ValueError
        If the size holds no pixel, or the input is smaller than the network takes.
    TypeError
        If the module has no whole `scale`.
    """
    network, scale, smallest_side = _network(model)
    if input_size is None:
        input_size = round(size[0] / scale), round(size[1] / scale)
    else:
        size = input_size[0] * scale, input_size[1] * scale
    width, height = input_size
    if min(width, height) < max(smallest_side, 1):
        raise ValueError(
            f"a result of {size[0]}x{size[1]} has an input of {width}x{height}, below what the network takes"
        )
    image = torch.empty(1, 3, height, width, device="meta")
    with torch.enable_grad(), _Counter() as counter:
        network(image)
    return Complexity(
        params=sum(parameter.numel() for parameter in network.parameters()),
        multi_adds=counter.multi_adds,
        activations=counter.activations,
        convs=counter.convs,
        size=size,
    )


def _network(model: LoadedModel | ModelSpec | nn.Module) -> tuple[nn.Module, int, int]:
    """Return a copy on the meta device, where tensors have shapes only, with its scale and smallest side."""
    if isinstance(model, nn.Module):
        scale = getattr(model, "scale", None)
        if not isinstance(scale, int):
            raise TypeError(f"{type(model).__name__} has no whole scale")
        network, smallest_side = copy.deepcopy(model), 1
    else:
        spec = model.spec if isinstance(model, LoadedModel) else model
        scale, smallest_side = spec.scale, spec.smallest_side
        network = families.build(spec, fused=spec.family == "fmen")
    # Parameters in float32 and with gradients: by those the counter tells what has been learnt.
    network = network.to(device="meta", dtype=torch.float32).eval().requires_grad_(True)
    return network, scale, smallest_side


class _Counter(TorchFunctionMode):
    """Counts all convolutions and linear layers whose weight derives from a parameter, wherever called."""

    def __init__(self) -> None:
        super().__init__()
        self.multi_adds = 0
        self.activations = 0
        self.convs = 0

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if func in (F.conv2d, F.linear):
            weight = args[1] if len(args) > 1 else (kwargs or {})["weight"]
            assert isinstance(weight, Tensor)
            assert isinstance(result, Tensor)
            if weight.requires_grad:
                self.convs += 1
                self.activations += result.numel()
                # Each element of the output is a product with one row of the weight.
                self.multi_adds += result.numel() * prod(weight.shape[1:])
        return result
