"""MAFFSRN, the multi-attentive feature fusion network, in its training and its fused form.

A. Muqeet, J. Hwang, S. Yang, J. H. Kang, Y. Kim, S.-H. Bae, "Multi-Attention Based Ultra Lightweight Image
Super-Resolution", ECCV Workshops (AIM) 2020, arXiv:2008.12912.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srviewer.networks.fusion import (
    Kernel,
    beside,
    chain,
    kernel,
    length_of,
    parallel,
    scaled,
    weight_normed,
)
from srviewer.networks.whole_image import Area, PooledGrid, Span, Windows, sliding_windows, strided_positions

_SLOPE = 0.05  # of every Leaky ReLU
_REDUCTION = 4  # of channels inside the attention of a MAB


class MAFFSRN(nn.Module):
    """The whole network: feature fusion groups, a tail of two kernel sizes, and a bicubic skip.

    Maps N x 3 x H x W, R, G, B in 0..1, H and W at least 13, to N x 3 x scale H x scale W (not clamped), any
    floating dtype.

    Parameters
    ----------
    scale : 2, 3, 4 or any other whole factor.
    channels : width of all features (32), a multiple of 4.
    blocks : feature fusion groups (MAFFSRN 4, MAFFSRN-L 8).
    fused : build the form for inference: no weight norm, the 1x1 reductions of a group as one, one 5x5 tail.
    """

    def __init__(self, *, scale: int, channels: int = 32, blocks: int = 4, fused: bool = False) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.fused = fused
        outputs = 3 * scale**2
        if fused:
            self.head: nn.Module = nn.Conv2d(3, channels, 3, padding=1)
        else:
            self.head = WeightNormConv2d(3, channels, 3)
        self.ffgs = nn.ModuleList(FFG(channels=channels, fused=fused) for _ in range(blocks))
        if fused:
            self.tail = nn.Conv2d(channels, outputs, 5, padding=2)
        else:
            self.tail3 = WeightNormConv2d(channels, outputs, 3)
            self.tail5 = WeightNormConv2d(channels, outputs, 5)
            self.tail3_scale = nn.Parameter(torch.full((1,), 0.5))
            self.tail5_scale = nn.Parameter(torch.full((1,), 0.5))
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, image: Tensor) -> Tensor:
        """Upscale N x 3 x H x W to N x 3 x scale H x scale W."""
        x = self.head(image)
        for ffg in self.ffgs:
            x = ffg(x)
        x = (
            self.tail(x)
            if self.fused
            else self.tail3(x) * self.tail3_scale + self.tail5(x) * self.tail5_scale
        )
        upsampled = F.interpolate(image, scale_factor=self.scale, mode="bicubic", align_corners=False)
        details: Tensor = self.shuffle(x)
        return details + upsampled

    def fuse(self) -> MAFFSRN:
        """Return the fused form, in evaluation mode, with this one's dtype and device."""
        if self.fused:
            return copy.deepcopy(self).eval()
        head = cast("WeightNormConv2d", self.head)
        result = MAFFSRN(scale=self.scale, channels=self.channels, blocks=len(self.ffgs), fused=True).to(
            head.v
        )
        head.kernel().write_to(cast("nn.Conv2d", result.head))
        result.ffgs = nn.ModuleList(cast("FFG", ffg).fuse() for ffg in self.ffgs)
        tail3, tail5 = self.tail3.kernel(), self.tail5.kernel()
        parallel(scaled(tail3, self.tail3_scale), scaled(tail5, self.tail5_scale)).write_to(result.tail)
        return result.eval()


class WeightNormConv2d(nn.Module):
    """A zero-padded convolution whose weight is g * v / |v|, the norm taken per output channel.

    T. Salimans, D. P. Kingma, "Weight Normalization", NeurIPS 2016, equation 2.
    """

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        drawn = nn.Conv2d(inputs, outputs, size)
        assert drawn.bias is not None
        self.v = nn.Parameter(drawn.weight.detach())
        self.g = nn.Parameter(length_of(self.v.detach()))
        self.bias = nn.Parameter(drawn.bias.detach())
        self.padding = size // 2

    def forward(self, x: Tensor) -> Tensor:
        """Map N x inputs x H x W to N x outputs x H x W."""
        return F.conv2d(x, weight_normed(self.g, self.v), self.bias, padding=self.padding)

    def kernel(self) -> Kernel:
        """Return the convolution with its weight norm folded."""
        return kernel(weight_normed(self.g.detach().double(), self.v.detach().double()), self.bias)


