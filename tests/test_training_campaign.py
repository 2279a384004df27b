"""The campaign: which network is next, what is kept, and that it can be gone on with."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import cv2
import pytest
from training_pictures import folder_of, picture, shorten

from srviewer.training import loop
from srviewer.training.errors import TrainingError
from srviewer.training.publishing import publish, scores_in
from srviewer.training.recipes import RECIPES
from srviewer.training.request import TrainingOptions, TrainingProgress, TrainingResult
from srviewer.zoo.checkpoint import read_metadata
from srviewer.zoo.download import file_sha256
from srviewer.zoo.manifest import Score

CAMPAIGN = Path(__file__).resolve().parent.parent / "benchmarks" / "campaign.py"


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("campaign", CAMPAIGN)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["campaign"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def campaign() -> ModuleType:
    return loaded()


@pytest.fixture
def places(campaign: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[str]:
    """Training pictures and two small test sets, as arguments; nothing ships, whatever does today."""
    monkeypatch.setattr(campaign, "weights_of", lambda _: ())
    folder_of(tmp_path / "data")
    for name in ("Set5", "Set14"):
        (tmp_path / "reference" / name).mkdir(parents=True)
        for number in range(2):
            file = tmp_path / "reference" / name / f"img{number}.png"
            assert cv2.imwrite(str(file), picture(50 + number, 72, 64))
    return (
        *("--data", str(tmp_path / "data"), "--reference", str(tmp_path / "reference")),
        *("--output", str(tmp_path / "out"), "--device", "cpu", "--threads", "1"),
    )


def test_a_campaign_needs_neither_a_window_nor_a_command_line() -> None:
    code = (
        "import sys\n"
        "for name in ('PySide6', 'pyqtgraph', 'typer', 'adamp', 'tensorboard', 'pytest'):\n"
        "    sys.modules[name] = None\n"
        f"sys.path.insert(0, {str(CAMPAIGN.parent)!r})\n"
        "import campaign\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=CAMPAIGN.parent.parent)


def test_the_order_names_every_recipe_once(campaign: ModuleType) -> None:
    assert sorted(campaign.ORDER) == sorted(RECIPES)
    assert set(campaign.TARGETS) == {2, 3, 4}


def test_those_in_greatest_need_come_first(campaign: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"

    def scores(set5: float, set14: float) -> tuple[Score, ...]:
        return Score("Set5", set5, 0.9), Score("Set14", set14, 0.8)

    good = campaign.Standing("safmn_x4", file, scores(32.0, 28.5))
    short = campaign.Standing("bsrn_x2", file, scores(37.9, 32.9))
    unscored, none = campaign.Standing("fmen_x4", file), campaign.Standing("maffsrn_x4")
    ordered = sorted([good, short, unscored, none], key=lambda one: one.need)
    assert ordered == [none, unscored, short, good]
    assert good.margin == pytest.approx(0.1)
    assert short.margin == pytest.approx(-0.3)


def test_a_campaign_trains_scores_keeps_and_lists(
    campaign: ModuleType, places: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, "bsrn_s_x4", "fmen_s_x4")
    common = (*places, "--recipes", "fmen_s_x4,bsrn_s_x4", "--minutes-each", "0.01")
    assert campaign.main([*common, "--minutes", "0.5"]) == 0
    output = tmp_path / "out"
    listed = tomllib.loads((output / "manifest.toml").read_text())["weights"]
    assert [entry["id"] for entry in listed] == ["fmen_s_x4", "bsrn_s_x4"]
    for entry in listed:
        file = output / entry["file"]
        assert entry["sha256"] == file_sha256(file)
        assert entry["bytes"] == file.stat().st_size
        assert set(entry["scores"]) == {"Set5", "Set14"}
        assert entry["licence"] == read_metadata(file)["licence"] == "Apache-2.0"
        assert (output / "runs" / f"{entry['id']}-01" / "done").exists()
    assert "below its target" in (output / "manifest.toml").read_text()
    before = {entry["id"]: entry["scores"] for entry in listed}
    assert campaign.main([*common, "--minutes", "0.5"]) == 0  # once more, each from its weights
    for entry in tomllib.loads((output / "manifest.toml").read_text())["weights"]:
        now, then = entry["scores"], before[entry["id"]]
        assert sum(now[name]["psnr_y"] for name in now) >= sum(then[name]["psnr_y"] for name in then)
        assert (output / "runs" / f"{entry['id']}-02" / "done").exists()


def test_what_is_cut_short_is_gone_on_with(
    campaign: ModuleType, places: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, "bsrn_s_x4")
    asked: list[TrainingOptions] = []

    def train(options: TrainingOptions, **_: object) -> TrainingResult:
        asked.append(options)
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "last.ckpt").touch()
        last = len(asked) > 1
        return TrainingResult(None, options.output / "last.ckpt", 9, 1.0, None, last, interrupted=not last)

    monkeypatch.setattr(campaign, "train", train)
    common = (*places, "--recipes", "bsrn_s_x4", "--minutes-each", "8")
    assert campaign.main([*common, "--minutes", "9"]) == 130
    assert campaign.main([*common, "--minutes", "5"]) == 0
    assert campaign.main([*common, "--minutes", "5"]) == 0
    folders = [options.output.name for options in asked]
    assert folders == ["bsrn_s_x4-01", "bsrn_s_x4-01", "bsrn_s_x4-02"]
    assert [options.resume for options in asked] == [False, True, False]
    # A training keeps the length it was planned with; this call's budget only cuts it short.
    planned = [options.minutes for options in asked]
    assert planned[:2] == [8, 8]
    assert planned[2] == pytest.approx(5, abs=0.1)
    assert asked[1].part_minutes == pytest.approx(5, abs=0.1)
    assert campaign.main([*common, "--minutes", "1"]) == 1  # too little to begin anything


def test_a_recipe_that_fails_is_passed_over(
    campaign: ModuleType,
    places: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tried: list[str] = []

    def train(options: TrainingOptions, **_: object) -> TrainingResult:
        tried.append(options.recipe)
        raise TrainingError("adamp is not installed") if len(tried) == 1 else RuntimeError("out of memory\nx")

    monkeypatch.setattr(campaign, "train", train)
    arguments = (*places, "--recipes", "maffsrn_l_x4,bsrn_x4", "--minutes", "9", "--minutes-each", "1")
    assert campaign.main(arguments) == 1
    assert tried == ["maffsrn_l_x4", "bsrn_x4"]
    said = capsys.readouterr().out
    assert "maffsrn_l_x4: adamp is not installed" in said
    assert "bsrn_x4: RuntimeError: out of memory\n" in said


def test_a_missing_optimiser_is_told_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(TrainingError, match="its optimiser is in the package adamp"):
        loop.train(TrainingOptions("maffsrn_x4", tmp_path, tmp_path / "out", steps=1, device="cpu"))


def test_a_worse_file_replaces_nothing(
    campaign: ModuleType, places: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = shorten(monkeypatch, "bsrn_s_x4")
    made = loop.train(
        TrainingOptions("bsrn_s_x4", tmp_path / "data", tmp_path / "one", steps=1, device="cpu")
    )
    assert made.weights is not None
    assert set(short) == {"bsrn_s_x4"}
    best = tmp_path / "out" / "bsrn_s_x4.safetensors"
    text = publish(made.weights, best, (Score("Set5", 50.0, 0.99), Score("Set14", 50.0, 0.99)), licence="MIT")
    assert tomllib.loads(text)["weights"][0]["scores"]["Set5"] == {"psnr_y": 50.0, "ssim_y": 0.99}
    assert [score.psnr_y for score in scores_in(best, ("Set5", "Set14", "Urban100"))] == [50.0, 50.0]
    before = best.read_bytes()
    arguments = (*places, "--recipes", "bsrn_s_x4", "--minutes", "0.5", "--minutes-each", "0.01")
    assert campaign.main(arguments) == 0
    assert best.read_bytes() == before
    with pytest.raises(argparse.ArgumentTypeError, match="no recipe 'zebra'"):
        campaign._recipes("safmn_x4,zebra")


def test_progress_is_told_in_lines(
    campaign: ModuleType,
    places: Sequence[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def train(options: TrainingOptions, *, progress: object) -> TrainingResult:
        assert callable(progress)
        progress(TrainingProgress(1, 0.5, 0.1, 1e-3, 2.0, 30.0, None, None, False))
        return TrainingResult(None, options.output, 1, 1.0, None, finished=True, interrupted=False)

    monkeypatch.setattr(campaign, "train", train)
    campaign.main([*places, "--recipes", "safmn_x2", "--minutes", "2", "--minutes-each", "1"])
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("safmn_x2: 1.0 minutes, from ")
    assert said[1] == "  step 1, 50%, loss 0.10000, rate 1.00e-03, 2.00 steps/s, 0:30 left"
