"""Reading of checkpoints: what is inside is recognised, and nothing unsafe or broken gets through."""

from __future__ import annotations

import dataclasses
import os
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor

from srviewer.zoo import families
from srviewer.zoo.checkpoint import CheckpointError, read_checkpoint, read_metadata, write_checkpoint
from srviewer.zoo.keys import SPELLINGS, Spelling
from srviewer.zoo.spec import (
    SPECS,
    BSRNConfig,
    FMENConfig,
    MAFFSRNConfig,
    ModelSpec,
    SAFMNConfig,
    describe,
)

SMALL = describe("safmn", 2, SAFMNConfig(channels=8, blocks=1), parameters=0)

VARIANTS = (
    describe("fmen", 2, FMENConfig(), parameters=0),
    describe("fmen", 3, FMENConfig(24, 12, 8, (1, 2, 3, 1, 2)), parameters=0),
    describe("fmen", 3, FMENConfig(24, 12, 8, (1, 2, 3, 1, 2), block="rb"), parameters=0),
    describe("maffsrn", 3, MAFFSRNConfig(channels=16, blocks=3), parameters=0),
    describe("safmn", 3, SAFMNConfig(channels=48, blocks=12), parameters=0),
    describe("safmn", 8, SAFMNConfig(channels=36, blocks=4, expansion=1.25), parameters=0),
    describe("safmn", 2, SAFMNConfig(channels=28, blocks=2, expansion=11 / 28), parameters=0),
    describe("safmn", 2, SAFMNConfig(aggregation=False), parameters=0),
    describe("safmn", 2, SAFMNConfig(norm="batch"), parameters=0),
    describe("safmn", 2, SAFMNConfig(norm="none"), parameters=0),
    describe("bsrn", 3, BSRNConfig(channels=48, blocks=5), parameters=0),
    describe("bsrn", 2, BSRNConfig(esa=False), parameters=0),
    describe("bsrn", 2, BSRNConfig(channel_attention="none"), parameters=0),
    describe("bsrn", 2, BSRNConfig(12, 2, channel_attention="none"), parameters=0),
    describe("bsrn", 2, BSRNConfig(12, 2, conv="dsconv", channel_attention="none"), parameters=0),
    describe("bsrn", 2, BSRNConfig(32, 2, conv="conv"), parameters=0),
    describe("bsrn", 2, BSRNConfig(32, 2, conv="dsconv"), parameters=0),
    describe("bsrn", 2, BSRNConfig(32, 2, conv="dsconv", pointwise_bias=True), parameters=0),
    describe("bsrn", 2, BSRNConfig(32, 2, conv="bsconv_s", esa_stride_conv="conv"), parameters=0),
    describe("bsrn", 2, BSRNConfig(32, 3, "bsconv", True, "weight", True, "conv"), parameters=0),
)
NETWORKS = tuple(spec for spec in SPECS.values() if spec.family != "bicubic")


def state_of(spec: ModelSpec, *, fused: bool = False) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(families.build(spec, fused=fused).state_dict())


def in_spelling(state: Mapping[str, Tensor], spelling: Spelling) -> dict[str, Tensor]:
    return {spelling.theirs(key) or f"untranslated {key}": value for key, value in state.items()}


def named(spec: ModelSpec) -> str:
    return f"{spec.id}_{zlib.crc32(repr(spec.config).encode()):08x}" if "variant" in spec.id else spec.id


