"""Our networks with the authors' weights against the authors' outputs, and fused against unfused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from srviewer import networks
from srviewer.zoo import families
from srviewer.zoo.checkpoint import read_checkpoint
from srviewer.zoo.spec import SPECS, FMENConfig, MAFFSRNConfig, ModelSpec, describe

FILES = {
    "bsrn_s_x4_authors": "bsrn_s_x4",
    "bsrn_x4_authors": "bsrn_x4",
    "fmen_s_x4_training_form_random": "fmen_s_x4",
    "maffsrn_l_x2_random": "maffsrn_l_x2",
    "maffsrn_x4_random": "maffsrn_x4",
    "safmn_x2_random": "safmn_x2",
    "safmn_x4_random": "safmn_x4",
}


def relative_error(found: Tensor, expected: Tensor) -> float:
    span = expected.max() - expected.min()
    return float((found - expected).abs().max() / span)


def weights_in(content: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        key.removeprefix("weights."): value
        for key, value in content.items()
        if key.startswith("weights.") and value.is_floating_point()
    }


@pytest.mark.parametrize("fused", [False, True], ids=["as stored", "fused"])
@pytest.mark.parametrize("name", sorted(FILES))
def test_outputs_equal_the_authors(reference: Path, name: str, fused: bool) -> None:
    path = reference / "parity" / f"{name}.safetensors"
    content = load_file(path)
    read = families.recognise(weights_in(content), path)
    assert read.spec is SPECS[FILES[name]]
    network = (families.fused_network if fused else families.network)(read).double()
    inputs = sorted(key for key in content if key.startswith("input."))
    assert inputs
    for key in inputs:
        with torch.inference_mode():
            found = network(content[key].double())
        assert relative_error(found, content[key.replace("input", "output")].double()) < 1e-5


def test_every_parity_file_is_tested(reference: Path) -> None:
    assert {path.stem for path in (reference / "parity").glob("*.safetensors")} == set(FILES)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("fmen_s_x4.pt", "fmen_s_x4"),
        ("fmen_s_x4_ntire.pth", "fmen_s_x4"),
        ("bsrn_x4.pth", "bsrn_x4"),
        ("bsrn_s_x4.pth", "bsrn_s_x4"),
    ],
)
def test_the_authors_checkpoints_load(reference: Path, file: str, expected: str) -> None:
    path = reference / "weights" / file
    read = families.recognise(read_checkpoint(path), path)
    assert read.spec is SPECS[expected]
    assert read.fused
    with torch.inference_mode():
        assert families.fused_network(read)(torch.rand(1, 3, 17, 16)).isfinite().all()


def unsettled(network: nn.Module) -> nn.Module:
    """Give all parameters and statistics values that no initialisation has."""
    generator = torch.Generator().manual_seed(1)
    for key, value in network.state_dict().items():
        if key.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        elif value.is_floating_point() and value.ndim < 2:
            value.copy_(torch.randn(value.shape, generator=generator) * 0.3 + 0.2)
    return network.double().eval()


VARIANTS = (
    *(SPECS[f"fmen_x{scale}"] for scale in (2, 3, 4)),
    SPECS["fmen_s_x4"],
    describe("fmen", 3, FMENConfig(20, 12, 8, (1, 2, 0, 1, 3)), parameters=0),
    describe("fmen", 2, FMENConfig(20, 12, 8, (1, 1, 1, 1, 1), block="rb"), parameters=0),
    describe("fmen", 2, FMENConfig(20, 12, 8, (1, 1, 1, 1, 1), block="conv"), parameters=0),
    *(SPECS[f"maffsrn_x{scale}"] for scale in (2, 3, 4)),
    describe("maffsrn", 2, MAFFSRNConfig(channels=16, blocks=2), parameters=0),
)


@pytest.mark.parametrize("spec", VARIANTS, ids=lambda spec: spec.id)
@pytest.mark.parametrize("size", [(13, 13), (17, 22)], ids=str)
def test_fused_equals_unfused_up_to_the_border(spec: ModelSpec, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = unsettled(families.build(spec))
    image = torch.rand(1, 3, *size, dtype=torch.float64)
    with torch.inference_mode():
        expected = network(image)
        assert relative_error(networks.fused(network)(image), expected) < 1e-10
