"""Taps: they are where they say, change nothing, leave nothing behind and keep to their memory."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from srviewer.analysis.features import FeatureError, record, recording, screen_normalised
from srviewer.analysis.taps import attention_blocks, find_taps, missing, taps
from srviewer.engine.device import Device
from srviewer.engine.request import Cancelled
from srviewer.zoo import families
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.spec import (
    SPECS,
    BSRNConfig,
    Config,
    Family,
    FMENConfig,
    MAFFSRNConfig,
    SAFMNConfig,
    describe,
)
from srviewer.zoo.tensors import to_tensor

SMALL: dict[str, tuple[Family, Config]] = {
    "fmen": ("fmen", FMENConfig(8, 4, 4, (1, 1, 1, 1, 1))),
    "safmn": ("safmn", SAFMNConfig(channels=8, blocks=2)),
    "bsrn": ("bsrn", BSRNConfig(channels=16, blocks=2)),
    "bsrn_s": (
        "bsrn",
        BSRNConfig(16, 2, channel_attention="weight", pointwise_bias=True, esa_stride_conv="conv"),
    ),
    "maffsrn": ("maffsrn", MAFFSRNConfig(channels=16, blocks=1)),
}


def small(name: str, scale: int = 2) -> LoadedModel:
    """A narrow network of a family with random weights."""
    family, config = SMALL[name]
    torch.manual_seed(7)
    spec = describe(family, scale, config, parameters=0)
    network = families.build(spec, fused=True)
    return LoadedModel(f"{name}_small", spec, network.eval().requires_grad_(False), "random")


def picture(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def hooks_on(network: nn.Module) -> int:
    return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in network.modules())


@pytest.mark.parametrize("model_id", sorted(SPECS))
@pytest.mark.parametrize("fused", [True, False])
def test_every_tap_is_a_place_of_the_network(model_id: str, fused: bool) -> None:
    spec = SPECS[model_id]
    with torch.device("meta"):
        network = families.build(spec, fused=fused)
    there = taps(spec)
    assert len({tap.name for tap in there}) == len({(tap.module, tap.side) for tap in there}) == len(there)
    for tap in there:
        network.get_submodule(tap.module)
        assert tap.label.startswith(tap.block) or tap.block == "network"
    for block in attention_blocks(spec):
        assert {block.before, block.after, *block.attention} <= set(there)
    assert bool(there) == (spec.family != "bicubic")


def test_the_names_that_scripts_rely_on() -> None:
    names = {model: [tap.name for tap in taps(SPECS[model])] for model in SPECS}
    assert names["fmen_s_x4"] == [
        "shallow",
        *(f"hfab0.{part}" for part in ("input", "attention", "output")),
        *(
            name
            for number in range(1, 5)
            for name in (
                f"erb{number}.output",
                *(f"hfab{number}.{part}" for part in ("input", "attention", "output")),
            )
        ),
        "deep",
    ]
    assert {"fmm8.safm.scale3", "fmm1.safm.aggregated", "fmm1.safm.attention", "fmm8.output"} <= set(
        names["safmn_x4"]
    )
    assert {"esdb8.esa.attention", "esdb1.cca.weights", "esdb1.output", "fusion"} <= set(names["bsrn_x4"])
    assert "esdb1.channel_weight.output" in names["bsrn_s_x4"]
    assert {"ffg8.mab4.local_attention", "ffg1.output"} <= set(names["maffsrn_l_x2"])
    counts = {model: len(attention_blocks(SPECS[model])) for model in SPECS}
    assert (counts["fmen_x2"], counts["safmn_x4"], counts["bsrn_x4"], counts["bsrn_s_x4"]) == (5, 8, 16, 5)
    assert (counts["maffsrn_x4"], counts["bicubic_x4"]) == (16, 0)


def test_what_a_network_does_not_have_is_told() -> None:
    assert missing(SPECS["fmen_x4"]) == missing(SPECS["bsrn_x4"]) == ()
    assert "interpolates" in missing(SPECS["bicubic_x2"])[0]
    assert "channel attention" in missing(SPECS["bsrn_s_x4"])[0]
    bare = describe("bsrn", 4, BSRNConfig(esa=False, channel_attention="none"), parameters=0)
    assert len(missing(bare)) == 2
    assert attention_blocks(bare) == ()
    plain = describe("safmn", 4, SAFMNConfig(modulation=False, multi_scale=False), parameters=0)
    assert len(missing(plain)) == 2
    assert attention_blocks(plain) == ()


@pytest.mark.parametrize("config", [BSRNConfig(16, 2, esa=False, channel_attention="none")])
def test_a_network_without_attention_is_recorded(config: BSRNConfig) -> None:
    spec = describe("bsrn", 2, config, parameters=0)
    network = families.build(spec, fused=True).eval()
    found = record(picture(12, 14), LoadedModel("bare", spec, network, ""))
    assert [one.tap.name for one in found.features] == [tap.name for tap in taps(spec)]


def test_taps_are_found_by_name_and_by_block() -> None:
    spec = SPECS["bsrn_x4"]
    assert [tap.name for tap in find_taps(spec, "esdb2.esa.attention")] == ["esdb2.esa.attention"]
    assert len(find_taps(spec, "esdb2.esa")) == 3
    assert all(tap.name.startswith("esdb1.") for tap in find_taps(spec, "esdb1"))
    with pytest.raises(ValueError, match=r"no tap 'hfab1'; it has shallow, esdb1"):
        find_taps(spec, "hfab1")


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_results_are_equal_to_the_last_bit(name: str, layout: torch.memory_format) -> None:
    model = small(name).to(memory_format=layout)
    batch = to_tensor(picture(21, 27)).contiguous(memory_format=layout)
    with torch.inference_mode():
        plain = model(batch)
        with recording(model) as recorder:
            watched = model(batch)
        again = model(batch)
    assert torch.equal(plain, watched)
    assert torch.equal(plain, again)
    assert len(recorder.features(taps(model))) == len(taps(model))


@pytest.mark.parametrize("name", SMALL)
def test_nothing_is_left_behind(name: str) -> None:
    model = small(name)
    batch = to_tensor(picture(16, 16))

    def tensors() -> int:
        gc.collect()
        return sum(type(thing) is Tensor for thing in gc.get_objects())

    with torch.inference_mode():
        for count in (2, 100):
            before = tensors()
            for _ in range(count):
                with recording(model, channels=()):
                    assert hooks_on(model.network) == len(taps(model))
                    model(batch)
            assert hooks_on(model.network) == 0
    assert tensors() == before


def test_hooks_go_even_when_the_run_fails() -> None:
    model = small("fmen")
    with pytest.raises(Cancelled), recording(model, cancelled=lambda: True):
        model(to_tensor(picture(16, 16)))
    assert hooks_on(model.network) == 0
    lost = dataclasses.replace(taps(model)[0], module="nowhere")
    with pytest.raises(AttributeError), recording(model, [*taps(model), lost]):
        pass
    assert hooks_on(model.network) == 0


def test_attention_times_input_is_output() -> None:
    pixels = picture(20, 24)
    for name in ("fmen", "safmn", "bsrn", "maffsrn"):
        model = small(name)
        found = record(pixels, model)
        for block in attention_blocks(model):
            before, after = found.at(block.before), found.at(block.after)
            product = np.stack([before.channels[index] for index in range(before.shape[0])])
            for tap in block.attention:
                at = found.at(tap)
                product = product * np.stack([at.channels[index] for index in range(at.shape[0])])
            whole = np.stack([after.channels[index] for index in range(after.shape[0])])
            assert product == pytest.approx(whole, rel=1e-4, abs=1e-5)


def test_statistics_are_those_of_the_channels() -> None:
    found = record(picture(18, 22), small("bsrn"))
    for one in found.features:
        assert one.complete
        channels = np.stack([one.channels[index] for index in range(one.shape[0])]).astype(np.float64)
        assert channels.shape == one.shape
        assert one.shape[1:] == ((1, 1) if one.tap.kind == "channel_weights" else (18, 22))
        assert one.average == pytest.approx(channels.mean(axis=0), abs=1e-5)
        assert one.channel_mean == pytest.approx(channels.mean(axis=(1, 2)), abs=1e-5)
        assert one.channel_std == pytest.approx(channels.std(axis=(1, 2)), abs=1e-5)
        assert one.channel_minimum == pytest.approx(channels.min(axis=(1, 2)))
        assert one.channel_maximum == pytest.approx(channels.max(axis=(1, 2)))
        assert one.mean == pytest.approx(channels.mean(), abs=1e-5)
        assert one.std == pytest.approx(channels.std(), rel=1e-4)
        assert (one.minimum, one.maximum) == pytest.approx((channels.min(), channels.max()))
        assert not one.average.flags.writeable


def test_channels_keep_to_their_memory() -> None:
    model, pixels = small("bsrn"), picture(20, 30)
    each = 20 * 30 * 4
    found = record(pixels, model, find_taps(model, "esdb1"), channel_memory=20 * each + each // 2)
    kept = sum(plane.nbytes for one in found.features for plane in one.channels.values())
    assert 20 * each <= kept <= 20 * each + each // 2
    assert found.features[0].complete
    assert not found.features[1].complete
    none = record(pixels, model, channels=())
    assert all(not one.channels and one.average.shape for one in none.features)
    chosen = record(pixels, model, find_taps(model, "esdb1.output"), channels=(3, 99, 3))
    assert list(chosen.features[0].channels) == [3]


@pytest.mark.parametrize("region", [(0, 0, 9, 7), (40, 30, 16, 12), (70, 50, 10, 10)])
def test_a_part_of_the_picture_has_the_features_of_the_whole(region: tuple[int, int, int, int]) -> None:
    pixels, model = picture(60, 80), small("fmen")
    x, y, width, height = region
    whole, part = record(pixels, model), record(pixels, model, region=region)
    assert part.region == region
    for one, other in zip(whole.features, part.features, strict=True):
        assert other.shape == (one.shape[0], height, width)
        assert other.average == pytest.approx(one.average[y : y + height, x : x + width], rel=1e-4, abs=1e-4)


def test_pictures_below_the_smallest_side_have_features_of_their_own_size() -> None:
    found = record(picture(5, 9), small("bsrn"))
    assert {one.shape[1:] for one in found.features} == {(5, 9), (1, 1)}


def test_bicubic_has_none() -> None:
    spec = SPECS["bicubic_x2"]
    assert record(picture(8, 8), LoadedModel("b", spec, families.build(spec, fused=True), "")).features == ()


def test_features_are_not_rounded_to_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CUDA the switch is torch's own; here it is enough that the run stands under it."""
    under: list[str] = []

    @contextmanager
    def watched(device: Device) -> Iterator[None]:
        under.append(device.id)
        yield
        under.append("left")

    monkeypatch.setattr("srviewer.analysis.features.true_fp32", watched)

    def running() -> bool:
        under.append("ran")
        return False

    record(picture(8, 8), small("safmn"), device="cpu", cancelled=running)
    assert under[0] == "cpu"
    assert under[-1] == "left"
    assert "ran" in under


