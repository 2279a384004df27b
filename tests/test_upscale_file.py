"""From file to file: the same result as in memory, band by band."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from srviewer.engine.backends import EagerTorch
from srviewer.engine.cutting import Cutter
from srviewer.engine.exact import ExactPlan, Window
from srviewer.engine.request import Cancelled, Progress, UpscaleError, UpscaleOptions
from srviewer.engine.staged_run import Program
from srviewer.engine.streaming import StreamEstimate, upscale_file
from srviewer.engine.upscale import upscale
from srviewer.engine.windows import make_window
from srviewer.imaging.files import ImageFileError, read_image, write_image
from srviewer.imaging.image import Image, Pixels
from srviewer.networks import fused
from srviewer.zoo import families
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.spec import SPECS, BSRNConfig, FMENConfig, SAFMNConfig

FP32 = UpscaleOptions(device="cpu", precision="fp32")


def model_of(model_id: str) -> LoadedModel:
    torch.manual_seed(5)
    spec = SPECS[model_id]
    if isinstance(spec.config, (BSRNConfig, SAFMNConfig)):
        spec = dataclasses.replace(spec, config=dataclasses.replace(spec.config, blocks=2))
    else:
        assert isinstance(spec.config, FMENConfig)
        spec = dataclasses.replace(spec, config=dataclasses.replace(spec.config, channels=8))
    network = fused(families.build(spec))
    return LoadedModel(model_id, spec, network.eval().requires_grad_(False), "random")


def pixels(height: int, width: int, dtype: type[np.unsignedinteger] = np.uint8) -> Pixels:
    drawn = np.random.default_rng(2).integers(0, np.iinfo(dtype).max, (height, width, 3))
    return drawn.astype(dtype)


def few_rows(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Let bands have so many input rows."""
    monkeypatch.setattr(Cutter, "_band_rows", lambda _: rows)


