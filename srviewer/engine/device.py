"""The processors that networks run on: their names, their free memory, the precision that suits them."""

from __future__ import annotations

import platform
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import psutil
import torch

from srviewer.engine.request import Precision, PrecisionChoice, UpscaleError

Kind = Literal["cpu", "cuda", "mps"]
"""The kinds of processors that torch knows and that are used here."""


@dataclass(frozen=True)
class Device:
    """A processor that networks can run on.

    Attributes
    ----------
    id : torch's name for it, and the one a user types: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    kind : what sort of processor it is.
    name : what it is called (``"AMD EPYC 9554, 64 threads"``, ``"NVIDIA H200"``).
    """

    id: str
    kind: Kind
    name: str

    @property
    def torch(self) -> torch.device:
        """The device as torch takes it."""
        return torch.device(self.id)


def devices() -> tuple[Device, ...]:
    """Return the devices of this machine, the fastest kind first; the CPU is always there and last."""
    found = []
    if torch.cuda.is_available():
        found += [
            Device(f"cuda:{index}", "cuda", torch.cuda.get_device_name(index))
            for index in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        found.append(Device("mps", "mps", f"{_processor_name()} GPU"))
    threads = torch.get_num_threads()
    found.append(Device("cpu", "cpu", f"{_processor_name()}, {threads} thread{'s' if threads > 1 else ''}"))
    return tuple(found)


def choose_device(choice: str = "auto") -> Device:
    """Return the device that `choice` means.

    Parameters
    ----------
    choice : ``"auto"`` (the first of `devices`) or a device's id; ``"cuda"`` means ``"cuda:0"``.

    Raises
    ------
    UpscaleError
        If there is no such device, or this machine has none like it.
    """
    there = devices()
    if choice == "auto":
        return there[0]
    wanted = "cuda:0" if choice == "cuda" else choice
    for device in there:
        if device.id == wanted:
            return device
    kind = wanted.partition(":")[0]
    listed = ", ".join(device.id for device in there)
    if kind == "cuda" and torch.version.cuda is None:
        raise UpscaleError(
            f"device {choice!r} is not available: this build of torch has no CUDA (there is {listed})"
        )
    if kind in ("cuda", "mps"):
        raise UpscaleError(f"device {choice!r} is not available on this machine (there is {listed})")
    raise UpscaleError(f"no device {choice!r}: choose auto, {listed}")


def choose_precision(choice: PrecisionChoice, device: Device, *, bits: int, value_range: float) -> Precision:
    """Return the precision to run in.

    Parameters
    ----------
    choice : what the user asked for; ``"auto"`` takes a 16-bit format where the device has it in hardware.
    device : where it runs.
    bits : of the image's samples; 16-bit samples need fp32, whatever was asked: bf16 has 8 bits of mantissa,
        fp16 has 11.
    value_range : what the network takes white to be (1 or 255). Features of a network that works in 0..255
        come near fp16's largest number, 65504, so such a network gets bf16.
    """
    if bits > 8:
        return "fp32"
    if choice != "auto":
        return choice
    if device.kind == "cpu":
        return "bf16" if native_bf16() else "fp32"
    if value_range > 1:
        if device.kind == "mps":
            return "fp32"
        return "bf16" if torch.cuda.get_device_capability(device.torch)[0] >= 8 else "fp32"
    return "fp16"


@cache
def native_bf16() -> bool:
    """Return whether this CPU multiplies bfloat16 in hardware (AVX512-BF16, AMX-BF16, or Arm's BF16).

    Elsewhere bfloat16 is emulated, and slower than fp32.
    """
    flags = _cpu_flags()
    if flags:
        # `bf16` is Arm's flag. A kernel that hides AMX from programs hides its flag as well.
        return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
    for name in (
        "_is_avx512_bf16_supported",
        "_is_amx_tile_supported",
    ):  # private: only if no file tells
        probe = getattr(torch.cpu, name, None)
        if probe is not None and probe():
            return True
    return False


@cache
def wide_vectors() -> bool:
    """Return whether this CPU computes 16 numbers of 32 bits at once (AVX-512), as far as is known."""
    return "avx512f" in _cpu_flags()


def free_memory(device: Device) -> int:
    """Return the bytes that a run may still take on `device`.

    For a CPU: what the system has available, or what the control groups of this process leave, if that is
    less. For CUDA: what the card has free and what torch holds without using it. For MPS: Metal's recommended
    working set less what torch holds.
    """
    if device.kind == "cuda":
        free, _ = torch.cuda.mem_get_info(device.torch)
        held = torch.cuda.memory_reserved(device.torch) - torch.cuda.memory_allocated(device.torch)
        return int(free + held)
    available = int(psutil.virtual_memory().available)
    if device.kind == "mps":
        recommended = int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
        return max(0, min(available, recommended))
    limit = group_memory_left()
    return available if limit is None else min(available, limit)


def group_memory_left(
    process: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Return the bytes that this process's control groups (version 2, or 1) leave it; None without a limit.

    Page cache that the kernel would drop counts as left. `process` and `root` are where the kernel tells.
    """
    try:
        lines = process.read_text().splitlines()
    except OSError:
        return None
    left: int | None = None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit_name, usage_name, cache_name = root, "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base = root / "memory"
            limit_name, usage_name = "memory.limit_in_bytes", "memory.usage_in_bytes"
            cache_name = "total_inactive_file"
        else:
            continue
        folder = base / path.lstrip("/")
        # In a container the path may be the host's: then only the mount's root can be read.
        for group in (folder, *folder.parents):
            if not group.is_relative_to(base):
                break
            here = _left_in(group, limit_name, usage_name, cache_name)
            if here is not None:
                left = here if left is None else min(left, here)
    return left


def _left_in(group: Path, limit_name: str, usage_name: str, cache_name: str) -> int | None:
    """Return the bytes that one control group leaves, or None if it sets no limit."""
    try:
        limit = int((group / limit_name).read_text())  # "max" is no number
        usage = int((group / usage_name).read_text())
    except (OSError, ValueError):
        return None
    if limit >= 1 << 60:  # version 1's way to say "no limit"
        return None
    droppable = 0
    try:
        for line in (group / "memory.stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == cache_name:
                droppable = int(value)
    except (OSError, ValueError):
        droppable = 0
    return max(0, limit - usage + droppable)


@cache
def _cpu_flags() -> frozenset[str]:
    """Return the CPU's feature flags as Linux tells them; empty where it does not."""
    return frozenset(_cpuinfo("flags", "Features").split())


def _cpuinfo(*names: str) -> str:
    """Return the first value under one of `names` in /proc/cpuinfo, or ""."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in names:
            return value.strip()
    return ""


@cache
def _processor_name() -> str:
    """Return what the CPU is sold as, or at least its architecture."""
    name = ""
    if sys.platform == "darwin":
        try:
            asked = subprocess.run(
                ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"],
                capture_output=True,
                text=True,
                timeout=5,
                check=True,
            )
            name = asked.stdout.strip()
        except (OSError, subprocess.SubprocessError):
            name = ""
    elif sys.platform == "win32":
        import winreg

        try:
            with winreg.OpenKey(
                winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
            ) as key:
                name = str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
        except OSError:
            name = ""
    else:
        name = _cpuinfo("model name", "Model", "Hardware")
    return " ".join((name or platform.processor() or platform.machine() or "CPU").split())
