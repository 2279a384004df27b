"""The losses that networks are trained by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from srviewer.training.recipes import Loss

FFT_WEIGHT = 0.05
"""Of the frequency term: SAFMN (Sun et al., ICCV 2023), section 4.1."""


def loss_of(kind: Loss, result: Tensor, truth: Tensor) -> Tensor:
    """Return how far a result is from the truth, as a scalar.

    Parameters
    ----------
    kind : ``"l1"``, the mean of |result - truth|; ``"l1_fft"``, that plus 0.05 times the mean of the moduli
        of the differences of their 2-D Fourier transforms (not normalised).
    result, truth : N x 3 x H x W, float32, nominally 0..1.
    """
    difference = F.l1_loss(result, truth)
    if kind == "l1":
        return difference
    # The transform is linear: one of the difference does for two.
    spectrum: Tensor = torch.fft.rfft2(result - truth)
    return difference + spectrum.abs().mean() * FFT_WEIGHT
