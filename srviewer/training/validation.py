"""Measuring a network on the pictures that were set aside."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from srviewer.analysis.metrics import measure
from srviewer.training.patches import PicturePair
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.spec import ModelSpec
from srviewer.zoo.tensors import to_pixels, to_tensor


def validate(
    network: nn.Module, spec: ModelSpec, pairs: Sequence[PicturePair], device: torch.device
) -> float | None:
    """Return the mean PSNR on Y in dB, of results rounded to 8 bits, borders of `scale` pixels shaved.

    Parameters
    ----------
    network : fused, in evaluation mode, in float32 on `device`.
    spec : what it is.
    pairs : the pictures; without any there is no number, and None comes back.
    device : where it runs.
    """
    if not pairs:
        return None
    model = LoadedModel(spec.id, spec, network, "in training").to(memory_format=torch.channels_last)
    scores = []
    with torch.inference_mode():
        for pair in pairs:
            result = to_pixels(model(to_tensor(pair.lr).to(device)))
            # A picture that is met exactly would make every mean infinite.
            scores.append(min(measure(result, pair.hr, scale=spec.scale).psnr_y, 100.0))
    return math.fsum(scores) / len(scores)
