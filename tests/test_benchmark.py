"""Benchmarks: the papers' numbers, the trade-off against a base line, and what goes wrong on the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from srviewer.analysis.complexity import complexity
from srviewer.engine.request import Cancelled, UpscaleError, UpscaleOptions
from srviewer.networks.bicubic import Bicubic
from srviewer.report.benchmark import BenchmarkError, BenchmarkProgress, benchmark
from srviewer.report.datasets import Dataset, find_dataset
from srviewer.report.rows import Benchmark, BenchmarkRow
from srviewer.report.tables import render
from srviewer.zoo.model import LoadedModel, load_model

CPU = UpscaleOptions(device="cpu", precision="fp32", tile="off")


class Heavy(nn.Module):
    """Bicubic, with convolutions beside it that cost and do not help."""

    scale = 2

    def __init__(self) -> None:
        super().__init__()
        self.bicubic = Bicubic(scale=2)
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 12, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        useless: Tensor = nn.functional.pixel_shuffle(self.second(self.first(image)), 2)
        result: Tensor = self.bicubic(image) + 0 * useless
        return result


class Light(nn.Module):
    """The nearest pixel, through one small convolution: cheap, and worse than bicubic."""

    scale = 2

    def __init__(self) -> None:
        super().__init__()
        self.spread = nn.Conv2d(3, 12, 1, bias=False)
        with torch.no_grad():
            self.spread.weight.copy_(torch.eye(3).repeat_interleave(4, dim=0)[:, :, None, None])

    def forward(self, image: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.spread(image), 2)


class Failing(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        if image.shape[-1] > 20:
            raise RuntimeError("this kernel is not implemented")
        return image.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def model(name: str, network: nn.Module) -> LoadedModel:
    return replace(
        load_model("bicubic_x2"), id=name, network=network.eval().requires_grad_(requires_grad=False)
    )


@pytest.fixture
def models() -> list[LoadedModel]:
    return [load_model("bicubic_x2"), model("heavy", Heavy()), model("light@mine", Light())]


@pytest.fixture
def datasets(tmp_path: Path) -> list[Dataset]:
    generator = np.random.default_rng(0)
    found = []
    for name, sizes in (("One", [(40, 36), (48, 31)]), ("Two", [(30, 30)])):
        (tmp_path / name).mkdir()
        for index, (width, height) in enumerate(sizes):
            smooth = cv2.GaussianBlur(
                generator.integers(0, 256, (height, width, 3), dtype=np.uint8), (0, 0), 1.5
            )
            assert cv2.imwrite(str(tmp_path / name / f"{index}.png"), smooth)
        found.append(find_dataset(tmp_path / name, 2))
    return found


def rows_of(result: Benchmark) -> dict[tuple[str, str], BenchmarkRow]:
    return {(row.model, row.dataset): row for row in result.rows}


def test_rows_are_means_and_the_trade_off_is_against_the_base_line(
    models: Sequence[LoadedModel], datasets: Sequence[Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Networks are counted by their specification, which those made here have borrowed.
    monkeypatch.setattr("srviewer.report.benchmark.complexity", lambda model: complexity(model.network))
    result = benchmark(models, datasets, options=CPU, baseline="heavy")
    rows = rows_of(result)
    assert list(rows) == [
        (name, dataset) for dataset in ("One", "Two") for name in ("bicubic_x2", "heavy", "light@mine")
    ]
    assert (result.precision, result.tiled, result.baseline, result.failures) == ("fp32", False, "heavy", ())
    assert any(note.startswith("One: LR made") for note in result.notes)
    for row in result.rows:
        assert [score.image for score in row.scores] == [str(index) for index in range(row.images)]
        assert row.psnr_y == pytest.approx(np.mean([score.psnr_y for score in row.scores]))
        assert row.ssim_y == pytest.approx(
            np.mean([score.ssim_y for score in row.scores if score.ssim_y is not None])
        )
        assert row.runtime_ms is None
        assert row.peak_memory_bytes is None
    heavy, light, bicubic = (rows[name, "One"] for name in ("heavy", "light@mine", "bicubic_x2"))
    assert heavy.params == 3 * 16 * 9 + 16 + 16 * 12 * 9 + 12
    assert heavy.multi_adds == (3 * 16 * 9 + 16 * 12 * 9) * 640 * 360
    assert (light.params, light.multi_adds, light.convs) == (36, 36 * 640 * 360, 1)
    assert (bicubic.params, bicubic.multi_adds, bicubic.convs) == (0, 0, 0)
    assert heavy.psnr_lost is None
    assert heavy.params_saved_per_hundredth_db is None
    assert bicubic.psnr_y == heavy.psnr_y
    assert bicubic.psnr_lost == 0
    assert bicubic.params_saved_per_hundredth_db is None  # nothing lost: no trade
    lost = heavy.psnr_y - light.psnr_y
    assert lost > 0
    assert light.psnr_lost == pytest.approx(lost)
    assert light.params_saved_per_hundredth_db == pytest.approx((heavy.params - 36) / (100 * lost))
    assert light.multi_adds_saved_per_hundredth_db == pytest.approx(
        (heavy.multi_adds - light.multi_adds) / (100 * lost)
    )
    assert benchmark(models, datasets, options=CPU, baseline="light").baseline == "light@mine"
    assert benchmark(models, datasets, options=CPU).rows[2].psnr_lost is None


def test_progress_and_cancelling(models: Sequence[LoadedModel], datasets: Sequence[Dataset]) -> None:
    told: list[BenchmarkProgress] = []
    benchmark(models, datasets, options=CPU, progress=told.append)
    assert [(step.done, step.total) for step in told] == [(done, 9) for done in range(1, 10)]
    assert told[-1].eta_seconds == 0
    assert (told[0].dataset, told[0].model, told[0].image) == ("One", "bicubic_x2", "0")
    told.clear()
    with pytest.raises(Cancelled):
        benchmark(models, datasets, options=CPU, progress=told.append, cancelled=lambda: len(told) == 4)
    assert len(told) == 4


def test_a_broken_picture_costs_its_data_set_only(
    models: Sequence[LoadedModel], datasets: Sequence[Dataset]
) -> None:
    broken = datasets[0].pairs[1].hr
    broken.write_bytes(broken.read_bytes()[:60])
    told: list[BenchmarkProgress] = []
    result = benchmark(models, datasets, options=CPU, progress=told.append)
    assert {row.dataset for row in result.rows} == {"Two"}
    assert [(failure.dataset, failure.model) for failure in result.failures] == [("One", None)]
    assert str(broken) in result.failures[0].reason
    assert (told[-1].done, told[-1].total) == (6, 6)


def test_a_network_that_fails_costs_its_own_row_only(
    models: Sequence[LoadedModel], datasets: Sequence[Dataset]
) -> None:
    # The second picture of One is 24 px wide at low resolution, all others 20 and less.
    told: list[BenchmarkProgress] = []
    result = benchmark([models[0], model("failing", Failing())], datasets, options=CPU, progress=told.append)
    assert list(rows_of(result)) == [("bicubic_x2", "One"), ("bicubic_x2", "Two"), ("failing", "Two")]
    assert [failure.subject for failure in result.failures] == ["failing on One"]
    assert "not implemented" in result.failures[0].reason
    assert (told[-1].done, told[-1].total) == (5, 5)


def test_a_picture_too_small_for_ssim_leaves_no_mean(tmp_path: Path, models: Sequence[LoadedModel]) -> None:
    for name, side in (("a", 12), ("b", 40)):
        assert cv2.imwrite(
            str(tmp_path / f"{name}.png"), np.arange(3 * side * side, dtype=np.uint8).reshape(side, side, 3)
        )
    (row,) = benchmark(models[:1], [find_dataset(tmp_path, 2)], options=CPU).rows
    assert [score.ssim_y is None for score in row.scores] == [True, False]
    assert row.ssim_y is None
    assert (
        json.loads(render(Benchmark((row,), 2, "d", "fp32", tiled=False), "json"))["rows"][0]["ssim_y"]
        is None
    )


def test_runtime_of_both_sizes(models: Sequence[LoadedModel], datasets: Sequence[Dataset]) -> None:
    result = benchmark(models[1:], datasets[1:], options=CPU, runtime=True)
    for row in result.rows:
        assert row.runtime_ms is not None
        assert row.runtime_ms > 0
        assert row.runtime_ms_320x180 is not None
        assert row.runtime_ms_320x180 > 0
        assert row.peak_memory_bytes is not None
        # The resident set holds at least the output, which is 3 floats for each of 512 x 512 pixels.
        assert row.peak_memory_bytes > 512 * 512 * 3 * 4
        assert row.peak_memory_bytes_320x180 is not None


def test_what_cannot_be_compared(models: Sequence[LoadedModel], datasets: Sequence[Dataset]) -> None:
    with pytest.raises(BenchmarkError, match="at least one"):
        benchmark([], datasets)
    with pytest.raises(BenchmarkError, match="bicubic_x3 upscales by 3, not by 2"):
        benchmark([load_model("bicubic_x3")], datasets)
    with pytest.raises(BenchmarkError, match="differ in scale"):
        benchmark(models, [datasets[0], replace(datasets[1], scale=3)])
    with pytest.raises(BenchmarkError, match="two networks are called heavy"):
        benchmark([models[1], models[1]], datasets)
    with pytest.raises(BenchmarkError, match="two test sets are called One"):
        benchmark(models, [datasets[0], datasets[0]])
    with pytest.raises(BenchmarkError, match="base line nobody"):
        benchmark(models, datasets, baseline="nobody")
    with pytest.raises(UpscaleError, match="cuda:99"):
        benchmark(models, datasets, options=replace(CPU, device="cuda:99"))


@pytest.mark.parametrize(
    ("scale", "psnr", "ssim"), [(2, 33.67, 0.9303), (3, 30.41, 0.8689), (4, 28.43, 0.8111)]
)
def test_bicubic_on_set5(reference: Path, scale: int, psnr: float, ssim: float) -> None:
    result = benchmark(
        [load_model(f"bicubic_x{scale}")], [find_dataset(reference / "Set5", scale)], options=CPU
    )
    (row,) = result.rows
    assert row.psnr_y == pytest.approx(psnr, abs=0.01)
    assert row.ssim_y == pytest.approx(ssim, abs=0.0003)
    assert (row.images, row.params, row.multi_adds, row.convs) == (5, 0, 0, 0)
    assert result.notes == ()


def test_the_authors_checkpoints_reach_the_papers_numbers(reference: Path) -> None:
    expected = json.loads((reference / "expected.json").read_text())
    paths = list(dict.fromkeys(entry["weights"] for entry in expected))
    networks = {path: load_model(str(reference / path)) for path in paths}
    datasets = [find_dataset(reference / name, 4) for name in ("Set5", "Set14")]
    result = benchmark(
        list(networks.values()), datasets, options=CPU, baseline=networks["weights/bsrn_x4.pth"].id
    )
    assert result.failures == ()
    rows = rows_of(result)
    for entry in expected:
        row = rows[networks[entry["weights"]].id, entry["dataset"]]
        assert row.psnr_y == pytest.approx(entry["psnr_y"], abs=0.01), entry
        assert row.ssim_y == pytest.approx(entry["ssim_y"], abs=0.0003), entry
    small = rows[networks["weights/bsrn_s_x4.pth"].id, "Set5"]
    assert small.multi_adds_saved_per_hundredth_db == pytest.approx(0.58e9, rel=0.1)
