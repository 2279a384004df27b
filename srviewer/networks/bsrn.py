"""BSRN, the blueprint separable residual network.

Z. Li, Y. Liu, X. Chen, H. Cai, J. Gu, Y. Qiao, C. Dong, "Blueprint Separable Residual Network for Efficient
Image Super-Resolution", CVPR Workshops (NTIRE) 2022, arXiv:2205.05996.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srviewer.networks.whole_image import (
    Area,
    PooledGrid,
    Span,
    WholeImageLayer,
    Windows,
    sliding_windows,
    strided_positions,
)

ConvKind = Literal["bsconv", "bsconv_s", "dsconv", "conv"]
"""A 3x3 convolution's make: BSConvU, BSConvS, depthwise separable, or plain."""

ChannelAttentionKind = Literal["cca", "weight", "none"]
"""What ends an ESDB: contrast-aware channel attention, BSRN-S's learnt weight per channel, or nothing."""

_REPEATS = 4  # of the input's channels before the shallow convolution
_ESA_REDUCTION = 4
_CCA_REDUCTION = 16
_BSCONV_S_RANK = 0.25  # of the input's channels between the two pointwise convolutions of BSConvS


class BSRN(nn.Module):
    """The whole network: distillation blocks, whose outputs are all fused, and a pixel shuffle.

    Maps N x 3 x H x W, R, G, B in 0..1, H and W at least 15, to N x 3 x scale H x scale W (not clamped), any
    floating dtype. BSRN-S is 48 channels, 5 blocks, `channel_attention="weight"`, `pointwise_bias=True` and
    `esa_stride_conv="conv"`.

    Parameters
    ----------
    scale : 2, 3, 4 or any other whole factor.
    channels : width of the features (64).
    blocks : efficient separable distillation blocks (8).
    conv : the make of all 3x3 convolutions but the upsampler's.
    esa : end each block with enhanced spatial attention.
    channel_attention : what comes after it.
    pointwise_bias : give the first stage of a separable convolution a bias too.
    esa_stride_conv : the strided convolution inside ESA: of the make `conv` ("bsconv"), or plain ("conv").
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 64,
        blocks: int = 8,
        conv: ConvKind = "bsconv",
        esa: bool = True,
        channel_attention: ChannelAttentionKind = "cca",
        pointwise_bias: bool = False,
        esa_stride_conv: Literal["bsconv", "conv"] = "bsconv",
    ) -> None:
        super().__init__()
        self.scale = scale
        self.shallow = _conv(conv, 3 * _REPEATS, channels, pointwise_bias)
        self.blocks = nn.ModuleList(
            ESDB(
                channels=channels,
                conv=conv,
                esa=esa,
                channel_attention=channel_attention,
                pointwise_bias=pointwise_bias,
                esa_stride_conv=esa_stride_conv,
            )
            for _ in range(blocks)
        )
        self.aggregation = nn.Conv2d(blocks * channels, channels, 1)
        self.activation = nn.GELU()
        self.smooth = _conv(conv, channels, channels, pointwise_bias)
        self.upsample = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, image: Tensor) -> Tensor:
        """Upscale N x 3 x H x W to N x 3 x scale H x scale W."""
        shallow = self.shallow(torch.cat([image] * _REPEATS, dim=1))
        outputs: list[Tensor] = []
        x = shallow
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        deep = self.smooth(self.activation(self.aggregation(torch.cat(outputs, dim=1))))
        output: Tensor = self.shuffle(self.upsample(deep + shallow))
        return output


class ESDB(nn.Module):
    """The efficient separable distillation block: four steps of distilling and refining, then attention."""

    def __init__(
        self,
        *,
        channels: int,
        conv: ConvKind,
        esa: bool,
        channel_attention: ChannelAttentionKind,
        pointwise_bias: bool,
        esa_stride_conv: Literal["bsconv", "conv"],
    ) -> None:
        super().__init__()
        distilled = channels // 2
        self.distill1 = nn.Conv2d(channels, distilled, 1)
        self.refine1 = _conv(conv, channels, channels, pointwise_bias)
        self.distill2 = nn.Conv2d(channels, distilled, 1)
        self.refine2 = _conv(conv, channels, channels, pointwise_bias)
        self.distill3 = nn.Conv2d(channels, distilled, 1)
        self.refine3 = _conv(conv, channels, channels, pointwise_bias)
        self.distill4 = _conv(conv, channels, distilled, pointwise_bias)
        self.activation = nn.GELU()
        self.condense = nn.Conv2d(4 * distilled, channels, 1)
        self.esa = (
            ESA(channels=channels, conv=conv, pointwise_bias=pointwise_bias, stride_conv=esa_stride_conv)
            if esa
            else nn.Identity()
        )
        self.channel_attention = _channel_attention(channel_attention, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        distilled1 = self.activation(self.distill1(x))
        refined = self.activation(self.refine1(x) + x)
        distilled2 = self.activation(self.distill2(refined))
        refined = self.activation(self.refine2(refined) + refined)
        distilled3 = self.activation(self.distill3(refined))
        refined = self.activation(self.refine3(refined) + refined)
        distilled4 = self.activation(self.distill4(refined))
        condensed = self.condense(torch.cat((distilled1, distilled2, distilled3, distilled4), dim=1))
        output: Tensor = self.channel_attention(self.esa(condensed)) + x
        return output


class ESA(nn.Module):
    """Enhanced spatial attention (Liu et al. 2020) with blueprint separable convolutions.

    The submodule `coarse` works on a pooling grid that starts at the image's corner. The attention map
    (N x channels x H x W, 0..1) is the output of the submodule `attention`.
    """

    def __init__(
        self,
        *,
        channels: int,
        conv: ConvKind,
        pointwise_bias: bool,
        stride_conv: Literal["bsconv", "conv"],
    ) -> None:
        super().__init__()
        reduced = channels // _ESA_REDUCTION
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.coarse = ESAGrid(
            channels=reduced, conv=conv, pointwise_bias=pointwise_bias, stride_conv=stride_conv
        )
        self.skip = nn.Conv2d(reduced, reduced, 1)
        self.expand = nn.Conv2d(reduced, channels, 1)
        self.attention = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        reduced = self.reduce(x)
        attention: Tensor = self.attention(self.expand(self.coarse(reduced) + self.skip(reduced)))
        return attention * x


class ESAGrid(PooledGrid):
    """The coarse branch of ESA: cell j of its grid covers rows 6j to 6j + 14 of its input."""

    margin = 2  # the strided convolution's window of pixel 2i reaches to 2i + 2

    def __init__(
        self,
        *,
        channels: int,
        conv: ConvKind,
        pointwise_bias: bool,
        stride_conv: Literal["bsconv", "conv"],
    ) -> None:
        super().__init__()
        stride_kind: ConvKind = conv if stride_conv == "bsconv" else "conv"
        self.stride_conv = _conv(stride_kind, channels, channels, pointwise_bias, stride=2, padding=0)
        self.pool = nn.MaxPool2d(7, stride=3)
        self.conv1 = _conv(conv, channels, channels, pointwise_bias)
        self.conv2 = _conv(conv, channels, channels, pointwise_bias)
        self.conv3 = _conv(conv, channels, channels, pointwise_bias)
        self.activation = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape, smooth between cells that lie six pixels apart."""
        cells = self.work(self.pool(self.stride_conv(x)))
        return F.interpolate(cells, size=x.shape[-2:], mode="bilinear", align_corners=False)

    def work(self, pooled: Tensor) -> Tensor:
        """Map the pooled cells, N x channels x h x w, to the same shape."""
        output: Tensor = self.conv3(self.activation(self.conv2(self.activation(self.conv1(pooled)))))
        return output

    def windows(self, length: int) -> Windows:
        """Return the windows over the strided convolution's outputs."""
        return sliding_windows((length - 3) // 2 + 1, 7, 3)

    def positions_of(self, span: Span) -> tuple[int, int]:
        """Return the strided convolution's outputs that belong to `span`."""
        return strided_positions(span, 0, 2, span)

    def positions(self, features: Tensor, crop: Area, core: Area) -> tuple[Tensor, int, int]:
        """Return the strided convolution's outputs of `core`, with the first one's row and column."""
        top, bottom = strided_positions(core.rows, 0, 2, crop.rows)
        left, right = strided_positions(core.columns, 0, 2, crop.columns)
        if top == bottom or left == right:
            return features[:, :, :0, :0], top, left
        y, x = 2 * top - crop.rows.start, 2 * left - crop.columns.start
        seen = features[:, :, y : y + 2 * (bottom - top) + 1, x : x + 2 * (right - left) + 1]
        return self.stride_conv(seen), top, left

    def spread(self, joined: Tensor, crop: Area, region: Area) -> Tensor:
        """Return the output on `crop`."""
        return self.bilinear(joined, crop, region)


class CCA(nn.Module):
    """Contrast-aware channel attention (Hui et al. 2019): weights from whole-image statistics.

    The statistics (N x channels x 1 x 1) are the output of the submodule `statistics`, the weights (the same
    shape, 0..1) that of `attention`.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.statistics = ChannelContrast()
        self.squeeze = nn.Conv2d(channels, channels // _CCA_REDUCTION, 1)
        self.activation = nn.ReLU()
        self.excite = nn.Conv2d(channels // _CCA_REDUCTION, channels, 1)
        self.attention = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        weights: Tensor = self.attention(self.excite(self.activation(self.squeeze(self.statistics(x)))))
        return weights * x


class ChannelContrast(WholeImageLayer):
    """The biased standard deviation of each channel over the whole image, plus its mean."""

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to N x C x 1 x 1 of the same dtype."""
        mean, variance = _moments(x)
        return _contrast(mean, variance).to(x.dtype)

    def begin(self, region: Area, like: Tensor) -> Tensor:
        """Return sums of no pixels: N x C x 2, values and squares (float64 where the device has it)."""
        dtype = torch.float32 if like.device.type == "mps" else torch.float64
        return torch.zeros(*like.shape[:2], 2, dtype=dtype, device=like.device)

    def gather(self, shared: Tensor, features: Tensor, crop: Area, core: Area, region: Area) -> None:
        """Add the sums over `core`; within it they are taken about its mean, so that little is cancelled."""
        part = crop.cut(features, core)
        mean, variance = (one.to(shared.dtype).flatten(1) for one in _moments(part))
        pixels = part.shape[2] * part.shape[3]
        shared += torch.stack((mean, variance + mean.square()), dim=2) * pixels

    def join(self, shared: Tensor, region: Area) -> Tensor:
        """Return N x C x 1 x 1, in the dtype of the sums."""
        mean, square = (shared / (region.rows.size * region.columns.size)).unbind(2)
        return _contrast(mean, (square - mean.square()).clamp_min(0))[:, :, None, None]

    def spread(self, joined: Tensor, crop: Area, region: Area) -> Tensor:
        """Return the statistics, which are the same everywhere."""
        return joined


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the biased variance of each channel, N x C x 1 x 1, at least in float32."""
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    # Two vectorised passes: `torch.std_mean` takes ten times as long on a CPU.
    mean = wide.mean(dim=(2, 3), keepdim=True)
    return mean, (wide - mean).square().mean(dim=(2, 3), keepdim=True)


def _contrast(mean: Tensor, variance: Tensor) -> Tensor:
    # A constant channel gets the gradient 0 this way, not the NaN of a square root at 0.
    return variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt() + mean


class ChannelWeight(nn.Module):
    """BSRN-S's stand-in for channel attention: a learnt weight per channel, and a 1x1 convolution."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        output: Tensor = self.conv(x * self.weight[:, None, None])
        return output


class BSConvU(nn.Module):
    """Unconstrained blueprint separable convolution (Haase and Amthor 2020): pointwise, then depthwise."""

    def __init__(
        self, inputs: int, outputs: int, *, pointwise_bias: bool, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__()
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=pointwise_bias)
        self.depthwise = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=padding, groups=outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x inputs x H x W to N x outputs x H' x W'."""
        output: Tensor = self.depthwise(self.pointwise(x))
        return output


class BSConvS(nn.Module):
    """Subspace blueprint separable convolution: pointwise to a low rank and back, then depthwise."""

    def __init__(
        self, inputs: int, outputs: int, *, pointwise_bias: bool, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__()
        rank = max(4, int(inputs * _BSCONV_S_RANK))
        self.pointwise1 = nn.Conv2d(inputs, rank, 1, bias=pointwise_bias)
        self.pointwise2 = nn.Conv2d(rank, outputs, 1, bias=pointwise_bias)
        self.depthwise = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=padding, groups=outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x inputs x H x W to N x outputs x H' x W'."""
        output: Tensor = self.depthwise(self.pointwise2(self.pointwise1(x)))
        return output


class DSConv(nn.Module):
    """Depthwise separable convolution: depthwise, then pointwise (Howard et al. 2017)."""

    def __init__(
        self, inputs: int, outputs: int, *, depthwise_bias: bool, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            inputs, inputs, 3, stride=stride, padding=padding, groups=inputs, bias=depthwise_bias
        )
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x inputs x H x W to N x outputs x H' x W'."""
        output: Tensor = self.pointwise(self.depthwise(x))
        return output


def _conv(
    kind: ConvKind, inputs: int, outputs: int, first_bias: bool, *, stride: int = 1, padding: int = 1
) -> nn.Module:
    if kind == "bsconv":
        return BSConvU(inputs, outputs, pointwise_bias=first_bias, stride=stride, padding=padding)
    if kind == "bsconv_s":
        return BSConvS(inputs, outputs, pointwise_bias=first_bias, stride=stride, padding=padding)
    if kind == "dsconv":
        return DSConv(inputs, outputs, depthwise_bias=first_bias, stride=stride, padding=padding)
    return nn.Conv2d(inputs, outputs, 3, stride=stride, padding=padding)


def _channel_attention(kind: ChannelAttentionKind, channels: int) -> nn.Module:
    if kind == "cca":
        return CCA(channels=channels)
    if kind == "weight":
        return ChannelWeight(channels=channels)
    return nn.Identity()
