"""The table of networks: its constants against the networks themselves and against the papers."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from srviewer.networks.maffsrn import WeightNormConv2d
from srviewer.zoo import families
from srviewer.zoo.spec import SPECS, BSRNConfig, FMENConfig, ModelSpec, SAFMNConfig, describe, known_spec

PAPERS = {  # parameters, and billions of multi-adds at 1280 x 720 counted over convolution weights
    "fmen_x2": (747_756, 171.9),
    "fmen_x3": (756_411, 77.3),
    "fmen_x4": (768_528, 44.2),
    "fmen_s_x4": (341_066, 19.58),
    "maffsrn_x2": (402_394, 86.1),
    "maffsrn_x3": (418_774, 40.0),
    "maffsrn_x4": (441_706, 23.8),
    "maffsrn_l_x2": (790_754, 168.9),
    "maffsrn_l_x3": (807_134, 76.8),
    "maffsrn_l_x4": (830_066, 44.5),
    "safmn_x2": (227_820, 51.5),
    "safmn_x3": (232_695, 23.4),
    "safmn_x4": (239_520, 13.56),
    "bsrn_x2": (331_628, 71.9),
    "bsrn_x3": (340_283, 32.9),
    "bsrn_x4": (352_400, 19.2),
    "bsrn_s_x4": (156_288, 8.3),
}


def counted(spec: ModelSpec) -> nn.Module:
    """The network in the form whose parameters the papers count, without memory."""
    with torch.device("meta"):
        return families.build(spec, fused=spec.family == "fmen").eval()


def multi_adds(network: nn.Module, width: int, height: int) -> int:
    total = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal total
        weight = layer.v if isinstance(layer, WeightNormConv2d) else layer.weight
        assert isinstance(weight, Tensor)
        total += weight.numel() * output.shape[-1] * output.shape[-2]

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | WeightNormConv2d):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, height, width, device="meta"))
    return total


def test_every_id_is_there() -> None:
    scaled = [
        f"{stem}_x{s}"
        for stem in ("bicubic", "fmen", "maffsrn", "maffsrn_l", "safmn", "bsrn")
        for s in (2, 3, 4)
    ]
    assert set(SPECS) == {*scaled, "fmen_s_x4", "bsrn_s_x4"}
    assert all(SPECS[name].id == name and name.endswith(f"_x{SPECS[name].scale}") for name in SPECS)


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_constants_agree_with_the_network_and_the_papers(name: str) -> None:
    spec = SPECS[name]
    parameters, billions = PAPERS[name]
    network = counted(spec)
    assert spec.parameters == parameters == sum(value.numel() for value in network.parameters())
    width, height = round(1280 / spec.scale), round(720 / spec.scale)
    assert spec.multi_adds_720p == multi_adds(network, width, height)
    assert spec.multi_adds_720p == pytest.approx(billions * 1e9, rel=0.005)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_smallest_side_is_the_smallest_that_runs(name: str) -> None:
    spec = SPECS[name]
    network = families.build(spec, fused=True).eval()
    side = spec.smallest_side
    with torch.inference_mode():
        for height, width in ((side, side), (side, side + 7), (side + 7, side)):
            assert network(torch.rand(1, 3, height, width)).shape == (
                1,
                3,
                height * spec.scale,
                width * spec.scale,
            )
        if side > 1:
            for height, width in ((side - 1, side + 9), (side + 9, side - 1)):
                with pytest.raises((RuntimeError, ValueError)):
                    network(torch.rand(1, 3, height, width))


LOCAL_VARIANTS = (
    describe("fmen", 2, FMENConfig(12, 8, 4, (1, 1, 2, 1, 1)), parameters=0),
    describe("fmen", 2, FMENConfig(12, 8, 4, (1, 1, 1, 1, 1), block="rb"), parameters=0),
    describe("bsrn", 2, BSRNConfig(16, 2, esa=False, channel_attention="none"), parameters=0),
    describe("bsrn", 2, BSRNConfig(16, 2, conv="conv", esa=False, channel_attention="weight"), parameters=0),
    describe("safmn", 2, SAFMNConfig(12, 2, multi_scale=False), parameters=0),
)


@pytest.mark.parametrize(
    "spec", [SPECS["bicubic_x3"], *LOCAL_VARIANTS], ids=lambda spec: f"{spec.family}_{spec.reach}"
)
def test_reach_is_exactly_as_far_as_a_pixel_has_influence(spec: ModelSpec) -> None:
    assert spec.reach is not None
    torch.manual_seed(0)
    network = families.build(spec).double().eval()
    side = 2 * spec.reach + 5
    centre = spec.reach + 2
    image = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    # The derivative, unlike a difference, keeps influences that vanish in rounding.
    rows = slice(centre * spec.scale, (centre + 1) * spec.scale)
    network(image)[..., rows, rows].sum().backward()
    assert image.grad is not None
    touched = image.grad.abs().sum(dim=(0, 1)).nonzero()
    distance = (touched - centre).abs()
    assert int(distance.max()) == spec.reach


@pytest.mark.parametrize("name", ["safmn_x2", "bsrn_s_x4", "bsrn_x2", "maffsrn_x2"])
def test_networks_with_whole_image_layers_have_no_reach(name: str) -> None:
    assert SPECS[name].reach is None
    assert SPECS[name].overlap > 0


def test_values_are_in_the_range_of_the_papers() -> None:
    assert {spec.family for spec in SPECS.values() if spec.value_range == 255} == {"fmen"}
    assert {spec.value_range for spec in SPECS.values()} == {1.0, 255.0}


def test_a_spec_is_found_by_its_hyper_parameters() -> None:
    for spec in SPECS.values():
        assert known_spec(spec.family, spec.scale, spec.config) is spec
    assert known_spec("safmn", 2, SAFMNConfig(channels=40)) is None


def test_specs_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SPECS["bsrn_x4"].scale = 3  # type: ignore[misc]  # that it is refused is the test
    with pytest.raises(TypeError):
        SPECS["bsrn_x5"] = SPECS["bsrn_x4"]  # type: ignore[index]  # that it is refused is the test


@pytest.mark.parametrize("module", ["spec", "manifest", "download", "errors", "keys"])
def test_lists_answer_without_torch(module: str) -> None:
    code = f"import sys, srviewer.zoo.{module}; print(sorted({{'torch', 'numpy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_bicubic_tiles_see_all_that_bicubic_reads() -> None:
    spec = SPECS["bicubic_x3"]
    assert spec.overlap == spec.reach
    assert spec.overlap > 0
