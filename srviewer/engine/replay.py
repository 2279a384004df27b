"""Replaying what a network does on a GPU: small images take longer to start its kernels than to run them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from srviewer.engine.telemetry import count_replayed

# Input pixels up to which starting the kernels is felt. What a recording holds grows with the image, too.
_MOST_PIXELS = 1 << 18
# Runs in which the libraries choose and load their kernels: neither can be recorded.
_WARM_UPS = 3
# Largest difference, on 0..1, between a recording and the network: other kernels may be chosen for it.
_TOLERANCE = 0.02


@dataclass(frozen=True, eq=False)
class Recording:
    """What a network does for one shape.

    Attributes
    ----------
    batch : is read by `replay`.
    answer : is written by `replay`.
    replay : does it again.
    held_bytes : of memory that it has for the features between.
    """

    batch: Tensor
    answer: Tensor
    replay: Callable[[], None]
    held_bytes: int

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the network's answer to a batch of the recorded shape, in memory of its own."""
        self.batch.copy_(batch)
        self.replay()
        count_replayed(self.held_bytes)
        return self.answer.clone()


class Replayed:
    """A network whose kernels are recorded as a CUDA graph when a shape comes again.

    Only the last shape's recording is kept: it holds the memory of all features. Where recording fails, or
    the recording does not give what the network gives, the network runs as ever.

    Parameters
    ----------
    network : maps a tensor on a GPU to one there, without waiting for it.
    """

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self._network = network
        self._shape: torch.Size | None = None
        self._is_settled = False
        self._recording: Recording | None = None

    def __call__(self, batch: Tensor) -> Tensor:
        """Map N x 3 x H x W on the GPU to the network's answer."""
        if batch.shape[2] * batch.shape[3] > _MOST_PIXELS:
            return self._network(batch)
        if batch.shape != self._shape:
            self._shape, self._is_settled, self._recording = batch.shape, False, None
            return self._network(batch)
        if not self._is_settled:
            self._is_settled = True
            answer = self._network(batch)
            self._recording = self._recorded(batch, answer)
            return answer
        return self._network(batch) if self._recording is None else self._recording(batch)

    def _recorded(self, batch: Tensor, expected: Tensor) -> Recording | None:
        """Return a recording that gives the expected answer; None if there is none."""
        try:
            recording = record(self._network, batch)
            same = torch.allclose(recording(batch).float(), expected.float(), rtol=0, atol=_TOLERANCE)
        except RuntimeError:  # whatever cannot be recorded, and memory that ran out
            return None
        return recording if same else None


def record(network: Callable[[Tensor], Tensor], batch: Tensor) -> Recording:
    """Record what a network does with a batch on a GPU.

    Raises
    ------
    RuntimeError
        If it does something that cannot be recorded, or memory runs out.
    """
    kept = batch.clone()
    settled = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True  # one shape, many runs: trying all algorithms once pays
    try:
        with torch.cuda.device(batch.device):
            beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(_WARM_UPS):
                    network(kept)
            torch.cuda.current_stream().wait_stream(beside)
            graph = torch.cuda.CUDAGraph()
            torch.cuda.empty_cache()  # as recording does: so that what is added is the recording's
            before = torch.cuda.memory_reserved()
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                answer = network(kept)
            held = torch.cuda.memory_reserved() - before
    finally:
        torch.backends.cudnn.benchmark = settled
    return Recording(kept, answer, graph.replay, max(0, held))
