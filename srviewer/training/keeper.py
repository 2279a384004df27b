"""What happens beside the steps: losses are logged, weights validated, checkpoints kept, budgets ended."""

from __future__ import annotations

import contextlib
import datetime as dt
import math
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import lightning.pytorch as pl
import torch
from torch import Tensor

from srviewer import __version__
from srviewer.training.budget import STEADY_STEPS
from srviewer.training.data import TrainingData
from srviewer.training.errors import TrainingError
from srviewer.training.module import TrainingModule
from srviewer.training.output import LossLog, OutputFiles
from srviewer.training.request import TrainingProgress
from srviewer.training.validation import validate
from srviewer.zoo.checkpoint import write_checkpoint

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_LOGGED_EVERY = 10  # steps, after the first 20
_RANKS_AGREE_EVERY = 20  # steps: agreeing makes all devices wait for each other
_SPEED_OVER = 60  # seconds


@dataclass(frozen=True)
class _Verdict:
    """What rank 0 decides for all."""

    used: float
    keep: bool
    stop: bool


class Keeper(pl.Callback):
    """Watches a training from the outside.

    Attributes
    ----------
    interrupted : set by a signal handler; the training keeps a checkpoint and ends.
    psnr : of the last validation in dB, or None.
    """

    def __init__(
        self,
        files: OutputFiles,
        data: TrainingData,
        *,
        interval: float,
        part: float | None,
        progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        """Keep a training's `files`, every `interval` seconds, and cut it short after `part` minutes."""
        self.interrupted = False
        self.psnr: float | None = None
        self._files, self._data = files, data
        self._interval, self._progress = interval, progress
        self._part, self._begun = math.inf if part is None else part * 60, 0.0
        self._losses: list[Tensor] = []
        self._times: deque[tuple[float, int]] = deque()
        self._kept_at = 0.0
        self._log: LossLog | None = None
        self._board: SummaryWriter | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock and open the log."""
        module = _ours(pl_module)
        step = trainer.global_step
        if trainer.is_global_zero:
            self._log = LossLog(self._files.log, after_step=step or None)
            self._board = _board(self._files.folder / "tensorboard", step)
        module.budget.begin()
        self._begun = self._kept_at = time.monotonic()
        self._times.append((self._begun, step))
        module.measure_progress(step, self._agreed(trainer, module, step).used)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Log the loss; keep and end where it is time."""
        module = _ours(pl_module)
        step = trainer.global_step
        module.move_average()  # here, because a checkpoint must hold it and callbacks come before modules
        assert isinstance(outputs, dict)
        self._losses.append(outputs["loss"].detach())
        loss = self._logged(module, step) if step <= STEADY_STEPS or step % _LOGGED_EVERY == 0 else None
        kept = False
        last = step == module.budget.steps
        if trainer.world_size == 1 or step % _RANKS_AGREE_EVERY == 0 or last:
            verdict = self._agreed(trainer, module, step)
            module.measure_progress(step, verdict.used)
            if verdict.keep or verdict.stop:
                self._keep(trainer, module, step)
                kept = True
            trainer.should_stop = verdict.stop
        if trainer.is_global_zero and self._progress is not None:
            self._progress(self._told(module, step, loss, kept))

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Close the log."""
        if self._board is not None:
            self._board.close()
            self._board = None

    def _agreed(self, trainer: pl.Trainer, module: TrainingModule, step: int) -> _Verdict:
        """Decide by rank 0's clock and signals."""
        used, now = module.budget.used(step), time.monotonic()
        due = now - self._kept_at >= self._interval
        over = now - self._begun >= self._part
        verdict = _Verdict(used, due, used >= 1 or over or self.interrupted)
        return verdict if trainer.world_size == 1 else trainer.strategy.broadcast(verdict)

    def _logged(self, module: TrainingModule, step: int) -> float:
        """Write the mean of the losses since the last row."""
        loss = float(torch.stack(self._losses).mean())
        self._losses.clear()
        if not math.isfinite(loss):
            raise TrainingError(f"the loss is {loss} at step {step:,}: the last checkpoint before it is kept")
        if self._log is not None:
            self._log.add(step, rate=module.rate, minutes=module.budget.elapsed / 60, loss=loss, psnr=None)
        if self._board is not None:
            self._board.add_scalar("loss", loss, step)
            self._board.add_scalar("learning_rate", module.rate, step)
        return loss

    def _keep(self, trainer: pl.Trainer, module: TrainingModule, step: int) -> None:
        """Validate, replace the weights by better ones, and replace the checkpoint, each whole."""
        if trainer.is_global_zero:
            network = module.exported()
            self.psnr = validate(network, module.spec, self._data.validation, module.device)
            if self.psnr is not None:
                assert self._log is not None
                self._log.add(
                    step, rate=module.rate, minutes=module.budget.elapsed / 60, loss=None, psnr=self.psnr
                )
                if self._board is not None:
                    self._board.add_scalar("validation_psnr_y", self.psnr, step)
            if self.psnr is None or module.best is None or self.psnr > module.best:
                module.best = self.psnr
                state = {name: value.float().cpu() for name, value in network.state_dict().items()}
                write_checkpoint(state, self._files.weights, self._metadata(module))
        self._save(trainer)
        self._kept_at = time.monotonic()

    def _save(self, trainer: pl.Trainer) -> None:
        """Replace the checkpoint whole, or not at all."""
        final = self._files.checkpoint
        temporary = final.with_name(f".{final.name}.tmp")
        try:
            trainer.save_checkpoint(temporary)  # by all ranks, since some strategies gather
            if trainer.is_global_zero:
                with temporary.open("rb") as file:
                    os.fsync(file.fileno())
                temporary.replace(final)
        except (OSError, RuntimeError) as error:  # torch's writer has its own words for a full disk
            reason = error.strerror if isinstance(error, OSError) else str(error).partition("\n")[0]
            raise TrainingError(f"{final}: cannot be written ({reason})") from error
        finally:
            if trainer.is_global_zero:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _metadata(self, module: TrainingModule) -> dict[str, str]:
        """Say in the file of weights how they were made."""
        start = f", begun from {module.start}" if module.start else ""
        return {
            "id": module.spec.id,
            "family": module.spec.family,
            "scale": str(module.spec.scale),
            "recipe": f"{module.recipe.describe()}, {module.global_step:,} steps{start}",
            "data": self._data.text,
            "steps": str(module.global_step),
            "minutes": f"{module.budget.elapsed / 60:.1f}",
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "validation_psnr_y": "" if self.psnr is None else f"{self.psnr:.4f}",
            "seed": str(module.seed),
            "program": f"srviewer {__version__}",
        }

    def _told(self, module: TrainingModule, step: int, loss: float | None, kept: bool) -> TrainingProgress:
        now = time.monotonic()
        self._times.append((now, step))
        while len(self._times) > 2 and now - self._times[0][0] > _SPEED_OVER:
            self._times.popleft()
        (then, before), (_, latest) = self._times[0], self._times[-1]
        speed = (latest - before) / (now - then) if now > then else 0.0
        budget = module.budget
        if budget.steps is not None:
            eta = max(0, budget.steps - step) / speed if speed else 0.0
        else:
            assert budget.seconds is not None
            eta = max(0.0, budget.seconds - budget.elapsed)
        return TrainingProgress(
            step, min(budget.used(step), 1.0), loss, module.rate, speed, eta, self.psnr, module.best, kept
        )


def _ours(module: pl.LightningModule) -> TrainingModule:
    assert isinstance(module, TrainingModule)
    return module


def _board(folder: Path, step: int) -> SummaryWriter | None:
    """Open TensorBoard's log, where TensorBoard is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
