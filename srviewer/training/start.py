"""The weights that a training begins with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from srviewer.training.errors import TrainingError
from srviewer.training.first_weights import draw_evenly
from srviewer.training.patches import PatchBank
from srviewer.training.recipes import FirstWeights
from srviewer.training.unfusing import unfused
from srviewer.zoo import families
from srviewer.zoo.checkpoint import read_checkpoint
from srviewer.zoo.manifest import resolve
from srviewer.zoo.spec import ModelSpec

_SAMPLE = (16, 32)  # patches, and their side, from which batch norms take their first statistics


def starting_network(
    spec: ModelSpec, start: str | None, bank: PatchBank, first_weights: FirstWeights = "torch"
) -> nn.Module:
    """Return a network in its training form, with fresh weights or those of a model or a file.

    Parameters
    ----------
    spec : which network.
    start : None, or a reference as ``load_model`` takes it. Weights of the same network give the same output;
        of those for another scale all are taken but the last layers, whose shapes differ.
    bank : pictures to take statistics from.
    first_weights : how weights that are not begun from are drawn.

    Raises
    ------
    TrainingError
        If the weights are of another network.
    UnknownModelError, NotInstalledError, CheckpointError
        If there are none, or they cannot be read.
    """
    fresh = families.build(spec)
    if first_weights == "even":
        draw_evenly(fresh)
    if start is None:
        return fresh
    path = resolve(start).path
    if path is None:
        raise TrainingError(f"{start}: has no weights to begin from")
    recognised = families.recognise(read_checkpoint(path), path)
    theirs = recognised.spec
    if (theirs.family, theirs.config) != (spec.family, spec.config):
        raise TrainingError(
            f"{start}: holds {theirs.name} x{theirs.scale}, which is no beginning for {spec.id}"
        )
    found = unfused(families.network(recognised), _sample(bank, spec.value_range))
    if theirs.scale == spec.scale:
        return found.train()
    wanted = fresh.state_dict()
    fitting = {name: value for name, value in found.state_dict().items() if wanted[name].shape == value.shape}
    fresh.load_state_dict(fitting, strict=False)
    return fresh


def _sample(bank: PatchBank, value_range: float) -> Tensor:
    count, side = _SAMPLE
    lr, _ = bank.draw(count, bank.fitting(side), torch.Generator().manual_seed(0))
    return lr.cpu() * value_range
