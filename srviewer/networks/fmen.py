"""FMEN, the fast and memory-efficient network, in its training and its fused form.

Z. Du, D. Liu, J. Liu, J. Tang, G. Wu, L. Fu, "Fast and Memory-Efficient Network Towards Efficient Image
Super-Resolution", CVPR Workshops (NTIRE) 2022, arXiv:2204.08397.
"""

from __future__ import annotations

import copy
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srviewer.networks.fusion import (
    Kernel,
    batch_norm_kernel,
    chain,
    fused,
    identity_kernel,
    kernel_of,
    parallel,
)

BlockKind = Literal["erb", "rb", "conv"]
"""What stands between attentions: enhanced residual blocks, residual blocks, or pairs of convolutions."""

_SLOPE = 0.1  # of every Leaky ReLU
_TRUNK_BLOCKS = 4


class FMEN(nn.Module):
    """The whole network: pairs of ERB and HFAB behind a warm-up, and one pixel shuffle.

    Maps N x 3 x H x W, R, G, B in 0..255, to N x 3 x scale H x scale W of the same range (not clamped),
    any floating dtype. The training form and the fused form compute the same in evaluation mode, at the
    borders too.

    Parameters
    ----------
    scale : 2, 3, 4 or any other whole factor.
    channels : width n of the trunk (FMEN 64, FMEN-S 50).
    attention_channels : width m inside the four HFABs of the trunk (32, 16).
    warmup_attention_channels : the same of the warm-up's HFAB (32, 12).
    attention_depths : blocks inside each HFAB, the warm-up's first (2 each; 2, 1, 1, 1, 1).
    block : what the ERBs are, inside the HFABs too.
    fused : build the form for inference, in which each RRRB is one 3x3 convolution and no batch norm is left.
    """

    def __init__(
        self,
        *,
        scale: int,
        channels: int = 50,
        attention_channels: int = 16,
        warmup_attention_channels: int = 12,
        attention_depths: tuple[int, int, int, int, int] = (2, 1, 1, 1, 1),
        block: BlockKind = "erb",
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.attention_channels = attention_channels
        self.warmup_attention_channels = warmup_attention_channels
        self.attention_depths = attention_depths
        self.block: BlockKind = block
        self.fused = fused
        self.head = nn.Conv2d(3, channels, 3, padding=1)
        self.warmup_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.warmup_hfab = HFAB(
            channels=channels,
            attention_channels=warmup_attention_channels,
            depth=attention_depths[0],
            block=block,
            fused=fused,
        )
        self.blocks = nn.ModuleList(_block(block, channels, fused) for _ in range(_TRUNK_BLOCKS))
        self.hfabs = nn.ModuleList(
            HFAB(
                channels=channels,
                attention_channels=attention_channels,
                depth=depth,
                block=block,
                fused=fused,
            )
            for depth in attention_depths[1:]
        )
        self.lr_conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.tail = nn.Conv2d(channels, 3 * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)

    def forward(self, image: Tensor) -> Tensor:
        """Upscale N x 3 x H x W to N x 3 x scale H x scale W."""
        shallow = self.head(image)
        x = self.warmup_hfab(self.warmup_conv(shallow))
        for block, hfab in zip(self.blocks, self.hfabs, strict=True):
            x = hfab(block(x))
        output: Tensor = self.shuffle(self.tail(self.lr_conv(x) + shallow))
        return output

    def fuse(self) -> FMEN:
        """Return the fused form, in evaluation mode, with this one's dtype and device."""
        if self.fused:
            return copy.deepcopy(self).eval()
        result = FMEN(
            scale=self.scale,
            channels=self.channels,
            attention_channels=self.attention_channels,
            warmup_attention_channels=self.warmup_attention_channels,
            attention_depths=self.attention_depths,
            block=self.block,
            fused=True,
        )
        result.head = copy.deepcopy(self.head)
        result.warmup_conv = copy.deepcopy(self.warmup_conv)
        result.warmup_hfab = self.warmup_hfab.fuse()
        result.blocks = nn.ModuleList(fused(block) for block in self.blocks)
        result.hfabs = nn.ModuleList(fused(hfab) for hfab in self.hfabs)
        result.lr_conv = copy.deepcopy(self.lr_conv)
        result.tail = copy.deepcopy(self.tail)
        return result.eval()


class RRRB(nn.Module):
    """The re-parameterised residual-in-residual block: expand, convolve, reduce, with two skips.

    Its 3x3 convolution sees the expansion's bias, not zeros, beyond the border: that is what zeros would have
    become, and makes the fused 3x3 convolution under zero padding exact at the borders.
    """

    def __init__(self, *, channels: int, fused: bool = False) -> None:
        super().__init__()
        self.channels = channels
        self.fused = fused
        if fused:
            self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        else:
            self.expand = nn.Conv2d(channels, 2 * channels, 1)
            self.features = nn.Conv2d(2 * channels, 2 * channels, 3)
            self.reduce = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        if self.fused:
            output: Tensor = self.conv(x)
            return output
        if self.training:
            return self._collapsed(x)
        expanded = self.expand(x)
        features = self.features(_bordered(expanded, _bias(self.expand)))
        reduced: Tensor = self.reduce(features + expanded)
        return reduced + x

    def fuse(self) -> RRRB:
        """Return this block as one 3x3 convolution."""
        if self.fused:
            return copy.deepcopy(self).eval()
        result = RRRB(channels=self.channels, fused=True).to(self.expand.weight)
        merged = _without_skip(kernel_of(self.expand), kernel_of(self.features), kernel_of(self.reduce))
        parallel(merged, identity_kernel(self.channels, merged)).write_to(result.conv)
        return result.eval()

    def _collapsed(self, x: Tensor) -> Tensor:
        """Compute the same through the merged kernel, with gradients to all three convolutions.

        A linear block need not be run at its training width (Bhardwaj et al., "Collapsible Linear Blocks for
        Super-Efficient Super Resolution", MLSys 2022): merging costs little beside convolving, which
        becomes five times cheaper.
        """
        # bfloat16's 8 bits of mantissa are too few for sums of products of weights, and for a 1 with the rest
        # of its weight added to it: so the merging stays in the parameters' dtype, and the skip outside.
        with torch.autocast(x.device.type, enabled=False):
            merged = _without_skip(_live(self.expand), _live(self.features), _live(self.reduce))
        return F.conv2d(x, merged.weight, merged.bias, padding=1) + x


class ERB(nn.Module):
    """The enhanced residual block: two RRRBs about a Leaky ReLU."""

    def __init__(self, *, channels: int, fused: bool = False) -> None:
        super().__init__()
        self.rrrb1 = RRRB(channels=channels, fused=fused)
        self.activation = nn.LeakyReLU(_SLOPE)
        self.rrrb2 = RRRB(channels=channels, fused=fused)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        output: Tensor = self.rrrb2(self.activation(self.rrrb1(x)))
        return output

    def fuse(self) -> ERB:
        """Return this block as two 3x3 convolutions about its Leaky ReLU."""
        result = ERB(channels=self.rrrb1.channels, fused=True)
        result.rrrb1, result.rrrb2 = self.rrrb1.fuse(), self.rrrb2.fuse()
        return result.eval()


class RB(nn.Module):
    """Two 3x3 convolutions about a Leaky ReLU, with or without a skip: the ablations of the ERB."""

    def __init__(self, *, channels: int, skip: bool = True) -> None:
        super().__init__()
        self.skip = skip
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.LeakyReLU(_SLOPE)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        output: Tensor = self.conv2(self.activation(self.conv1(x)))
        return output + x if self.skip else output


class HFAB(nn.Module):
    """The high-frequency attention block: a narrow branch whose sigmoid multiplies the block's input.

    The training form pads its 3x3 convolutions with what the batch norm before them makes of zeros, by its
    running statistics, so that the fused form under zero padding is exact at the borders.
    The attention map (N x channels x H x W, 0..1) is the output of the submodule `attention`.
    """

    def __init__(
        self,
        *,
        channels: int,
        attention_channels: int,
        depth: int,
        block: BlockKind = "erb",
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.attention_channels = attention_channels
        self.depth = depth
        self.block: BlockKind = block
        self.fused = fused
        padding = 1 if fused else 0
        if not fused:
            self.bn1 = nn.BatchNorm2d(channels)
        self.squeeze = nn.Conv2d(channels, attention_channels, 3, padding=padding)
        self.activation = nn.LeakyReLU(_SLOPE)
        self.blocks = nn.Sequential(*(_block(block, attention_channels, fused) for _ in range(depth)))
        if not fused:
            self.bn2 = nn.BatchNorm2d(attention_channels)
        self.excitate = nn.Conv2d(attention_channels, channels, 3, padding=padding)
        if not fused:
            self.bn3 = nn.BatchNorm2d(channels)
        self.attention = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Map N x channels x H x W to the same shape."""
        if self.fused:
            branch = self.activation(self.blocks(self.activation(self.squeeze(x))))
            attention: Tensor = self.attention(self.excitate(branch))
            return attention * x
        branch = self.squeeze(_bordered(self.bn1(x), _of_zero(self.bn1)))
        branch = self.activation(self.blocks(self.activation(branch)))
        branch = self.excitate(_bordered(self.bn2(branch), _of_zero(self.bn2)))
        attention = self.attention(self.bn3(branch))
        return attention * x

    def fuse(self) -> HFAB:
        """Return this block without batch norms and with its ERBs fused."""
        if self.fused:
            return copy.deepcopy(self).eval()
        result = HFAB(
            channels=self.channels,
            attention_channels=self.attention_channels,
            depth=self.depth,
            block=self.block,
            fused=True,
        ).to(self.squeeze.weight)
        chain(batch_norm_kernel(self.bn1), kernel_of(self.squeeze)).write_to(result.squeeze)
        result.blocks = nn.Sequential(*(fused(block) for block in self.blocks))
        excitate = chain(batch_norm_kernel(self.bn2), kernel_of(self.excitate))
        chain(excitate, batch_norm_kernel(self.bn3)).write_to(result.excitate)
        return result.eval()


def _without_skip(expand: Kernel, features: Kernel, reduce: Kernel) -> Kernel:
    """Merge the three convolutions of an RRRB and its inner skip, not its outer one, into one 3x3 kernel."""
    inner = parallel(features, identity_kernel(features.weight.shape[0], expand))
    return chain(chain(expand, inner), reduce)


def _live(conv: nn.Conv2d) -> Kernel:
    """Return the kernel of a convolution as it is, attached to its parameters."""
    return Kernel(conv.weight, _bias(conv))


def _block(kind: BlockKind, channels: int, fused: bool) -> nn.Module:
    if kind == "erb":
        return ERB(channels=channels, fused=fused)
    return RB(channels=channels, skip=kind == "rb")


def _bordered(x: Tensor, value: Tensor) -> Tensor:
    """Pad N x C x H x W by one pixel with one value per channel (C values), differentiably in both."""
    border = value[None, :, None, None]
    return F.pad(x - border, (1, 1, 1, 1)) + border


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias


def _of_zero(norm: nn.BatchNorm2d) -> Tensor:
    """Return what the normalisation by running statistics makes of zeros, per channel."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factor = norm.weight / (norm.running_var + norm.eps).sqrt()
    return norm.bias - norm.running_mean * factor
