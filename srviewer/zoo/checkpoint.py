"""Safe reading of checkpoints, and writing of our own."""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from srviewer.zoo.errors import CheckpointError

__all__ = ["CheckpointError", "read_checkpoint", "read_metadata", "write_checkpoint"]

MAX_BYTES = 1 << 30
"""Largest file, and largest sum of tensors, that is read: these networks hold a few megabytes, and a training
checkpoint with its optimiser's moments a few times that, so a gigabyte is already another kind of file."""

_WRAPPERS = (
    "params_ema",
    "ema",
    "params",
    "state_dict",
    "model_state_dict",
    "model",
    "net_g",
    "generator",
    "network",
    "module",
)
"""Keys under which training programs put the weights, those to prefer first (EMA is what the papers test)."""

_OLD_MAGIC = bytes.fromhex("6cfc9c46f9206aa85019")
"""The number that torch.save put first before it wrote zip archives (torch.serialization.MAGIC_NUMBER)."""

_PREFIXES = ("module.", "_orig_mod.", "model.", "net_g.", "generator.", "network.", "net.")
"""What wrappers of modules (data parallel, compile, Lightning, EDSR's) put before every key."""

_NOT_WEIGHTS = ("num_batches_tracked", "n_averaged")
"""Last parts of keys of counters that training keeps and inference has no use for."""


def read_checkpoint(path: Path | str) -> dict[str, Tensor]:
    """Read the weights in a file without ever running code from it.

    The format is told from the content: safetensors, or what ``torch.save`` writes (new and old), which is
    read with ``weights_only=True``. Wrappers (``params_ema`` before ``params``, ``state_dict``, ...) and
    prefixes (``module.``) are taken off; counters of training are left out.

    Returns
    -------
    By key, in the file's order: float32 tensors on the CPU, each contiguous with memory of its own.

    Raises
    ------
    CheckpointError
        If the file is missing, a folder, empty, truncated, no checkpoint, too large, unsafe, or if what it
        holds is no dictionary of finite floating-point tensors.
    """
    path = Path(path)
    kind = _sniff(path)
    content = _read_safetensors(path) if kind == "safetensors" else _read_torch(path, zipped=kind == "zip")
    state = _without_prefixes(_unwrapped(path, content))
    return _checked(path, state)


def read_metadata(path: Path | str) -> Mapping[str, str]:
    """Read the text that a safetensors file carries beside its tensors; empty for other formats.

    Raises
    ------
    CheckpointError
        If the file is missing, empty, broken or no checkpoint.
    """
    path = Path(path)
    if _sniff(path) != "safetensors":
        return MappingProxyType({})
    try:
        with safe_open(path, framework="pt") as file:
            return MappingProxyType(dict(file.metadata() or {}))
    except (SafetensorError, OSError) as error:
        raise CheckpointError(path, f"cannot be read as safetensors ({_first_line(error)})") from error


