from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srviewer.networks import BSRN, FMEN, MAFFSRN, SAFMN, Bicubic, fused
from srviewer.networks.fmen import HFAB, BlockKind
from srviewer.networks.fusion import (
    Kernel,
    batch_norm_kernel,
    beside,
    chain,
    identity_kernel,
    kernel,
    kernel_of,
    parallel,
    scaled,
    weight_normed,
)

SIZES = [(1, 1), (5, 3), (16, 16), (13, 22)]
SMALL: dict[str, Callable[[], nn.Module]] = {
    "fmen": lambda: FMEN(scale=2, channels=8, attention_channels=4),
    "maffsrn": lambda: MAFFSRN(scale=2, channels=8, blocks=1),
    "safmn": lambda: SAFMN(scale=2, channels=8, blocks=1),
    "bsrn": lambda: BSRN(scale=2, channels=16, blocks=1),
    "bicubic": lambda: Bicubic(scale=2),
}


def randomised(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and statistic a value of its own, as training would, in float64."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.copy_(torch.randn(module.num_features, generator=generator))
                module.running_var.copy_(0.5 + torch.rand(module.num_features, generator=generator))
    return model


def picture(height: int, width: int, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(height * 1000 + width)
    return torch.rand(2, channels, height, width, generator=generator, dtype=torch.float64)


def assert_same(left: Tensor, right: Tensor) -> None:
    """Equal to 1e-10 of the range, and far from a trivial result."""
    spread = (left.max() - left.min()).item()
    assert spread > 1e-3
    assert (left - right).abs().max().item() < 1e-10 * spread


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_fmen_s_fuses_exactly(scale: int, height: int, width: int) -> None:
    training = randomised(FMEN(scale=scale), seed=scale)
    merged = fused(training)
    image = 255 * picture(height, width)
    with torch.inference_mode():
        assert_same(training(image), merged(image))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in merged.modules())


def test_full_fmen_fuses_exactly() -> None:
    training = randomised(
        FMEN(
            scale=3,
            channels=64,
            attention_channels=32,
            warmup_attention_channels=32,
            attention_depths=(2, 2, 2, 2, 2),
        )
    )
    with torch.inference_mode():
        assert_same(training(picture(11, 9)), fused(training)(picture(11, 9)))


@pytest.mark.parametrize("block", ["rb", "conv"])
def test_fmen_with_plain_blocks_fuses_exactly(block: BlockKind) -> None:
    training = randomised(FMEN(scale=2, channels=12, attention_channels=6, block=block))
    with torch.inference_mode():
        assert_same(training(picture(7, 9)), fused(training)(picture(7, 9)))


def test_zero_padding_instead_of_batch_norm_borders_would_be_seen() -> None:
    # The witness that the borders of the tests above do test something.
    training = randomised(HFAB(channels=8, attention_channels=4, depth=1))
    assert isinstance(training, HFAB)
    merged = training.fuse()
    image = picture(9, 9, channels=8)
    with torch.inference_mode():
        zero_padded = training.bn1(image)
        inner = training.activation(
            F.conv2d(zero_padded, training.squeeze.weight, training.squeeze.bias, padding=1)
        )
        right = merged.activation(merged.squeeze(image))
    assert (inner - right)[..., 1:-1, 1:-1].abs().max() < 1e-12
    assert (inner - right).abs().max() > 1e-3


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("height", "width"), [(13, 13), (14, 21), (32, 25)])
def test_maffsrn_fuses_exactly(scale: int, height: int, width: int) -> None:
    training = randomised(MAFFSRN(scale=scale, blocks=2), seed=scale)
    merged = fused(training)
    image = picture(height, width)
    with torch.inference_mode():
        assert_same(training(image), merged(image))
    assert isinstance(merged, MAFFSRN)
    assert merged.tail.weight.shape == (3 * scale**2, 32, 5, 5)
    assert sum(1 for name, _ in merged.named_modules() if name.startswith("tail")) == 1


