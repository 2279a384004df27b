"""The commands spectrum, lam and features as their users meet them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image as PillowImage
from test_features import small
from typer.testing import CliRunner, Result

from srviewer.analysis.spectrum import plane_of
from srviewer.analysis.spectrum import spectrum as spectrum_of
from srviewer.analysis.taps import taps
from srviewer.cli import features, figure_file, lam, spectrum
from srviewer.report.drawing import FIGURE_FORMATS
from srviewer.zoo.model import LoadedModel, load_model
from srviewer.zoo.spec import SPECS

SAMPLE = Path(__file__).resolve().parent.parent / "resources" / "samples" / "chelsea.png"

app = typer.Typer(pretty_exceptions_enable=False)
app.command("spectrum")(spectrum.spectrum)
app.command("lam")(lam.lam)
app.command("features")(features.features)


def run(*arguments: str | Path | int) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def answer(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    (line,) = result.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    with PillowImage.open(SAMPLE) as image:
        image.crop((120, 80, 160, 112)).save(file)
    return file


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """A little larger than the result: what a reduction by 2 left out."""
    file = tmp_path / "truth.png"
    with PillowImage.open(SAMPLE) as image:
        image.crop((120, 80, 160, 112)).resize((81, 65)).save(file)
    return file


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Narrow networks with random weights in the place of those that have to be downloaded."""

    def load(reference: str) -> LoadedModel:
        return small("fmen") if reference == "fmen_x2" else load_model(reference)

    monkeypatch.setattr("srviewer.zoo.model.load_model", load)


class TestSpectrum:
    def test_json_has_the_curves(self, photo: Path, truth: Path) -> None:
        found = answer(run("spectrum", photo, "-m", "bicubic_x2", "--truth", truth, "--difference", "--json"))
        curves = {curve["name"]: curve for curve in found["curves"]}
        assert list(curves) == ["input", "bicubic_x2", "truth", "bicubic_x2 - truth"]
        for curve in curves.values():
            assert sum(curve["density"]) == pytest.approx(100)
            assert len(curve["frequency"]) == len(curve["density"])
            above = [d for f, d in zip(curve["frequency"], curve["density"], strict=True) if f > 0.25]
            assert curve["high_frequency_share"] == pytest.approx(sum(above))
        with PillowImage.open(photo) as image:
            own = spectrum_of(plane_of(np.asarray(image)))
        assert curves["input"]["density"] == pytest.approx(own.density.tolist())
        assert len(curves["bicubic_x2"]["density"]) == len(curves["truth"]["density"]) == 64 // 2 + 1
        assert found["cut_off"] == 0.25

    def test_a_region_and_a_cut_off(self, photo: Path, truth: Path) -> None:
        options = ("-m", "bicubic_x2", "--truth", truth, "--region", "9,11,30,20", "--channel", "mean")
        found = answer(run("spectrum", photo, *options, "--cut-off", "0.1", "--json"))
        with PillowImage.open(truth) as image:
            part = np.asarray(image)[11:31, 9:39]
        expected = spectrum_of(plane_of(part, "mean"))
        (curve,) = [one for one in found["curves"] if one["name"] == "truth"]
        assert curve["density"] == pytest.approx(expected.density.tolist())
        assert curve["high_frequency_share"] == pytest.approx(expected.high_frequency_share(0.1))

    @pytest.mark.usefixtures("networks")
    def test_taps(self, photo: Path, tmp_path: Path) -> None:
        figure = tmp_path / "taps.svg"
        found = answer(run("spectrum", photo, "-m", "fmen_x2", "--taps", "-o", figure, "--json"))
        assert [one["name"] for one in found["ratios"]] == [f"fmen_x2 hfab{i}" for i in range(5)]
        assert [one["name"] for one in found["curves"]][:2] == ["fmen_x2 hfab0 before", "fmen_x2 hfab0 after"]
        assert len(found["curves"]) == 10
        first, second = found["curves"][:2]
        wanted = np.array(second["density"]) / np.array(first["density"])
        assert found["ratios"][0]["ratio"] == pytest.approx(wanted.tolist())
        svg = figure.read_text("utf-8")
        assert re.search(r"<text[^>]*>HFAB 4</text>", svg)
        assert "cycles/px" in svg

    def test_a_network_without_attention_says_so(self, photo: Path, tmp_path: Path) -> None:
        done = run("spectrum", photo, "-m", "bicubic_x2", "--taps", "--json")
        assert answer(done)["curves"] == []
        assert "neither features nor attention" in done.stderr
        drawn = run("spectrum", photo, "-m", "bicubic_x2", "--taps", "-o", tmp_path / "a.png")
        assert drawn.exit_code == 1
        assert not (tmp_path / "a.png").exists()

    def test_figures(self, photo: Path, truth: Path, tmp_path: Path) -> None:
        models = ("-m", "bicubic_x2", "-m", "bicubic_x3")
        for suffix in FIGURE_FORMATS:
            figure = tmp_path / f"spectrum.{suffix}"
            done = run("spectrum", photo, *models, "-o", figure)
            assert done.exit_code == 0, done.stderr
            assert figure.stat().st_size > 5000
            assert str(figure) in done.stdout
        svg = (tmp_path / "spectrum.svg").read_text("utf-8")
        for text in ("Bicubic ×2", "Input", "Density [%]", "Frequency [cycles/px]", "Power [dB]"):
            assert re.search(rf"<text[^>]*>{re.escape(text)}</text>", svg)
        again = run("spectrum", photo, *models, "-o", tmp_path / "spectrum.png")
        assert again.exit_code == 1
        assert "exists" in again.stderr
        assert run("spectrum", photo, *models, "-o", tmp_path / "spectrum.png", "--overwrite").exit_code == 0

    def test_faults(self, photo: Path, truth: Path, tmp_path: Path) -> None:
        bicubic = ("-m", "bicubic_x2")
        for wrong in (
            ("-m", "nothing_x2"),
            (*bicubic, "--difference"),
            (*bicubic, "--taps", "--truth", truth),
            (*bicubic, "--taps", "--precision", "bf16"),
            (*bicubic, "--region", "1,2,3"),
            (*bicubic, "-o", tmp_path / "a.jpg"),
            (*bicubic, "--device", "toaster"),
        ):
            assert run("spectrum", photo, *wrong).exit_code == 2
        for failing, words in (
            ((*bicubic, "--region", "70,0,20,20"), "does not lie inside the results"),
            ((*bicubic, "-m", "bicubic_x3", "--region", "0,0,8,8"), "one scale"),
            (("-m", "bicubic_x4", "--truth", truth), "not of the same picture"),
            ((*bicubic, "--truth", tmp_path / "no.png"), "no.png"),
            ((*bicubic, "-o", tmp_path / "no" / "a.png"), "does not exist"),
        ):
            done = run("spectrum", photo, *failing)
            assert done.exit_code == 1
            assert words in done.stderr
            assert "Traceback" not in done.stderr


