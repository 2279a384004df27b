"""Merged convolutions against the plain ones they stand for, and the heap they work on."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from srviewer.engine.backends import EagerTorch
from srviewer.engine.device import choose_device, wide_vectors
from srviewer.engine.heap import keep_freed_memory
from srviewer.engine.merged import (
    ChainedConv,
    ColoursLastShuffle,
    ConvActivation,
    ConvSum,
    SplitConv,
    chains_well,
    merging_works,
    split_weights,
    wastes_lanes,
    with_colours_last,
)
from srviewer.engine.mixed import mixed
from srviewer.networks.fusion import fused
from srviewer.zoo import families
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.spec import SPECS

pytestmark = pytest.mark.skipif(not merging_works(torch.float32), reason="torch without merged convolutions")


def convolution(inputs: int, outputs: int, *, bias: bool = True) -> nn.Conv2d:
    torch.manual_seed(inputs * 100 + outputs)
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias).requires_grad_(False)


def picture(channels: int, height: int, width: int) -> Tensor:
    torch.manual_seed(height * 1000 + width)
    return torch.randn(1, channels, height, width).contiguous(memory_format=torch.channels_last)


@given(
    rest=st.integers(1, 4),
    height=st.integers(1, 9),
    width=st.integers(1, 35),
    bias=st.booleans(),
    adding=st.booleans(),
)
def test_a_split_convolution_is_the_whole_one(
    rest: int, height: int, width: int, bias: bool, adding: bool
) -> None:
    conv, x = convolution(32, 16 + rest, bias=bias), picture(32, height, width)
    assert wastes_lanes(conv)
    other = picture(16 + rest, height, width)
    activation = nn.LeakyReLU(0.1)
    expected = activation(conv(x))
    found = SplitConv(conv, activation)(x, other if adding else None)
    expected = expected + other if adding else expected
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_is_not_split() -> None:
    assert wastes_lanes(convolution(50, 50))
    assert not wastes_lanes(convolution(50, 48))
    assert not wastes_lanes(convolution(50, 56))
    assert not wastes_lanes(convolution(16, 50))
    assert not wastes_lanes(nn.Conv2d(50, 50, 1))
    assert not wastes_lanes(nn.Conv2d(50, 50, 3, stride=2, padding=1))
    split = split_weights(convolution(50, 50, bias=False))
    assert (split.rest, split.rows, split.columns, split.last_bias) == (2, 2, 4, None)
    assert split.last.shape == (16, 50, 4, 6)


@given(factor=st.integers(2, 4), height=st.integers(1, 5), width=st.integers(1, 5), bias=st.booleans())
def test_a_shuffle_with_the_colours_last_is_a_pixel_shuffle(
    factor: int, height: int, width: int, bias: bool
) -> None:
    conv, x = convolution(5, 3 * factor**2, bias=bias), picture(5, height, width)
    found = ColoursLastShuffle(factor)(with_colours_last(conv, factor)(x))
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, nn.PixelShuffle(factor)(conv(x)), rtol=1e-4, atol=1e-5)
    planes = with_colours_last(conv, factor)(x).contiguous()
    torch.testing.assert_close(ColoursLastShuffle(factor)(planes), found)


@given(height=st.integers(1, 9), width=st.integers(1, 9), biases=st.tuples(st.booleans(), st.booleans()))
def test_chained_convolutions_are_both_up_to_the_edge(
    height: int, width: int, biases: tuple[bool, bool]
) -> None:
    first, second = convolution(3, 32, bias=biases[0]), convolution(32, 8, bias=biases[1])
    assert chains_well(first, second)
    x = picture(3, height, width)
    made = first(x)
    chained = ChainedConv(first, second, torch.float32)
    torch.testing.assert_close(chained(x, made), second(made), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not merging_works(torch.bfloat16), reason="no bfloat16 here")
def test_chained_convolutions_round_no_more_than_both() -> None:
    first, second = convolution(3, 32), convolution(32, 8)
    # Differences of neighbours, of a picture that is nearly flat: what 8 bits of a weight lose is felt.
    first.weight.copy_(20 * first.weight.mean((2, 3), keepdim=True).expand_as(first.weight))
    first.weight[:, :, 1, 1] *= -8
    x = (0.7 + 0.02 * picture(3, 20, 30)).bfloat16()
    exact = second(first(x.float()))
    chained = ChainedConv(first, second, torch.bfloat16).bfloat16()
    made = first.bfloat16()(x)
    error = (chained(x, made).float() - exact).square().mean()
    assert error <= (second.bfloat16()(made).float() - exact).square().mean()


def test_what_is_not_chained() -> None:
    assert not chains_well(convolution(12, 32), convolution(32, 8))
    assert not chains_well(convolution(3, 32), nn.Conv2d(32, 8, 1))
    assert not chains_well(nn.Identity(), convolution(32, 8))


@pytest.mark.parametrize(
    "activation", [None, nn.LeakyReLU(0.2), nn.ReLU(), nn.GELU(), nn.GELU("tanh"), nn.Sigmoid()]
)
def test_activations_and_sums_are_those_of_torch(activation: nn.Module | None) -> None:
    conv, x = convolution(5, 7), picture(5, 6, 8)
    expected = conv(x) if activation is None else activation(conv(x))
    torch.testing.assert_close(ConvActivation(conv, activation)(x), expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ConvSum(conv)(x, expected), conv(x) + expected, rtol=1e-4, atol=1e-5)


def test_copies_of_merged_convolutions_that_have_run_give_the_same() -> None:
    conv, x = convolution(5, 7), picture(5, 6, 8)
    for merged in (ConvActivation(conv, nn.ReLU()), ConvSum(conv)):
        arguments = (x,) if isinstance(merged, ConvActivation) else (x, picture(7, 6, 8))
        expected = merged(*arguments)
        assert torch.equal(merged(*arguments), expected)
        assert torch.equal(copy.deepcopy(merged)(*arguments), expected)
        other = merged(*(torch.cat((one, one), 3) for one in arguments))  # packed for another size
        torch.testing.assert_close(other[..., :7], expected[..., :7], rtol=1e-4, atol=1e-5)


def test_fmen_is_merged_in_every_way() -> None:
    torch.manual_seed(0)
    spec = SPECS["fmen_s_x4"]
    network = fused(families.build(spec)).requires_grad_(False)
    if not merging_works(torch.bfloat16):
        pytest.skip("no bfloat16 here")
    graph = mixed(network, spec, torch.bfloat16, merge=True)
    assert graph is not None
    used = [str(node.target) for node in graph.graph.nodes if node.op == "call_module"]
    kinds = {type(graph.get_submodule(name)) for name in used}
    assert {ChainedConv, ConvActivation, ColoursLastShuffle} <= kinds
    assert (SplitConv in kinds) == wide_vectors()
    plain = mixed(network, spec, torch.bfloat16, merge=False)
    assert plain is not None
    # Random weights give a flat picture: what is compared is how far each is from fp32.
    x = torch.rand(1, 3, 31, 45).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        exact = LoadedModel("fmen_s_x4", spec, network, "random")(x)
        merged_error, plain_error = ((one(x).float() - exact).square().mean() for one in (graph, plain))
    assert merged_error <= 1.3 * plain_error


FAULTS = """
import resource
from concurrent.futures import ThreadPoolExecutor
from srviewer.engine import backends, heap
if {keep}:
    heap.keep_freed_memory()
