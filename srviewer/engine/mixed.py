"""Networks rewritten to run mostly in 16 bits: about as fast as that, and nearly as exact as fp32."""

from __future__ import annotations

import copy
import operator

import torch
from torch import fx, nn

from srviewer.engine.device import wide_vectors
from srviewer.engine.merged import (
    ChainedConv,
    ColoursLastShuffle,
    ConvActivation,
    ConvSum,
    SplitConv,
    chains_well,
    is_plain,
    merging_works,
    product_in_place,
    wastes_lanes,
    with_colours_last,
)
from srviewer.engine.tracing import traced
from srviewer.networks.safmn import ChannelLayerNorm
from srviewer.networks.whole_image import WholeImageLayer
from srviewer.zoo.spec import Family, ModelSpec

# Where rounding is felt: the first convolution's output, which the long skip carries to the end, and the last
# one's, which is the picture (a bfloat16 between 128 and 256 has steps of 1). They cost little, but for FMEN.
_HEAD: dict[Family, str] = {"fmen": "head", "maffsrn": "head", "safmn": "to_feat", "bsrn": "shallow"}
_TAIL: dict[Family, str] = {"fmen": "tail", "maffsrn": "tail", "safmn": "to_img", "bsrn": "upsample"}

# One step of the graph each.
_OPAQUE = (WholeImageLayer, ChannelLayerNorm)
_ACTIVATIONS = (nn.LeakyReLU, nn.ReLU, nn.GELU, nn.Sigmoid)


def mixed(network: nn.Module, spec: ModelSpec, dtype: torch.dtype, *, merge: bool) -> fx.GraphModule | None:
    """Return a copy of a network that computes in `dtype` except where its rounding would be seen, on 0..1.

    The first and the last convolution and all sums of the residual stream (sums that no activation follows)
    stay in fp32; all else is rounded once where it leaves that stream.

    Parameters
    ----------
    network : fused, in evaluation mode, float32.
    spec : what is known of it.
    dtype : bfloat16 or float16.
    merge : whether convolutions take in the activation that follows: for a CPU, if its torch can.

    Returns
    -------
    A graph that maps float32 in 0..1 to nominally 0..1, whatever the network's own value range is, for use
    without gradients; None if this network cannot be rewritten.
    """
    if spec.family not in _HEAD:
        return None
    head, tail = _HEAD[spec.family], _TAIL[spec.family]
    copied = copy.deepcopy(network)
    if spec.value_range != 1 and not _fold_range(copied, head, tail, spec.value_range):
        return None
    module = traced(copied)
    if module is None:
        return None
    # At x4 FMEN's last convolution has 6 % of its Multi-Adds, and all else is in 16 bits: fp32 at both ends
    # would take a fifth of its time, for 0.004 dB.
    ends_matter = spec.family != "fmen" or spec.scale < 4
    wide = {head, tail} if ends_matter else set()
    merge = merge and merging_works(dtype)
    if merge:
        _chain(module, wide, dtype)
    rewriting = _Rewriting(module, wide, dtype)
    rewriting.settle_dtypes()
    if merge:
        rewriting.merge()
    module.graph.eliminate_dead_code()
    module.graph.lint()
    module.recompile()
    module.eval()
    return module


def _fold_range(network: nn.Module, head: str, tail: str, value_range: float) -> bool:
    """Let the first and the last convolution do the scaling to the network's value range and back."""
    first, last = network.get_submodule(head), network.get_submodule(tail)
    if not isinstance(first, nn.Conv2d) or not isinstance(last, nn.Conv2d) or last.bias is None:
        return False
    with torch.no_grad():
        first.weight.mul_(value_range)
        last.weight.div_(value_range)
        last.bias.div_(value_range)
    return True


def _chain(module: fx.GraphModule, wide: set[str], dtype: torch.dtype) -> None:
    """Compute convolutions of what a convolution made from few channels at once with that one."""
    modules = dict(module.named_modules())
    calls = [node for node in module.graph.nodes if node.op == "call_module" and node.target not in wide]
    for node in calls:
        made = node.args[0] if node.args else None
        if made not in calls or any(other.target == node.target for other in calls if other is not node):
            continue
        assert isinstance(made, fx.Node)
        first, second = modules[str(made.target)], modules[str(node.target)]
        if chains_well(first, second):
            assert isinstance(first, nn.Conv2d)
            assert isinstance(second, nn.Conv2d)
            module.set_submodule(str(node.target), ChainedConv(first, second, dtype))
            node.args = (made.args[0], made)


