from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from srviewer.engine import replay
from srviewer.engine.device import Device
from srviewer.engine.replay import Recording, Replayed, record
from srviewer.engine.telemetry import PeakMeter
from srviewer.zoo import families
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.spec import SPECS

ON_A_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="records CUDA graphs")


class Doubling:
    """A network that counts how often it runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, batch: Tensor) -> Tensor:
        self.runs += 1
        return batch * 2


def recorded_on_a_cpu(network: Callable[[Tensor], Tensor], batch: Tensor) -> Recording:
    """Stand in for CUDA's recording: reads and writes the same memory each time, as that does."""
    kept = batch.clone()
    answer = kept * 2

    def again() -> None:
        torch.mul(kept, 2, out=answer)

    return Recording(kept, answer, again, 5_000_000)


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[Recording]]:
    made: list[weakref.ref[Recording]] = []

    def fake(network: Callable[[Tensor], Tensor], batch: Tensor) -> Recording:
        recording = recorded_on_a_cpu(network, batch)
        made.append(weakref.ref(recording))
        return recording

    monkeypatch.setattr(replay, "record", fake)
    return made


def batches(count: int, height: int = 6, width: int = 5) -> list[Tensor]:
    return [torch.full((1, 3, height, width), 0.1 * number) for number in range(count)]


def test_a_shape_is_recorded_when_it_comes_again(recordings: list[weakref.ref[Recording]]) -> None:
    network = Doubling()
    replayed = Replayed(network)
    answers = [replayed(batch) for batch in batches(5)]
    assert (network.runs, len(recordings)) == (2, 1)
    for answer, batch in zip(answers, batches(5), strict=True):  # each has memory of its own
        assert torch.equal(answer, batch * 2)


def test_only_the_last_shape_is_kept(recordings: list[weakref.ref[Recording]]) -> None:
    network = Doubling()
    replayed = Replayed(network)
    for shape in ((6, 5), (5, 6), (6, 5)):
        for batch in batches(3, *shape):
            assert torch.equal(replayed(batch), batch * 2)
    assert (network.runs, len(recordings)) == (6, 3)
    assert [kept() is None for kept in recordings] == [True, True, False]


def test_shapes_that_never_repeat_are_not_recorded(recordings: list[weakref.ref[Recording]]) -> None:
    network = Doubling()
    replayed = Replayed(network)
    for side in (4, 5, 4, 5):
        replayed(torch.zeros(1, 3, side, side))
    assert (network.runs, len(recordings)) == (4, 0)


def test_large_images_are_not_recorded(
    recordings: list[weakref.ref[Recording]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "_MOST_PIXELS", 29)
    network = Doubling()
    replayed = Replayed(network)
    for batch in batches(3):
        replayed(batch)
    assert (network.runs, len(recordings)) == (3, 0)


@pytest.mark.parametrize("error", [RuntimeError("operation not permitted"), torch.OutOfMemoryError("full")])
def test_what_cannot_be_recorded_runs_as_ever(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    tried: list[Tensor] = []

    def fail(network: Callable[[Tensor], Tensor], batch: Tensor) -> Recording:
        tried.append(batch)
        raise error

    monkeypatch.setattr(replay, "record", fail)
    network = Doubling()
    replayed = Replayed(network)
    for batch in batches(4):
        assert torch.equal(replayed(batch), batch * 2)
    assert (network.runs, len(tried)) == (4, 1)


@pytest.mark.parametrize("wrong", [0.5, float("nan")])
def test_a_recording_that_gives_something_else_is_not_used(
    monkeypatch: pytest.MonkeyPatch, wrong: float
) -> None:
    def corrupt(network: Callable[[Tensor], Tensor], batch: Tensor) -> Recording:
        answer = torch.full_like(batch, wrong)
        return Recording(batch.clone(), answer, lambda: None, 0)

    monkeypatch.setattr(replay, "record", corrupt)
    network = Doubling()
    replayed = Replayed(network)
    for batch in batches(4):
        assert torch.equal(replayed(batch), batch * 2)
    assert network.runs == 4


def test_a_meter_sees_the_memory_of_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("memory_allocated", 7), ("max_memory_allocated", 9)):
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    for name in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda _: None)
    batch = batches(1)[0]
    recording = recorded_on_a_cpu(Doubling(), batch)
    with PeakMeter(Device("cuda:0", "cuda", "a card")) as meter:
        assert meter.peak() == 9
        recording(batch)
    assert meter.peak() == 5_000_007
    with PeakMeter(Device("cuda:0", "cuda", "a card")) as later:
        pass
    assert later.peak() == 9


@ON_A_GPU
@pytest.mark.parametrize("model_id", ["fmen_s_x4", "safmn_x4", "bsrn_x4", "maffsrn_x4"])
def test_a_recording_on_a_gpu_is_the_network(model_id: str) -> None:
    torch.manual_seed(0)
    spec = SPECS[model_id]
    network = families.build(spec).eval().requires_grad_(False).cuda()
    model = LoadedModel(model_id, spec, network, "random")
    with torch.inference_mode():
        first, second = torch.rand(2, 1, 3, 61, 50, device="cuda")
        recording = record(model, first)
        for batch in (second, first):
            assert torch.allclose(recording(batch), model(batch), atol=1e-3)