else:
    backends.keep_freed_memory = lambda: False
import torch
from srviewer.engine.device import choose_device
from srviewer.zoo.model import load_model

runner = backends.EagerTorch().prepare(load_model("safmn_x4@shipped"), choose_device("cpu"), "fp32")

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    with torch.inference_mode():
        runner(torch.zeros(1, 3, 180, 320))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

with ThreadPoolExecutor(1) as pool:
    run = (lambda: pool.submit(faults).result()) if {on_a_thread} else faults
    run()
    print(run() + run())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's heap")
@pytest.mark.parametrize("on_a_thread", [False, True])
def test_freed_memory_is_used_again(on_a_thread: bool) -> None:
    def faults(*, keep: bool) -> int:
        code = FAULTS.format(keep=keep, on_a_thread=on_a_thread)
        ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        return int(ran.stdout)

    if not keep_freed_memory():
        pytest.skip("another C library")
    kept, before = faults(keep=True), faults(keep=False)
    if before < 5000:
        pytest.skip("huge pages")
    assert kept < before / 2


def test_a_network_on_a_cpu_keeps_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr("srviewer.engine.backends.keep_freed_memory", lambda: asked.append(True))
    spec = SPECS["safmn_x2"]
    network = families.build(spec).eval().requires_grad_(False)
    EagerTorch().prepare(LoadedModel("safmn_x2", spec, network, "random"), choose_device("cpu"), "fp32")
    assert asked
