from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from srviewer.imaging.resize import imresize
from srviewer.networks import BSRN, FMEN, MAFFSRN, SAFMN, Bicubic, fused
from srviewer.networks.bsrn import ChannelContrast, ConvKind
from srviewer.networks.safmn import ChannelLayerNorm, GridMaxPool, NormKind

Maker = Callable[[int], nn.Module]

NETWORKS: dict[str, Maker] = {
    "fmen_s": lambda scale: FMEN(scale=scale),
    "fmen_s_fused": lambda scale: FMEN(scale=scale, fused=True),
    "fmen_rb": lambda scale: FMEN(scale=scale, channels=16, attention_channels=8, block="rb"),
    "fmen_conv": lambda scale: FMEN(scale=scale, channels=16, attention_channels=8, block="conv"),
    "maffsrn": lambda scale: MAFFSRN(scale=scale, blocks=2),
    "maffsrn_fused": lambda scale: MAFFSRN(scale=scale, blocks=2, fused=True),
    "safmn": lambda scale: SAFMN(scale=scale, blocks=2),
    "bsrn": lambda scale: BSRN(scale=scale, blocks=2),
    "bsrn_s": lambda scale: BSRN(
        scale=scale,
        channels=48,
        blocks=2,
        channel_attention="weight",
        pointwise_bias=True,
        esa_stride_conv="conv",
    ),
    "bicubic": lambda scale: Bicubic(scale=scale),
}

TINY: dict[str, Callable[[], nn.Module]] = {
    "fmen": lambda: FMEN(scale=2, channels=4, attention_channels=2, warmup_attention_channels=2),
    "fmen_fused": lambda: FMEN(
        scale=2, channels=4, attention_channels=2, warmup_attention_channels=2, fused=True
    ),
    "maffsrn": lambda: MAFFSRN(scale=2, channels=4, blocks=1),
    "maffsrn_fused": lambda: MAFFSRN(scale=2, channels=4, blocks=1, fused=True),
    "safmn": lambda: SAFMN(scale=2, channels=4, blocks=1),
    "bsrn": lambda: BSRN(scale=2, channels=16, blocks=1),
    "bicubic": lambda: Bicubic(scale=2),
}


def made(name: str, scale: int = 2) -> nn.Module:
    torch.manual_seed(0)
    return NETWORKS[name](scale).eval()


