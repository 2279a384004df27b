"""Networks executed by OpenVINO: the same outcome as torch's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from srviewer.engine import openvino as backend_module
from srviewer.engine.backends import EagerTorch
from srviewer.engine.device import Device, native_bf16
from srviewer.engine.openvino import CompiledStage, OpenVINO, is_installed
from srviewer.engine.openvino_graph import UntranslatableError, translated
from srviewer.engine.request import Precision, UpscaleOptions
from srviewer.engine.staged_run import Program, run_stages, tiles_of
from srviewer.engine.tiles import Box
from srviewer.engine.upscale import upscale
from srviewer.imaging.image import Image
from srviewer.zoo import families
from srviewer.zoo.model import LoadedModel, load_model
from srviewer.zoo.spec import SPECS

CPU = Device("cpu", "cpu", "a processor, 1 thread")
IDS = ("fmen_s_x4", "maffsrn_x2", "safmn_x3", "bsrn_x2", "bsrn_s_x4")

needs_openvino = pytest.mark.skipif(not is_installed(), reason="OpenVINO is not installed")


@pytest.fixture(scope="module")
def backend() -> OpenVINO:
    return OpenVINO()


def random_model(id_: str) -> LoadedModel:
    torch.manual_seed(1)
    spec = SPECS[id_]
    network = families.build(spec, fused=True).eval().requires_grad_(False)
    return LoadedModel(spec.id, spec, network, "random")


def noise(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))


def smooth(height: int, width: int) -> Tensor:
    """Like a picture: bfloat16 keeps to it better than to noise."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    planes = [torch.sin(rows / (5 + k)) * torch.cos(columns / (7 - k)) / 2 + 0.5 for k in range(3)]
    return torch.stack(planes)[None]


def decibels(found: Tensor, expected: Tensor) -> float:
    """Return the PSNR in relation to the expected values' largest."""
    error = (found.double() - expected.double()).square().mean()
    return float(10 * torch.log10(expected.double().abs().max() ** 2 / error.clamp_min(1e-30)))


def in_tiles(program: Program, image: Tensor, side: int) -> Tensor:
    height, width = image.shape[2:]
    scale = program.scale
    result = torch.zeros(1, 3, height * scale, width * scale)
    whole = Box(0, 0, width, height)

    def emit(box: Box, part: Tensor) -> None:
        place = box.times(scale)
        result[:, :, place.y : place.bottom, place.x : place.right] = part

    run_stages(
        program,
        lambda box: image[:, :, box.y : box.bottom, box.x : box.right],
        whole,
        tiles_of(whole, side),
        tick=lambda _: None,
        emit=emit,
    )
    return result


@needs_openvino
@torch.inference_mode()
@pytest.mark.parametrize("id_", IDS)
def test_it_equals_torch(backend: OpenVINO, id_: str) -> None:
    model, image = random_model(id_), noise(61, 53)
    expected = model(image)
    assert backend.supports(model, CPU, "fp32")
    found = backend.prepare(model, CPU, "fp32")(image)
    assert found.shape == expected.shape
    assert decibels(found, expected) > 100
    program = backend.program(model, CPU, "fp32")
    assert program is not None
    assert all(isinstance(stage.module, CompiledStage) for stage in program.staged.stages)
    assert decibels(in_tiles(program, image, 32), expected) > 100


@needs_openvino
@torch.inference_mode()
@pytest.mark.parametrize("id_", ["maffsrn_x2", "safmn_x3"])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (67, 101), (47, 82)])
def test_grids_that_do_not_divide_the_sides(backend: OpenVINO, id_: str, height: int, width: int) -> None:
    model, image = random_model(id_), noise(height, width)
    assert decibels(backend.prepare(model, CPU, "fp32")(image), model(image)) > 100


@needs_openvino
@torch.inference_mode()
@pytest.mark.parametrize("id_", ["bsrn_s_x4", "fmen_s_x4"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 7), (5, 70), (33, 16)])
def test_small_images_are_continued(backend: OpenVINO, id_: str, height: int, width: int) -> None:
    model, image = random_model(id_), noise(height, width)
    assert decibels(backend.prepare(model, CPU, "fp32")(image), model(image)) > 100