class _Rewriting:
    """One pass over a graph, in the order of execution, which settles the dtype of every value.

    Parameters
    ----------
    module : is changed.
    wide : names of the modules that stay in fp32.
    dtype : of everything else.
    """

    def __init__(self, module: fx.GraphModule, wide: set[str], dtype: torch.dtype) -> None:
        self.module = module
        self.graph = module.graph
        self.modules = dict(module.named_modules())
        self.wide_modules = wide
        self.dtype = dtype
        self._wide: set[fx.Node] = set()
        self._narrow: set[fx.Node] = set()
        self._constants: set[fx.Node] = set()
        self._casts: dict[fx.Node, fx.Node] = {}
        self._activations: dict[fx.Node, nn.Module] = {}

    def settle_dtypes(self) -> None:
        """Give every value its dtype."""
        for node in list(self.graph.nodes):
            if node.op == "placeholder":
                self._wide.add(node)
            elif node.op == "get_attr":
                self._constants.add(node)
            elif node.op == "call_module":
                self._module(node)
            elif node.op in ("call_function", "call_method"):
                self._operation(node)

    def merge(self) -> None:
        """Make one operation of every 16-bit convolution and the activation or sum after it."""
        for node in list(self.graph.nodes):
            self._merge_activation(node)
        for node in list(self.graph.nodes):
            if node.op == "call_function" and node in self._narrow:
                self._merge_sum(node)
                self._reuse_memory(node)
            elif node.op == "call_module":
                self._shuffle_rows(node)
        if wide_vectors():
            for node in self.graph.nodes:
                self._split(node)
        for node in self.graph.nodes:
            self._pack(node)

    def _module(self, node: fx.Node) -> None:
        target = str(node.target)
        module = self.modules[target]
        if any(target == name or target.startswith(f"{name}.") for name in self.wide_modules):
            self._make_wide(node)
        elif isinstance(module, ChannelLayerNorm):
            # Torch's is three times as fast in fp32, and what follows is the better for it.
            self._make_wide(node)
            with self.graph.inserting_after(node):
                narrow = self.graph.call_method("to", (node, self.dtype))
            node.replace_all_uses_with(narrow, delete_user_cb=lambda user: user is not narrow)
            self._narrow.add(narrow)
        elif any(True for _ in module.parameters()) or isinstance(module, _OPAQUE):
            module.to(self.dtype)
            self._make_narrow(node)
        else:
            self._follow(node)

    def _operation(self, node: fx.Node) -> None:
        inputs = node.all_input_nodes
        if node.target is getattr or not any(one in self._wide or one in self._narrow for one in inputs):
            # A shape, or part of a constant.
            if any(one in self._constants for one in inputs):
                self._constants.add(node)
        elif node.target is torch.cat:
            # What only 16-bit layers will read need not be gathered in fp32.
            if all(self._is_narrow_module(user) for user in node.users):
                self._make_narrow(node)
            else:
                self._follow(node)
        elif node.target in (operator.add, torch.add, torch.addcmul):
            residual = any(one in self._wide for one in inputs)
            if residual and not all(self._is_activation(user) for user in node.users):
                self._wide.add(node)
            else:
                self._make_narrow(node)
        else:
            self._follow(node)

    def _follow(self, node: fx.Node) -> None:
        """Settle a node that works in whatever dtype it is given: fp32 only if all its inputs are."""
        if any(one in self._narrow for one in node.all_input_nodes):
            self._make_narrow(node)
        else:
            self._wide.add(node)

    def _make_narrow(self, node: fx.Node) -> None:
        for one in node.all_input_nodes:
            if one in self._wide or one in self._constants:
                node.replace_input_with(one, self._cast(one, self.dtype))
        self._narrow.add(node)

    def _make_wide(self, node: fx.Node) -> None:
        for one in node.all_input_nodes:
            if one in self._narrow:
                node.replace_input_with(one, self._cast(one, torch.float32))
        self._wide.add(node)

    def _cast(self, node: fx.Node, dtype: torch.dtype) -> fx.Node:
        """Return the value in another dtype, converted once for all who read it."""
        if node not in self._casts:
            with self.graph.inserting_after(node):
                self._casts[node] = self.graph.call_method("to", (node, dtype))
        return self._casts[node]

    def _is_narrow_module(self, node: fx.Node) -> bool:
        return node.op == "call_module" and not any(
            str(node.target) == name or str(node.target).startswith(f"{name}.") for name in self.wide_modules
        )

    def _is_activation(self, node: fx.Node) -> bool:
        return node.op == "call_module" and isinstance(self.modules[str(node.target)], _ACTIVATIONS)

    def _merge_activation(self, node: fx.Node) -> None:
        """Let a convolution apply the activation that alone reads it."""
        if node.op != "call_module" or node not in self._narrow or len(node.users) != 1:
            return
        conv = self.modules[str(node.target)]
        user = next(iter(node.users))
        if not self._is_activation(user) or not is_plain(conv) or self._uses(node) > 1:
            return
        activation = self.modules[str(user.target)]
        self.module.set_submodule(str(node.target), ConvActivation(conv, activation))
        self._activations[node] = activation
        user.replace_all_uses_with(node)
        self.graph.erase_node(user)

    def _merge_sum(self, node: fx.Node) -> None:
        """Let a convolution add what is added to its output alone."""
        if node.target is not operator.add or len(node.all_input_nodes) != 2:
            return
        for conv, other in (node.all_input_nodes, node.all_input_nodes[::-1]):
            if conv.op != "call_module" or len(conv.users) > 1 or self._uses(conv) > 1:
                continue
            module = self.modules[str(conv.target)]
            untouched = self.module.get_submodule(str(conv.target)) is module
            if is_plain(module) and untouched and self._is_before(other, conv):
                self.module.set_submodule(str(conv.target), ConvSum(module))
                conv.args = (*conv.args, other)
                node.replace_all_uses_with(conv)
                self.graph.erase_node(node)
                return

    def _reuse_memory(self, node: fx.Node) -> None:
        """Write a product over the attention it was made of, if nobody else reads that."""
        if node.target is not operator.mul or len(node.args) != 2:
            return
        attention = node.args[0]
        if not isinstance(attention, fx.Node) or attention.op != "call_module" or len(attention.users) > 1:
            return
        if isinstance(self.module.get_submodule(str(attention.target)), ConvActivation):
            node.target = product_in_place

    def _shuffle_rows(self, node: fx.Node) -> None:
        """Let a pixel shuffle move rows of pixels, and the convolution before it make those."""
        shuffle = self.modules[str(node.target)]
        made = node.args[0]
        if type(shuffle) is not nn.PixelShuffle or not isinstance(made, fx.Node) or made.op != "call_module":
            return
        conv = self.module.get_submodule(str(made.target))
        if not is_plain(conv) or conv.groups > 1 or len(made.users) > 1 or self._uses(made) > 1:
            return
        factor = shuffle.upscale_factor
        self.module.set_submodule(str(made.target), with_colours_last(conv, factor))
        self.module.set_submodule(str(node.target), ColoursLastShuffle(factor))

    def _split(self, node: fx.Node) -> None:
        """Compute the last few outputs of a convolution, merged or not, for several pixels at once."""
        if node.op != "call_module" or node not in self._narrow or self._uses(node) > 1:
            return
        conv = self.modules[str(node.target)]
        if wastes_lanes(conv):
            self.module.set_submodule(str(node.target), SplitConv(conv, self._activations.get(node)))

    def _pack(self, node: fx.Node) -> None:
        """Let a convolution keep its weights in the order of oneDNN, too, if nothing was merged with it."""
        if node.op == "call_module":
            conv = self.module.get_submodule(str(node.target))
            if is_plain(conv):
                self.module.set_submodule(str(node.target), ConvActivation(conv, None))

    def _is_before(self, first: fx.Node, second: fx.Node) -> bool:
        return next(one for one in self.graph.nodes if one in (first, second)) is first

    def _uses(self, node: fx.Node) -> int:
        return sum(other.op == "call_module" and other.target == node.target for other in self.graph.nodes)