def picture(height: int, width: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_network_enlarges_by_its_scale(name: str, scale: int) -> None:
    with torch.inference_mode():
        result = made(name, scale)(picture(17, 22))
    assert result.shape == (1, 3, 17 * scale, 22 * scale)
    assert result.isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_memory_format_and_batching_change_nothing(name: str) -> None:
    network = made(name).double()
    batch = torch.cat((picture(24, 19, torch.float64), picture(24, 19, torch.float64, seed=1)))
    with torch.inference_mode():
        plain = network(batch)
        last = network(batch.contiguous(memory_format=torch.channels_last))
        single = network(batch[1:])
    torch.testing.assert_close(last, plain, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(single, plain[1:], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_stays_close_and_finite(name: str, dtype: torch.dtype) -> None:
    network = made(name)
    image = picture(32, 40)
    with torch.inference_mode():
        exact = network(image)
        low = network.to(dtype)(image.to(dtype).contiguous(memory_format=torch.channels_last))
    assert low.dtype == dtype
    error = (low.float() - exact).square().mean().sqrt() / (exact.max() - exact.min())
    assert error < 10 ** (-42 / 20)


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_flow_to_the_input_and_every_parameter(name: str) -> None:
    network = made(name).double()
    image = picture(16, 17, torch.float64).requires_grad_()
    network(image).square().sum().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()
    # Each input pixel counts somewhere.
    assert (image.grad.abs().sum(dim=1) > 0).all()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize("name", TINY)
def test_gradients_are_right(name: str) -> None:
    torch.manual_seed(0)
    network = TINY[name]().double().eval()
    side = 15 if name == "bsrn" else 13
    image = picture(side, side + 1, torch.float64, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(network, (image,), fast_mode=True, atol=1e-6)


def test_gradient_of_a_constant_channel_is_not_nan() -> None:
    flat = torch.full((1, 2, 4, 4), 0.25, requires_grad=True)
    ChannelContrast()(flat).sum().backward()
    assert flat.grad is not None
    torch.testing.assert_close(flat.grad, torch.full_like(flat, 1 / 16))


def test_channel_contrast_is_biased_deviation_plus_mean() -> None:
    x = picture(9, 7, torch.float64)
    expected = x.numpy().std(axis=(2, 3), keepdims=True) + x.numpy().mean(axis=(2, 3), keepdims=True)
    np.testing.assert_allclose(ChannelContrast()(x).numpy(), expected, rtol=1e-12)
    # In low precision the sums are wide: 200,000 values near 1 would otherwise stop at 256.
    assert ChannelContrast()(torch.ones(1, 1, 400, 500, dtype=torch.bfloat16)).item() == 1


def test_training_uses_batch_statistics_and_evaluation_does_not() -> None:
    torch.manual_seed(0)
    network = FMEN(scale=2, channels=8, attention_channels=4)
    batch = torch.cat((picture(12, 12), picture(12, 12, seed=1)))
    network.train()
    network(batch)
    assert network.hfabs[0].get_buffer("bn1.num_batches_tracked") == 1
    network.eval()
    assert not torch.equal(network(batch), network.train()(batch))


@pytest.mark.parametrize("conv", ["bsconv", "bsconv_s", "dsconv", "conv"])
def test_bsrn_of_other_convolutions(conv: ConvKind) -> None:
    network = BSRN(scale=2, channels=32, blocks=1, conv=conv)
    depthwise = [
        module for module in network.modules() if isinstance(module, nn.Conv2d) and module.groups > 1
    ]
    assert bool(depthwise) == (conv != "conv")
    assert network(picture(15, 15)).shape == (1, 3, 30, 30)
    unattended = BSRN(scale=2, channels=32, blocks=1, conv=conv, esa=False, channel_attention="none")
    assert unattended(picture(1, 1)).shape == (1, 3, 2, 2)


def test_separable_convolutions_of_one_width_weigh_the_same() -> None:
    def parameters(conv: ConvKind) -> int:
        return sum(
            p.numel() for p in BSRN(scale=4, conv=conv).blocks[0].get_submodule("refine1").parameters()
        )

    assert parameters("bsconv") == parameters("dsconv") == 64 * 64 + 9 * 64 + 64
    assert parameters("bsconv_s") == 2 * 16 * 64 + 9 * 64 + 64
    assert parameters("conv") == 9 * 64 * 64 + 64


@pytest.mark.parametrize("norm", ["layer", "batch", "instance", "none"])
def test_safmn_of_other_normalisations(norm: NormKind) -> None:
    network = SAFMN(scale=2, channels=8, blocks=1, norm=norm)
    assert network(picture(9, 9)).isfinite().all()
    assert sum("norm" in name for name, _ in network.named_parameters()) == (0 if norm == "none" else 4)


def test_safmn_switches_do_what_they_say() -> None:
    torch.manual_seed(0)
    whole = SAFMN(scale=2, channels=8, blocks=1).eval()
    image = picture(16, 16)
    for changed in (
        SAFMN(scale=2, channels=8, blocks=1, modulation=False),
        SAFMN(scale=2, channels=8, blocks=1, multi_scale=False),
    ):
        changed.load_state_dict(whole.state_dict())
        assert not torch.allclose(changed(image), whole(image), atol=1e-5)
    bare = SAFMN(scale=2, channels=8, blocks=1, aggregation=False)
    assert set(whole.state_dict()) - set(bare.state_dict()) == {
        "blocks.0.safm.aggregation.weight",
        "blocks.0.safm.aggregation.bias",
    }
    # Without scales nothing is pooled, so any picture will do and far pixels do not matter.
    local = SAFMN(scale=2, channels=8, blocks=1, multi_scale=False).eval()
    far = image.clone()
    far[..., 12:, :] = 0
    torch.testing.assert_close(local(far)[..., :16, :], local(image)[..., :16, :])
    assert not torch.equal(whole(far)[..., :16, :], whole(image)[..., :16, :])
    assert local(picture(1, 1)).shape == (1, 3, 2, 2)
    with pytest.raises(ValueError, match="do not split"):
        SAFMN(scale=2, channels=10)


@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 24), (16, 31), (9, 8)])
@pytest.mark.parametrize("divisor", [2, 4, 8])
def test_grid_pooling_is_adaptive_pooling(divisor: int, height: int, width: int) -> None:
    x = picture(height, width)
    expected = nn.functional.adaptive_max_pool2d(x, (height // divisor, width // divisor))
    assert torch.equal(GridMaxPool(divisor=divisor)(x), expected)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_channel_layer_norm_keeps_the_memory_format(memory_format: torch.memory_format) -> None:
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64).contiguous(memory_format=memory_format)
    norm = ChannelLayerNorm(8).double()
    result = norm(x)
    assert result.is_contiguous(memory_format=memory_format)
    mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
    torch.testing.assert_close(result, (x - mean) / torch.sqrt(variance + 1e-6))


def test_maps_can_be_hooked() -> None:
    seen: dict[str, torch.Size] = {}

    def watched(network: nn.Module, names: list[str]) -> None:
        seen.clear()
        modules = dict(network.named_modules())
        for name in names:
            modules[name].register_forward_hook(
                lambda _m, _i, output, name=name: seen.update({name: output.shape})
            )
        network(picture(24, 24))

    watched(fused(made("fmen_s")), ["blocks.3", "hfabs.0", "hfabs.3.attention", "warmup_hfab.attention"])
    assert set(seen.values()) == {torch.Size((1, 50, 24, 24))}
    watched(
        made("maffsrn"),
        ["ffgs.1", "ffgs.1.mabs.3", "ffgs.0.mabs.0.attention", "ffgs.0.mabs.0.local_attention"],
    )
    assert set(seen.values()) == {torch.Size((1, 32, 24, 24))}
    watched(made("safmn"), [f"blocks.1.safm.scales.{level}" for level in range(4)])
    assert set(seen.values()) == {torch.Size((1, 9, 24, 24))}
    watched(made("safmn"), ["blocks.1.safm.scales.3.pool", "blocks.1.safm.activation"])
    assert list(seen.values()) == [torch.Size((1, 9, 3, 3)), torch.Size((1, 36, 24, 24))]
    watched(made("bsrn"), ["blocks.0.esa.coarse.pool", "blocks.0.channel_attention.statistics"])
    assert list(seen.values()) == [torch.Size((1, 16, 2, 2)), torch.Size((1, 64, 1, 1))]
    watched(
        made("bsrn"), ["blocks.0.esa.attention", "blocks.0.esa", "blocks.0.channel_attention", "blocks.0"]
    )
    assert set(seen.values()) == {torch.Size((1, 64, 24, 24))}
    assert len(seen) == 4


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (11, 8)])
def test_bicubic_is_imresize(scale: int, height: int, width: int) -> None:
    image = picture(height, width, torch.float64)
    expected = imresize(image[0].permute(1, 2, 0).numpy(), scale)
    result = Bicubic(scale=scale)(image)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


def test_bicubic_keeps_constants_ramps_and_overshoot() -> None:
    bicubic = Bicubic(scale=4)
    assert list(bicubic.state_dict()) == []
    flat = torch.full((1, 3, 5, 6), 0.7, dtype=torch.float64)
    torch.testing.assert_close(bicubic(flat), torch.full((1, 3, 20, 24), 0.7, dtype=torch.float64))
    # The cubic kernel of a = -1/2 reproduces straight lines away from the borders.
    ramp = torch.arange(9, dtype=torch.float64).expand(1, 3, 9, 9)
    positions = (torch.arange(36, dtype=torch.float64) + 0.5) / 4 - 0.5
    torch.testing.assert_close(bicubic(ramp)[0, 0, 18, 8:-8], positions[8:-8])
    edge = torch.cat((torch.zeros(1, 3, 8, 4), torch.ones(1, 3, 8, 4)), dim=3)
    assert bicubic(edge).max() > 1.02
    assert bicubic(edge).min() < -0.02


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_bicubic_rounds_only_its_result(dtype: torch.dtype) -> None:
    image = picture(9, 9, dtype)
    assert torch.equal(Bicubic(scale=3).to(dtype)(image), Bicubic(scale=3)(image.float()).to(dtype))