class TestLam:
    def test_json_map_and_figure(self, photo: Path, tmp_path: Path) -> None:
        saved, figure = tmp_path / "map.npy", tmp_path / "lam.svg"
        done = run(
            *("lam", photo, "-m", "bicubic_x2", "--at", "20,30", "--window", 10, "--steps", 5),
            *("--save-map", saved, "-o", figure, "--device", "cpu", "--json"),
        )
        found = answer(done)
        assert (found["row"], found["col"], found["window"]) == (20, 30, 10)
        assert found["diffusion_index"] == pytest.approx(100 * (1 - found["gini"]))
        assert "models" not in found
        values = np.load(saved)
        assert values.shape == (32, 40)
        assert values.dtype == np.float32
        assert values.max() == 1
        row, column = np.unravel_index(values.argmax(), values.shape)
        assert 8 <= row <= 17
        assert 13 <= column <= 22
        svg = figure.read_text("utf-8")
        assert re.search(rf"<text[^>]*>DI {found['diffusion_index']:.2f}</text>", svg)

    @pytest.mark.usefixtures("networks")
    def test_several_networks_stand_side_by_side(self, photo: Path, tmp_path: Path) -> None:
        done = run(
            *("lam", photo, "-m", "bicubic_x2", "-m", "fmen_x2", "-m", "bicubic_x2", "--at", "20, 30"),
            *("--steps", 3, "--objective", "intensity", "--path", "linear"),
            *("--save-map", tmp_path / "map.npy", "-o", tmp_path / "lam.pdf", "--json"),
        )
        found = answer(done)
        assert [one["model"] for one in found["models"]] == ["bicubic_x2", "fmen_x2"]
        assert found["diffusion_index"] == found["models"][0]["diffusion_index"]
        assert found["models"][1]["diffusion_index"] > found["diffusion_index"]
        assert sorted(path.name for path in tmp_path.glob("*.npy")) == [
            "map_bicubic_x2.npy",
            "map_fmen_x2.npy",
        ]
        assert (tmp_path / "lam.pdf").read_bytes().startswith(b"%PDF")

    def test_plain_output(self, photo: Path) -> None:
        done = run("lam", photo, "-m", "bicubic_x2", "--at", "0,0", "--steps", 2)
        assert done.exit_code == 0
        assert re.fullmatch(r"DI +\d+\.\d{3}  Gini 0\.\d{4}  bicubic_x2\n", done.stdout)

    def test_a_flat_picture(self, tmp_path: Path) -> None:
        flat = tmp_path / "flat.png"
        PillowImage.new("RGB", (20, 20), (9, 99, 200)).save(flat)
        figure = tmp_path / "flat_lam.png"
        done = run("lam", flat, "-m", "bicubic_x2", "--at", "4,4", "--steps", 2, "--json", "-o", figure)
        assert answer(done)["diffusion_index"] == pytest.approx(100)
        assert "the map is empty" in done.stderr
        assert figure.exists()

    def test_faults(self, photo: Path, tmp_path: Path) -> None:
        bicubic = ("-m", "bicubic_x2")
        for wrong in (
            bicubic,
            (*bicubic, "--at", "12"),
            (*bicubic, "--at", "1,2", "--save-map", tmp_path / "a.png"),
            (*bicubic, "--at", "1,2", "--precision", "fp16"),
            (*bicubic, "--at", "1,2", "--tile", "64"),
            (*bicubic, "--at", "1,2", "--window", "0"),
        ):
            assert run("lam", photo, *wrong).exit_code == 2
        outside = run("lam", photo, *bicubic, "--at", "60,0")
        assert outside.exit_code == 1
        assert f"{photo}: the window" in outside.stderr
        (tmp_path / "there.npy").write_bytes(b"precious")
        kept = run("lam", photo, *bicubic, "--at", "1,2", "--save-map", tmp_path / "there.npy")
        assert kept.exit_code == 1
        assert (tmp_path / "there.npy").read_bytes() == b"precious"
        assert run("lam", tmp_path / "no.png", *bicubic, "--at", "1,2").exit_code == 1


