"""The command line as its users meet it: what it prints, writes and answers with."""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from srviewer.cli import app

SAMPLE = Path(__file__).resolve().parent.parent / "resources" / "samples" / "chelsea.png"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small crop of the sample photograph."""
    file = tmp_path / "photo.png"
    crop_of_sample((120, 80, 168, 120)).save(file)
    return file


def size_of(file: str | Path) -> tuple[int, int]:
    with PillowImage.open(file) as image:
        return image.size


def crop_of_sample(box: tuple[int, int, int, int]) -> PillowImage.Image:
    with PillowImage.open(SAMPLE) as image:
        return image.crop(box)


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    start = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )
    return start + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))


class Evil:
    """Unpickled freely, it would make a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


class TestUpscale:
    def test_a_large_result_is_streamed_and_its_cost_told(
        self, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plain = run("upscale", photo, "-m", "safmn_x4", "-o", tmp_path / "plain.tif", "--precision", "fp32")
        assert plain.exit_code == 0
        monkeypatch.setattr("srviewer.cli.upscale.STREAMED_BYTES", 0)
        target = tmp_path / "out.tif"
        done = run("upscale", photo, "-m", "safmn_x4", "-o", target, "--precision", "fp32", "--json")
        assert done.exit_code == 0
        assert "the result will have 192 x 160 pixels" in done.stderr
        assert re.search(r"on the disk, about [\d.]+ [MG]B of memory and ", done.stderr)
        (record,) = lines(done)
        assert (record["output"], record["exact"], record["scale"]) == (str(target), True, 4)
        with PillowImage.open(target) as found, PillowImage.open(tmp_path / "plain.tif") as expected:
            np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
        again = run("upscale", photo, "-m", "safmn_x4", "-o", target)
        assert again.exit_code == 1
        assert "--overwrite" in again.stderr

    def test_seams_are_measured_when_asked_for(self, photo: Path, tmp_path: Path) -> None:
        wanted = ("upscale", photo, "-m", "safmn_x4", "--tile", "16", "--check-seams")
        (record,) = lines(run(*wanted, "-o", tmp_path / "a.png", "--json"))
        assert record["seams"]["largest_difference"] <= 1
        assert record["seams"]["tiles"] == record["tiles"] > 1
        assert record["seams"]["region"] == [0, 0, 48, 40]
        assert "seams: at most 0.0" in run(*wanted, "-o", tmp_path / "b.png").stdout

    def test_json_says_what_was_done(self, photo: Path, tmp_path: Path) -> None:
        done = run("upscale", photo, "-m", "safmn_x4", "-m", "bicubic_x2", "-o", tmp_path / "out", "--json")
        assert done.exit_code == 0
        first, second = lines(done)
        assert set(first) >= {
            *(
                "input",
                "output",
                "model",
                "scale",
                "device",
                "precision",
                "tile",
                "tiles",
                "exact",
                "seconds",
            ),
            *("megapixels_per_second", "peak_memory_bytes"),
        }
        assert (first["model"], first["scale"], first["exact"]) == ("safmn_x4", 4, True)
        assert size_of(tmp_path / "out" / "photo_safmn_x4.png") == (192, 160)
        assert second["output"] == str(tmp_path / "out" / "photo_bicubic_x2.png")
        assert size_of(second["output"]) == (96, 80)

    def test_a_file_is_never_overwritten_unasked(self, photo: Path, tmp_path: Path) -> None:
        target = tmp_path / "result.png"
        target.write_bytes(b"precious")
        refused = run("upscale", photo, "-m", "bicubic_x2", "-o", target)
        assert refused.exit_code == 1
        assert "exists" in refused.stderr
        assert target.read_bytes() == b"precious"
        assert run("upscale", photo, "-m", "bicubic_x2", "-o", target, "--overwrite").exit_code == 0
        assert size_of(target) == (96, 80)

    def test_folders_globs_and_formats(self, tmp_path: Path) -> None:
        folder = tmp_path / "photos"
        folder.mkdir()
        for name in ("a.png", "b.bmp"):
            crop_of_sample((0, 0, 20, 20)).save(folder / name)
        (folder / "notes.txt").write_text("no image")
        assert run("upscale", folder, "-m", "bicubic_x2", "-o", tmp_path / "one").exit_code == 0
        assert sorted(p.name for p in (tmp_path / "one").iterdir()) == [
            "a_bicubic_x2.png",
            "b_bicubic_x2.bmp",
        ]
        pattern = f"{folder}/*.bmp"
        assert (
            run("upscale", pattern, "-m", "bicubic_x2", "-o", tmp_path / "two", "--format", "webp").exit_code
            == 0
        )
        assert [p.name for p in (tmp_path / "two").iterdir()] == ["b_bicubic_x2.webp"]

    def test_two_results_of_one_name_are_refused(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            crop_of_sample((0, 0, 20, 20)).save(tmp_path / name / "same.png")
        out = tmp_path / "out"
        done = run(
            "upscale", tmp_path / "one", tmp_path / "two", "-m", "bicubic_x2", "-o", out, "--overwrite"
        )
        assert done.exit_code == 1
        assert "two results" in done.stderr
        assert len(list(out.iterdir())) == 1

    def test_sixteen_bits_stay(self, tmp_path: Path) -> None:
        import cv2

        ramp = np.broadcast_to(np.linspace(0, 65535, 96, dtype=np.uint16)[None, :, None], (32, 96, 3))
        cv2.imwrite(str(tmp_path / "ramp.png"), np.ascontiguousarray(ramp))
        done = run("upscale", tmp_path / "ramp.png", "-m", "safmn_x4", "-o", tmp_path / "out", "--json")
        (record,) = lines(done)
        assert record["precision"] == "fp32"
        result = cv2.imread(record["output"], cv2.IMREAD_UNCHANGED)
        assert result is not None
        assert result.dtype == np.uint16
        assert len(np.unique(result)) > 256

    @pytest.mark.parametrize("size", [(1, 1), (5, 3)])
    @pytest.mark.parametrize("model", ["safmn_x4", "bicubic_x3"])
    def test_tiny_images_are_upscaled(self, size: tuple[int, int], model: str, tmp_path: Path) -> None:
        PillowImage.new("RGB", size, (200, 100, 50)).save(tmp_path / "tiny.png")
        done = run("upscale", tmp_path / "tiny.png", "-m", model, "-o", tmp_path / "big.png")
        assert done.exit_code == 0
        scale = int(model[-1])
        assert size_of(tmp_path / "big.png") == (size[0] * scale, size[1] * scale)

    def test_bad_inputs_get_a_line_each_and_the_rest_is_done(self, photo: Path, tmp_path: Path) -> None:
        bad = tmp_path / "bad"
        bad.mkdir()
        noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        for name in ("short.jpg", "short.png"):
            PillowImage.fromarray(noise).save(bad / name)
            whole = (bad / name).read_bytes()
            (bad / name).write_bytes(whole[: len(whole) // 2])
        (bad / "empty.png").write_bytes(b"")
        (bad / "text.png").write_text("this is no picture\n")
        (bad / "huge.png").write_bytes(png_header(60_000, 60_000))
        files = sorted(bad.iterdir())
        missing = [tmp_path / "nowhere" / "a.png", tmp_path / "none.png"]
        out = tmp_path / "out"
        done = run("upscale", *files, *missing, photo, "-m", "bicubic_x2", "-o", out, "--json")
        assert done.exit_code == 1
        records = lines(done)
        errors = {record["input"]: record["error"] for record in records if "error" in record}
        assert set(errors) == {str(file) for file in [*files, *missing]}
        for path, error in errors.items():
            assert path in error
            assert "\n" not in error
        complaints = done.stderr.strip().splitlines()
        assert len(complaints) == len(errors)
        assert "Traceback" not in done.stderr
        assert [file.name for file in out.iterdir()] == ["photo_bicubic_x2.png"]

    def test_bad_checkpoints_cost_their_own_results_only(self, photo: Path, tmp_path: Path) -> None:
        from srviewer.networks import SAFMN

        harm = tmp_path / "harm.txt"
        with (tmp_path / "evil.pth").open("wb") as stream:
            pickle.dump({"params": Evil(harm)}, stream)
        state = SAFMN(scale=2, channels=12, blocks=1).state_dict()
        gone = min(state)
        save_file(
            {key: value for key, value in state.items() if key != gone}, tmp_path / "lacking.safetensors"
        )
        torch.save({"layer.weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
        checkpoints = ["evil.pth", "lacking.safetensors", "other.pth", "absent.pth"]
        wanted = [argument for name in checkpoints for argument in ("-m", tmp_path / name)]
        done = run("upscale", photo, *wanted, "-m", "bicubic_x2", "-o", tmp_path / "out", "--json")
        assert done.exit_code == 1
        assert not harm.exists()
        records = lines(done)
        assert [Path(record["model"]).name for record in records if "error" in record] == checkpoints
        assert gone in next(record["error"] for record in records if "lacking" in record["model"])
        assert [record["model"] for record in records if "output" in record] == ["bicubic_x2"]

    @pytest.mark.parametrize(
        "arguments",
        [
            ["-m", "nosuch_x4"],
            ["-m", "bicubic_x2", "--tile", "3"],
            ["-m", "bicubic_x2", "--max-memory", "plenty"],
            ["-m", "bicubic_x2", "--device", "cuda:99"],
            ["-m", "bicubic_x2", "-m", "bicubic_x4", "-o", "one.png"],
            [],
        ],
    )
    def test_wrong_usage_is_status_2(self, photo: Path, tmp_path: Path, arguments: list[str]) -> None:
        done = run("upscale", photo, "-o", tmp_path / "out", *arguments)
        assert done.exit_code == 2
        assert "Traceback" not in done.output

    @pytest.mark.parametrize(
        "arguments",
        [
            ["", "-o", "out"],
            ["photo.png", "-o", ""],
            ["photo.png", "-o", "out.gif"],
            ["photo.png", "-o", "out.HEIC"],
            ["photo.png", "-o", "out", "--tile", "²"],
            ["photo.png", "-o", "out", "--max-memory", "0.001"],
            ["photo.png", "-o", "out", "--max-pixels", "0.1"],
        ],
        ids=" ".join,
    )
    def test_senseless_values_are_wrong_usage_and_nothing_is_written(
        self, photo: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
    ) -> None:
        monkeypatch.chdir(photo.parent)
        before = set(photo.parent.rglob("*"))
        done = run("upscale", *arguments, "-m", "bicubic_x2")
        assert done.exit_code == 2, done.output
        assert set(photo.parent.rglob("*")) == before

    def test_a_name_too_long_for_the_result_costs_that_result_only(self, photo: Path, tmp_path: Path) -> None:
        long = tmp_path / f"{'n' * 245}.png"
        long.write_bytes(photo.read_bytes())
        done = run("upscale", long, photo, "-m", "bicubic_x2", "-o", tmp_path / "out")
        assert done.exit_code == 1
        assert len(done.stderr.strip().splitlines()) == 1
        assert [file.name for file in (tmp_path / "out").iterdir()] == ["photo_bicubic_x2.png"]
        done = run("upscale", photo, "-m", "bicubic_x2", "-o", tmp_path / f"{'n' * 300}.png")
        assert done.exit_code == 1
        assert len(done.stderr.strip().splitlines()) == 1

    def test_a_file_named_twice_is_upscaled_once(self, photo: Path, tmp_path: Path) -> None:
        again = photo.parent / ".." / photo.parent.name / photo.name
        done = run(
            "upscale", photo, again, photo.parent, "-m", "bicubic_x2", "-o", tmp_path / "out", "--json"
        )
        assert done.exit_code == 0, done.output
        assert len(lines(done)) == 1

    def test_a_file_without_suffix_keeps_its_format(self, photo: Path, tmp_path: Path) -> None:
        photo.rename(tmp_path / "photo")
        done = run("upscale", tmp_path / "photo", "-m", "bicubic_x2", "-o", tmp_path / "out")
        assert done.exit_code == 0, done.output
        assert [file.name for file in (tmp_path / "out").iterdir()] == ["photo_bicubic_x2.png"]

    def test_results_below_the_input_folder_are_no_input(self, photo: Path, tmp_path: Path) -> None:
        folder = photo.parent
        for _ in range(2):
            done = run("upscale", folder, "-m", "bicubic_x2", "-o", folder / "out", "--overwrite")
            assert done.exit_code == 0, done.output
        assert [file.name for file in (folder / "out").iterdir()] == ["photo_bicubic_x2.png"]

    def test_missing_weights_are_told_once(self, photo: Path, tmp_path: Path) -> None:
        crop_of_sample((0, 0, 9, 9)).save(tmp_path / "other.png")
        files = [photo, tmp_path / "other.png"]
        done = run("upscale", *files, "-m", "maffsrn_l_x3", "-o", tmp_path / "out", "--json")
        assert done.exit_code == 1
        assert [record["input"] for record in lines(done)] == [str(file) for file in files]
        assert len(done.stderr.strip().splitlines()) == 1

    def test_an_output_folder_that_is_a_file(self, photo: Path, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("a file")
        done = run("upscale", photo, "-m", "bicubic_x2", "-o", tmp_path / "taken" / "out")
        assert done.exit_code == 1
        assert "Traceback" not in done.output

    def test_a_full_disk_leaves_nothing_behind(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(2).integers(0, 256, (200, 200, 3), dtype=np.uint8)
        PillowImage.fromarray(noise).save(tmp_path / "noise.png")
        out = tmp_path / "out"
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "srviewer",
                "upscale",
                tmp_path / "noise.png",
                "-m",
                "bicubic_x4",
                "-o",
                out,
            ],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        )
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
        assert list(out.iterdir()) == []


class TestKilled:
    def test_no_partial_file_under_a_final_name(self, tmp_path: Path) -> None:
        noise = np.random.default_rng(3).integers(0, 256, (500, 500, 3), dtype=np.uint8)
        PillowImage.fromarray(noise).save(tmp_path / "noise.png")
        out = tmp_path / "out"
        out.mkdir()
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "srviewer",
            "upscale",
            tmp_path / "noise.png",
            "-m",
            "bicubic_x4",
            "-o",
            out,
        ]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while process.poll() is None and not any(out.iterdir()):
            pass  # the moment something appears in the folder, writing has begun
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        final = out / "noise_bicubic_x4.png"
        if final.exists():  # written between the look and the kill: then it must be whole
            with PillowImage.open(final) as image:
                image.load()


class TestOtherCommands:
    def test_metrics(self, photo: Path, tmp_path: Path) -> None:
        noisy = np.asarray(crop_of_sample((120, 80, 168, 120))).astype(np.int16)
        noisy[::2] += 4
        PillowImage.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(tmp_path / "noisy.png")
        done = run("metrics", tmp_path / "noisy.png", photo, "--scale", "2", "--json")
        assert done.exit_code == 0
        (record,) = lines(done)
        assert 30 < record["psnr_y"] < 50
        assert record["crop"] == 2
        assert record["region"] is None
        part = run(
            "metrics", tmp_path / "noisy.png", photo, "--scale", "2", "--region", "10,8,16,12", "--json"
        )
        assert lines(part)[0]["region"] == [10, 8, 16, 12]
        assert run("metrics", photo, SAMPLE, "--scale", "2").exit_code == 1

    def test_what_cannot_be_opened_is_a_failed_input(
        self, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not wrong usage, which a look at permissions before the file is opened would make of it."""
        monkeypatch.setattr(os, "access", lambda *_: False)
        assert run("metrics", photo, photo, "--scale", "2").exit_code == 0
        assert run("weights", "import", photo).exit_code == 1
        assert run("benchmark", tmp_path, "-m", "bicubic_x2", "--scale", "2").exit_code == 0
        commands: tuple[list[str | Path], ...] = (
            ["figure", photo, "-m", "bicubic_x2", "--crop", "0,0,9,9", "-o", tmp_path / "f.png"],
            ["spectrum", photo, "-m", "bicubic_x2", "-o", tmp_path / "s.png"],
            ["lam", photo, "-m", "bicubic_x2", "--at", "0,0", "-o", tmp_path / "l.png"],
        )
        for command in commands:
            done = run(*command)
            assert done.exit_code == 0, done.output

    def test_a_figure_that_cannot_be_written_is_refused_at_once(self, photo: Path, tmp_path: Path) -> None:
        crop: list[str | Path] = ["figure", photo, "-m", "nosuch.pth", "--crop", "0,0,9,9", "-o"]
        assert run(*crop, tmp_path / "f.bmp").exit_code == 2
        done = run(*crop, photo)
        assert done.exit_code == 1
        assert "--overwrite" in done.stderr

    def test_a_table_in_a_pipe_has_a_line_per_row(self) -> None:
        entries = len(lines(run("weights", "list", "--json"))[0]["weights"])
        assert len(run("weights", "list").stdout.splitlines()) == 1 + entries

    def test_faults_of_measuring_name_the_file(self, photo: Path, tmp_path: Path) -> None:
        PillowImage.new("RGB", (9, 9)).save(tmp_path / "small.png")
        done = run("metrics", tmp_path / "small.png", photo, "--scale", "2")
        assert done.exit_code == 1
        assert done.stderr.startswith(f"srviewer: {tmp_path / 'small.png'}: ")

    def test_models_and_weights(self) -> None:
        listed = {model["id"]: model for model in lines(run("models", "--json"))[0]["models"]}
        assert listed["safmn_x4"]["weights"][0]["source"] == "shipped"
        assert listed["fmen_s_x4"]["params"] == 341_066
        assert {"bicubic_x3", "maffsrn_l_x2", "bsrn_s_x4", "fmen_x3"} <= set(listed)
        assert run("weights", "verify").exit_code == 0
        assert "safmn_x2@shipped" in run("weights", "list").stdout

    def test_import_makes_a_model(self, photo: Path, tmp_path: Path) -> None:
        from srviewer.networks import SAFMN

        torch.manual_seed(0)
        save_file(SAFMN(scale=3, channels=12, blocks=2).state_dict(), tmp_path / "mine.safetensors")
        assert run("weights", "import", tmp_path / "mine.safetensors").exit_code == 0
        done = run("upscale", photo, "-m", "mine", "-o", tmp_path / "big.png")
        assert done.exit_code == 0, done.output
        assert size_of(tmp_path / "big.png") == (144, 120)

    def test_complexity(self) -> None:
        (record,) = lines(run("complexity", "safmn_x4", "--json"))
        assert record["params"] == 239_520
        assert record["convs"] == 58
        assert record["size"] == [1280, 720]

    def test_benchmark_forms(self, tmp_path: Path) -> None:
        folder = tmp_path / "Tiny"
        folder.mkdir()
        crop_of_sample((100, 60, 196, 156)).save(folder / "cat.png")
        both = ["-m", "safmn_x4", "-m", "bicubic_x4", "--scale", "4"]
        record = json.loads(run("benchmark", folder, *both, "--json").stdout)
        rows = {row["model"]: row for row in record["rows"]}
        assert rows["safmn_x4"]["psnr_y"] > rows["bicubic_x4"]["psnr_y"]
        assert set(rows["safmn_x4"]) >= {
            *(
                "model",
                "dataset",
                "scale",
                "images",
                "psnr_y",
                "ssim_y",
                "params",
                "multi_adds",
                "activations",
            ),
            *("convs", "runtime_ms", "peak_memory_bytes"),
        }
        assert "|" in run("benchmark", folder, *both, "--markdown").stdout
        assert r"\toprule" in run("benchmark", folder, *both, "--latex").stdout
        assert run("benchmark", folder, *both, "--csv").stdout.startswith("model,")
        assert run("benchmark", tmp_path / "none", *both).exit_code == 1

    def test_doctor(self) -> None:
        done = run("doctor", "--json")
        assert done.exit_code == 0, done.output
        (record,) = lines(done)
        assert record["devices"][-1]["id"] == "cpu"
        assert record["packages"]["torch"]

    def test_doctor_of_a_frozen_program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It takes commands and nothing else: no ``-c``, no ``-m``."""
        frozen = tmp_path / "srviewer"
        frozen.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m srviewer "$@"\n')
        frozen.chmod(0o755)
        monkeypatch.setattr(sys, "frozen", True, raising=False)
        monkeypatch.setattr(sys, "executable", str(frozen))
        done = run("doctor", "--json")
        assert done.exit_code == 0, done.output
        (record,) = lines(done)
        assert record["qt_platform"]

    def test_help_imports_no_torch(self) -> None:
        code = "import sys; sys.modules['torch'] = None; from srviewer.cli import main; main()"
        for arguments in (["--help"], ["models"]):
            done = subprocess.run(
                [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