@pytest.mark.parametrize("kind", SMALL)
def test_fused_leaves_its_argument_alone_and_gives_an_evaluation_copy(kind: str) -> None:
    model = SMALL[kind]()
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    merged = fused(model)
    assert type(merged) is type(model)
    assert merged is not model
    assert model.training
    assert not any(module.training for module in merged.modules())
    with torch.no_grad():
        for parameter in merged.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    again = fused(merged)
    assert again is not merged
    assert list(again.state_dict()) == list(merged.state_dict())


def test_fused_keeps_the_dtype() -> None:
    for model in (FMEN(scale=2), MAFFSRN(scale=2)):
        merged = fused(model.double())
        assert {parameter.dtype for parameter in merged.parameters()} == {torch.float64}


def test_fusing_in_float32_rounds_once() -> None:
    training = randomised(FMEN(scale=2)).float()
    merged = fused(training)
    exact = fused(training.double())
    for name, value in exact.state_dict().items():
        assert torch.equal(value.float(), merged.state_dict()[name])


def test_kernels_of_any_order_of_sizes_chain() -> None:
    torch.manual_seed(1)
    small, large = nn.Conv2d(3, 5, 1).double(), nn.Conv2d(5, 4, 3).double()
    image = picture(8, 8)
    merged = chain(kernel_of(small), kernel_of(large))
    torch.testing.assert_close(F.conv2d(image, merged.weight, merged.bias), large(small(image)))
    wide, narrow = nn.Conv2d(3, 5, 3).double(), nn.Conv2d(5, 4, 1).double()
    merged = chain(kernel_of(wide), kernel_of(narrow))
    torch.testing.assert_close(F.conv2d(image, merged.weight, merged.bias), narrow(wide(image)))
    with pytest.raises(ValueError, match="sides 3 and 3"):
        chain(kernel_of(wide), kernel_of(large))


def test_sums_skips_scalars_and_concatenations_merge() -> None:
    torch.manual_seed(2)
    image, other = picture(8, 9), picture(9, 8).transpose(2, 3)
    three, five = nn.Conv2d(3, 3, 3, padding=1).double(), nn.Conv2d(3, 3, 5, padding=2).double()
    factor = torch.tensor([0.3], dtype=torch.float64)
    skip = identity_kernel(3, kernel_of(three))
    merged = parallel(scaled(kernel_of(three), factor), kernel_of(five), skip)
    torch.testing.assert_close(
        F.conv2d(image, merged.weight, merged.bias, padding=2), 0.3 * three(image) + five(image) + image
    )
    joined = beside(kernel_of(three), kernel_of(five))
    torch.testing.assert_close(
        F.conv2d(torch.cat((image, other), dim=1), joined.weight, joined.bias, padding=2),
        three(image) + five(other),
    )


def test_batch_norm_is_a_diagonal_kernel() -> None:
    norm = randomised(nn.BatchNorm2d(3))
    assert isinstance(norm, nn.BatchNorm2d)
    diagonal = batch_norm_kernel(norm)
    torch.testing.assert_close(F.conv2d(picture(4, 5), diagonal.weight, diagonal.bias), norm(picture(4, 5)))
    with pytest.raises(ValueError, match="no running statistics"):
        batch_norm_kernel(nn.BatchNorm2d(3, track_running_stats=False))


def test_weight_norm_is_that_of_torch() -> None:
    torch.manual_seed(3)
    reference = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 6, 3).double())
    g, v = (value.detach() for value in reference.parametrizations.weight.parameters())
    torch.testing.assert_close(weight_normed(2 * g, v), 2 * reference.weight)


def test_a_kernel_refuses_a_convolution_of_another_shape() -> None:
    one = kernel(torch.zeros(2, 3, 1, 1), None)
    assert isinstance(one, Kernel)
    with pytest.raises(ValueError, match="does not fit"):
        one.write_to(nn.Conv2d(3, 2, 3))
    with pytest.raises(ValueError, match="does not fit"):
        one.write_to(nn.Conv2d(3, 2, 1, bias=False))