class TestFeatures:
    def test_json_has_the_taps(self, photo: Path) -> None:
        found = answer(run("features", photo, "-m", "safmn_x4", "--json"))
        assert [one["name"] for one in found["taps"]] == [tap.name for tap in taps(SPECS["safmn_x4"])]
        for one in found["taps"]:
            assert one["shape"][1:] == [32, 40]
            assert one["min"] <= one["mean"] <= one["max"]
            assert one["std"] >= 0

    def test_a_region_of_one_block(self, photo: Path) -> None:
        options = ("--tap", "fmm2.safm", "--tap", "shallow", "--region", "4,6,10,8")
        found = answer(run("features", photo, "-m", "safmn_x4", *options, "--json"))
        assert found["region"] == [4, 6, 10, 8]
        assert found["taps"][0]["name"] == "shallow"
        assert {one["name"].rpartition(".")[0] for one in found["taps"][1:]} == {"fmm2.safm"}
        assert all(one["shape"][1:] == [8, 10] for one in found["taps"])

    def test_the_list_needs_neither_picture_nor_weights(self) -> None:
        done = run("features", "-m", "maffsrn_x4", "--list")
        assert done.exit_code == 0
        assert "ffg4.mab4.local_attention" in done.stdout
        found = answer(run("features", "-m", "fmen_s_x4", "--list", "--tap", "hfab0", "--json"))
        assert [one["name"] for one in found["taps"]] == ["hfab0.input", "hfab0.attention", "hfab0.output"]

    @pytest.mark.usefixtures("networks")
    def test_figures(self, photo: Path, tmp_path: Path) -> None:
        for name, options in (
            ("attention.svg", ()),
            ("tap.pdf", ("--tap", "hfab1.output")),
            ("taps.png", ("--tap", "hfab1")),
        ):
            done = run("features", photo, "-m", "fmen_x2", *options, "-o", tmp_path / name)
            assert done.exit_code == 0, done.stderr
            assert done.stdout == f"{tmp_path / name}\n"
            assert (tmp_path / name).stat().st_size > 5000
        assert re.search(
            r"<text[^>]*>HFAB 0 \(warm-up\)</text>", (tmp_path / "attention.svg").read_text("utf-8")
        )
        folder = tmp_path / "all"
        done = run("features", photo, "-m", "fmen_x2", "--tap", "hfab1", "-o", folder)
        assert [path.name for path in sorted(folder.iterdir())] == [
            f"photo_fmen_x2_hfab1.{part}.png" for part in ("attention", "input", "output")
        ]
        assert run("features", photo, "-m", "fmen_x2", "--tap", "hfab1", "-o", folder).exit_code == 1

    def test_plain_output(self, photo: Path) -> None:
        done = run("features", photo, "-m", "safmn_x4", "--tap", "deep", "--tap", "fmm8.output")
        assert done.exit_code == 2
        assert "no tap 'deep'" in done.stderr
        done = run("features", photo, "-m", "safmn_x4", "--tap", "fmm8.output")
        assert re.search(r"fmm8\.output +36×32×40", done.stdout)

    def test_a_network_without_features_says_so(self, photo: Path, tmp_path: Path) -> None:
        done = run("features", photo, "-m", "bicubic_x2", "--json")
        assert answer(done)["taps"] == []
        assert "neither features nor attention" in done.stderr
        for target in (tmp_path / "a.png", tmp_path / "folder"):
            assert run("features", photo, "-m", "bicubic_x2", "-o", target).exit_code == 1
            assert not target.exists()

    def test_faults(self, photo: Path, tmp_path: Path) -> None:
        assert run("features", "-m", "safmn_x4").exit_code == 2
        assert run("features", photo, "-m", "safmn_x4", "--precision", "bf16").exit_code == 2
        outside = run("features", photo, "-m", "safmn_x4", "--region", "30,0,20,20")
        assert outside.exit_code == 1
        assert "does not lie in the picture of 40 × 32 px" in outside.stderr
        small_memory = run("features", photo, "-m", "safmn_x4", "--max-memory", "1k")
        assert small_memory.exit_code == 1
        assert "choose a smaller part" in small_memory.stderr


def test_figures_have_the_suffixes_that_can_be_written() -> None:
    assert tuple(f".{form}" for form in FIGURE_FORMATS) == figure_file.FIGURE_SUFFIXES
