"""Torch graphs told to OpenVINO, operation by operation."""

from __future__ import annotations

import operator
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from srviewer.engine.device import wide_vectors
from srviewer.engine.merged import split_weights, wastes_lanes
from srviewer.engine.tracing import part_of
from srviewer.networks.bsrn import ChannelContrast
from srviewer.networks.safmn import ChannelLayerNorm, GridMaxPool
from srviewer.networks.whole_image import WholeImageLayer

# What `torch.nn.functional.interpolate` takes for bicubic interpolation's coefficient.
_CUBIC = -0.75


def quiet_openvino() -> ModuleType:
    """Import OpenVINO without the part of it that would tell its makers of its use.

    Nor does it complain on standard error where ``/sys`` cannot be read, as in some containers.
    """
    os.environ.setdefault("HWLOC_HIDE_ERRORS", "2")
    # Its own stand-in takes the place of a package that cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None forbids the import
    import openvino

    module: ModuleType = openvino
    return module


class UntranslatableError(Exception):
    """A graph holds an operation that is not known here."""


Forms = tuple[tuple[torch.Size, torch.dtype], ...]
"""The shapes and dtypes of several tensors."""


def translated(graph: fx.GraphModule, inputs: Forms) -> Any:
    """Return a graph as an ``openvino.Model``.

    Its inputs and outputs are 1 x H x W x C, the memory of torch's channels_last tensors, and every value has
    the dtype that it has in torch. OpenVINO's own converter would trace the network anew, at the cost of
    seconds, and knows none of the layers that are one step of a graph here.

    Parameters
    ----------
    graph : maps tensors 1 x C x H x W to such, or to a tuple of them; its layers are in evaluation mode.
    inputs : the form of each, 1 x C x H x W, float32 or bfloat16.

    Raises
    ------
    UntranslatableError
        If an operation is not known here.
    """
    return _Translation(graph).model(inputs)


