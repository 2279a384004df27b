"""Telling of a training in plain lines, for logs and wherever no progress bar can be drawn."""

from __future__ import annotations

import time
from collections.abc import Callable

from srviewer.session.wording import clock_text
from srviewer.training.request import TrainingProgress


def progress_text(progress: TrainingProgress, loss: float | None) -> str:
    """Say in one line how far a training is; `loss` is the last one known."""
    parts = [f"step {progress.step:,}", f"{progress.done:.0%}"]
    if loss is not None:
        parts.append(f"loss {loss:.5f}")
    parts += [f"rate {progress.rate:.2e}", f"{progress.steps_per_second:.2f} steps/s"]
    if progress.psnr is not None:
        parts.append(f"validation {progress.psnr:.3f} dB")
    if progress.validated and progress.psnr is not None and progress.psnr == progress.best_psnr:
        parts.append("the best so far")
    if progress.done < 1:
        parts.append(f"{clock_text(progress.eta_seconds)} left")
    return ", ".join(parts)


class LineTeller:
    """Writes a line at the first step, at every validation, and every now and then between."""

    def __init__(
        self,
        write: Callable[[str], None],
        *,
        every: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write lines by `write`, `every` seconds by `clock`."""
        self._write, self._every, self._clock = write, every, clock
        self._loss: float | None = None
        self._next: float | None = None

    def __call__(self, progress: TrainingProgress) -> None:
        """Take the progress after a step."""
        self._loss = self._loss if progress.loss is None else progress.loss
        now = self._clock()
        if self._next is None or progress.validated or now >= self._next:
            self._write(progress_text(progress, self._loss))
            self._next = now + self._every