def write_checkpoint(state: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write weights as safetensors, whole or not at all: under a temporary name beside it, then renamed.

    Raises
    ------
    CheckpointError
        If the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not `save_file`, which hides the file from everybody but its owner.
        content = save({key: value.contiguous() for key, value in state.items()}, dict(metadata))
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(path, f"cannot be written ({_first_line(error)})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sniff(path: Path) -> Literal["safetensors", "zip", "pickle"]:
    """Tell the format from the first bytes: safetensors, or the zip or (older) the pickle of torch."""
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise CheckpointError(path, "is a folder, not a checkpoint")
        if not path.is_file():
            raise CheckpointError(path, "is no file, but a device or a pipe")
        if size > MAX_BYTES:
            raise CheckpointError(
                path, f"is too large for a checkpoint of these networks ({size / 2**30:.1f} GiB)"
            )
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError as error:
        raise CheckpointError(path, "no such file") from error
    except OSError as error:
        raise CheckpointError(path, f"cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a NUL in the name
        raise CheckpointError(path, f"is no file name ({error})") from error
    if not head:
        raise CheckpointError(path, "is empty")
    if head[:4] == b"PK\x03\x04":
        return "zip"
    if head[8:9] == b"{":
        return "safetensors"
    if _OLD_MAGIC in head:
        return "pickle"
    if head[:1] == b"\x80":
        raise CheckpointError(path, "refused, because it is a Python pickle, and reading it could run code")
    raise CheckpointError(path, "is no checkpoint (neither safetensors nor written by torch.save)")


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            path, f"cannot be read as safetensors ({_first_line(error)}); is it truncated?"
        ) from error


def _read_torch(path: Path, *, zipped: bool) -> object:
    if zipped:
        _check_archive(path)
    try:
        # Its warnings (of a pickle protocol, of storages) are for programmers.
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(path, _unsafe(error)) from error
    except MemoryError as error:
        raise CheckpointError(path, "asks for more memory than there is") from error
    except Exception as error:  # on a broken file torch's reader raises nearly every kind
        raise CheckpointError(path, f"is truncated or corrupt ({_first_line(error)})") from error


def _check_archive(path: Path) -> None:
    """Look at the directory of a zip before torch unpacks it."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise CheckpointError(path, f"is truncated or corrupt ({_first_line(error)})") from error
    names = {member.filename.rpartition("/")[2] for member in members}
    if "constants.pkl" in names:
        raise CheckpointError(path, "is a TorchScript program, not a dictionary of weights")
    if "data.pkl" not in names:
        raise CheckpointError(path, "is a zip archive, but not one that torch.save wrote")
    size = sum(member.file_size for member in members)
    if size > MAX_BYTES:
        raise CheckpointError(
            path, f"is too large for a checkpoint of these networks ({size / 2**30:.1f} GiB unpacked)"
        )


def _unsafe(error: pickle.UnpicklingError) -> str:
    """Say which object torch refused to make; its own message advises to allow it, wrongly."""
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    if named:
        return f"refused, because it holds Python objects ({named[1]}) and reading them could run code"
    if "weights_only" in str(error) or "Unsupported" in str(error):
        return "refused, because it holds Python objects and reading them could run code"
    return f"is truncated or corrupt ({_first_line(error)})"


def _unwrapped(path: Path, content: object) -> dict[str, Tensor]:
    """Take the dictionary of tensors out of its wrappers."""
    for _ in range(5):
        if not isinstance(content, Mapping):
            break
        tensors = {
            key: value for key, value in content.items() if isinstance(key, str) and isinstance(value, Tensor)
        }
        wrapped = (content.get(name) for name in _WRAPPERS)
        inner = next((value for value in wrapped if isinstance(value, Mapping) and value), None)
        if inner is None:
            if tensors:
                return tensors
            named = ", ".join(str(key)[:40] for key in list(content)[:5]) or "nothing"
            raise CheckpointError(path, f"holds no weights (found {named})")
        content = inner
    raise CheckpointError(path, f"holds no dictionary of weights, but a {type(content).__name__}")


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take off what wrappers of modules put before every key."""
    while prefix := next(
        (p for p in _PREFIXES if all(key.startswith(p) and key != p for key in state)), None
    ):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _checked(path: Path, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Turn what may be a state dictionary into one of finite float32 tensors."""
    weights = {key: value for key, value in state.items() if key.rpartition(".")[2] not in _NOT_WEIGHTS}
    # A tensor may claim more elements than its storage holds (stride 0): count before copying.
    if sum(value.numel() for value in weights.values()) * 4 > MAX_BYTES:
        raise CheckpointError(path, "holds more numbers than any of these networks")
    checked = {}
    for key, value in weights.items():
        if (
            value.layout != torch.strided
            or value.is_quantized
            or value.is_meta
            or not value.is_floating_point()
        ):
            raise CheckpointError(path, f"{key} holds {_kind(value)}, not floating-point numbers")
        checked[key] = value.detach().to(torch.float32).clone(memory_format=torch.contiguous_format)
        if not bool(torch.isfinite(checked[key]).all()):
            count = int((~torch.isfinite(checked[key])).sum())
            raise CheckpointError(path, f"{key} holds {count} values that are NaN or infinite")
    if not checked:
        raise CheckpointError(path, "holds no weights")
    return checked


def _kind(value: Tensor) -> str:
    """Name what a tensor holds."""
    if value.layout != torch.strided:
        return "a sparse tensor"
    if value.is_meta:
        return "no values"
    return str(value.dtype).removeprefix("torch.")


def _first_line(error: BaseException) -> str:
    """Shorten a library's message to what fits into one sentence."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".")[:120]
