"""Networks cut where they look at the whole image, into stages that need only a neighbourhood."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn

from srviewer.engine.merged import ChainedConv, ConvActivation, MergedConv, SplitConv, product_in_place
from srviewer.engine.tracing import FOLLOWING, is_convolution, is_whole_image, reach_of_convolution
from srviewer.networks.safmn import ChannelLayerNorm
from srviewer.networks.whole_image import WholeImageLayer

IMAGE = "image"
"""The name of the network's input among the values that stages read."""

# Layers whose output at a pixel depends on that pixel only.
_POINTWISE = (
    nn.LeakyReLU,
    nn.ReLU,
    nn.GELU,
    nn.Sigmoid,
    nn.Identity,
    nn.BatchNorm2d,
    ChannelLayerNorm,
    nn.PixelShuffle,
)
# Multiplications per pixel up to which a convolution is rather done twice than its output kept.
_CHEAP_PRODUCTS = 2048
# Pixels that bicubic interpolation reads on either side.
_BICUBIC_REACH = 2


@dataclass(frozen=True, eq=False)
class Stage:
    """A part of a network between two looks at the whole image.

    Attributes
    ----------
    module : a graph module, or what stands for it: maps the values `crops`, then those of `spreads`, to the
        values `keeps`, then the inputs of the layers `gathers`, and in the last stage the network's result.
        All N x C x H x W.
    crops : names of values that earlier stages kept, or `IMAGE`.
    spreads : names of layers that look at the whole image, whose outputs are read.
    keeps : names of values that later stages read.
    gathers : names of the layers that look at the whole image of this stage's values.
    reach : pixels around its part that the stage must see.
    """

    module: Callable[..., Sequence[Tensor]]
    crops: tuple[str, ...]
    spreads: tuple[str, ...]
    keeps: tuple[str, ...]
    gathers: tuple[str, ...]
    reach: int


@dataclass(frozen=True, eq=False)
class Staged:
    """A network as stages.

    Attributes
    ----------
    stages : in order; the last one's result is the network's.
    layers : by name, those that look at the whole image.
    """

    stages: tuple[Stage, ...]
    layers: dict[str, WholeImageLayer]

    def last_use(self, value: str) -> int:
        """Return the number of the last stage that reads a kept value, or what a layer makes."""
        return max(
            number
            for number, stage in enumerate(self.stages)
            if value in stage.crops or value in stage.spreads
        )


def staged(network: fx.GraphModule) -> Staged | None:
    """Cut a traced network (`tracing.traced`) into stages; None if a layer's reach is not known here."""
    network = fx.GraphModule(network, _copied(network.graph))
    _split_aggregations(network)
    try:
        return _Partition(network).staged()
    except _UnknownReachError:
        return None


class _UnknownReachError(Exception):
    """A node is met of which it is not known how far it looks."""


def _copied(graph: fx.Graph) -> fx.Graph:
    result = fx.Graph()
    result.output(result.graph_copy(graph, {}))
    return result