@pytest.mark.parametrize("model_id", ["safmn_x2", "fmen_s_x4", "bsrn_x3"])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_the_file_holds_what_memory_would(
    model_id: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_rows(monkeypatch, 64)
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    write_image(Image(pixels(150, 90)), source)
    model, options = model_of(model_id), dataclasses.replace(FP32, tile=40)
    told: list[Progress] = []
    result = upscale_file(source, target, model, options, progress=told.append)
    expected = upscale(read_image(source), model, dataclasses.replace(FP32, tile="off"))
    found = read_image(target)
    assert found.pixels.shape == expected.image.pixels.shape
    assert np.abs(found.pixels.astype(int) - expected.image.pixels).max() <= 1
    assert (result.width, result.height, result.scale) == (90 * model.scale, 150 * model.scale, model.scale)
    assert result.exact
    assert result.tiles > 1
    assert result.path == target
    assert (told[-1].tiles_done, told[-1].tiles) == (result.tiles, result.tiles)


def test_windows_go_to_the_file_in_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_rows(monkeypatch, 64)
    monkeypatch.setattr("srviewer.engine.cutting._COMFORTABLE_FEATURES", 6_000_000)
    windows: list[Window] = []

    def noted(program: Program, cut: ExactPlan, window: Window, *others: Any) -> None:
        windows.append(window)
        make_window(program, cut, window, *others)

    monkeypatch.setattr("srviewer.engine.running.make_window", noted)
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    write_image(Image(pixels(230, 310)), source)
    model = model_of("safmn_x2")
    result = upscale_file(source, target, model, dataclasses.replace(FP32, tile=64))
    assert len(windows) > 4
    assert result.exact
    expected = upscale(read_image(source), model, dataclasses.replace(FP32, tile="off")).image.pixels
    assert np.abs(read_image(target).pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("grey", [False, True])
def test_depth_alpha_grey_and_profile_stay(
    grey: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_rows(monkeypatch, 16)
    colours = pixels(50, 40, np.uint16)
    if grey:
        colours[..., 1:] = colours[..., :1]
    alpha = np.full((50, 40), 65535, np.uint16)
    alpha[:, 20:] = 30000
    source, target = tmp_path / "in.tif", tmp_path / "out.tif"
    write_image(Image(colours, alpha=alpha, grey=grey), source)
    model = model_of("safmn_x2")
    upscale_file(source, target, model, FP32)
    expected = upscale(read_image(source), model, FP32).image
    found = read_image(target)
    assert (found.bits, found.grey) == (16, grey)
    assert found.alpha is not None
    assert expected.alpha is not None
    np.testing.assert_array_equal(found.alpha, expected.alpha)
    assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= 2


def test_a_file_that_is_not_read_by_region_is_read_whole(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jpg", tmp_path / "out.tif"
    write_image(Image(pixels(40, 40)), source)
    model = model_of("safmn_x2")
    upscale_file(source, target, model, FP32)
    expected = upscale(read_image(source), model, FP32).image
    np.testing.assert_array_equal(read_image(target).pixels, expected.pixels)


def test_the_cost_is_told_before_and_may_be_refused(tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    write_image(Image(pixels(30, 40)), source)
    told: list[StreamEstimate] = []

    def refuse(cost: StreamEstimate) -> None:
        told.append(cost)
        raise UpscaleError("too long")

    with pytest.raises(UpscaleError, match="too long"):
        upscale_file(source, target, model_of("safmn_x2"), FP32, estimated=refuse)
    assert (told[0].width, told[0].height) == (80, 60)
    assert told[0].disk_bytes >= 80 * 60 * 3
    assert told[0].seconds > 0
    assert [one.name for one in tmp_path.iterdir()] == ["in.png"]


@pytest.mark.parametrize(("model_id", "surrounded"), [("safmn_x2", True), ("fmen_s_x4", False)])
@pytest.mark.parametrize("orientations", [1, 8])
def test_the_time_counts_all_that_is_computed(
    model_id: str, surrounded: bool, orientations: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few_rows(monkeypatch, 64)
    monkeypatch.setattr("srviewer.engine.cutting._COMFORTABLE_FEATURES", 6_000_000)
    monkeypatch.setattr("srviewer.engine.running.measured_cost", lambda *_: 0.5)
    source = tmp_path / "in.png"
    write_image(Image(pixels(230, 310)), source)
    told: list[StreamEstimate] = []
    options = dataclasses.replace(FP32, tile=64, self_ensemble=orientations > 1)
    upscale_file(source, tmp_path / "out.tif", model_of(model_id), options, estimated=told.append)
    least = 0.5 * 230 * 310 * orientations
    assert told[0].seconds > 1.2 * least if surrounded else told[0].seconds == least


def test_a_cancelled_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few_rows(monkeypatch, 16)
    source, target = tmp_path / "in.png", tmp_path / "out.tif"
    write_image(Image(pixels(60, 40)), source)
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 4

    options = dataclasses.replace(FP32, tile=16)
    with pytest.raises(Cancelled):
        upscale_file(source, target, model_of("fmen_s_x4"), options, cancelled=cancelled)
    assert [one.name for one in tmp_path.iterdir()] == ["in.png"]


def test_an_existing_file_is_refused_first(tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    write_image(Image(pixels(30, 40)), source)
    target.write_text("mine")
    with pytest.raises(ImageFileError, match="exists"):
        upscale_file(source, target, model_of("safmn_x2"), FP32)
    assert target.read_text() == "mine"


def test_a_band_that_memory_cannot_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    write_image(Image(pixels(30, 40)), source)
    monkeypatch.setattr("srviewer.engine.streaming.free_memory", lambda _: 1000)
    with pytest.raises(UpscaleError, match="rows of the result"):
        upscale_file(source, target, model_of("safmn_x2"), FP32, backend=EagerTorch())
    assert not target.exists()
