"""The weights on this machine: fetched, imported, verified."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from srviewer.zoo import families
from srviewer.zoo.checkpoint import read_checkpoint, read_metadata, write_checkpoint
from srviewer.zoo.download import DownloadProgress, download, file_sha256
from srviewer.zoo.errors import (
    CheckpointError,
    ManifestError,
    NotInstalledError,
    ZooError,
)
from srviewer.zoo.manifest import (
    Weights,
    broken_entries,
    catalogue,
    own_entry_path,
    remedy,
    resolve,
    weights_of,
    write_own_entry,
)
from srviewer.zoo.spec import SPECS


@dataclass(frozen=True)
class Verified:
    """The verdict on one installed file of weights.

    Attributes
    ----------
    path : the file, or the broken entry that should name one.
    weights : its entry; None where the entry itself is broken.
    fault : one sentence, or None where all is well.
    """

    path: Path
    weights: Weights | None
    fault: str | None


def get_weights(
    model: str,
    *,
    progress: Callable[[DownloadProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    timeout: float = 30.0,
) -> Weights:
    """Download the published weights of a model into the user's data folder, unless they are there and whole.

    Parameters
    ----------
    model : an id such as ``"bsrn_x4"``, or ``"bsrn_x4@official"``.
    progress, cancelled, timeout : as in `download`.

    Raises
    ------
    UnknownModelError
        If no model has that id.
    NotInstalledError
        If the model's weights cannot be downloaded; its text says what to do instead.
    DownloadError
        If they did not arrive whole and right.
    CheckpointError
        If what arrived does not load, which no right file does.
    """
    name = model.removesuffix("@official")
    entry = next((entry for entry in weights_of(name) if entry.urls), None)
    if entry is None:
        resolve(name)  # for its errors: an unknown id, or how to get the weights by hand
        raise NotInstalledError(f"{name}@official", remedy(name))
    if _fault(entry) is None:
        return entry
    download(
        entry.urls, entry.path, sha256=entry.sha256, progress=progress, cancelled=cancelled, timeout=timeout
    )
    fault = _fault(entry)
    if fault is not None:
        entry.path.unlink(missing_ok=True)
        raise CheckpointError(entry.path, f"was downloaded, but {fault}; it was removed")
    return entry


def import_weights(path: Path | str, *, model: str | None = None, overwrite: bool = False) -> Weights:
    """Copy the user's checkpoint into the user's data folder as safetensors under our names of parameters.

    Parameters
    ----------
    path : the checkpoint.
    model : the id to keep it under; by default the known model that it holds, or else the file's stem.
    overwrite : whether earlier weights of the user's under that id may be replaced.

    Raises
    ------
    CheckpointError
        If the file cannot be used, or the copy cannot be written.
    ManifestError
        If the id is not possible, holds something else, or is taken.
    """
    path = Path(path)
    read = families.recognise(read_checkpoint(path), path)
    families.network(read)  # strict: says what does not fit before anything is written
    spec = read.spec
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", path.stem).lstrip("_.-")
    name = model if model is not None else spec.id if spec.id in SPECS else stem
    entry_path = own_entry_path(name)
    if name in SPECS and spec.id != name:
        raise ManifestError(f"{path}: holds {spec.id}, not {name}")
    target = entry_path.with_name(f"{name}.safetensors")
    if (entry_path.exists() or target.exists()) and not overwrite:
        raise ManifestError(
            f"{name}@yours: there are imported weights of that id already; overwrite them to replace"
        )
    told = read_metadata(path)
    metadata = {**told, "family": spec.family, "scale": str(spec.scale)}
    write_checkpoint(read.state, target, metadata)
    entry = Weights(
        id=name,
        source="yours",
        path=target,
        sha256=file_sha256(target),
        family=spec.family,
        scale=spec.scale,
        licence=told.get("licence", "yours"),
        size=target.stat().st_size,
        recipe=told.get("recipe", ""),
        data=told.get("data", ""),
        parameters=spec.parameters,
    )
    write_own_entry(entry)
    return entry


def verify_weights() -> tuple[Verified, ...]:
    """Check the hash and the loading of every installed file, and that everything shipped is there."""
    listed = [entry for entry in catalogue() if entry.installed or entry.source != "official"]
    verdicts = [Verified(entry.path, entry, _fault(entry)) for entry in listed]
    return (*verdicts, *(Verified(path, None, fault) for path, fault in broken_entries()))


def _fault(entry: Weights) -> str | None:
    """Say what is wrong with the file of an entry, or None."""
    try:
        found = file_sha256(entry.path)
    except OSError as error:
        return f"the file cannot be read ({error.strerror or error})"
    if found != entry.sha256:
        return f"its sha256 is {found[:12]}… instead of {entry.sha256[:12]}…"
    try:
        read = families.recognise(read_checkpoint(entry.path), entry.path)
        families.network(read)
    except ZooError as error:
        return f"it does not load ({error})"
    if (read.spec.family, read.spec.scale) != (entry.family, entry.scale):
        return f"it holds {read.spec.id}, not a network of {entry.family} at scale {entry.scale}"
    return (
        None
        if entry.id not in SPECS or read.spec.id == entry.id
        else f"it holds {read.spec.id}, not {entry.id}"
    )
