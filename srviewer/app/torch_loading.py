"""Loading torch on the worker's thread without disturbing the window, and the devices it then tells of."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_NICENESS = 5  # of the thread and the ones that torch starts from it: the window is served first


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    """A processor that networks can run on.

    Attributes
    ----------
    id : what options call it (``"cpu"``, ``"cuda:0"``).
    kind : what sort of processor it is.
    name : what it is called.
    memory_bytes : its own memory; None for one that shares the machine's.
    """

    id: str
    kind: Literal["cpu", "cuda", "mps"]
    name: str
    memory_bytes: int | None = None


def yield_to_window() -> None:
    """Let the window come first where both want a core; threads that torch starts inherit this."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def load_libraries_of_torch() -> None:
    """Load torch's large libraries before importing it, without holding the interpreter's lock meanwhile.

    An import loads them under the lock, which stops the window for a quarter of a second; `dlopen` called as
    a foreign function does not. They are the libraries that hold no Python, in the modes that torch itself
    asks for; where one is missing, the import loads it as ever.
    """
    found = importlib.util.find_spec("torch") if sys.platform.startswith("linux") else None
    if found is None or found.origin is None or "torch" in sys.modules:
        return
    folder = Path(found.origin).parent / "lib"
    load = ctypes.CDLL(None).dlopen
    load.restype, load.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    for name, mode in (
        ("libtorch_global_deps.so", os.RTLD_LAZY | os.RTLD_GLOBAL),
        ("libtorch.so", os.RTLD_LAZY | os.RTLD_LOCAL),
    ):
        load(os.fsencode(folder / name), mode)


def _device_memory(device: str, kind: str) -> int | None:
    if kind != "cuda":
        return None
    import torch

    return int(torch.cuda.get_device_properties(device).total_memory)


def device_facts() -> tuple[DeviceFacts, ...]:
    """Return the devices there are, the one that ``"auto"`` means first; imports torch."""
    from srviewer.engine.device import devices

    return tuple(
        DeviceFacts(one.id, one.kind, one.name, _device_memory(one.id, one.kind)) for one in devices()
    )
