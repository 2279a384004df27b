"""Networks as graphs of their operations."""

from __future__ import annotations

import operator

import torch
from torch import Tensor, fx, nn

from srviewer.networks.safmn import ChannelLayerNorm, ScaleMap
from srviewer.networks.whole_image import WholeImageLayer


def traced(network: nn.Module) -> fx.GraphModule | None:
    """Return a network's graph, in which layers that look at the whole image are one step each.

    Parameters
    ----------
    network : of one input. The graph works with its parameters; nothing is copied.

    Returns
    -------
    None if its forward cannot be followed.
    """
    try:
        graph = _Tracer().trace(network)
    except (fx.proxy.TraceError, TypeError, ValueError):
        return None
    module = fx.GraphModule(network, graph)
    _name_parts(module.graph)
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.recompile()
    return module


def part_of(x: Tensor, parts: int, number: int) -> Tensor:
    """Return one of several equal parts of the channels, as a view."""
    return x.chunk(parts, dim=1)[number]


def is_whole_image(module: nn.Module) -> bool:
    """Return whether a layer looks at the whole image."""
    if isinstance(module, ScaleMap):
        return module.divisor > 1
    return isinstance(module, WholeImageLayer)


class _Tracer(fx.Tracer):
    """Records a network's forward, keeping whole what must not be taken apart."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell whether a module stays one step of the graph.

        Layers that look at the whole image do, and those whose forward asks for the memory format.
        """
        if isinstance(m, ChannelLayerNorm) or is_whole_image(m):
            return True
        return not isinstance(m, ScaleMap) and super().is_leaf_module(m, module_qualified_name)


def _name_parts(graph: fx.Graph) -> None:
    """Make one step of "split into parts" and "take part k", so that each part stands for itself."""
    for node in list(graph.nodes):
        if node.op != "call_function" or node.target is not operator.getitem:
            continue
        split, number = node.args
        if split.op != "call_method" or split.target != "chunk":
            continue
        with graph.inserting_before(node):
            part = graph.call_function(part_of, (split.args[0], split.args[1], number))
        node.replace_all_uses_with(part)
        graph.erase_node(node)


def is_convolution(module: nn.Module, size: int | None = None) -> bool:
    """Return whether a module is a plain convolution of stride 1 that keeps the size, maybe of one size."""
    return (
        type(module) is nn.Conv2d
        and module.stride == (1, 1)
        and module.padding_mode == "zeros"
        and not isinstance(module.padding, str)
        and all(
            padding * 2 == dilation * (side - 1)
            for padding, dilation, side in zip(
                module.padding, module.dilation, module.kernel_size, strict=True
            )
        )
        and (size is None or module.kernel_size == (size, size))
    )


def reach_of_convolution(conv: nn.Conv2d) -> int:
    """Return how many pixels around its own a convolution looks at."""
    return max(
        int(step) * (size - 1) // 2 for step, size in zip(conv.dilation, conv.kernel_size, strict=True)
    )


FOLLOWING = (
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    torch.add,
    torch.mul,
    torch.addcmul,
    torch.cat,
    torch.relu,
    nn.functional.relu,
    nn.functional.leaky_relu,
    nn.functional.gelu,
    part_of,
    operator.getitem,
)
"""Functions whose output at a pixel depends on that pixel only."""