class _Partition:
    """Decides in which stage each node of a graph is computed.

    What a stage reads must be kept for the whole image, so nodes move where that keeps less.
    """

    def __init__(self, network: fx.GraphModule) -> None:
        self.network = network
        self.modules = dict(network.named_modules())
        self.nodes = list(network.graph.nodes)
        self.image = next(node for node in self.nodes if node.op == "placeholder")
        self.result = next(node for node in self.nodes if node.op == "output").args[0]
        assert isinstance(self.result, fx.Node)
        self.looks = {
            node
            for node in self.nodes
            if node.op == "call_module" and is_whole_image(self.modules[str(node.target)])
        }
        self.constants: set[fx.Node] = set()
        self.inputs: dict[fx.Node, list[fx.Node]] = {}
        self.level: dict[fx.Node, int] = {}
        for node in self.nodes:
            if node.op == "output" or node is self.image:
                continue
            if node.op == "get_attr" or (
                node.all_input_nodes and all(one in self.constants for one in node.all_input_nodes)
            ):
                self.constants.add(node)
            else:
                self.inputs[node] = [
                    one for one in node.all_input_nodes if one not in self.constants and one is not self.image
                ]
                self.level[node] = max((self._ready(one) for one in self.inputs[node]), default=0)
        self.users = {node: [user for user in node.users if user.op != "output"] for node in self.level}
        self.copies: dict[int, set[fx.Node]] = {}
        self.needed: dict[int, list[fx.Node]] = {}

    def staged(self) -> Staged:
        """Settle the stages and build them."""
        while self._sink_one():
            pass
        count = self.level[self.result] + 1
        self.copies = {number: set() for number in range(count)}
        for number in range(count):
            while self._copy_one(number):
                pass
            self.needed[number] = self._read(number)
        layers = {}
        for node in self.level:
            if node in self.looks:
                layer = self.modules[str(node.target)]
                assert isinstance(layer, WholeImageLayer)
                layers[node.name] = layer
        return Staged(tuple(self._stage(number) for number in range(count)), layers)

    def _ready(self, node: fx.Node) -> int:
        """Return the first stage that can read a node."""
        return self.level[node] + (node in self.looks)

    def _sink_one(self) -> bool:
        """Move a node that only later stages read into the first of them, with what is there for it alone.

        Only if all that it then reads is kept until there anyway.
        """
        for node in reversed(self.nodes):
            if node not in self.level or node in self.looks or node is self.result:
                continue
            here, users = self.level[node], self.users[node]
            target = min(self.level[user] for user in users)
            if target == here:
                continue
            cone, frontier = self._cone(node)
            if all(
                one in self.looks
                or any(self.level[user] >= target for user in self.users[one] if user not in cone)
                for one in frontier
            ):
                for one in cone:
                    self.level[one] = target
                return True
        return False

    def _cone(self, node: fx.Node) -> tuple[set[fx.Node], set[fx.Node]]:
        """Return `node` and all of its stage that is computed for it alone, and what these read."""
        cone = {node}
        grown = True
        while grown:
            grown = False
            for one in {earlier for member in cone for earlier in self.inputs[member]} - cone:
                if (
                    self.level[one] == self.level[node]
                    and one not in self.looks
                    and all(user in cone for user in one.users)
                ):
                    cone.add(one)
                    grown = True
        return cone, {earlier for member in cone for earlier in self.inputs[member]} - cone

    def _read(self, number: int) -> list[fx.Node]:
        """Return what a stage reads of the values that earlier ones compute."""
        copied = {one for copy in self.copies[number] for one in self.inputs[copy]}
        return [
            node
            for node, level in self.level.items()
            if level < number
            and node not in self.looks
            and node not in self.copies[number]
            and (node in copied or any(self.level[user] == number for user in self.users[node]))
        ]

    def _copy_one(self, number: int) -> bool:
        """Compute a cheap value again in a stage rather than keep it, if what it takes is there."""
        needed = self._read(number)
        for node in needed:
            way = self._way_to(node, set(needed) - {node}, number)
            if way:
                self.copies[number] |= way
                return True
        return False

    def _way_to(self, node: fx.Node, there: set[fx.Node], number: int) -> set[fx.Node]:
        """Return the cheap nodes that make `node` from what is `there`; none if it cannot be so made."""
        if not self._is_cheap(node):
            return set()
        way = {node}
        for one in self.inputs[node]:
            if one in there or one in self.copies[number]:
                continue
            if one in self.looks:
                if self.level[one] < number:
                    continue
                return set()
            more = self._way_to(one, there, number)
            if not more:
                return set()
            way |= more
        return way

    def _is_cheap(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            module = self.modules[str(node.target)]
            if isinstance(module, (nn.Conv2d, ConvActivation)):
                # Others than 1x1 make a stage look farther; at the image that costs next to nothing.
                near = module.weight.shape[2:] == (1, 1) or node.args[0] is self.image
                return near and module.weight.numel() <= _CHEAP_PRODUCTS
            return isinstance(module, _POINTWISE) and not isinstance(module, nn.PixelShuffle)
        if node.op == "call_method":
            return node.target == "to"
        return node.op == "call_function" and node.target in FOLLOWING and node.target is not torch.cat

    def _stage(self, number: int) -> Stage:
        """Build one stage."""
        crops = self.needed[number]
        here = [
            node
            for node in self.nodes
            if node in self.copies[number]
            or (node in self.level and self.level[node] == number and node not in self.looks)
        ]
        gathers = [node for node in self.nodes if self._is_gathered(node, number)]
        used = {one for node in [*here, *gathers] for one in node.all_input_nodes}
        spreads = [node for node in self.nodes if node in used and node in self.level and node in self.looks]
        wanted_later = {node for later in range(number + 1, len(self.copies)) for node in self.needed[later]}
        keeps = [node for node in here if node not in self.copies[number] and node in wanted_later]
        graph = fx.Graph()
        image = [self.image] if self.image in used else []
        mapped = {
            node: graph.placeholder(IMAGE if node is self.image else node.name)
            for node in [*image, *crops, *spreads]
        }
        for node in self.nodes:
            if node in self.constants or node in here:
                mapped[node] = graph.node_copy(node, lambda one: mapped[one])
        outputs = [*keeps, *(node.all_input_nodes[0] for node in gathers)]
        if number == self.level[self.result]:
            outputs.append(self.result)
        graph.output(tuple(mapped[node] for node in outputs))
        module = fx.GraphModule(self.network, graph)
        module.graph.eliminate_dead_code()
        module.graph.lint()
        module.recompile()
        margins = [0] * len(keeps)
        for node in gathers:
            layer = self.modules[str(node.target)]
            assert isinstance(layer, WholeImageLayer)
            margins.append(layer.margin)
        if number == self.level[self.result]:
            margins.append(0)
        return Stage(
            module=module,
            crops=(*(IMAGE for _ in image), *(node.name for node in crops)),
            spreads=tuple(node.name for node in spreads),
            keeps=tuple(node.name for node in keeps),
            gathers=tuple(node.name for node in gathers),
            reach=self._reach(module.graph, margins),
        )

    def _is_gathered(self, node: fx.Node, number: int) -> bool:
        return node in self.level and self.level[node] == number and node in self.looks

    def _reach(self, graph: fx.Graph, margins: list[int]) -> int:
        """Return how far around a pixel the stage looks, for outputs that are wanted with such margins."""
        wanted: dict[fx.Node, int] = {}
        for node in reversed(graph.nodes):
            if node.op == "output":
                outputs = node.args[0]
                assert isinstance(outputs, tuple)
                for one, margin in zip(outputs, margins, strict=True):
                    assert isinstance(one, fx.Node)
                    wanted[one] = max(wanted.get(one, 0), margin)
                continue
            if node.op in ("placeholder", "get_attr"):
                continue
            margin = wanted.get(node, 0) + self._own_reach(node)
            for one in node.all_input_nodes:
                wanted[one] = max(wanted.get(one, 0), margin)
        return max((wanted.get(node, 0) for node in graph.nodes if node.op == "placeholder"), default=0)

    def _own_reach(self, node: fx.Node) -> int:
        if node.op == "call_module":
            return reach_of(self.modules[str(node.target)])
        if node.op == "call_method" and node.target in ("to", "chunk"):
            return 0
        if node.op == "call_function":
            if node.target in FOLLOWING or node.target is product_in_place:
                return 0
            if node.target is nn.functional.interpolate and node.kwargs.get("mode") == "bicubic":
                return _BICUBIC_REACH
        raise _UnknownReachError(node)


def reach_of(module: nn.Module) -> int:
    """Return how many pixels around its own a layer looks at.

    Raises
    ------
    _UnknownReachError
        If that is not known here.
    """
    if is_convolution(module):
        assert isinstance(module, nn.Conv2d)
        return reach_of_convolution(module)
    if isinstance(module, (ChainedConv, MergedConv, SplitConv)):
        return module.reach
    if isinstance(module, _POINTWISE):
        return 0
    raise _UnknownReachError(module)


def _split_aggregations(network: fx.GraphModule) -> None:
    """Turn a 1x1 convolution of many blocks' concatenated outputs into a sum that grows block by block.

    Then only the sum is kept from stage to stage, not all outputs.
    """
    graph = network.graph
    modules = dict(network.named_modules())
    looks = {
        node for node in graph.nodes if node.op == "call_module" and is_whole_image(modules[str(node.target)])
    }
    for node in list(graph.nodes):
        if node.op != "call_module" or not is_convolution(modules[str(node.target)], 1):
            continue
        conv = modules[str(node.target)]
        cat = node.args[0]
        assert isinstance(conv, nn.Conv2d)
        if (
            not isinstance(cat, fx.Node)
            or cat.op != "call_function"
            or cat.target is not torch.cat
            or len(cat.users) > 1
            or conv.groups != 1
            or conv.weight.dtype not in (torch.float32, torch.float64)
        ):
            continue
        inputs = list(cat.all_input_nodes)
        if list(cat.args[0]) != inputs or not _spans_stages(inputs, looks):  # type: ignore[arg-type]
            continue
        total: fx.Node | None = None
        skip = _skip_after(node)
        with graph.inserting_before(skip or node):
            for number, (one, weight) in enumerate(zip(inputs, _shares(conv, len(inputs)), strict=True)):
                name = f"{str(node.target).replace('.', '_')}_share{number}"
                network.add_submodule(name, weight)
                share = graph.call_module(name, (one,))
                if number == 0 and skip is not None:
                    share = graph.call_function(torch.addcmul, (share, *skip.args[1:]))
                total = share if total is None else graph.call_function(operator.add, (total, share))
        assert total is not None
        if skip is not None:
            skip.replace_all_uses_with(total)
            graph.erase_node(skip)
        else:
            node.replace_all_uses_with(total)
        graph.erase_node(node)
    graph.eliminate_dead_code()
    network.recompile()


def _skip_after(node: fx.Node) -> fx.Node | None:
    """Return the scaled skip connection that alone reads a node, so that its input need not wait for it."""
    user = next(iter(node.users))
    is_skip = (
        len(node.users) == 1
        and user.op == "call_function"
        and user.target is torch.addcmul
        and user.args[0] is node
        and not user.kwargs
    )
    return user if is_skip else None


def _shares(conv: nn.Conv2d, count: int) -> Iterable[nn.Conv2d]:
    """Cut a 1x1 convolution into one for each of `count` equal parts of its input; the first has the bias."""
    size = conv.in_channels // count
    for number in range(count):
        share = nn.Conv2d(size, conv.out_channels, 1, bias=number == 0 and conv.bias is not None)
        share = share.to(conv.weight)
        share.weight = nn.Parameter(
            conv.weight.detach()[:, number * size : (number + 1) * size].contiguous(
                memory_format=torch.channels_last
            ),
            requires_grad=False,
        )
        if share.bias is not None:
            share.bias = conv.bias
        yield share


def _spans_stages(nodes: list[fx.Node], looks: set[fx.Node]) -> bool:
    """Tell whether a look at the whole image lies between some of the nodes."""
    depth: dict[fx.Node, int] = {}
    for node in nodes[0].graph.nodes:
        depth[node] = max((depth[one] + (one in looks) for one in node.all_input_nodes), default=0)
    return len({depth[node] for node in nodes}) > 1