class FFG(nn.Module):
    """The feature fusion group: four attention blocks, fused pairwise after channel shuffles.

    The reductions have nothing but shuffles and concatenations between them, so the fused form has one 1x1
    convolution of all four blocks' outputs, into which `residual_scale` is merged as well.
    """

    def __init__(self, *, channels: int, fused: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.fused = fused
        self.mabs = nn.ModuleList(MAB(channels=channels) for _ in range(4))
        self.skip_scale = nn.Parameter(torch.ones(1))
        if fused:
            self.reduction = nn.Conv2d(4 * channels, channels, 1)
        else:
            self.reduction1 = WeightNormConv2d(2 * channels, channels, 1)
            self.reduction2 = WeightNormConv2d(2 * channels, channels, 1)
            self.reduction3 = WeightNormConv2d(2 * channels, channels, 1)
            self.residual_scale = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        mab1, mab2, mab3, mab4 = self.mabs
        x1 = mab1(x)
        x2 = mab2(x1) + x1
        x3 = mab3(x2) + x2
        x4 = mab4(x3)
        if self.fused:
            return torch.addcmul(self.reduction(torch.cat((x1, x2, x3, x4), dim=1)), x, self.skip_scale)
        residual = self.reduction1(_shuffled(x1, x2))
        residual = self.reduction2(_shuffled(residual, x3))
        residual = self.reduction3(_shuffled(residual, x4))
        output: Tensor = self.residual_scale * residual + self.skip_scale * x
        return output

    def fuse(self) -> FFG:
        """Return the fused form, in evaluation mode."""
        if self.fused:
            return copy.deepcopy(self).eval()
        result = FFG(channels=self.channels, fused=True).to(self.skip_scale)
        result.mabs = copy.deepcopy(self.mabs)
        result.skip_scale = copy.deepcopy(self.skip_scale)
        first, second = _unshuffled(self.reduction1.kernel())
        merged = beside(first, second)
        for reduction in (self.reduction2, self.reduction3):
            earlier, latest = _unshuffled(reduction.kernel())
            merged = beside(chain(merged, earlier), latest)
        scaled(merged, self.residual_scale).write_to(result.reduction)
        return result.eval()


class MAB(nn.Module):
    """The multi-attention block: two convolutions, then two attentions that multiply their output.

    The submodule `coarse` works on a pooling grid that starts at the image's corner. The attention maps
    (N x channels x H x W, 0..1) are the outputs of the submodules `attention` and `local_attention`.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        reduced = channels // _REDUCTION
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.LeakyReLU(_SLOPE)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.coarse = MABGrid(channels=reduced)
        self.expand = nn.Conv2d(reduced, channels, 1)
        self.attention = nn.Sigmoid()
        self.local_pointwise = nn.Conv2d(channels, channels, 1)
        self.local_depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.local_attention = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        x = self.conv2(self.activation(self.conv1(x)))
        reduced = self.reduce(x)
        attention = self.attention(F.relu(self.expand(self.coarse(reduced) + reduced)))
        local: Tensor = self.local_attention(self.local_depthwise(self.local_pointwise(x)))
        output: Tensor = x * attention * local
        return output


class MABGrid(PooledGrid):
    """The coarse branch of a MAB: cell j of its grid covers rows 6j - 1 to 6j + 13 of its input."""

    margin = 1  # the strided convolution's window of pixel 2i reaches from 2i - 1 to 2i + 1

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.stride_conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(7, stride=3)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.dilated_conv = nn.Conv2d(channels, channels, 3, padding=2, dilation=2)
        self.activation = nn.LeakyReLU(_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape, made of cells that lie six pixels apart."""
        cells = self.work(self.pool(self.stride_conv(x)))
        return F.interpolate(cells, size=x.shape[-2:], mode="nearest")

    def work(self, pooled: Tensor) -> Tensor:
        """Map the pooled cells, N x channels x h x w, to the same shape."""
        output: Tensor = self.activation(self.conv(pooled)) + self.activation(self.dilated_conv(pooled))
        return output

    def windows(self, length: int) -> Windows:
        """Return the windows over the strided convolution's outputs."""
        return sliding_windows((length - 1) // 2 + 1, 7, 3)

    def positions_of(self, span: Span) -> tuple[int, int]:
        """Return the strided convolution's outputs that belong to `span`."""
        return strided_positions(span, 1, 1, span)

    def positions(self, features: Tensor, crop: Area, core: Area) -> tuple[Tensor, int, int]:
        """Return the strided convolution's outputs of `core`, with the first one's row and column."""
        top, bottom = strided_positions(core.rows, 1, 1, crop.rows)
        left, right = strided_positions(core.columns, 1, 1, crop.columns)
        if top == bottom or left == right:
            return features[:, :, :0, :0], top, left
        y, x = 2 * top - 1 - crop.rows.start, 2 * left - 1 - crop.columns.start
        height, width = 2 * (bottom - top) + 1, 2 * (right - left) + 1
        # Zeros stand beyond the image's border only: elsewhere the crop has the pixels.
        seen = F.pad(
            features[:, :, max(0, y) : y + height, max(0, x) : x + width],
            (
                max(0, -x),
                max(0, x + width - features.shape[3]),
                max(0, -y),
                max(0, y + height - features.shape[2]),
            ),
        )
        return F.conv2d(seen, self.stride_conv.weight, self.stride_conv.bias, stride=2), top, left

    def spread(self, joined: Tensor, crop: Area, region: Area) -> Tensor:
        """Return the output on `crop`."""
        return self.nearest(joined, crop, region)


def _shuffled(left: Tensor, right: Tensor) -> Tensor:
    """Concatenate channels and shuffle them in two groups: left's first, right's first, left's second, ..."""
    return torch.stack((left, right), dim=2).flatten(1, 2)


def _unshuffled(part: Kernel) -> tuple[Kernel, Kernel]:
    """Split a kernel of shuffled channels into one of the left input (with the bias) and one of the right."""
    left, right = part.weight[:, 0::2], part.weight[:, 1::2]
    return Kernel(left, part.bias), Kernel(right, torch.zeros_like(part.bias))
