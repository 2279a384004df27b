"""The choice of backend and tile, with made-up times."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from srviewer.engine import tuning
from srviewer.engine.backends import Backend, EagerTorch, Runner
from srviewer.engine.device import Device
from srviewer.engine.request import Precision
from srviewer.engine.staged_run import Program
from srviewer.engine.tuning import SIDES, Choice, fastest, measured_cost
from srviewer.zoo import families
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.spec import SPECS

CPU = Device("cpu", "cpu", "a processor, 1 thread")
LARGE = 10_000_000


class Named:
    """A backend that is only looked at."""

    def __init__(self, name: str) -> None:
        self.name = name

    def prepare(self, model: LoadedModel, device: Device, precision: Precision) -> Runner:
        raise AssertionError("not to be run")

    def program(self, model: LoadedModel, device: Device, precision: Precision) -> Program | None:
        raise AssertionError("not to be run")

    def at_once(self, model: LoadedModel, device: Device, precision: Precision, pixels: int) -> bool:
        raise AssertionError("not to be asked")


class Table:
    """Measures by looking up; each look takes `seconds` on its clock."""

    def __init__(self, times: dict[tuple[str, int], float], seconds: float = 0.1) -> None:
        self.times = times
        self.seconds = seconds
        self.now = 0.0
        self.asked: list[tuple[str, int]] = []

    def cost(self, backend: Backend, side: int) -> float:
        self.asked.append((backend.name, side))
        self.now += self.seconds
        return self.times[backend.name, side]

    def clock(self) -> float:
        return self.now


A, B = Named("a"), Named("b")


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_REMEMBERED", {})


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    spec = SPECS["bsrn_s_x4"]
    return LoadedModel(spec.id, spec, families.build(spec, fused=True).eval().requires_grad_(False), "")


def choose(
    model: LoadedModel,
    table: Table,
    *backends: Named,
    pixels: int = LARGE,
    fits: Callable[[Backend, int], bool] = lambda backend, side: True,
) -> Choice:
    return fastest(model, CPU, "fp32", backends, pixels=pixels, fits=fits, cost=table.cost, clock=table.clock)


def valley(name: str, lowest: int, least: float) -> dict[tuple[str, int], float]:
    return {(name, side): least + abs(SIDES.index(side) - SIDES.index(lowest)) for side in SIDES}


@pytest.mark.parametrize("lowest", SIDES)
def test_the_fastest_side_is_found(model: LoadedModel, lowest: int) -> None:
    choice = choose(model, Table(valley("a", lowest, 1.0)), A)
    assert (choice.backend, choice.side, choice.measured) == (A, lowest, True)


def test_the_faster_backend_is_taken(model: LoadedModel) -> None:
    choice = choose(model, Table(valley("a", 128, 1.0) | valley("b", 256, 0.9)), A, B)
    assert (choice.backend, choice.side) == (B, 256)


def test_a_backend_that_is_hardly_faster_is_not(model: LoadedModel) -> None:
    assert choose(model, Table(valley("a", 128, 1.0) | valley("b", 128, 0.99)), A, B).backend is A


def test_a_small_job_is_not_measured(model: LoadedModel) -> None:
    table = Table({})
    choice = choose(model, table, A, B, pixels=100_000)
    assert (choice.backend, choice.side, choice.measured, table.asked) == (A, 128, False, [])


def test_but_gets_what_was_found_before(model: LoadedModel) -> None:
    choose(model, Table(valley("a", 256, 1.0)), A)
    assert choose(model, Table({}), A, pixels=100).side == 256


def test_nothing_is_measured_when_the_time_is_up(model: LoadedModel) -> None:
    table = Table(valley("a", 384, 1.0) | valley("b", 384, 0.1), seconds=100)
    choice = choose(model, table, A, B)
    assert table.asked == [("a", 128)]
    assert (choice.backend, choice.side) == (A, 128)


def test_only_tiles_that_fit_are_tried(model: LoadedModel) -> None:
    table = Table(valley("a", 384, 1.0) | valley("b", 384, 0.5))
    choice = choose(model, table, A, B, fits=lambda backend, side: backend is A and side <= 192)
    assert (choice.backend, choice.side) == (A, 192)
    assert all(name == "a" and side <= 192 for name, side in table.asked)


def test_where_nothing_fits_the_smallest_is_taken(model: LoadedModel) -> None:
    choice = choose(model, Table({}), A, fits=lambda backend, side: False)
    assert (choice.side, choice.measured) == (SIDES[0], False)


def test_a_remembered_tile_that_no_longer_fits_is_made_smaller(model: LoadedModel) -> None:
    choose(model, Table(valley("a", 256, 1.0)), A)
    assert choose(model, Table({}), A, fits=lambda backend, side: side < 200).side == 192


def test_choices_last_beyond_the_process(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SRVIEWER_CACHE", str(tmp_path))
    choose(model, Table(valley("a", 256, 1.0)), A)
    monkeypatch.setattr(tuning, "_REMEMBERED", {})
    assert choose(model, Table({}), A).side == 256
    table = Table(valley("a2", 192, 1.0))
    assert choose(model, table, Named("a2")).side == 192  # another version is measured anew


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"version": 0}',
        '{"version": 1, "choices": [1]}',
        '{"version": 1, "choices": {"k": [1]}}',
    ],
)
def test_a_bad_file_is_as_good_as_none(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setenv("SRVIEWER_CACHE", str(tmp_path))
    (tmp_path / "tuning.json").write_text(content)
    assert choose(model, Table(valley("a", 192, 1.0)), A).side == 192
    assert len(json.loads((tmp_path / "tuning.json").read_text())["choices"]) == 1


def test_a_folder_that_cannot_be_written_is_no_fault(
    model: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SRVIEWER_CACHE", str(tmp_path / "file"))
    assert choose(model, Table(valley("a", 192, 1.0)), A).side == 192
    assert choose(model, Table({}), A).side == 192  # remembered beside the file


@pytest.mark.parametrize("id_", ["bsrn_s_x4", "fmen_s_x4"])
def test_a_network_is_measured(id_: str) -> None:
    spec = SPECS[id_]
    network = families.build(spec, fused=True).eval().requires_grad_(False)
    with torch.inference_mode():
        seconds = measured_cost(LoadedModel(id_, spec, network, ""), CPU, "fp32", EagerTorch(), 32)
    assert 0 < seconds * 32**2 < 60
