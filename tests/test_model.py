"""Loaded models, and the doorway between pictures and batches."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import DTypeLike
from torch import Tensor, nn

from srviewer.zoo import families
from srviewer.zoo.errors import CheckpointError, NotInstalledError
from srviewer.zoo.keys import SPELLINGS
from srviewer.zoo.model import LoadedModel, load_model
from srviewer.zoo.spec import SPECS
from srviewer.zoo.tensors import to_pixels, to_tensor

SMALL_IDS = ("bicubic_x3", "fmen_s_x4", "maffsrn_x2", "safmn_x2", "bsrn_s_x4")


def random_model(model: str) -> LoadedModel:
    torch.manual_seed(0)
    spec = SPECS[model]
    return LoadedModel(model, spec, families.build(spec, fused=True).eval().requires_grad_(False), "random")


# Loading


@pytest.mark.parametrize(
    "reference", ["safmn_x2", "safmn_x4", "safmn_x4@shipped", "bicubic_x2", "bicubic_x4"]
)
def test_what_is_installed_loads_ready_to_run(reference: str) -> None:
    model = load_model(reference)
    assert model.id == reference
    assert model.spec is SPECS[reference.partition("@")[0]]
    assert model.scale == model.spec.scale
    assert not model.network.training
    assert not any(value.requires_grad for value in model.network.parameters())
    assert model.weights == ("none needed" if reference.startswith("bicubic") else "shipped")
    batch = torch.rand(1, 3, 24, 20)
    assert model(batch).shape == (1, 3, 24 * model.scale, 20 * model.scale)


def test_shipped_weights_beat_bicubic(reference: Path) -> None:
    from PIL import Image

    folder = reference / "Set5" / "image_SRF_4"
    lr = np.asarray(Image.open(folder / "img_003_SRF_4_LR.png").convert("RGB"))
    hr = np.asarray(Image.open(folder / "img_003_SRF_4_HR.png").convert("RGB")).astype(np.float64)
    errors = {}
    for name in ("safmn_x4", "bicubic_x4"):
        with torch.inference_mode():
            found = to_pixels(load_model(name)(to_tensor(lr)))
        errors[name] = np.square(found - hr)[4:-4, 4:-4].mean()
    assert 10 * np.log10(errors["bicubic_x4"] / errors["safmn_x4"]) > 2.5


@pytest.mark.parametrize("model", ["fmen_s_x4", "maffsrn_x2"])
def test_training_forms_are_fused_on_loading(tmp_path: Path, model: str) -> None:
    torch.manual_seed(0)
    spec = SPECS[model]
    network = families.build(spec).eval()
    spelling = SPELLINGS[spec.family][0]
    torch.save(
        {spelling.theirs(key): value for key, value in network.state_dict().items()}, tmp_path / "net.v1.pt"
    )
    loaded = load_model(str(tmp_path / "net.v1.pt"))
    assert loaded.id == "net.v1"
    assert loaded.spec is spec
    assert str(tmp_path / "net.v1.pt") == loaded.weights
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in loaded.network.modules())
    fused = families.build(spec, fused=True)
    assert loaded.network.state_dict().keys() == fused.state_dict().keys()
    batch = torch.rand(1, 3, 19, 23)
    with torch.inference_mode():
        expected = network(batch * spec.value_range) / spec.value_range
        assert (loaded(batch) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_what_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotInstalledError, match="srviewer weights get bsrn_x4"):
        load_model("bsrn_x4")
    with pytest.raises(CheckpointError, match="no such file"):
        load_model(str(tmp_path / "gone.pth"))
    with pytest.raises(CheckpointError, match="is a folder"):
        load_model(f"{tmp_path}/")


def test_loading_is_quick() -> None:
    load_model("safmn_x4")  # the first use of torch's own lazy parts
    begun = time.process_time()
    load_model("safmn_x4")
    assert time.process_time() - begun < 1.0


# Running


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (1, 40), (14, 15), (15, 14)], ids=str)
@pytest.mark.parametrize("name", SMALL_IDS)
def test_any_size_comes_out_scaled(name: str, size: tuple[int, int]) -> None:
    model = random_model(name)
    with torch.inference_mode():
        found = model(torch.rand(2, 3, *size))
    assert found.shape == (2, 3, size[0] * model.scale, size[1] * model.scale)
    assert found.isfinite().all()


@pytest.mark.parametrize("name", SMALL_IDS[2:])
def test_small_pictures_are_continued_by_their_edge(name: str) -> None:
    model = random_model(name)
    side, scale = model.spec.smallest_side, model.scale
    picture = torch.rand(1, 3, side - 3, side + 4)
    continued = torch.cat((picture, picture[:, :, -1:].expand(-1, -1, 3, -1)), dim=2)
    with torch.inference_mode():
        assert torch.equal(model(picture), model(continued)[:, :, : (side - 3) * scale])


def test_the_value_range_stays_inside() -> None:
    model = random_model("fmen_s_x4")
    batch = torch.rand(1, 3, 9, 9)
    with torch.inference_mode():
        assert torch.equal(model(batch), model.network(batch * 255) / 255)


def test_nothing_is_clamped_and_gradients_flow() -> None:
    step = torch.zeros(1, 3, 12, 12)
    step[..., 6:] = 1
    step.requires_grad_()
    found = load_model("bicubic_x4")(step)
    assert found.max() > 1.01
    assert found.min() < -0.01
    assert torch.autograd.grad(found.sum(), step)[0].abs().sum() > 0
    small = torch.rand(1, 3, 4, 4, requires_grad=True)
    corner = load_model("safmn_x2")(small)[..., :2, :2].sum()
    assert torch.autograd.grad(corner, small)[0].abs().sum() > 0


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 4, 8, 8), (1, 3, 0, 8)], ids=str)
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="N x 3 x H x W"):
        load_model("bicubic_x2")(torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", SMALL_IDS)
def test_a_copy_in_another_dtype_leaves_the_original(name: str, dtype: torch.dtype) -> None:
    model = random_model(name)
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    copy = model.to(dtype=dtype, memory_format=torch.channels_last)
    batch = torch.rand(1, 3, 7, 18)
    with torch.inference_mode():
        found = copy(batch.to(dtype))
        assert found.dtype == dtype
        close = {torch.float64: 1e-5, torch.float16: 0.02, torch.bfloat16: 0.1}[dtype]
        expected = model(batch)
        assert (found.float() - expected).abs().max() < close * max(1.0, float(expected.abs().max()))
    assert (copy.id, copy.spec, copy.weights) == (model.id, model.spec, model.weights)
    assert all(torch.equal(model.network.state_dict()[key], value) for key, value in before.items())
    assert {value.dtype for value in model.network.parameters()} <= {torch.float32}


# The doorway


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_survives_both_ways(dtype: DTypeLike) -> None:
    limit = int(np.iinfo(np.dtype(dtype).type).max)
    levels = np.arange(limit + 1, dtype=dtype).reshape(-1, 16, 1).repeat(3, axis=2)
    batch = to_tensor(levels)
    assert batch.dtype == torch.float32
    assert float(batch.min()) == 0
    assert float(batch.max()) == 1
    back = to_pixels(batch, dtype)
    assert back.dtype == dtype
    assert np.array_equal(back, levels)


def test_axes_and_channels_keep_their_places() -> None:
    pixels = np.zeros((4, 5, 3), np.uint8)
    pixels[1, 2, 0] = 255
    batch = to_tensor(pixels)
    assert batch.shape == (1, 3, 4, 5)
    assert batch.is_contiguous()
    assert batch.nonzero().tolist() == [[0, 0, 1, 2]]
    assert np.array_equal(to_pixels(batch[0]), pixels)


def test_crops_and_read_only_pixels_are_copied() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    pixels.flags.writeable = False
    crop = pixels[3:11:2, ::-1]
    batch = to_tensor(crop)
    assert np.array_equal(to_pixels(batch), crop)
    batch.zero_()
    assert pixels.any()


@given(st.lists(st.floats(-2, 3, width=32), min_size=3, max_size=3), st.sampled_from([np.uint8, np.uint16]))
def test_values_are_clipped_and_rounded_to_the_nearest(values: list[float], dtype: type) -> None:
    limit = float(np.iinfo(dtype).max)
    found = to_pixels(torch.tensor(values).reshape(1, 3, 1, 1), dtype)
    expected = np.rint(np.clip(np.array(values, np.float32), 0, 1) * np.float32(limit)).astype(dtype)
    assert np.array_equal(found.ravel(), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64], ids=str)
def test_low_precision_is_widened_before_scaling(dtype: torch.dtype) -> None:
    batch = torch.rand(1, 3, 8, 8).to(dtype)
    expected = np.rint(batch.double().numpy() * 65535)[0].transpose(1, 2, 0)
    assert np.abs(to_pixels(batch, np.uint16).astype(np.float64) - expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("given", [torch.float32, torch.bfloat16], ids=str)
def test_the_order_in_memory_changes_no_pixel(given: torch.dtype, dtype: type) -> None:
    batch = torch.rand(1, 3, 9, 14).to(given)
    before = batch.clone()
    limit = int(np.iinfo(dtype).max)
    expected: np.ndarray = (batch.float() * limit).round()[0].permute(1, 2, 0).numpy().astype(dtype)[2:7, 3:]
    for laid_out in (batch, batch.contiguous(memory_format=torch.channels_last)):
        found = to_pixels(laid_out[:, :, 2:7, 3:], dtype)
        assert np.array_equal(found, expected)
        assert found.dtype == np.dtype(dtype)
        assert found.flags.c_contiguous
        found.fill(0)
        assert torch.equal(laid_out, before)


def test_halves_go_to_even() -> None:
    batch = torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64).div(255).reshape(3, 1, 1)
    assert (batch * 255).flatten().tolist() == [0.5, 1.5, 2.5]
    assert to_pixels(batch).ravel().tolist() == [0, 2, 2]


@pytest.mark.parametrize(
    "batch",
    [
        torch.zeros(2, 3, 4, 4),
        torch.zeros(1, 4, 4, 4),
        torch.zeros(4, 4),
        torch.zeros(1, 3, 4, 4, dtype=torch.uint8),
    ],
    ids=lambda batch: str(tuple(batch.shape)),
)
def test_what_is_no_picture_is_refused(batch: Tensor) -> None:
    with pytest.raises(ValueError, match="a batch must be"):
        to_pixels(batch)


def test_nan_is_no_pixel() -> None:
    batch = torch.zeros(1, 3, 4, 4)
    batch[0, 1, 2, 3] = float("nan")
    with pytest.raises(ValueError, match="NaN"):
        to_pixels(batch)


def test_infinities_are_clipped() -> None:
    batch = torch.zeros(1, 3, 1, 2)
    batch[..., 0], batch[..., 1] = float("inf"), float("-inf")
    assert to_pixels(batch)[0].tolist() == [[255] * 3, [0] * 3]


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3))]
)
def test_other_pixels_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pixels must be"):
        to_tensor(pixels)


def test_other_levels_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8 or uint16"):
        to_pixels(torch.zeros(1, 3, 2, 2), np.float32)
