"""What a recipe says: everything about a training but the data and the time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Loss = Literal["l1", "l1_fft"]
"""Mean absolute error, alone or with SAFMN's term in the frequency domain."""

Optimiser = Literal["adam", "adamp"]
"""Adam, or AdamP of the package ``adamp``."""

Schedule = Literal["cosine", "halving"]
"""How the learning rate falls: by half a cosine, or by halves in equal steps."""


FirstWeights = Literal["torch", "even"]
"""How fresh weights are drawn: as torch does, or so that features keep their variance from layer to layer."""


@dataclass(frozen=True)
class Stage:
    """A part of a training with patches of one size.

    Attributes
    ----------
    share : of the whole training, 0..1; the shares of a recipe's stages add up to 1.
    batch : patches per step, over all devices together.
    patch : side in pixels of the low-resolution patch.
    """

    share: float
    batch: int
    patch: int


CPU_STAGES = (Stage(0.5, 16, 32), Stage(0.5, 8, 48))
"""Small patches first: on a CPU many cheap steps reach further than few dear ones."""


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    model : id of the network in ``SPECS``, and the recipe's own name.
    source : what the recipe follows, in one sentence.
    loss : what is minimised, on pictures in 0..1.
    optimiser, betas : how.
    rate, last_rate : the learning rate's first and last value.
    schedule : how it falls from one to the other over the training.
    warmup_steps : over which it rises from zero.
    average : decay of the moving average of the weights, which is what is measured and kept.
    clip : longest gradient (Euclidean norm over all parameters).
    first_weights : how fresh weights are drawn.
    stages : on accelerators.
    cpu_stages : on a CPU.
    """

    model: str
    source: str
    loss: Loss = "l1"
    optimiser: Optimiser = "adam"
    betas: tuple[float, float] = (0.9, 0.99)
    rate: float = 1e-3
    last_rate: float = 1e-5
    schedule: Schedule = "cosine"
    warmup_steps: int = 100
    average: float = 0.999
    clip: float = 1.0
    first_weights: FirstWeights = "torch"
    stages: tuple[Stage, ...] = (Stage(1.0, 64, 48),)
    cpu_stages: tuple[Stage, ...] = CPU_STAGES

    def rate_at(self, progress: float, step: int) -> float:
        """Return the learning rate at `progress` (0..1 of the training) and `step` (from 0)."""
        done = min(max(progress, 0.0), 1.0)
        if self.schedule == "cosine":
            rate = self.last_rate + (self.rate - self.last_rate) * (1 + math.cos(math.pi * done)) / 2
        else:
            halvings = round(math.log2(self.rate / self.last_rate))
            rate = self.rate / 2 ** min(int(done * (halvings + 1)), halvings)
        return rate * min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else rate

    def stage_at(self, progress: float, *, cpu: bool) -> Stage:
        """Return the stage at `progress` (0..1 of the training)."""
        stages = self.cpu_stages if cpu else self.stages
        end = 0.0
        for stage in stages:
            end += stage.share
            if progress < end - 1e-9:
                return stage
        return stages[-1]

    def describe(self) -> str:
        """Say in one line what the weights of such a training were made by."""
        loss = {"l1": "L1", "l1_fft": "L1 + 0.05 x L1 of the 2-D FFT"}[self.loss]
        optimiser = {"adam": "Adam", "adamp": "AdamP"}[self.optimiser]
        return (
            f"{loss}, {optimiser} {self.rate:g} to {self.last_rate:g} {self.schedule}, EMA {self.average:g}"
        )
