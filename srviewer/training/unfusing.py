"""Turning fused networks back into their training form, with the same output."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from srviewer.networks.fmen import ERB, FMEN, HFAB, RRRB
from srviewer.networks.fusion import length_of
from srviewer.networks.maffsrn import FFG, MAFFSRN, WeightNormConv2d


def unfused(network: nn.Module, sample: Tensor) -> nn.Module:
    """Return the training form of a network, in evaluation mode, where it gives what the network gives.

    What fusing has merged cannot be told apart again, so the parts are chosen: those that are needed carry
    the weights, the others begin at random without any effect on the output, and are free to learn.

    Parameters
    ----------
    network : of either form, float32; it stays as it is.
    sample : N x 3 x H x W, patches in the network's value range, on its device. Batch norms, which fusing
        has folded away, take their statistics from them, so that training begins without a jump.
    """
    if isinstance(network, FMEN) and network.fused:
        return _fmen(network, sample)
    if isinstance(network, MAFFSRN) and network.fused:
        return _maffsrn(network)
    return copy.deepcopy(network).eval()


@dataclass(frozen=True, eq=False)
class _Statistics:
    """Mean and variance (C values each) of features N x C x H x W."""

    mean: Tensor
    variance: Tensor


def _fmen(fused: FMEN, sample: Tensor) -> FMEN:
    result = FMEN(
        scale=fused.scale,
        channels=fused.channels,
        attention_channels=fused.attention_channels,
        warmup_attention_channels=fused.warmup_attention_channels,
        attention_depths=fused.attention_depths,
        block=fused.block,
    ).to(fused.head.weight)
    for mine, theirs in (
        (result.head, fused.head),
        (result.warmup_conv, fused.warmup_conv),
        (result.lr_conv, fused.lr_conv),
        (result.tail, fused.tail),
    ):
        mine.load_state_dict(theirs.state_dict())
    for block, merged in zip(result.blocks, fused.blocks, strict=True):
        _fill_block(block, merged)
    pairs = [(result.warmup_hfab, fused.warmup_hfab), *zip(result.hfabs, fused.hfabs, strict=True)]
    seen = _seen(fused, [merged for _, merged in pairs], sample)
    for hfab, merged in pairs:
        assert isinstance(hfab, HFAB)
        assert isinstance(merged, HFAB)
        hfab.squeeze.load_state_dict(merged.squeeze.state_dict())
        hfab.excitate.load_state_dict(merged.excitate.state_dict())
        for block, merged_block in zip(hfab.blocks, merged.blocks, strict=True):
            _fill_block(block, merged_block)
        for norm, statistics in zip((hfab.bn1, hfab.bn2, hfab.bn3), seen[merged], strict=True):
            _make_identity(norm, statistics)
    return result.eval()


def _fill_block(block: nn.Module, merged: nn.Module) -> None:
    if isinstance(block, ERB) and isinstance(merged, ERB):
        _embed(block.rrrb1, merged.rrrb1.conv)
        _embed(block.rrrb2, merged.rrrb2.conv)
    else:
        block.load_state_dict(merged.state_dict())


@torch.no_grad()
def _embed(block: RRRB, conv: nn.Conv2d) -> None:
    """Make an RRRB compute what one 3x3 convolution with kernel K does.

    The first half of the wide features carries x, the second half random mixtures that nothing reads yet:
    expand = [1; random], features = [K - 2, 0; random], reduce = [1, 0]; both skips add the identity.
    """
    n = block.channels
    one = torch.eye(n, dtype=conv.weight.dtype, device=conv.weight.device)
    assert conv.bias is not None
    for layer in (block.expand, block.features, block.reduce):
        assert layer.bias is not None
        layer.bias.zero_()
    block.expand.weight[:n] = one[:, :, None, None]
    block.features.weight[:n] = 0
    block.features.weight[:n, :n] = conv.weight
    block.features.weight[:n, :n, 1, 1] -= 2 * one
    assert block.features.bias is not None
    block.features.bias[:n] = conv.bias
    block.reduce.weight[:, :n] = one[:, :, None, None]
    block.reduce.weight[:, n:] = 0


def _seen(network: FMEN, hfabs: list[nn.Module], sample: Tensor) -> dict[nn.Module, list[_Statistics]]:
    """Run the network on the sample and return what its HFABs' three batch norms would have been given."""
    seen: dict[nn.Module, list[_Statistics]] = {}
    handles = []
    for hfab in hfabs:
        assert isinstance(hfab, HFAB)
        found = seen.setdefault(hfab, [])

        def enter(_: nn.Module, inputs: tuple[Tensor, ...], found: list[_Statistics] = found) -> None:
            found.append(_statistics(inputs[0]))

        def leave(_: nn.Module, inputs: object, output: Tensor, found: list[_Statistics] = found) -> None:
            found.append(_statistics(output))

        handles += [
            hfab.register_forward_pre_hook(enter),
            hfab.excitate.register_forward_pre_hook(enter),
            hfab.excitate.register_forward_hook(leave),
        ]
    try:
        with torch.no_grad():
            network(sample)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _statistics(features: Tensor) -> _Statistics:
    return _Statistics(features.mean(dim=(0, 2, 3)), features.var(dim=(0, 2, 3), correction=0))


