"""Convolutions in 16 bits that finish more in one pass over the features, for CPUs."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeGuard, cast

import torch
from torch import Tensor, nn

from srviewer.engine.tracing import is_convolution, reach_of_convolution

# Outputs that the vectors of a CPU with AVX-512 compute at once (`device.wide_vectors`).
_LANES = 16
# Outputs beyond a multiple of `_LANES` up to which `SplitConv` is the faster way: 50 of FMEN are 48 and 2.
_MOST_REST = 4
# Inputs from which it is.
_LEAST_INPUTS = 32


class MergedConv(nn.Module):
    """What convolutions that do one thing more have in common.

    Attributes
    ----------
    reach : pixels around its own that it looks at.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.weight = conv.weight
        self.bias = conv.bias
        self.reach = reach_of_convolution(conv)
        # As oneDNN's operations take them, one after the other.
        self._geometry = _pair(conv.padding), list(conv.stride), list(conv.dilation), conv.groups
        self._packed: Tensor | None = None

    def packed(self, x: Tensor) -> Tensor:
        """Return the weight in the order that oneDNN wants, which it would otherwise make anew each time."""
        if self._packed is None:
            pack = torch.ops.mkldnn._reorder_convolution_weight
            self._packed = cast("Tensor", pack(self.weight.detach(), *self._geometry, list(x.shape)))
        return self._packed

    def __getstate__(self) -> dict[str, Any]:
        """Leave out of copies what cannot be copied."""
        return self.__dict__ | {"_packed": None}


class ConvActivation(MergedConv):
    """A convolution that applies an activation to its sums before it writes them.

    That spares a pass over the features, which on a CPU costs up to a sixth of a network's time.

    Parameters
    ----------
    conv : whose weights are shared.
    activation : leaky ReLU, ReLU, GELU or sigmoid; None for none.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None) -> None:
        super().__init__(conv)
        self._activation = _named(activation)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x inputs x H x W to N x outputs x H' x W', of the weight's dtype."""
        merged = torch.ops.mkldnn._convolution_pointwise.default(
            x, self.packed(x), self.bias, *self._geometry, *self._activation
        )
        return cast("Tensor", merged)


class ConvSum(MergedConv):
    """A convolution that adds a tensor to its sums before it writes them."""

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        """Map N x inputs x H x W, and `other` of the output's shape, to N x outputs x H' x W'."""
        merged = torch.ops.mkldnn._convolution_pointwise.binary(
            x, other, self.packed(x), self.bias, *self._geometry, "add", 1.0, None, [], None
        )
        return cast("Tensor", merged)


@dataclass(frozen=True, eq=False)
class SplitWeights:
    """The weights of a convolution as ``SplitConv`` takes them.

    Attributes
    ----------
    first, first_bias : of the outputs up to a multiple of 16.
    last, last_bias : of the other `rest` outputs, for each pixel of a block of `rows` x `columns`: output
        ``(row * columns + column) * rest + k`` is output k of the rest at that pixel.
    """

    first: Tensor
    first_bias: Tensor | None
    last: Tensor
    last_bias: Tensor | None
    rest: int
    rows: int
    columns: int


