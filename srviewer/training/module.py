"""The network in training as Lightning takes it: its steps, its optimiser, its moving average."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from srviewer import networks
from srviewer.training.budget import STEADY_STEPS, Budget
from srviewer.training.errors import TrainingError
from srviewer.training.float32_ends import bare, guard_ends
from srviewer.training.losses import loss_of
from srviewer.training.patches import PatchBank
from srviewer.training.recipes import Recipe
from srviewer.zoo.spec import ModelSpec

_Tensors = tuple[Tensor, ...] | list[Tensor]

_SAVED = "srviewer"
"""Key of what a checkpoint holds beside Lightning's own content."""


class TrainingModule(pl.LightningModule):
    """A network, its moving average, and how both change from step to step.

    Attributes
    ----------
    network : in its training form, in training mode.
    average : the moving average of the weights, in evaluation mode.
    recipe, spec, budget : what was asked for.
    progress : 0..1, by which the learning rate and the stage are chosen.
    rate : the learning rate of the present step.
    best : the best validation PSNR so far in dB, or None.
    seed : of the patches.
    start : what the first weights were; empty for fresh ones.
    """

    def __init__(
        self,
        network: nn.Module,
        recipe: Recipe,
        spec: ModelSpec,
        bank: PatchBank,
        budget: Budget,
        saved: Saved,
        *,
        bf16: bool,
        cpu: bool,
        compiled: bool,
    ) -> None:
        """Set up a training from its beginning, or from what a checkpoint has `saved`."""
        super().__init__()
        self.recipe, self.spec, self.budget = recipe, spec, budget
        self.seed, self.start, self.best = saved.seed, saved.start, saved.best
        self.progress = self.rate = 0.0
        self._bank, self._bf16, self._cpu, self._compiled = bank, bf16, cpu, compiled
        guard_ends(network, spec.family)  # always, so that checkpoints do not depend on the precision
        if recipe.optimiser != "adamp":  # which flattens weights as they lie, and takes no other order
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs forget it
        self.network = network.train()
        self.average = AveragedModel(self.network, multi_avg_fn=self._averaged, use_buffers=True)
        self.average.requires_grad_(False).eval()

    def exported(self) -> nn.Module:
        """Return the averaged network, fused, as a module of its own in evaluation mode."""
        return networks.fused(bare(self.average.module)).requires_grad_(False)

    def measure_progress(self, step: int, used: float) -> None:
        """Choose learning rate and stage for the steps from `step` on, `used` of the budget being spent."""
        timed = self.budget.steps is None
        self.progress = 0.0 if timed and step < STEADY_STEPS else min(used, 1.0)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the recipe's optimiser."""
        parameters, rate, betas = self.network.parameters(), self.recipe.rate, self.recipe.betas
        if self.recipe.optimiser == "adam":
            return torch.optim.Adam(parameters, lr=rate, betas=betas, fused=True)
        return _adamp(list(parameters), rate, betas)

    def on_fit_start(self) -> None:
        """Bring the pixels to the device, and the count of averaged steps off it."""
        self._bank = self._bank.to(self.device)
        if self.trainer.world_size == 1:  # several devices may keep it in step among them
            # AveragedModel compares it with 0 at every step, which would wait for the device.
            self.average.n_averaged = self.average.n_averaged.cpu()
        if self._compiled:
            # What cannot be compiled here, for whatever reason, runs as it is.
            torch._dynamo.config.suppress_errors = True
            self.network.compile(dynamic=False)

    def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
        """Set the learning rate of the step."""
        self.rate = self.recipe.rate_at(self.progress, self.global_step)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.rate

    def training_step(self, batch: object, batch_idx: int) -> Tensor:
        """Return the loss on patches that seed, step and rank alone decide."""
        stage = self.recipe.stage_at(self.progress, cpu=self._cpu)
        share = -(-stage.batch // self.trainer.world_size)
        lr, hr = self._bank.draw(share, self._bank.fitting(stage.patch), self._generator())
        white = self.spec.value_range
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            result: Tensor = self.network(lr * white if white != 1 else lr)
        result = result.float()
        return loss_of(self.recipe.loss, result / white if white != 1 else result, hr)

    def move_average(self) -> None:
        """Let the average follow the weights by one step."""
        self.average.update_parameters(self.network)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed training has to know."""
        saved = Saved(
            self.recipe.model, self.global_step, self.budget.elapsed, self.best, self.seed, self.start
        )
        checkpoint[_SAVED] = asdict(saved)  # plain values: nothing else is read back safely

    def _generator(self) -> torch.Generator:
        words = np.random.SeedSequence((self.seed, self.global_step, self.global_rank)).generate_state(2)
        return torch.Generator().manual_seed(int(words[0]) << 31 ^ int(words[1]))

    def _averaged(self, average: _Tensors, current: _Tensors, count: Tensor | int) -> None:
        """Move the average towards the weights, faster while it is young; counters are copied."""
        young = (1 + int(count)) / (10 + int(count))
        decay = min(self.recipe.average, young)
        with torch.no_grad():
            if average[0].is_floating_point():
                torch._foreach_lerp_(average, current, 1 - decay)
            else:
                torch._foreach_copy_(average, current)


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds beside Lightning's own content.

    Attributes
    ----------
    recipe : the network's id.
    step : steps done.
    seconds : time spent.
    best : the best validation PSNR so far in dB, or None.
    seed : of the order of patches.
    start : what the first weights were; empty for fresh ones.
    """

    recipe: str
    step: int
    seconds: float
    best: float | None
    seed: int
    start: str

    @classmethod
    def of(cls, checkpoint: Mapping[str, Any], recipe: str) -> Saved:
        """Read it from a checkpoint of the training `recipe`.

        Raises
        ------
        TrainingError
            If it is no checkpoint of such a training.
        """
        found = checkpoint.get(_SAVED)
        if not isinstance(found, dict):
            raise TrainingError("is no checkpoint of srviewer train")
        saved = cls(**found)
        if saved.recipe != recipe:
            raise TrainingError(f"holds a training of {saved.recipe}, not of {recipe}")
        return saved


def read_saved(path: Path, recipe: str) -> Saved:
    """Read what a checkpoint tells of its training; never runs code from it.

    Raises
    ------
    TrainingError
        If the file cannot be read, or is no checkpoint of such a training.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly every kind
        raise TrainingError(f"{path}: cannot be read as a checkpoint ({error})".splitlines()[0]) from error
    try:
        return Saved.of(content if isinstance(content, dict) else {}, recipe)
    except (TrainingError, TypeError) as error:
        raise TrainingError(f"{path}: {error}") from error


def _adamp(parameters: list[nn.Parameter], rate: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    from adamp import AdamP

    optimiser: torch.optim.Optimizer = AdamP(parameters, lr=rate, betas=betas)
    return optimiser