@torch.no_grad()
def _make_identity(norm: nn.BatchNorm2d, statistics: _Statistics) -> None:
    """Let a batch norm undo its own normalisation: by its running statistics, and nearly so by a batch's."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(statistics.mean)
    norm.running_var.copy_(statistics.variance)
    norm.weight.copy_((statistics.variance + norm.eps).sqrt())
    norm.bias.copy_(statistics.mean)


def _maffsrn(fused: MAFFSRN) -> MAFFSRN:
    result = MAFFSRN(scale=fused.scale, channels=fused.channels, blocks=len(fused.ffgs)).to(fused.tail.weight)
    assert isinstance(fused.head, nn.Conv2d)
    assert isinstance(result.head, WeightNormConv2d)
    _fill_normed(result.head, fused.head.weight, fused.head.bias)
    for ffg, merged in zip(result.ffgs, fused.ffgs, strict=True):
        assert isinstance(ffg, FFG)
        assert isinstance(merged, FFG)
        _fill_ffg(ffg, merged)
    # Both tails keep the scale 1/2 of a fresh network; the smaller one is nothing until its length grows.
    with torch.no_grad():
        assert fused.tail.bias is not None
        _fill_normed(result.tail5, fused.tail.weight * 2, fused.tail.bias * 2)
        result.tail3.g.zero_()
        result.tail3.bias.zero_()
    return result.eval()


def _fill_ffg(ffg: FFG, merged: FFG) -> None:
    """Split the one reduction of four blocks' outputs into three of two inputs: the chain passes sums on."""
    ffg.mabs.load_state_dict(merged.mabs.state_dict())
    c = ffg.channels
    with torch.no_grad():
        ffg.skip_scale.copy_(merged.skip_scale)
        first, second, third, fourth = merged.reduction.weight.chunk(4, dim=1)
        one = torch.eye(c, dtype=first.dtype, device=first.device)[:, :, None, None]
        assert merged.reduction.bias is not None
        none = torch.zeros_like(merged.reduction.bias)
        _fill_normed(ffg.reduction1, _shuffled(first, second), none)
        _fill_normed(ffg.reduction2, _shuffled(one, third), none)
        _fill_normed(ffg.reduction3, _shuffled(one, fourth), merged.reduction.bias)


def _shuffled(left: Tensor, right: Tensor) -> Tensor:
    """Interleave the input channels of two kernels, as the FFG's channel shuffle does with its inputs."""
    return torch.stack((left, right), dim=2).flatten(1, 2)


@torch.no_grad()
def _fill_normed(conv: WeightNormConv2d, weight: Tensor, bias: Tensor | None) -> None:
    conv.v.copy_(weight)
    conv.g.copy_(length_of(weight))
    assert bias is not None
    conv.bias.copy_(bias)
