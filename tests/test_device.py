from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch

from srviewer.engine import device as room
from srviewer.engine.device import (
    Device,
    choose_device,
    choose_precision,
    devices,
    free_memory,
    group_memory_left,
    native_bf16,
    wide_vectors,
)
from srviewer.engine.request import UpscaleError, UpscaleOptions
from srviewer.engine.telemetry import PeakMeter, memory_in_use, release_memory

CPU = Device("cpu", "cpu", "a CPU")
GPU = Device("cuda:0", "cuda", "a GPU")
MPS = Device("mps", "mps", "a Mac")


def test_the_cpu_is_always_there_and_last() -> None:
    last = devices()[-1]
    assert last.id == "cpu"
    threads = torch.get_num_threads()
    assert last.name.endswith(f", {threads} thread{'s' if threads > 1 else ''}")
    assert len(last.name.partition(",")[0]) >= 3
    assert choose_device("cpu") == last
    assert last.torch == torch.device("cpu")


def test_auto_is_the_first() -> None:
    assert choose_device("auto") == devices()[0]


@pytest.mark.parametrize("choice", ["cuda:77", "tpu", "cpu:3", ""])
def test_unknown_devices_are_one_sentence(choice: str) -> None:
    with pytest.raises(UpscaleError, match=r"device '.*cpu") as caught:
        choose_device(choice)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_missing_cuda_says_so() -> None:
    with pytest.raises(UpscaleError, match=r"'cuda' is not available.*there is .*cpu"):
        choose_device("cuda")


def test_auto_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "native_bf16", lambda: True)
    assert choose_precision("auto", CPU, bits=8, value_range=1) == "bf16"
    monkeypatch.setattr(room, "native_bf16", lambda: False)
    assert choose_precision("auto", CPU, bits=8, value_range=1) == "fp32"
    assert choose_precision("auto", GPU, bits=8, value_range=1) == "fp16"
    assert choose_precision("auto", MPS, bits=8, value_range=1) == "fp16"
    assert choose_precision("auto", MPS, bits=8, value_range=255) == "fp32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert choose_precision("auto", GPU, bits=8, value_range=255) == "bf16"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
    assert choose_precision("auto", GPU, bits=8, value_range=255) == "fp32"


def test_sixteen_bits_need_fp32() -> None:
    assert choose_precision("bf16", CPU, bits=16, value_range=1) == "fp32"
    assert choose_precision("auto", GPU, bits=16, value_range=1) == "fp32"


def test_precision_is_the_users() -> None:
    assert choose_precision("fp16", CPU, bits=8, value_range=1) == "fp16"
    assert choose_precision("fp32", GPU, bits=8, value_range=1) == "fp32"


@pytest.mark.parametrize(
    ("flags", "native"),
    [({"avx2", "avx512f"}, False), ({"avx512_bf16"}, True), ({"amx_bf16"}, True), ({"asimd", "bf16"}, True)],
)
def test_native_bf16_by_flags(monkeypatch: pytest.MonkeyPatch, flags: set[str], native: bool) -> None:
    monkeypatch.setattr(room, "_cpu_flags", lambda: frozenset(flags))
    assert native_bf16.__wrapped__() is native


@pytest.mark.parametrize(("flags", "wide"), [({"avx2"}, False), ({"avx2", "avx512f"}, True), (set(), False)])
def test_wide_vectors_by_flags(monkeypatch: pytest.MonkeyPatch, flags: set[str], wide: bool) -> None:
    monkeypatch.setattr(room, "_cpu_flags", lambda: frozenset(flags))
    assert wide_vectors.__wrapped__() is wide


def test_native_bf16_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_cpu_flags", frozenset)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert native_bf16.__wrapped__() is True
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert native_bf16.__wrapped__() is False


def group(folder: Path, limit: str, usage: int, inactive: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{usage}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


def test_control_group_limit(tmp_path: Path) -> None:
    process = tmp_path / "cgroup"
    process.write_text("0::/user/app\n")
    root = tmp_path / "fs"
    group(root / "user" / "app", "1000", 300, 50)
    assert group_memory_left(process, root) == 750
    group(root / "user", "900", 600)
    assert group_memory_left(process, root) == 300
    group(root / "user" / "app", "max", 300)
    assert group_memory_left(process, root) == 300
    group(root / "user", "max", 600)
    assert group_memory_left(process, root) is None


def test_control_group_whose_path_is_the_hosts(tmp_path: Path) -> None:
    process = tmp_path / "cgroup"
    process.write_text("0::/docker/123\n")
    root = tmp_path / "fs"
    group(root, "2000", 500)
    assert group_memory_left(process, root) == 1500


def test_control_group_version_1(tmp_path: Path) -> None:
    process = tmp_path / "cgroup"
    process.write_text("5:cpu,cpuacct:/x\n4:memory:/x\n")
    folder = tmp_path / "fs" / "memory" / "x"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("1000")
    (folder / "memory.usage_in_bytes").write_text("400")
    assert group_memory_left(process, tmp_path / "fs") == 600
    (folder / "memory.limit_in_bytes").write_text(str(0x7FFFFFFFFFFFF000))
    assert group_memory_left(process, tmp_path / "fs") is None


def test_no_control_groups(tmp_path: Path) -> None:
    assert group_memory_left(tmp_path / "none", tmp_path) is None


def test_free_memory_respects_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "group_memory_left", lambda: 12345)
    assert free_memory(CPU) == 12345
    monkeypatch.setattr(room, "group_memory_left", lambda: None)
    assert 0 < free_memory(CPU) <= psutil.virtual_memory().total


@pytest.mark.parametrize("by_kernel", [True, False])
def test_peak_meter_sees_what_came_and_went(monkeypatch: pytest.MonkeyPatch, by_kernel: bool) -> None:
    if not by_kernel:
        monkeypatch.setattr("srviewer.engine.telemetry._reset_resident_peak", lambda: False)
    release_memory(CPU)
    with PeakMeter(CPU) as meter:
        for _ in range(3):
            block = torch.ones(40_000_000, dtype=torch.uint8)
            for _ in range(5):
                block += 1  # gives a sampling thread time to look
            del block
    grown = meter.peak() - meter.before
    assert 30_000_000 < grown < 150_000_000
    assert abs(memory_in_use(CPU) - psutil.Process().memory_info().rss) < 50_000_000


@pytest.mark.parametrize(
    ("name", "value"), [("precision", "fp8"), ("tile", "big"), ("tile", 3), ("max_memory", 0)]
)
def test_options_are_checked(name: str, value: str | int) -> None:
    with pytest.raises(UpscaleError):
        UpscaleOptions(**{name: value})  # type: ignore[arg-type]  # wrong on purpose