def split_weights(conv: nn.Conv2d) -> SplitWeights:
    """Return the weights of a convolution of which ``wastes_lanes`` is true; they are copies."""
    outputs, inputs, height, width = conv.weight.shape
    rest = outputs % _LANES
    rows, columns = _block(_LANES // rest, height, width)
    pixels = rows * columns
    weight = conv.weight.detach()
    last = weight.new_zeros((rest * pixels, inputs, height + rows - 1, width + columns - 1))
    for pixel in range(pixels):
        row, column = divmod(pixel, columns)
        place = last[pixel * rest : (pixel + 1) * rest, :, row : row + height, column : column + width]
        place.copy_(weight[-rest:])
    bias = None if conv.bias is None else conv.bias.detach()
    return SplitWeights(
        first=weight[:-rest].clone(),
        first_bias=None if bias is None else bias[:-rest].clone(),
        last=last,
        last_bias=None if bias is None else bias[-rest:].repeat(pixels),
        rest=rest,
        rows=rows,
        columns=columns,
    )


def _block(most: int, height: int, width: int) -> tuple[int, int]:
    """Return the rows and columns, at most so many pixels, that a kernel serves with the fewest products."""
    blocks = [(rows, columns) for rows in range(1, most + 1) for columns in range(rows, most // rows + 1)]
    return min(blocks, key=lambda one: (height + one[0] - 1) * (width + one[1] - 1) / (one[0] * one[1]))


class SplitConv(nn.Module):
    """A convolution whose last few outputs are computed for several pixels at once.

    Outputs are computed by sixteens: 50 of them cost as much as 64. Here 48 are computed as ever, and the
    other 2 for blocks of 2 x 4 pixels by a convolution of 16 outputs with that stride, whose kernel is larger
    by zeros: a third of the multiplications that they would cost, the same sums.

    Parameters
    ----------
    conv : one of which ``wastes_lanes`` is true.
    activation : applied to the sums; None for none.

    Attributes
    ----------
    reach : pixels around its own that it looks at.
    """

    def __init__(self, conv: nn.Conv2d, activation: nn.Module | None) -> None:
        super().__init__()
        split = split_weights(conv)
        padding = _pair(conv.padding)
        first = _convolution(split.first, split.first_bias, (1, 1), padding)
        last = _convolution(split.last, split.last_bias, (split.rows, split.columns), padding)
        self._first = ConvActivation(first, activation)
        self._last = ConvActivation(last, activation)
        self._rows, self._columns, self._rest = split.rows, split.columns, split.rest
        self.reach = reach_of_convolution(conv)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Map N x inputs x H x W to N x outputs x H x W, channels last; `other`, of that shape, is added."""
        count, _, height, width = x.shape
        below, beside = -height % self._rows, -width % self._columns
        first = self._first(x).permute(0, 2, 3, 1)
        last = self._last(nn.functional.pad(x, (0, beside, 0, below)) if below or beside else x)
        blocks = last.permute(0, 2, 3, 1)
        blocks = blocks.reshape(*blocks.shape[:3], self._rows, self._columns, self._rest)
        last = blocks.transpose(2, 3).reshape(count, height + below, width + beside, self._rest)
        result = torch.cat((first, last[:, :height, :width]), 3).permute(0, 3, 1, 2)
        return result if other is None else result.add_(other)


class ColoursLastShuffle(nn.PixelShuffle):
    """A pixel shuffle of channels in the order row, column, colour, with the colours last in memory.

    So a row of a pixel's block lies together, before and after: three times as fast as one by one. The
    convolution that makes the channels gives them in that order (`with_colours_last`).
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  # its name in torch
        """Map N x (factor² colours) x H x W, channels last, to N x colours x (factor H) x (factor W)."""
        factor = self.upscale_factor
        count, channels, height, width = input.shape
        blocks = input.permute(0, 2, 3, 1).reshape(count, height, width, factor, channels // factor)
        rows = blocks.transpose(2, 3).reshape(count, factor * height, factor * width, -1)
        return rows.permute(0, 3, 1, 2)


def with_colours_last(conv: nn.Conv2d, factor: int) -> nn.Conv2d:
    """Return a convolution with its outputs in the order that ``ColoursLastShuffle`` takes."""

    def reordered(parameter: Tensor) -> Tensor:
        colours = parameter.detach().view(-1, factor**2, *parameter.shape[1:])
        return colours.transpose(0, 1).flatten(0, 1)

    bias = None if conv.bias is None else reordered(conv.bias)
    stride = conv.stride[0], conv.stride[1]
    return _convolution(reordered(conv.weight), bias, stride, _pair(conv.padding))


class ChainedConv(nn.Module):
    """A convolution of what another one makes, computed from what that one reads.

    From 3 channels two convolutions of 3 x 3 are one of 5 x 5 at a fraction of the products. They are not at
    the image's edge, where what the first makes is continued by zeros: there the second runs by itself.
    The products of two sets of weights cancel each other, which 8 bits of mantissa would not bear (2 dB on
    FMEN-S): each is the sum of two, and the input is read twice.

    Parameters
    ----------
    first, second : in fp32; both keep the size (``is_convolution``).
    dtype : in which the network will compute.

    Attributes
    ----------
    reach : pixels around its own that it looks at in either of its inputs; that it looks one convolution
        farther in the first one's input is accounted for there, since it reads the first one's output too.
    """

    def __init__(self, first: nn.Conv2d, second: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        weight = nn.functional.conv_transpose2d(
            first.weight.detach().transpose(0, 1), second.weight.detach().transpose(0, 1)
        ).transpose(0, 1)
        bias = None if second.bias is None else second.bias.detach()
        if first.bias is not None:
            passed = second.weight.detach().sum((2, 3)) @ first.bias.detach()
            bias = passed if bias is None else bias + passed
        rounded = weight.to(dtype).to(weight.dtype)
        weights = torch.cat((rounded, weight - rounded), 1)
        self.both = _convolution(weights, bias, (1, 1), [side // 2 for side in weight.shape[2:]])
        self.second = second
        self.reach = reach_of_convolution(second)

    def forward(self, x: Tensor, made: Tensor) -> Tensor:
        """Map the first one's input and output, N x C x H x W each, to the second one's output."""
        result: Tensor = self.both(torch.cat((x, x), 1))
        edge, seen = self.reach, 2 * self.reach
        result[:, :, :edge] = self.second(made[:, :, :seen])[:, :, :edge]
        result[:, :, -edge:] = self.second(made[:, :, -seen:])[:, :, -edge:]
        result[..., :edge] = self.second(made[..., :seen])[..., :edge]
        result[..., -edge:] = self.second(made[..., -seen:])[..., -edge:]
        return result


def chains_well(first: nn.Module, second: nn.Module) -> bool:
    """Return whether ``ChainedConv`` does two convolutions in a row with a third of the second's products."""
    if not (is_convolution(first, 3) and is_convolution(second, 3)):
        return False
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    plain = all(one.dilation == (1, 1) and one.groups == 1 for one in (first, second))
    return plain and 3 * first.in_channels * 5**2 <= second.in_channels * 3**2


def product_in_place(attention: Tensor, features: Tensor) -> Tensor:
    """Multiply, into the memory of `attention` if it is as large as the product."""
    return attention.mul_(features) if attention.shape == features.shape else attention * features


def is_plain(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Return whether a module is a convolution that the merged operations know."""
    return (
        type(module) is nn.Conv2d and module.padding_mode == "zeros" and not isinstance(module.padding, str)
    )


def wastes_lanes(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Return whether a module is a convolution that ``SplitConv`` does faster."""
    return (
        is_convolution(module, 3)
        and isinstance(module, nn.Conv2d)
        and module.dilation == (1, 1)
        and module.groups == 1
        and module.in_channels >= _LEAST_INPUTS
        and module.out_channels > _LANES
        and 0 < module.out_channels % _LANES <= _MOST_REST
    )


@cache
def merging_works(dtype: torch.dtype) -> bool:
    """Return whether this build of torch has the merged operations, and they compute what they should.

    They are torch's own but not public, so they are tried rather than trusted.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 6, 9, 7, generator=generator).to(dtype, memory_format=torch.channels_last)
    conv = nn.Conv2d(6, 18, 3, padding=1).to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    conv.requires_grad_(False)
    conv.weight.copy_(torch.randn(conv.weight.shape, generator=generator) / 4)
    try:
        for activation in (nn.LeakyReLU(0.1), nn.ReLU(), nn.GELU(), nn.Sigmoid()):
            expected = activation(copy.deepcopy(conv).float()(x.float()))
            for merged in (ConvActivation(conv, activation), SplitConv(conv, activation)):
                if not torch.allclose(merged(x).float(), expected, rtol=2e-2, atol=2e-2):
                    return False
        answer = conv(x)
        for summed in (ConvSum(conv), SplitConv(conv, None)):
            if not torch.allclose(summed(x, answer), answer + answer, rtol=2e-2, atol=2e-2):
                return False
    except (RuntimeError, AttributeError, TypeError):
        return False
    return True


def _convolution(
    weight: Tensor, bias: Tensor | None, stride: tuple[int, int], padding: list[int]
) -> nn.Conv2d:
    """Return a convolution with such weights, channels last."""
    outputs, inputs, height, width = weight.shape
    made: nn.Conv2d = nn.Conv2d(
        inputs, outputs, (height, width), stride, (padding[0], padding[1]), bias=bias is not None
    )
    made.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
    if bias is not None:
        made.bias = nn.Parameter(bias, requires_grad=False)
    return made


def _pair(padding: str | tuple[int, ...]) -> list[int]:
    assert not isinstance(padding, str)
    return list(padding)


def _named(activation: nn.Module | None) -> tuple[str, list[float], str | None]:
    """Return an activation as oneDNN knows it: its name, its numbers, its variant."""
    if activation is None:
        return "none", [], None
    if isinstance(activation, nn.LeakyReLU):
        return "leaky_relu", [activation.negative_slope], None
    if isinstance(activation, nn.GELU):
        return "gelu", [], activation.approximate
    return ("relu" if isinstance(activation, nn.ReLU) else "sigmoid"), [], None
