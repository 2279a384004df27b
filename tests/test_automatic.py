"""Whatever the engine chooses, fp32 results are the same; and what it chooses."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from srviewer.engine import automatic
from srviewer.engine.automatic import Automatic
from srviewer.engine.backends import Backend, EagerTorch
from srviewer.engine.device import choose_device
from srviewer.engine.openvino import OpenVINO, is_installed
from srviewer.engine.request import TileChoice, UpscaleOptions
from srviewer.engine.streaming import upscale_file
from srviewer.engine.upscale import upscale
from srviewer.imaging.files import write_image
from srviewer.imaging.image import Image
from srviewer.networks import fused
from srviewer.zoo import families
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.spec import SPECS, BSRNConfig, FMENConfig, MAFFSRNConfig, SAFMNConfig
from srviewer.zoo.tensors import to_pixels, to_tensor

TILES: tuple[TileChoice, ...] = ("off", "auto", 16, 40, 64, 100)
BACKENDS: tuple[Backend, ...] = (Automatic(), EagerTorch(), OpenVINO())


@functools.cache
def model_of(model_id: str) -> LoadedModel:
    """Return a network with random weights, of two blocks where it has equal ones."""
    torch.manual_seed(4)
    spec = SPECS[model_id]
    if isinstance(spec.config, (BSRNConfig, MAFFSRNConfig, SAFMNConfig)):
        spec = dataclasses.replace(spec, config=dataclasses.replace(spec.config, blocks=2))
    else:
        assert isinstance(spec.config, FMENConfig)
        spec = dataclasses.replace(spec, config=dataclasses.replace(spec.config, channels=12))
    network = fused(families.build(spec))
    return LoadedModel(model_id, spec, network.eval().requires_grad_(False), "random")


@pytest.mark.parametrize("model_id", ["safmn_x2", "bsrn_x3", "maffsrn_x2", "fmen_s_x4"])
@given(
    st.integers(1, 150),
    st.integers(1, 150),
    st.sampled_from(TILES),
    st.sampled_from(BACKENDS),
    st.sampled_from([None, 1 << 28]),
)
@settings(max_examples=8, deadline=None)
def test_no_option_changes_a_result_in_fp32(
    model_id: str, height: int, width: int, tile: TileChoice, backend: Backend, limit: int | None
) -> None:
    model = model_of(model_id)
    image = Image(np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8))
    with torch.inference_mode():
        expected = to_pixels(model(to_tensor(image.pixels)), np.uint8)
    result = upscale(image, model, UpscaleOptions("cpu", "fp32", tile, limit), backend=backend)
    assert result.exact
    assert int(np.abs(result.image.pixels.astype(int) - expected).max()) <= 1


@pytest.mark.skipif(not is_installed(), reason="OpenVINO is not installed")
def test_images_of_moderate_size_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []

    class Watched(OpenVINO):
        def prepare(self, *arguments: object) -> object:  # type: ignore[override]
            def run(crop: Tensor) -> Tensor:
                seen.append(tuple(crop.shape))
                return torch.zeros(1)

            return run

    monkeypatch.setattr(automatic, "OpenVINO", Watched)
    backend, device = Automatic(), choose_device("cpu")
    runner = backend.prepare(model_of("safmn_x2"), device, "fp32")
    with torch.inference_mode():
        runner(torch.zeros(1, 3, 16, 16))
        runner(torch.zeros(1, 3, 160, 128))
    assert seen == [(1, 3, 160, 128)]
    assert backend.at_once(model_of("safmn_x2"), device, "fp32", 1 << 18)
    assert not backend.at_once(model_of("safmn_x2"), device, "fp32", (1 << 18) + 1)
    assert not backend.at_once(model_of("fmen_s_x4"), device, "bf16", 1 << 18)
    assert [one.name for one in backend.candidates] == [EagerTorch().name, Watched().name]


@pytest.mark.skipif(not is_installed(), reason="OpenVINO is not installed")
@pytest.mark.parametrize("model_id", ["safmn_x2", "fmen_s_x4"])
def test_where_memory_counts_nothing_is_compiled(
    model_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CompilingError(Exception):
        pass

    def compiled(*_: object) -> None:
        raise CompilingError

    for name in ("supports", "prepare", "program"):
        monkeypatch.setattr(OpenVINO, name, compiled)
    image = Image(np.zeros((140, 140, 3), np.uint8))
    source = tmp_path / "in.png"
    write_image(image, source)
    model, options = model_of(model_id), UpscaleOptions("cpu", "fp32")
    upscale_file(source, tmp_path / "out.png", model, options, backend=Automatic())
    upscale(image, model, dataclasses.replace(options, max_memory=1 << 30), backend=Automatic())
    with pytest.raises(CompilingError):
        upscale(image, model, options, backend=Automatic())


def test_without_openvino_torch_runs_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srviewer.engine.openvino.is_installed", lambda: False)
    monkeypatch.setattr(automatic, "is_installed", lambda: False)
    monkeypatch.setattr("srviewer.engine.openvino._runs", lambda _: False)
    backend, device = Automatic(), choose_device("cpu")
    eager = EagerTorch()
    assert [one.name for one in backend.candidates] == [eager.name]
    model = model_of("bsrn_x3")
    assert backend.at_once(model, device, "fp32", 1 << 14)
    assert not backend.at_once(model, device, "fp32", 1 << 18)
    batch = torch.rand(1, 3, 130, 130)
    with torch.inference_mode():
        found = backend.prepare(model, device, "fp32")(batch)
        assert torch.equal(found, eager.prepare(model, device, "fp32")(batch))