class _Translation:
    """One graph on its way."""

    def __init__(self, graph: fx.GraphModule) -> None:
        openvino = quiet_openvino()
        from openvino import opset13

        self._openvino = openvino
        self._op = opset13
        self._graph = graph
        self._modules = dict(graph.named_modules())
        self._types = {
            torch.float32: openvino.Type.f32,
            torch.float64: openvino.Type.f64,
            torch.bfloat16: openvino.Type.bf16,
        }
        # Tensors are constants, all else is OpenVINO's. A value stays in the form it was made in: with the
        # channels second in the shape, as convolutions want them, or last, as inputs and outputs have them.
        # Steps on single pixels work in either, and to change a value's form costs as much as such a step.
        self._values: dict[fx.Node, Any] = {}
        self._last: dict[fx.Node, Any] = {}

    def model(self, inputs: Forms) -> Any:
        """Go through the graph in the order of execution."""
        parameters = [self._input(*form) for form in inputs]
        outputs = self._run(parameters, last=True)
        return self._openvino.Model(
            [self._op.result(self._value_last(one)) for one in outputs], parameters, "stage"
        )

    def _run(self, inputs: Sequence[Any], *, last: bool) -> tuple[object, ...]:
        """Go through the graph in the order of execution; return the nodes that it gives."""
        waiting = list(inputs)
        for node in self._graph.graph.nodes:
            if node.op == "placeholder":
                (self._last if last else self._values)[node] = waiting.pop(0)
            elif node.op == "get_attr":
                self._values[node] = _attribute(self._graph, str(node.target))
            elif node.op == "output":
                return node.args[0] if isinstance(node.args[0], tuple) else (node.args[0],)
            elif node.target is getattr and node.args[1] == "shape":
                self._values[node] = tuple(self._value(node.args[0]).get_output_shape(0))
            elif node.target is operator.getitem and isinstance(self._values.get(node.args[0]), tuple):
                self._values[node] = self._values[node.args[0]][node.args[1]]
            elif all(isinstance(self._values.get(one), Tensor) for one in node.all_input_nodes):
                self._values[node] = self._constant_value(node)
            elif self._is_pointwise(node):
                (self._last if self._stays_last(node) else self._values)[node] = self._pointwise(node)
            elif node.op == "call_module":
                self._values[node] = self._layer(self._modules[str(node.target)], self._value(node.args[0]))
            elif node.op == "call_function":
                self._values[node] = self._function(node)
            else:
                raise UntranslatableError(f"{node.op} {node.target}")
        raise UntranslatableError("a graph without an output")

    def _input(self, shape: torch.Size, dtype: torch.dtype) -> Any:
        batch, channels, height, width = shape
        return self._op.parameter([batch, height, width, channels], self._types[dtype])

    def _permuted(self, value: Any, *order: int) -> Any:
        return self._op.transpose(value, self._op.constant(np.array(order)))

    def _constant(self, tensor: Tensor) -> Any:
        values = tensor.detach().float().contiguous().numpy()
        return self._op.constant(values, dtype=self._types[tensor.dtype])

    def _value(self, node: object) -> Any:
        """Return a value with the channels second in its shape."""
        assert isinstance(node, fx.Node)
        if node not in self._values:
            self._values[node] = self._permuted(self._last[node], 0, 3, 1, 2)
        value = self._values[node]
        return self._constant(value) if isinstance(value, Tensor) else value

    def _value_last(self, node: object) -> Any:
        """Return a value with the channels last in its shape."""
        assert isinstance(node, fx.Node)
        if node in self._last:
            return self._last[node]
        value = self._values[node]
        if isinstance(value, Tensor):
            return self._constant(value.movedim(-3, -1) if value.ndim > 2 else value)
        self._last[node] = self._permuted(value, 0, 2, 3, 1)
        return self._last[node]

    def _is_pointwise(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(self._modules[str(node.target)], _ACTIVATIONS)
        if node.op == "call_method":
            return node.target == "to"
        return node.target in (*_SUMS, *_PRODUCTS, *_RECTIFIERS, torch.addcmul)

    def _stays_last(self, node: fx.Node) -> bool:
        """Tell whether all that a step reads has the channels last."""
        return all(one in self._last or isinstance(self._values[one], Tensor) for one in node.all_input_nodes)

    def _pointwise(self, node: fx.Node) -> Any:
        """Do a step on pixels, in the form that its inputs have."""
        op, target = self._op, node.target
        take = self._value_last if self._stays_last(node) else self._value
        if node.op == "call_method":
            return self._cast(take(node.args[0]), node.args[1])
        if node.op == "call_module":
            return self._activation(self._modules[str(target)], take(node.args[0]))
        if any(value for name, value in node.kwargs.items() if name != "inplace"):
            raise UntranslatableError(f"{target} {node.kwargs}")
        if target in _RECTIFIERS:
            return op.relu(take(node.args[0]))
        values = self._alike(
            [take(one) if isinstance(one, fx.Node) else self._number(one) for one in node.args]
        )
        if target in _SUMS:
            return op.add(*values)
        if target in _PRODUCTS:
            return op.multiply(*values)
        first, left, right = values
        return op.add(first, op.multiply(left, right))

    def _constant_value(self, node: fx.Node) -> Tensor:
        """Compute what depends on no input."""
        arguments: Any = fx.node.map_arg(node.args, lambda one: self._values[one])
        if node.op == "call_method" and node.target == "to":
            value = arguments[0].to(*arguments[1:])
        elif node.op == "call_function" and callable(node.target):
            value = node.target(*arguments, **node.kwargs)
        else:
            raise UntranslatableError(f"{node.op} {node.target} of constants")
        assert isinstance(value, Tensor)
        return value

    def _layer(self, layer: nn.Module, x: Any) -> Any:
        op = self._op
        if type(layer) is nn.Conv2d:
            return self._convolution(layer, x)
        if isinstance(layer, nn.Identity):
            return x
        if isinstance(layer, nn.PixelShuffle):
            return op.depth_to_space(x, "depth_first", layer.upscale_factor)
        if isinstance(layer, ChannelLayerNorm):
            return self._layer_norm(layer, x)
        if isinstance(layer, nn.BatchNorm2d) and not layer.training:
            return self._batch_norm(layer, x)
        if isinstance(layer, ChannelContrast):
            return self._contrast(x)
        if isinstance(layer, GridMaxPool):
            return self._grid_max_pool(layer, x)
        if isinstance(layer, nn.MaxPool2d):
            return self._max_pool(x, _pair(layer.kernel_size), _pair(layer.stride))
        if isinstance(layer, WholeImageLayer):
            # It is one step in the graph; here it is taken apart.
            inner = _Translation(fx.GraphModule(layer, _LayerTracer().trace(layer)))
            (output,) = inner._run([x], last=False)
            return inner._value(output)
        raise UntranslatableError(type(layer).__name__)

    def _contrast(self, x: Any) -> Any:
        op, axes = self._op, self._op.constant(np.array([2, 3]))
        wide = op.convert(x, self._types[torch.float32])
        mean = op.reduce_mean(wide, axes, True)
        centred = op.subtract(wide, mean)
        variance = op.reduce_mean(op.multiply(centred, centred), axes, True)
        return op.convert(op.add(op.sqrt(variance), mean), x.get_element_type())

    def _grid_max_pool(self, pool: GridMaxPool, x: Any) -> Any:
        height, width = tuple(x.get_output_shape(0))[2:]
        if height % pool.divisor == 0 and width % pool.divisor == 0:
            side = pool.divisor, pool.divisor
            return self._max_pool(x, side, side)
        cells = self._op.constant(np.array([height // pool.divisor, width // pool.divisor]))
        narrow = x.get_element_type()
        pooled = self._op.adaptive_max_pool(self._op.convert(x, self._types[torch.float32]), cells, "i32")
        return self._op.convert(pooled.output(0), narrow)

    def _max_pool(self, x: Any, size: tuple[int, int], stride: tuple[int, int]) -> Any:
        from openvino import opset1  # later ones give the maxima's places as well

        return opset1.max_pool(x, list(stride), [0, 0], [0, 0], list(size))

    def _activation(self, layer: nn.Module, x: Any) -> Any:
        op = self._op
        if isinstance(layer, nn.LeakyReLU):
            return op.prelu(x, op.constant([layer.negative_slope], dtype=x.get_element_type()))
        if isinstance(layer, nn.ReLU):
            return op.relu(x)
        if isinstance(layer, nn.Sigmoid):
            return op.sigmoid(x)
        assert isinstance(layer, nn.GELU)
        return op.gelu(x, "erf" if layer.approximate == "none" else "tanh")

    def _convolution(self, conv: nn.Conv2d, x: Any) -> Any:
        if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
            raise UntranslatableError(f"padding {conv.padding_mode}, {conv.padding}")
        if wide_vectors() and wastes_lanes(conv):
            return self._split_convolution(conv, x)
        steps = list(conv.stride), list(conv.padding), list(conv.padding), list(conv.dilation)
        if conv.groups == 1:
            result = self._op.convolution(x, self._constant(conv.weight), *steps)
        else:
            grouped = conv.weight.reshape(conv.groups, -1, *conv.weight.shape[1:])
            result = self._op.group_convolution(x, self._constant(grouped), *steps)
        if conv.bias is None:
            return result
        return self._op.add(result, self._constant(conv.bias[:, None, None]))

    def _split_convolution(self, conv: nn.Conv2d, x: Any) -> Any:
        """Do what `merged.SplitConv` does: the last few outputs for several pixels at once."""
        op, split = self._op, split_weights(conv)
        _, _, height, width = tuple(x.get_output_shape(0))
        below, beside = -height % split.rows, -width % split.columns
        upper, left = (int(one) for one in conv.padding)
        first = op.convolution(x, self._constant(split.first), [1, 1], [upper, left], [upper, left], [1, 1])
        last = op.convolution(
            x,
            self._constant(split.last),
            [split.rows, split.columns],
            [upper, left],
            [upper + below, left + beside],
            [1, 1],
        )
        if conv.bias is not None:
            assert split.first_bias is not None
            assert split.last_bias is not None
            first = op.add(first, self._constant(split.first_bias[:, None, None]))
            last = op.add(last, self._constant(split.last_bias[:, None, None]))
        blocks = (height + below) // split.rows, (width + beside) // split.columns
        apart = op.reshape(
            last, op.constant(np.array([1, split.rows, split.columns, split.rest, *blocks])), False
        )
        joined = op.reshape(
            self._permuted(apart, 0, 3, 4, 1, 5, 2),
            op.constant(np.array([1, split.rest, height + below, width + beside])),
            False,
        )
        for axis, (missing, length) in enumerate(((below, height), (beside, width)), start=2):
            if missing:
                joined = op.slice(joined, *(op.constant(np.array([one])) for one in (0, length, 1, axis)))
        return op.concat([first, joined], 1)

    def _layer_norm(self, norm: ChannelLayerNorm, x: Any) -> Any:
        """Normalise by two 1x1 convolutions, one that takes the mean off and one that takes means of squares.

        OpenVINO's own normalisation wants the channels last in the shape as well, not in the memory alone:
        what it then moves to and fro takes longer than the convolutions' idle products.
        """
        op, channels = self._op, len(norm.weight)
        plain = [1, 1], [0, 0], [0, 0], [1, 1]
        mean = torch.full((channels, channels, 1, 1), 1 / channels)
        centring = torch.eye(channels)[:, :, None, None] - mean
        narrow = x.get_element_type()
        centred = op.convolution(op.convert(x, self._types[torch.float32]), self._constant(centring), *plain)
        variance = op.convolution(op.multiply(centred, centred), self._constant(mean), *plain)
        spread = op.power(op.add(variance, op.constant(np.float32(norm.eps))), op.constant(np.float32(-0.5)))
        scale, offset = (self._constant(one.float()[:, None, None]) for one in (norm.weight, norm.bias))
        return op.convert(op.add(op.multiply(op.multiply(centred, spread), scale), offset), narrow)

    def _batch_norm(self, norm: nn.BatchNorm2d, x: Any) -> Any:
        assert norm.running_mean is not None and norm.running_var is not None  # noqa: PT018
        slope = (norm.running_var + norm.eps).rsqrt()
        offset = -norm.running_mean * slope
        if norm.affine:
            slope, offset = slope * norm.weight, offset * norm.weight + norm.bias
        scaled = self._op.multiply(x, self._constant(slope[:, None, None]))
        return self._op.add(scaled, self._constant(offset[:, None, None]))

    def _function(self, node: fx.Node) -> Any:
        op, target = self._op, node.target
        if target is nn.functional.interpolate:
            return self._interpolation(node)
        if target is torch.cat:
            parts, dim = node.args[0], node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
            assert isinstance(parts, (list, tuple))
            return op.concat(self._alike([self._value(one) for one in parts]), dim)
        if target is part_of:
            source, count, number = node.args
            return self._part(self._value(source), int(str(count)), int(str(number)))
        raise UntranslatableError(str(target))

    def _part(self, x: Any, count: int, number: int) -> Any:
        op, size = self._op, x.get_output_partial_shape(0)[1].get_length() // count
        return op.slice(
            x,
            op.constant(np.array([number * size])),
            op.constant(np.array([(number + 1) * size])),
            op.constant(np.array([1])),
            op.constant(np.array([1])),
        )

    def _alike(self, values: list[Any]) -> list[Any]:
        """Bring values to one dtype as torch does: to the widest."""
        widest = max((one.get_element_type() for one in values), key=lambda one: one.size)
        return [one if one.get_element_type() == widest else self._op.convert(one, widest) for one in values]

    def _cast(self, value: Any, dtype: object) -> Any:
        if dtype not in self._types:
            raise UntranslatableError(f"a cast to {dtype}")
        return self._op.convert(value, self._types[dtype])

    def _number(self, value: object) -> Any:
        if not isinstance(value, (int, float)):
            raise UntranslatableError(f"an argument {value!r}")
        return self._op.constant(np.float32(value))

    def _interpolation(self, node: fx.Node) -> Any:
        op, settings = self._op, dict(node.kwargs)
        source = self._value(node.args[0])
        narrow, (height, width) = source.get_element_type(), tuple(source.get_output_shape(0))[2:]
        size, factor = settings.get("size"), settings.get("scale_factor")
        if isinstance(size, fx.Node):
            size = self._values[size]
        elif isinstance(factor, int):
            size = height * factor, width * factor
        mode = _MODES.get(str(settings.get("mode")))
        if (
            mode is None
            or not isinstance(size, tuple)
            or settings.get("align_corners")
            or settings.get("antialias")
        ):
            raise UntranslatableError(f"interpolation {node.kwargs}")
        if mode == "nearest" and (size[0] % height or size[1] % width):
            return self._nearest(source, (height, width), size)
        enlarged = op.interpolate(
            op.convert(source, self._types[torch.float32]),
            np.array(size, np.int64),
            mode,
            "sizes",
            axes=np.array([2, 3]),
            coordinate_transformation_mode="asymmetric" if mode == "nearest" else "half_pixel",
            nearest_mode="floor",
            cube_coeff=_CUBIC,
        )
        return op.convert(enlarged, narrow)

    def _nearest(self, source: Any, cells: tuple[int, int], size: tuple[int, int]) -> Any:
        """Take for each pixel the cell that torch takes: where sides are no multiples, rounding decides."""
        op = self._op
        for axis, count, length in zip((2, 3), cells, size, strict=True):
            number = torch.arange(count, dtype=torch.float64)[None, None, :, None]
            chosen = nn.functional.interpolate(number, size=(length, 1), mode="nearest").flatten().long()
            source = op.gather(source, op.constant(chosen.numpy()), op.constant(np.array(axis)))
        return source


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


class _LayerTracer(fx.Tracer):
    """Takes a layer that looks at the whole image apart."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell whether a module stays one step."""
        return isinstance(m, GridMaxPool) or super().is_leaf_module(m, module_qualified_name)


_MODES = {"bicubic": "cubic", "bilinear": "linear_onnx", "nearest": "nearest"}
_ACTIVATIONS = (nn.LeakyReLU, nn.ReLU, nn.Sigmoid, nn.GELU)
_SUMS = (operator.add, torch.add)
_PRODUCTS = (operator.mul, torch.mul)
_RECTIFIERS = (torch.relu, nn.functional.relu)


def _attribute(root: object, path: str) -> Tensor:
    value = root
    for name in path.split("."):
        value = getattr(value, name)
    assert isinstance(value, Tensor)
    return value
