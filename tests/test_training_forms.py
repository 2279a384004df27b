"""Forms of networks in training: collapsed, guarded, unfused, begun from other weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn
from training_pictures import picture

from srviewer import networks
from srviewer.networks.fmen import RRRB
from srviewer.networks.maffsrn import MAB
from srviewer.training.errors import TrainingError
from srviewer.training.float32_ends import Float32, bare, guard_ends
from srviewer.training.patches import PatchBank, PicturePair
from srviewer.training.recipes import FirstWeights
from srviewer.training.start import starting_network
from srviewer.training.unfusing import unfused
from srviewer.zoo import families
from srviewer.zoo.checkpoint import write_checkpoint
from srviewer.zoo.spec import SPECS


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the range of what is expected."""
    return float((found - expected).abs().max() / (expected.max() - expected.min()))


def bank(scale: int = 4) -> PatchBank:
    pixels = picture(0, 48 * scale, 40 * scale)
    return PatchBank([PicturePair("p", pixels[::scale, ::scale].copy(), pixels)], scale)


def moved(network: nn.Module) -> nn.Module:
    """Give batch norms statistics and parameters that do something, as training does."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-1, 1)
    return network.eval()


def test_a_collapsed_block_computes_the_same_with_the_same_gradients() -> None:
    torch.manual_seed(0)
    block = RRRB(channels=6).double()
    x = torch.randn(2, 6, 7, 5, dtype=torch.float64)  # most of it is border
    weights = torch.randn(2, 6, 7, 5, dtype=torch.float64)
    outputs, gradients = [], []
    for training in (True, False):
        block.train(training).zero_grad()
        given = x.clone().requires_grad_()
        output = block(given)
        (output * weights).sum().backward()
        outputs.append(output.detach())
        found = [parameter.grad for parameter in block.parameters()]
        gradients.append([given.grad, *found])
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_collapsed_block_merges_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    block = RRRB(channels=8).train()
    x = torch.randn(1, 8, 12, 12)
    with torch.no_grad():
        exact = block(x)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = block(x)
    assert rounded.dtype == torch.float32  # the skip is not rounded
    assert 0 < relative(rounded, exact) < 0.005


@pytest.mark.parametrize("model", ["fmen_s_x4", "bsrn_s_x4", "safmn_x2", "maffsrn_x2"])
def test_guarded_ends_change_nothing_in_float32_and_much_in_bfloat16(model: str) -> None:
    torch.manual_seed(0)
    spec = SPECS[model]
    plain = families.build(spec).eval()
    guarded = families.build(spec).eval()
    guarded.load_state_dict(plain.state_dict())
    guard_ends(guarded, spec.family)
    wrapped = [name for name, layer in guarded.named_children() if isinstance(layer, Float32)]
    assert len(wrapped) >= 2
    x = torch.rand(1, 3, 24, 24) * spec.value_range
    with torch.no_grad():
        expected = plain(x)
        assert relative(guarded(x), expected) < 1e-6
        with torch.autocast("cpu", torch.bfloat16):
            assert guarded(x).dtype == torch.float32
    freed = bare(guarded)
    assert list(freed.state_dict()) == list(plain.state_dict())
    assert isinstance(getattr(guarded, wrapped[0]), Float32)  # the network itself stays as it is


@pytest.mark.parametrize("block", ["erb", "rb"])
def test_a_fused_fmen_taken_up_gives_the_same(block: Literal["erb", "rb"]) -> None:
    torch.manual_seed(0)
    trained = moved(networks.FMEN(scale=2, channels=12, attention_channels=6, block=block))
    fused = networks.fused(trained)
    sample = torch.rand(4, 3, 24, 24) * 255
    again = unfused(fused, sample)
    x = torch.rand(2, 3, 19, 23) * 255
    with torch.no_grad():
        expected = fused(x)
        assert relative(again(x), expected) < 1e-5
        assert relative(networks.fused(again)(x), expected) < 1e-5
        # And nearly so by the statistics of a batch, or training would begin with a jump.
        assert relative(again.train()(sample), fused(sample)) < 0.02
    assert {name: value.shape for name, value in again.state_dict().items()} == {
        name: value.shape for name, value in trained.state_dict().items()
    }


def test_what_a_fused_fmen_leaves_open_can_learn() -> None:
    torch.manual_seed(0)
    fused = networks.fused(moved(networks.FMEN(scale=2, channels=12, attention_channels=6)))
    again = unfused(fused, torch.rand(2, 3, 16, 16) * 255).train()
    again(torch.rand(2, 3, 16, 16) * 255).square().mean().backward()
    block = next(module for module in again.modules() if isinstance(module, RRRB))
    assert block.reduce.weight.grad is not None
    assert float(block.reduce.weight.grad[:, 12:].abs().min()) > 0


def test_a_fused_maffsrn_taken_up_gives_the_same() -> None:
    torch.manual_seed(0)
    trained = networks.MAFFSRN(scale=3, blocks=2).eval()
    with torch.no_grad():
        for name, parameter in trained.named_parameters():
            if name.endswith("_scale"):
                parameter.uniform_(0.3, 1.4)
    fused = networks.fused(trained)
    again = unfused(fused, torch.rand(1, 3, 16, 16))
    x = torch.rand(1, 3, 21, 26)
    with torch.no_grad():
        assert relative(again(x), fused(x)) < 1e-5
        assert relative(networks.fused(again)(x), fused(x)) < 1e-5
    again.train()(x).square().mean().backward()
    gradients = dict(again.named_parameters())
    assert gradients["tail3.g"].grad is not None
    assert float(gradients["tail3.g"].grad.abs().max()) > 0  # the tail that is nothing can grow


@pytest.mark.parametrize("model", ["safmn_x2", "bsrn_s_x4"])
def test_networks_that_fusing_leaves_alone_are_taken_up_as_they_are(model: str) -> None:
    torch.manual_seed(0)
    network = families.build(SPECS[model])
    again = unfused(networks.fused(network), torch.rand(1, 3, 16, 16))
    torch.testing.assert_close(dict(again.state_dict()), dict(network.state_dict()))


def written(path: Path, model: str) -> str:
    torch.manual_seed(5)
    network = networks.fused(moved(families.build(SPECS[model])))
    write_checkpoint(network.state_dict(), path, {})
    return str(path)


@pytest.mark.parametrize("model", ["fmen_s_x4", "bsrn_s_x4"])
def test_a_training_begins_exactly_where_a_file_ends(tmp_path: Path, model: str) -> None:
    spec = SPECS[model]
    file = written(tmp_path / "w.safetensors", model)
    begun = starting_network(spec, file, bank())
    assert begun.training
    x = torch.rand(1, 3, 24, 30) * spec.value_range
    fused = networks.fused(begun)
    with torch.no_grad():
        expected = families.fused_network(
            families.recognise(dict(fused.state_dict()))  # our names are read as they are
        )(x)
        stored = families.fused_network(families.recognise(_state(file)))(x)
        assert relative(begun.eval()(x), stored) < 1e-5
        assert relative(expected, stored) < 1e-5


@pytest.mark.parametrize(("model", "torchs"), [("bsrn_s_x4", 0.5), ("maffsrn_x4", 0.2)])
def test_even_weights_keep_the_variance_of_features(model: str, torchs: float) -> None:
    def spread(first_weights: FirstWeights) -> float:
        torch.manual_seed(0)
        network = starting_network(SPECS[model], None, bank(), first_weights)
        if isinstance(network, networks.BSRN):
            layer: nn.Module = network.smooth
            width = 48
        else:
            assert isinstance(network, networks.MAFFSRN)
            layer, width = next(module for module in network.modules() if isinstance(module, MAB)), 32
        with torch.no_grad():
            x = torch.randn(4, width, 24, 24)
            return float(layer(x).std() / x.std())

    assert spread("even") == pytest.approx(1, abs=0.35)
    assert spread("torch") < torchs


def test_another_scale_gives_its_trunk(tmp_path: Path) -> None:
    file = written(tmp_path / "w.safetensors", "fmen_x2")
    stored = _state(file)
    torch.manual_seed(1)
    begun = networks.fused(starting_network(SPECS["fmen_x3"], file, bank(3))).state_dict()
    torch.manual_seed(1)
    fresh = families.build(SPECS["fmen_x3"]).state_dict()
    for name, value in stored.items():
        if name.startswith("tail."):
            torch.testing.assert_close(begun[name], fresh[name])
        else:
            assert relative(begun[name], value) < 1e-5


def test_a_network_of_another_kind_is_no_beginning(tmp_path: Path) -> None:
    file = written(tmp_path / "w.safetensors", "bsrn_s_x4")
    with pytest.raises(TrainingError, match="holds BSRN-S x4, which is no beginning for bsrn_x4"):
        starting_network(SPECS["bsrn_x4"], file, bank())
    with pytest.raises(TrainingError, match="has no weights"):
        starting_network(SPECS["bsrn_x4"], "bicubic_x4", bank())


def _state(file: str) -> dict[str, Tensor]:
    from srviewer.zoo.checkpoint import read_checkpoint

    return read_checkpoint(file)