@needs_openvino
@torch.inference_mode()
@pytest.mark.skipif(not native_bf16(), reason="this CPU has no bfloat16")
@pytest.mark.parametrize("name", ["safmn_x4@shipped", "fmen_s_x4.pt", "bsrn_x4.pth", "bsrn_s_x4.pth"])
def test_bfloat16_is_as_good_as_with_torch(
    backend: OpenVINO, name: str, request: pytest.FixtureRequest
) -> None:
    """The graph says which values are bfloat16, and OpenVINO rounds no others."""
    if "@" not in name:
        reference: Path = request.getfixturevalue("reference")
        name = str(reference / "weights" / name)
    model, image = load_model(name), smooth(72, 64)
    expected = model(image)
    assert backend.supports(model, CPU, "bf16")
    of_torch = decibels(EagerTorch().prepare(model, CPU, "bf16")(image), expected)
    whole = backend.prepare(model, CPU, "bf16")(image)
    assert decibels(whole, expected) > of_torch - 0.5
    assert decibels(whole, expected) < 80  # it is bfloat16
    program = backend.program(model, CPU, "bf16")
    assert program is not None
    assert decibels(in_tiles(program, image, 40), expected) > of_torch - 0.5


@needs_openvino
@torch.inference_mode()
def test_results_own_their_memory(backend: OpenVINO) -> None:
    run = backend.prepare(random_model("fmen_s_x4"), CPU, "fp32")
    first = run(noise(40, 40))
    kept = first.clone()
    second = run(1 - noise(40, 40))
    assert torch.equal(first, kept)
    assert not torch.equal(first, second)


@needs_openvino
@pytest.mark.parametrize("id_", ["fmen_s_x4", "bsrn_s_x4"])
def test_an_image_is_upscaled_as_by_torch(backend: OpenVINO, id_: str) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (90, 70, 3), np.uint8)
    model = random_model(id_)
    for tile in ("off", 64):
        options = UpscaleOptions(device="cpu", precision="fp32", tile=tile)
        expected = upscale(Image(pixels), model, options, backend=EagerTorch()).image.pixels
        found = upscale(Image(pixels), model, options, backend=backend).image.pixels
        assert np.abs(found.astype(int) - expected).max() <= 1


@needs_openvino
@torch.inference_mode()
def test_the_model_stays_as_it_is(backend: OpenVINO) -> None:
    model = random_model("safmn_x3")
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    expected = model(noise(40, 40))
    for precision in ("fp32", "bf16"):
        backend.prepare(model, CPU, precision)(noise(40, 40))
    assert torch.equal(model(noise(40, 40)), expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.network.state_dict().items())


@needs_openvino
@torch.inference_mode()
def test_only_some_shapes_stay_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "_MOST_SHAPES", 2)
    stage = CompiledStage(fx.symbolic_trace(_Pair()), 1)
    for side in (8, 9, 10, 8):
        image = noise(side, side)
        raised, lowered = stage(image)
        assert torch.allclose(raised, image + image)
        assert torch.allclose(lowered, image.relu())
        assert len(stage._compiled) <= 2


class _Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x + x, torch.relu(x)


class _Unknown(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (torch.sin(x),)


@needs_openvino
def test_unknown_operations_are_refused() -> None:
    with pytest.raises(UntranslatableError, match="sin"):
        translated(fx.symbolic_trace(_Unknown()), ((torch.Size((1, 3, 8, 8)), torch.float32),))


@torch.inference_mode()
def test_others_run_what_it_cannot(backend: OpenVINO) -> None:
    bicubic = LoadedModel(
        "bicubic_x2", SPECS["bicubic_x2"], families.build(SPECS["bicubic_x2"], fused=True), ""
    )
    assert not backend.supports(bicubic, CPU, "fp32")
    assert backend.program(bicubic, CPU, "fp32") is None
    assert torch.equal(backend.prepare(bicubic, CPU, "fp32")(noise(20, 20)), bicubic(noise(20, 20)))
    model = random_model("fmen_s_x4")
    assert not backend.supports(model, CPU, "fp16")
    assert not backend.supports(model, Device("cuda:0", "cuda", "a card"), "fp32")


@torch.inference_mode()
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_without_openvino_torch_runs_all(monkeypatch: pytest.MonkeyPatch, precision: Precision) -> None:
    monkeypatch.setattr(backend_module, "is_installed", lambda: False)
    backend_module._runs.cache_clear()
    try:
        model, backend = random_model("bsrn_s_x4"), OpenVINO()
        assert not backend.supports(model, CPU, precision)
        image = noise(24, 24)
        expected = EagerTorch().prepare(model, CPU, precision)(image)
        assert torch.equal(backend.prepare(model, CPU, precision)(image), expected)
        assert backend.program(model, CPU, precision) is not None
        assert "openvino" not in backend.name
    finally:
        backend_module._runs.cache_clear()


def test_the_engine_does_not_load_it() -> None:
    code = "import sys, srviewer.engine.openvino; print('openvino' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_openvino_tells_nobody_of_its_use() -> None:
    code = (
        "import sys, threading\n"
        "from srviewer.engine.openvino_graph import quiet_openvino\n"
        "quiet_openvino()\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
