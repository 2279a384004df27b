"""``srviewer train`` as a newcomer meets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from training_pictures import folder_of, shorten
from typer.testing import CliRunner, Result

from srviewer.cli import app
from srviewer.training.request import TrainingProgress


def run(*arguments: str | Path | int) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos")


def test_a_newcomer_trains_and_upscales(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    done = run("train", "safmn_x4", "--data", data, "-o", output, "--steps", 4, "--threads", 1)
    assert done.exit_code == 0, done.stderr
    file = output / "safmn_x4.safetensors"
    assert done.stdout == f"{file}\n"
    said = done.stderr.splitlines()
    assert said[0] == "10 pictures read"
    assert said[1] == "8 pictures, 0.1 megapixels; 2 set aside"
    assert said[2].startswith("step 1, 25%, loss ")
    assert "steps/s" in said[2]
    assert said[2].endswith(" left")
    assert said[-2].startswith("step 4, 100%, loss ")
    assert "validation " in said[-2]
    assert said[-1].startswith("4 steps in 0:")
    upscaled = run("upscale", data / "p000.png", "-m", file, "-o", tmp_path / "big.png")
    assert upscaled.exit_code == 0, upscaled.stderr
    assert (tmp_path / "big.png").is_file()


def test_training_goes_on_only_when_asked(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, "bsrn_s_x4")
    command = ("train", "bsrn_s_x4", "--data", data, "-o", tmp_path / "out", "--threads", 1)
    assert run(*command, "--steps", 2).exit_code == 0
    refused = run(*command, "--steps", 2)
    assert refused.exit_code == 1
    assert "go on with it by --resume" in refused.stderr
    resumed = run(*command, "--steps", 3, "--resume")
    assert resumed.exit_code == 0
    assert "step 3, 100%" in resumed.stderr


def test_shipped_weights_are_a_beginning(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, "safmn_x3")
    done = run(
        *("train", "safmn_x3", "--data", data, "-o", tmp_path / "x3.safetensors"),
        *("--steps", 1, "--from", "safmn_x4", "--threads", 1, "--validation", 0),
    )
    assert done.exit_code == 0, done.stderr
    assert "without pictures set aside, the last weights are kept" in done.stderr
    assert done.stdout == f"{tmp_path / 'x3.safetensors'}\n"


def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(monkeypatch, "bsrn_s_x4")

    class Interrupter:
        def __init__(self, write: object) -> None:
            self.write = write

        def __call__(self, progress: TrainingProgress) -> None:
            if progress.step == 1:
                os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("srviewer.training.telling.LineTeller", Interrupter)
    output = tmp_path / "out"
    done = run("train", "bsrn_s_x4", "--data", data, "-o", output, "--minutes", 5, "--threads", 1)
    assert done.exit_code == 130
    assert "interrupted after 2 steps" in done.stderr
    assert f"--resume (from {output / 'last.ckpt'})" in done.stderr
    assert (output / "last.ckpt").is_file()


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("safmn_x5", "--steps", "1"), 2, "did you mean safmn_x"),
        (("zebra", "--steps", "1"), 2, "there are fmen_s_x4"),
        (("safmn_x4",), 2, "give either --minutes or --steps"),
        (("safmn_x4", "--minutes", "1", "--steps", "1"), 2, "give either --minutes or --steps"),
        (("safmn_x4", "--minutes", "nan"), 2, "must be positive"),
        (("safmn_x4", "--minutes", "-1"), 2, "must be positive"),
        (("safmn_x4", "--steps", "0"), 2, "Invalid value for '--steps'"),
        (("safmn_x4", "--steps", "1", "--resume"), 1, "no checkpoint to go on from"),
        (("safmn_x4", "--steps", "1", "--from", "bsrn_x5"), 1, "no model and no file of that name"),
        (("safmn_x4", "--steps", "1", "--from", "bicubic_x4"), 1, "has no weights to begin from"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    data: Path, tmp_path: Path, arguments: tuple[str, ...], status: int, complaint: str
) -> None:
    done = run("train", *arguments, "--data", data, "-o", tmp_path / "out", "--threads", 1)
    assert done.exit_code == status
    assert complaint in " ".join(done.stderr.replace("│", " ").split())
    assert done.stdout == ""


def test_a_folder_without_pictures_is_told(tmp_path: Path) -> None:
    done = run("train", "safmn_x4", "--data", tmp_path, "-o", tmp_path / "out", "--steps", 1)
    assert done.exit_code == 1
    assert done.stderr == f"srviewer: {tmp_path}: no images in it\n"


def test_without_the_extra_one_sentence_says_how_to_get_it(data: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    code = (
        "import sys, importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'lightning' else found(name, *rest)\n"
        "sys.modules['lightning'] = None\n"
        "from srviewer.cli import app\n"
        f"app(['train', 'safmn_x4', '--data', {str(data)!r}, '-o', {str(output)!r}, '--steps', '1'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "srviewer: training needs more packages; get them with: pip install 'srviewer[train]'\n"
    )


def test_the_recipes_are_known_without_torch() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\nsys.modules['lightning'] = None\n"
        "import srviewer.cli, srviewer.training.recipes, srviewer.training.request\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
