"""SAFMN, the spatially-adaptive feature modulation network.

L. Sun, J. Dong, J. Tang, J. Pan, "Spatially-Adaptive Feature Modulation for Efficient Image
Super-Resolution", ICCV 2023, arXiv:2302.13800.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srviewer.networks.whole_image import Area, PooledGrid, Span, Windows, even_windows

NormKind = Literal["layer", "batch", "instance", "none"]
"""What normalises the features before SAFM and before CCM."""

_PARTS = 4  # groups of channels, one per scale of the pyramid


class SAFMN(nn.Module):
    """The whole network: feature mixing modules between two 3x3 convolutions, and a pixel shuffle.

    Maps N x 3 x H x W, R, G, B in 0..1, H and W at least 8, to N x 3 x scale H x scale W (not clamped), any
    floating dtype.

    Parameters
    ----------
    scale : 2, 3, 4 or any other whole factor.
    channels : width of the features (36), a multiple of 4.
    blocks : feature mixing modules (8).
    expansion : width of the CCM's hidden layer over `channels` (2).
    modulation : multiply by the aggregated map rather than put it in the input's place.
    multi_scale : pool three of the four parts of the channels; without it all stay at full size.
    aggregation : mix the parts by a 1x1 convolution.
    norm : the normalisation before SAFM and before CCM.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 36,
        blocks: int = 8,
        expansion: float = 2.0,
        modulation: bool = True,
        multi_scale: bool = True,
        aggregation: bool = True,
        norm: NormKind = "layer",
    ) -> None:
        super().__init__()
        self.scale = scale
        self.to_feat = nn.Conv2d(3, channels, 3, padding=1)
        self.blocks = nn.Sequential(
            *(
                FMM(
                    channels=channels,
                    expansion=expansion,
                    modulation=modulation,
                    multi_scale=multi_scale,
                    aggregation=aggregation,
                    norm=norm,
                )
                for _ in range(blocks)
            )
        )
        self.to_img = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, image: Tensor) -> Tensor:
        """Upscale N x 3 x H x W to N x 3 x scale H x scale W."""
        shallow = self.to_feat(image)
        output: Tensor = self.shuffle(self.to_img(self.blocks(shallow) + shallow))
        return output


class FMM(nn.Module):
    """The feature mixing module: SAFM, then CCM, each normalised before and with a skip."""

    def __init__(
        self,
        *,
        channels: int,
        expansion: float,
        modulation: bool,
        multi_scale: bool,
        aggregation: bool,
        norm: NormKind,
    ) -> None:
        super().__init__()
        self.norm1 = _norm(norm, channels)
        self.safm = SAFM(
            channels=channels, modulation=modulation, multi_scale=multi_scale, aggregation=aggregation
        )
        self.norm2 = _norm(norm, channels)
        self.ccm = CCM(channels=channels, expansion=expansion)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        x = self.safm(self.norm1(x)) + x
        output: Tensor = self.ccm(self.norm2(x)) + x
        return output


class SAFM(nn.Module):
    """Spatially-adaptive feature modulation.

    The map of each scale (N x channels / 4 x H x W) is the output of the submodule `scales[i]`; the
    modulation map (N x channels x H x W) that of `activation`.
    """

    def __init__(self, *, channels: int, modulation: bool, multi_scale: bool, aggregation: bool) -> None:
        super().__init__()
        if channels % _PARTS:
            raise ValueError(f"{channels} channels do not split into {_PARTS} equal parts")
        self.modulation = modulation
        self.scales = nn.ModuleList(
            ScaleMap(channels=channels // _PARTS, divisor=2**level if multi_scale else 1)
            for level in range(_PARTS)
        )
        self.aggregation = nn.Conv2d(channels, channels, 1) if aggregation else nn.Identity()
        self.activation = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        parts = x.chunk(_PARTS, dim=1)
        maps = [scale(parts[level]) for level, scale in enumerate(self.scales)]
        modulation: Tensor = self.activation(self.aggregation(torch.cat(maps, dim=1)))
        return modulation * x if self.modulation else modulation


class ScaleMap(PooledGrid):
    """One part of the channels, pooled to a grid that spans the whole image, convolved and brought back.

    The pooled cells are the output of the submodule `pool`. With a divisor of 1 it is a plain convolution.
    """

    def __init__(self, *, channels: int, divisor: int) -> None:
        super().__init__()
        self.divisor = divisor
        self.pool = GridMaxPool(divisor=divisor) if divisor > 1 else nn.Identity()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        coarse = self.work(self.pool(x))
        if self.divisor == 1:
            return coarse
        return F.interpolate(coarse, size=x.shape[-2:], mode="nearest")

    def work(self, pooled: Tensor) -> Tensor:
        """Map the pooled cells, N x channels x h x w, to the same shape."""
        output: Tensor = self.conv(pooled)
        return output

    def windows(self, length: int) -> Windows:
        """Return the windows of the grid over the pixels of an axis."""
        return even_windows(length, self.divisor)

    def positions_of(self, span: Span) -> tuple[int, int]:
        """Return the pixels of `span`."""
        return span.start, span.stop

    def positions(self, features: Tensor, crop: Area, core: Area) -> tuple[Tensor, int, int]:
        """Return the features of `core`, with its first row and column."""
        return crop.cut(features, core), core.rows.start, core.columns.start

    def spread(self, joined: Tensor, crop: Area, region: Area) -> Tensor:
        """Return the output on `crop`."""
        return self.nearest(joined, crop, region)


class GridMaxPool(nn.Module):
    """Maximum over the cells of a grid of (H // divisor) x (W // divisor) cells that spans the whole image.

    Sides that are no multiple of the divisor make windows of uneven size that overlap.
    """

    def __init__(self, *, divisor: int) -> None:
        super().__init__()
        self.divisor = divisor

    def forward(self, x: Tensor) -> Tensor:
        """Map N x C x H x W to N x C x H // divisor x W // divisor."""
        height, width = x.shape[-2:]
        if height % self.divisor == 0 and width % self.divisor == 0:
            return F.max_pool2d(x, self.divisor)  # the same windows, and much faster
        return F.adaptive_max_pool2d(x, (height // self.divisor, width // self.divisor))


class CCM(nn.Module):
    """The convolutional channel mixer: a 3x3 convolution that widens and a 1x1 that narrows again."""

    def __init__(self, *, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.expand = nn.Conv2d(channels, hidden, 3, padding=1)
        self.activation = nn.GELU()
        self.reduce = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        output: Tensor = self.reduce(self.activation(self.expand(x)))
        return output


class ChannelLayerNorm(nn.Module):
    """Layer normalisation of each pixel over its channels, keeping the memory format of its input."""

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        # In channels_last both permutations are views.
        normed = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, self.eps)
        output = normed.permute(0, 3, 1, 2)
        return output.contiguous() if x.is_contiguous() else output


def _norm(kind: NormKind, channels: int) -> nn.Module:
    if kind == "layer":
        return ChannelLayerNorm(channels)
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.Identity()