def test_faults_are_told() -> None:
    model = small("safmn")
    with pytest.raises(FeatureError, match="does not lie in the picture of 20 × 10 px"):
        record(picture(10, 20), model, region=(15, 0, 6, 4))
    with pytest.raises(FeatureError, match="choose a smaller part"):
        record(picture(64, 64), model, max_memory=1000)
    with pytest.raises(Cancelled):
        record(picture(16, 16), model, cancelled=lambda: True)


def test_the_model_stays_as_it_is() -> None:
    model = small("safmn")
    before = {name: (value.dtype, value.stride()) for name, value in model.network.state_dict().items()}
    record(picture(16, 16), model)
    after = {name: (value.dtype, value.stride()) for name, value in model.network.state_dict().items()}
    assert before == after


def test_normalising_for_the_screen() -> None:
    plane = np.array([[-2.0, 0.0], [1.0, 2.0]])
    assert screen_normalised(plane) == pytest.approx(np.array([[0, 0.5], [0.75, 1]]))
    assert not screen_normalised(np.full((3, 3), 4.0)).any()
    assert screen_normalised(np.array([[np.nan, 1.0, 3.0]])) == pytest.approx(np.array([[0, 0, 1]]))
    assert not screen_normalised(np.full((2, 2), np.nan)).any()
