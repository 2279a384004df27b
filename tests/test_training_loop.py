"""Trainings from beginning to end: repeatable, resumable, hard to kill, and usable after."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from training_pictures import folder_of, shorten

from srviewer.training.errors import TrainingError
from srviewer.training.loop import train
from srviewer.training.module import read_saved
from srviewer.training.request import TrainingOptions, TrainingProgress, TrainingResult
from srviewer.zoo.checkpoint import read_checkpoint, read_metadata
from srviewer.zoo.model import load_model

MODEL = "safmn_x4"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "data")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, MODEL, "fmen_s_x4", "maffsrn_x4")


def options(
    data: Path,
    output: Path,
    *,
    recipe: str = MODEL,
    steps: int | None = None,
    minutes: float | None = None,
    resume: bool = False,
    start: str | None = None,
    seed: int = 0,
    interval: float | None = None,
    part_minutes: float | None = None,
    validation: int = 2,
) -> TrainingOptions:
    return TrainingOptions(
        recipe=recipe,
        data=data,
        output=output,
        steps=steps,
        minutes=minutes,
        part_minutes=part_minutes,
        resume=resume,
        start=start,
        seed=seed,
        device="cpu",
        precision="fp32",
        threads=1,
        validation=validation,
        interval=interval,
    )


def losses(output: Path) -> dict[int, str]:
    with (output / "log.csv").open(newline="") as file:
        return {int(row["step"]): row["loss"] for row in csv.DictReader(file) if row["loss"]}


def same_weights(one: Path | None, other: Path | None) -> bool:
    assert one is not None
    assert other is not None
    first, second = read_checkpoint(one), read_checkpoint(other)
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_the_same_seed_gives_the_same_losses(data: Path, tmp_path: Path) -> None:
    one = train(options(data, tmp_path / "one", minutes=10, part_minutes=0.02))
    train(options(data, tmp_path / "two", minutes=20, part_minutes=0.02))
    train(options(data, tmp_path / "three", minutes=10, part_minutes=0.02, seed=1))
    count = min(20, *(len(losses(tmp_path / name)) for name in ("one", "two", "three")))
    assert count >= 5
    first, second, other = (
        list(losses(tmp_path / name).values())[:count] for name in ("one", "two", "three")
    )
    assert first == second  # though the budgets differ: a clock decides nothing yet
    assert not set(first) & set(other)
    assert not one.finished


def test_a_resumed_training_goes_on_as_if_it_had_never_stopped(data: Path, tmp_path: Path) -> None:
    whole = train(options(data, tmp_path / "whole", steps=14))
    stopped = tmp_path / "parts"
    _stopped_after(7, options(data, stopped, steps=14))
    assert read_saved(stopped / "last.ckpt", MODEL).step == 7
    parts = train(options(data, stopped, steps=14, resume=True, seed=99))  # the checkpoint's seed holds
    assert losses(stopped) == losses(tmp_path / "whole")
    assert len(losses(stopped)) == 14
    assert (parts.steps, parts.finished, parts.psnr) == (14, True, whole.psnr)
    assert same_weights(parts.weights, whole.weights)
    assert parts.minutes > read_saved(stopped / "last.ckpt", MODEL).seconds / 60 / 2


def _stopped_after(step: int, asked: TrainingOptions) -> TrainingResult:
    """Train until `step`, where Ctrl-C comes."""

    def interrupt(progress: TrainingProgress) -> None:
        if progress.step == step - 1:
            os.kill(os.getpid(), signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    result = train(asked, progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is before
    assert (result.interrupted, result.finished, result.steps) == (True, False, step)
    return result


def test_a_finished_training_can_be_lengthened_and_not_repeated(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    first = train(options(data, output, steps=3))
    again = train(options(data, output, steps=3, resume=True))
    assert (again.steps, again.finished, again.weights) == (3, True, first.weights)
    longer = train(options(data, output, steps=5, resume=True))
    assert longer.steps == 5
    assert list(losses(output)) == [1, 2, 3, 4, 5]


def test_a_training_that_is_killed_keeps_its_last_checkpoint(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    code = (
        "import sys, os, signal\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import pytest\n"
        "from pathlib import Path\n"
        "from training_pictures import shorten\n"
        "from test_training_loop import options\n"
        "from srviewer.training.loop import train\n"
        f"shorten(pytest.MonkeyPatch(), {MODEL!r})\n"
        "def kill(progress):\n"
        "    if progress.step == 6: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"train(options(Path({str(data)!r}), Path({str(output)!r}), steps=12, interval=0.0), progress=kill)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert read_saved(output / "last.ckpt", MODEL).step == 6
    assert load_model(str(output / f"{MODEL}.safetensors")).spec.id == MODEL
    result = train(options(data, output, steps=12, resume=True))
    assert (result.steps, list(losses(output))) == (12, list(range(1, 13)))


def test_a_checkpoint_is_replaced_whole_or_not_at_all(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    train(options(data, output, steps=2))
    before = (output / "last.ckpt").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.setattr("srviewer.training.keeper.validate", lambda *_: 1.0)  # no better weights to write
    with pytest.raises(TrainingError, match=r"last\.ckpt: cannot be written \(No space left on device\)"):
        train(options(data, output, steps=4, resume=True))
    assert (output / "last.ckpt").read_bytes() == before
    assert not [file for file in output.iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("recipe", [MODEL, "fmen_s_x4"])
def test_the_file_at_the_end_is_a_model_that_tells_its_story(data: Path, tmp_path: Path, recipe: str) -> None:
    result = train(options(data, tmp_path / "out", recipe=recipe, steps=3, seed=4))
    assert result.weights == tmp_path / "out" / f"{recipe}.safetensors"
    model = load_model(str(result.weights))
    assert model.spec.id == recipe
    told = read_metadata(result.weights)
    assert (told["id"], told["steps"], told["seed"]) == (recipe, "3", "4")
    assert told["recipe"].endswith("EMA 0.999, 3 steps")
    assert told["data"] == "8 pictures, 0.1 megapixels"
    assert float(told["validation_psnr_y"]) == pytest.approx(result.psnr, abs=1e-4)
    assert str(tmp_path) not in "".join(told.values())


def test_a_training_learns(data: Path, tmp_path: Path) -> None:
    seen: list[TrainingProgress] = []
    result = train(options(data, tmp_path / "out", steps=60), progress=seen.append)
    told = list(losses(tmp_path / "out").values())
    assert float(told[-1]) < 0.6 * float(told[0])
    assert [progress.step for progress in seen] == list(range(1, 61))
    assert seen[-1].done == 1
    assert seen[-1].best_psnr == result.psnr
    assert (tmp_path / "out" / "log.csv").read_text().startswith("step,loss,learning_rate,minutes,")


def test_the_best_weights_are_kept_not_the_last(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([20.0, 25.0, 24.0, 23.0, 22.0])
    monkeypatch.setattr("srviewer.training.keeper.validate", lambda *_: next(scores))
    result = train(options(data, tmp_path / "out", steps=5, interval=0.0))
    assert result.psnr == 25.0
    assert result.weights is not None
    assert read_metadata(result.weights)["steps"] == "2"


def test_a_training_goes_on_from_its_own_file(data: Path, tmp_path: Path) -> None:
    first = train(options(data, tmp_path / "one", recipe="maffsrn_x4", steps=2))
    again = train(options(data, tmp_path / "two", recipe="maffsrn_x4", steps=1, start=str(first.weights)))
    assert again.weights is not None
    assert read_metadata(again.weights)["recipe"].endswith("1 steps, begun from maffsrn_x4")


def test_an_output_can_be_a_file(data: Path, tmp_path: Path) -> None:
    result = train(options(data, tmp_path / "sub" / "mine.safetensors", steps=1, validation=0))
    assert result.weights == tmp_path / "sub" / "mine.safetensors"
    assert result.psnr is None
    assert result.checkpoint.name == "mine.last.ckpt"


def test_wrong_requests_are_told_before_anything_is_lost(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    with pytest.raises(TrainingError, match="no recipe 'bicubic_x2'"):
        train(options(data, output, recipe="bicubic_x2", steps=1))
    with pytest.raises(TrainingError, match="either minutes or steps"):
        train(options(data, output))
    with pytest.raises(TrainingError, match="no checkpoint to go on from"):
        train(options(data, output, steps=1, resume=True))
    train(options(data, output, steps=1))
    with pytest.raises(TrainingError, match="a training is there already"):
        train(options(data, output, steps=1))
    with pytest.raises(TrainingError, match="holds a training of safmn_x4, not of fmen_s_x4"):
        train(options(data, output, recipe="fmen_s_x4", steps=1, resume=True))
    (output / "last.ckpt").write_bytes(b"broken")
    with pytest.raises(TrainingError, match=r"last\.ckpt: cannot be read as a checkpoint"):
        train(options(data, output, steps=2, resume=True))


def test_a_loss_that_is_no_number_ends_the_training(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "srviewer.training.module.loss_of", lambda _, result, __: result.mean() * float("nan")
    )
    with pytest.raises(TrainingError, match="the loss is nan at step 1"):
        train(options(data, tmp_path / "out", steps=3))