def save_small(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def fault(path: Path) -> str:
    """Read what must not be readable, and return the one sentence about it."""
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert len(text) - len(str(path)) < 260
    return text


# Detection


@pytest.mark.parametrize("fused", [False, True], ids=["training", "fused"])
@pytest.mark.parametrize("spec", NETWORKS, ids=named)
def test_each_network_is_detected_by_our_names(spec: ModelSpec, fused: bool) -> None:
    assert families.detect(state_of(spec, fused=fused)) is spec


@pytest.mark.parametrize("fused", [False, True], ids=["training", "fused"])
@pytest.mark.parametrize("spec", VARIANTS, ids=range(len(VARIANTS)))
def test_variants_are_detected_and_load(spec: ModelSpec, fused: bool) -> None:
    read = families.recognise(state_of(spec, fused=fused))
    assert (read.spec.family, read.spec.scale, read.spec.config) == (spec.family, spec.scale, spec.config)
    assert read.spec.id == f"{spec.family}_variant_x{spec.scale}"
    assert (read.spec.reach, read.spec.smallest_side) == (spec.reach, spec.smallest_side)
    if spec.family != "maffsrn" or not fused:
        counted = families.build(spec, fused=spec.family == "fmen")
        assert read.spec.parameters == sum(value.numel() for value in counted.parameters())
    families.network(read)


@pytest.mark.parametrize(
    ("spec", "fused"),
    [
        pytest.param(spec, fused, id=f"{named(spec)}-{'fused' if fused else 'training'}")
        for spec in (*NETWORKS, *VARIANTS)
        for fused in ((False, True) if spec.family == "fmen" else (False,))
    ],
)
def test_the_authors_names_give_the_same_network(spec: ModelSpec, fused: bool) -> None:
    state = state_of(spec, fused=fused)
    for spelling in SPELLINGS[spec.family]:
        theirs = in_spelling(state, spelling)
        assert not any(key.startswith("untranslated") for key in theirs)
        assert len(theirs) == len(state)
        read = families.recognise(theirs)
        assert read.spec.config == spec.config
        assert {key: value.shape for key, value in read.state.items()} == {
            k: v.shape for k, v in state.items()
        }
        assert all(torch.equal(read.state[key], state[key]) for key in state)


def test_names_of_the_authors_are_theirs() -> None:
    first, second = SPELLINGS["fmen"]
    assert first.ours("HFABs.3.convs.0.conv2.rep_conv.bias") == "hfabs.3.blocks.0.rrrb2.conv.bias"
    assert second.ours("basic_blocks.1.conv1.expand_conv.weight") == "blocks.1.rrrb1.expand.weight"
    assert first.ours("warmup.1.bn1.running_mean") == "warmup_hfab.bn1.running_mean"
    assert (
        SPELLINGS["bsrn"][0].ours("B8.esa.conv3_.pw.weight") == "blocks.7.esa.coarse.conv3.pointwise.weight"
    )
    assert SPELLINGS["maffsrn"][0].theirs("ffgs.7.reduction3.v") == "body.7.reduction3.weight_v"
    assert SPELLINGS["maffsrn"][1].ours("head.0.parametrizations.weight.original0") == "head.g"
    assert SPELLINGS["safmn"][0].ours("conv_first.weight") is None


def test_linear_layers_become_convolutions() -> None:
    spec = SPECS["bsrn_s_x4"]
    state = in_spelling(state_of(spec), SPELLINGS["bsrn"][0])
    linear = {key: value[:, :, 0, 0] if value.shape[2:] == (1, 1) else value for key, value in state.items()}
    linear |= {key: value[None] for key, value in linear.items() if key.endswith(".cw")}
    assert sum(value.ndim == 2 for value in linear.values()) > 50
    read = families.recognise(linear)
    assert read.spec is spec
    loaded = families.network(read).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state_of(spec).items())


def test_an_unknown_network_is_named_by_what_was_seen() -> None:
    state = {f"RRDB_trunk.{i}.conv.weight": torch.zeros(64, 64, 3, 3) for i in range(9)}
    with pytest.raises(CheckpointError) as caught:
        families.detect(state, "esrgan.pth")
    text = str(caught.value)
    assert text.startswith("esrgan.pth: holds a network that is not known here")
    assert "RRDB_trunk.0.conv.weight (64x64x3x3)" in text
    assert "and 6 more" in text
    assert "BSRN" in text


def test_what_does_not_fit_is_named_as_the_file_names_it() -> None:
    state = in_spelling(state_of(SPECS["bsrn_x4"]), SPELLINGS["bsrn"][0])
    for key in ("B3.c5.weight", "B3.c5.bias", "B4.c5.weight", "B5.c5.weight", "B6.c5.weight"):
        del state[key]
    state["extra.weight"] = torch.zeros(3)
    state["c2.pw.weight"] = torch.zeros(64, 63, 1, 1)
    with pytest.raises(CheckpointError) as caught:
        families.network(families.recognise(state, "net.pth"))
    text = str(caught.value)
    assert text.startswith("net.pth: does not fit BSRN x4: ")
    assert "missing B3.c5.weight, B3.c5.bias, B4.c5.weight and 2 more" in text
    assert "unexpected extra.weight" in text
    assert "c2.pw.weight (64x63x1x1 instead of 64x64x1x1)" in text


