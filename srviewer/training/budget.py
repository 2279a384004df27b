"""The budget of a training: how much of it is spent, in steps or in time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

STEADY_STEPS = 20
"""Steps for which a timed training keeps its first learning rate, so that they do not depend on the clock."""


@dataclass
class Budget:
    """What a training may take, and what it has taken.

    Attributes
    ----------
    seconds, steps : the limit; one of them is None.
    spent : seconds of earlier parts of a resumed training.
    clock : tells seconds.
    """

    seconds: float | None
    steps: int | None
    spent: float = 0.0
    clock: Callable[[], float] = time.monotonic
    _begun: float | None = field(default=None, init=False)

    def begin(self) -> None:
        """Start the clock."""
        self._begun = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, earlier parts counted."""
        return self.spent + (0.0 if self._begun is None else self.clock() - self._begun)

    def used(self, step: int) -> float:
        """Return the part of the budget that is spent after `step` steps; 1 or more means all of it."""
        if self.steps is not None:
            return step / self.steps
        assert self.seconds is not None
        return self.elapsed / self.seconds