@pytest.mark.parametrize("spec", NETWORKS[::3], ids=named)
def test_any_one_missing_key_is_named(spec: ModelSpec) -> None:
    complete = in_spelling(state_of(spec), SPELLINGS[spec.family][0])
    for gone in list(complete)[:: max(1, len(complete) // 12)]:
        if gone.endswith("num_batches_tracked"):
            continue
        with pytest.raises(CheckpointError) as caught:
            families.network(families.recognise({k: v for k, v in complete.items() if k != gone}))
        assert gone.rpartition(".")[0] in str(caught.value)


def test_wrong_output_channels_are_no_scale() -> None:
    state = state_of(SMALL)
    state["to_img.weight"] = torch.zeros(13, 8, 3, 3)
    with pytest.raises(CheckpointError, match="13 channels before the pixel shuffle"):
        families.detect(state)


def test_a_shape_that_lies_costs_no_memory() -> None:
    state = in_spelling(state_of(SPECS["bsrn_x4"]), SPELLINGS["bsrn"][0])
    state["c1.weight"] = torch.zeros(1, 1, 1, 1).expand(3_000_000, 512, 1, 1)
    with pytest.raises(CheckpointError, match="does not fit BSRN"):
        families.network(families.recognise(state))


def test_absurd_numbers_of_blocks_are_refused() -> None:
    state = state_of(SMALL) | {"blocks.999999.norm1.weight": torch.zeros(8)}
    with pytest.raises(CheckpointError, match="numbered up to 999999"):
        families.detect(state)


# Reading


WRAPPINGS: dict[str, Any] = {
    "bare": lambda state: state,
    "ordered": OrderedDict,
    "params": lambda state: {"params": state},
    "params_ema": lambda state: {"params": {"x.weight": torch.zeros(1)}, "params_ema": state},
    "empty ema": lambda state: {"params": state, "params_ema": {}},
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"state": {}}},
    "model": lambda state: {"model": state, "iteration": 10},
    "net_g": lambda state: {"net_g": state},
    "deepspeed": lambda state: {"module": state, "global_steps": 10},
    "nested": lambda state: {"state_dict": {"params": state}},
    "module": lambda state: {f"module.{key}": value for key, value in state.items()},
    "both": lambda state: {"model": {f"module.net.{key}": value for key, value in state.items()}},
    "compiled": lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("old", [False, True], ids=["zip", "old format"])
def test_wrappers_are_taken_off(tmp_path: Path, wrapping: str, old: bool) -> None:
    state = state_of(SMALL)
    path = tmp_path / "net.pth"
    torch.save(WRAPPINGS[wrapping](state), path, _use_new_zipfile_serialization=not old)
    read = read_checkpoint(path)
    assert list(read) == list(state)
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_the_moving_average_is_preferred(tmp_path: Path) -> None:
    averaged = state_of(SMALL)
    raw = {key: value + 1 for key, value in averaged.items()}
    read = read_checkpoint(save_small(tmp_path / "net.pth", {"params": raw, "params_ema": averaged}))
    assert torch.equal(read["to_feat.weight"], averaged["to_feat.weight"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("suffix", ["pth", "safetensors", "anything"])
def test_other_floats_become_float32(tmp_path: Path, dtype: torch.dtype, suffix: str) -> None:
    state = {key: value.to(dtype) for key, value in state_of(SMALL).items()}
    path = tmp_path / f"net.{suffix}"
    if suffix == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    read = read_checkpoint(path)
    assert {value.dtype for value in read.values()} == {torch.float32}
    assert all(torch.equal(read[key], state[key].float()) for key in state)
    families.network(families.recognise(read))


def test_counters_of_training_are_left_out_and_not_missed(tmp_path: Path) -> None:
    state = in_spelling(state_of(SPECS["fmen_s_x4"]), SPELLINGS["fmen"][0])
    assert any(key.endswith("num_batches_tracked") for key in state)
    read = read_checkpoint(save_small(tmp_path / "net.pth", state))
    assert not any(key.endswith("num_batches_tracked") for key in read)
    network = families.network(families.recognise(read))
    assert not any(value.is_meta for value in network.state_dict().values())


def test_tensors_have_memory_of_their_own(tmp_path: Path) -> None:
    whole = torch.arange(24.0).reshape(2, 3, 4)
    read = read_checkpoint(save_small(tmp_path / "net.pth", {"a": whole, "b": whole.transpose(0, 2)}))
    assert read["b"].is_contiguous()
    read["a"].zero_()
    assert torch.equal(read["b"], whole.transpose(0, 2))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    state = state_of(SMALL)
    state["to_img.bias"][2:4] = value
    assert "to_img.bias holds 2 values that are NaN or infinite" in fault(
        save_small(tmp_path / "net.pth", state)
    )


def test_integers_are_no_weights(tmp_path: Path) -> None:
    state = state_of(SMALL)
    state["to_feat.weight"] = (state["to_feat.weight"] * 100).to(torch.int8)
    assert "to_feat.weight holds int8" in fault(save_small(tmp_path / "net.pth", state))


class Malice:
    """Unpickled freely, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["zip", "old format", "plain pickle"])
def test_malice_is_never_run(tmp_path: Path, kind: str) -> None:
    sign = tmp_path / "it ran"
    path = tmp_path / "net.pth"
    content = {"params": state_of(SMALL), "extra": Malice(sign)}
    if kind == "plain pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    text = fault(path)
    assert "refused" in text
    assert ("mkdir" in text) == (kind != "plain pickle")  # which is not even opened
    assert not sign.exists()
    pickle.loads(path.read_bytes()) if kind == "plain pickle" else torch.load(path, weights_only=False)
    assert sign.exists(), "the test's malice does nothing"


def test_a_whole_pickled_module_is_refused(tmp_path: Path) -> None:
    assert "refused" in fault(save_small(tmp_path / "net.pth", families.build(SMALL)))


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.pth").write_text("hello, this is text\n")
    (tmp_path / "picture.pth").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with zipfile.ZipFile(tmp_path / "script.pt", "w") as archive:
        archive.writestr("net/constants.pkl", "hello")
    assert fault(tmp_path / "empty.pth").endswith("is empty")
    assert "is no checkpoint" in fault(tmp_path / "text.pth")
    assert "is no checkpoint" in fault(tmp_path / "picture.pth")
    assert "not one that torch.save wrote" in fault(tmp_path / "other.pth")
    assert "TorchScript" in fault(tmp_path / "script.pt")
    assert fault(tmp_path / "gone.pth").endswith("no such file")
    assert fault(tmp_path).endswith("is a folder, not a checkpoint")


@pytest.mark.parametrize(
    "content", [3, "text", [1, 2], None, {}, {"epoch": 3}, {"params": {}}, {"a": {"b": 1}}], ids=repr
)
def test_files_without_weights(tmp_path: Path, content: object) -> None:
    assert "holds no" in fault(save_small(tmp_path / "net.pth", content))


def test_an_unreadable_file(tmp_path: Path) -> None:
    path = save_small(tmp_path / "net.pth", state_of(SMALL))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert "cannot be read" in fault(path)


@pytest.mark.parametrize("kind", ["zip", "old format", "safetensors"])
def test_truncation_is_seen_wherever_it_falls(tmp_path: Path, kind: str) -> None:
    state = state_of(SMALL)
    path = tmp_path / "net.bin"
    if kind == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    whole = path.read_bytes()
    for size in [*range(1, 40, 3), *range(40, len(whole) - 1, len(whole) // 40), len(whole) - 1]:
        path.write_bytes(whole[:size])
        fault(path)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
)
@given(data=st.data(), old=st.booleans())
def test_corruption_never_escapes_as_another_error(tmp_path: Path, data: st.DataObject, old: bool) -> None:
    path = tmp_path / "net.pth"
    torch.save({"params": {"w": torch.ones(4, 4)}}, path, _use_new_zipfile_serialization=not old)
    content = bytearray(path.read_bytes())
    # The old format holds addresses: how long the file is differs by a byte from one time to the next.
    for at in data.draw(st.lists(st.integers(0, 1 << 16), min_size=1, max_size=4)):
        content[at % len(content)] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        read = read_checkpoint(path)
    except CheckpointError:
        return
    assert all(isinstance(value, Tensor) and value.dtype == torch.float32 for value in read.values())


def test_a_tensor_larger_than_its_storage_is_not_unfolded(tmp_path: Path) -> None:
    huge = torch.zeros(1).expand(1_000_000, 1_000_000)
    assert "more numbers than any" in fault(save_small(tmp_path / "net.pth", {"w": huge}))


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.pth"
    with path.open("wb") as file:
        file.truncate(3 << 30)  # a sparse file takes no room
    assert "too large" in fault(path)


def test_a_safetensors_header_that_lies(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes((1 << 62).to_bytes(8, "little") + b"{" + bytes(50))
    assert "cannot be read as safetensors" in fault(path)
    broken = bytearray(save({"w": torch.zeros(4)}))
    broken[12:20] = b"\xff" * 8
    path.write_bytes(broken)
    fault(path)


# Writing


def test_our_files_come_back_with_what_they_say(tmp_path: Path) -> None:
    state = state_of(SMALL)
    path = tmp_path / "folder" / "net.safetensors"
    write_checkpoint(state, path, {"licence": "MIT"})
    assert all(torch.equal(read_checkpoint(path)[key], value) for key, value in state.items())
    assert read_metadata(path) == {"licence": "MIT"}
    plain = tmp_path / "plain"
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode
    assert [entry.name for entry in path.parent.iterdir()] == ["net.safetensors"]
    assert read_metadata(save_small(tmp_path / "net.pth", state)) == {}


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_checkpoint(state_of(SMALL), tmp_path / "file" / "net.safetensors", {})
    (tmp_path / "net.safetensors").mkdir()
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_checkpoint(state_of(SMALL), tmp_path / "net.safetensors", {})
    assert sorted(entry.name for entry in tmp_path.iterdir() if entry.is_file()) == ["file"]


def test_what_was_recognised_cannot_be_changed() -> None:
    read = families.recognise(state_of(SMALL))
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.fused = False  # type: ignore[misc]  # that it is refused is the test
