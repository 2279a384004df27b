"""Training pictures from a folder: found, split into training and validation, read and reduced."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.colour import to_srgb
from srviewer.imaging.depth import to_eight_bits
from srviewer.imaging.files import ImageFileError, is_image_path, probe, read_image
from srviewer.imaging.resize import cropped_to_multiple, downscale
from srviewer.training.errors import TrainingError
from srviewer.training.patches import PatchBank, PicturePair

VALIDATION_SIDE = 96
"""Reduced pixels of the largest centre crop that validation measures."""

_SMALLEST_SIDE = 16  # reduced pixels; below it no network here has anything to learn from
_CROP_MARK = re.compile(r"[_-]\d{1,2}$")
_LARGEST_GROUP = 24  # files; more that share a name are no crops of one photograph, but a numbered collection


@dataclass(frozen=True)
class Split:
    """The files of a folder, divided.

    Attributes
    ----------
    training, validation : files; crops of one photograph are never in both.
    """

    training: tuple[Path, ...]
    validation: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Everything that a training looks at.

    Attributes
    ----------
    bank : what patches are cut from.
    validation : centre crops, at most 96 reduced pixels a side, of pictures that are not in `bank`.
    notes : one sentence each about what was left out.
    megapixels : of the pictures in `bank`.
    """

    bank: PatchBank
    validation: tuple[PicturePair, ...]
    notes: tuple[str, ...]
    megapixels: float

    @property
    def text(self) -> str:
        """How much it is, in words."""
        digits = 0 if self.megapixels >= 10 else 1
        return f"{len(self.bank):,} pictures, {self.megapixels:,.{digits}f} megapixels"


def find_pictures(folder: Path) -> tuple[Path, ...]:
    """Return the image files in a folder and its subfolders, hidden ones left out, sorted.

    Raises
    ------
    TrainingError
        If there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise TrainingError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    try:
        found = sorted(
            path
            for path in folder.rglob("*")
            if is_image_path(path)
            and not any(part.startswith(".") for part in path.relative_to(folder).parts)
            and path.is_file()
        )
    except OSError as error:
        raise TrainingError(f"{folder}: cannot be listed ({error.strerror or error})") from error
    if not found:
        raise TrainingError(f"{folder}: no images in it")
    return tuple(found)


def split(paths: Sequence[Path], validation: int) -> Split:
    """Set files aside for validation: the same ones every time, whatever the folder is called.

    Files whose stems differ only by a last ``_N`` or ``_NN`` count as crops of one photograph: one of them is
    measured, and none of them is trained on. Photographs are taken in the order of a hash of their names.

    Parameters
    ----------
    paths : the files.
    validation : how many to set aside; fewer where that would take more than a fifth of the files.
    """
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(_CROP_MARK.sub("", path.stem), []).append(path)
    for name in [name for name, members in groups.items() if len(members) > _LARGEST_GROUP]:
        for path in groups.pop(name):
            groups.setdefault(path.stem, []).append(path)
    ordered = sorted(groups, key=lambda name: hashlib.sha256(name.encode()).digest())
    most = max(len(paths) // 5, min(1, len(paths) - 1))
    measured: list[Path] = []
    training: list[Path] = []
    for name in ordered:
        members = groups[name]
        if len(measured) < validation and len(members) <= most:
            measured.append(min(members))
            most -= len(members)
        else:
            training += members
    return Split(tuple(sorted(training)), tuple(measured))


def load(
    folder: Path,
    scale: int,
    *,
    validation: int = 16,
    threads: int = 2,
    max_bytes: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> TrainingData:
    """Read a folder of pictures as 8-bit sRGB (opacity ignored) and reduce each by MATLAB-style bicubic.

    Parameters
    ----------
    folder : searched with its subfolders.
    scale : 2, 3 or 4.
    validation : pictures set aside.
    threads : that read at once.
    max_bytes : memory for pixels; what does not fit is left out by chance, which `seed` decides.
    progress : told the files read and their number, from any thread.

    Raises
    ------
    TrainingError
        If the folder holds no pictures that can be used.
    """
    paths = find_pictures(folder)
    parts = split(paths, validation)
    notes: list[str] = []
    training = _within(parts.training, scale, max_bytes, seed, notes)
    wanted = (*training, *parts.validation)
    kept_out = frozenset(parts.validation)

    def read(path: Path) -> PicturePair | str:
        return _read(path, scale, crop=path in kept_out)

    pairs: dict[Path, PicturePair] = {}
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for done, (path, pair) in enumerate(zip(wanted, pool.map(read, wanted), strict=True), start=1):
            if isinstance(pair, PicturePair):
                pairs[path] = pair
            else:
                notes.append(pair)
            if progress is not None:
                progress(done, len(wanted))
    kept = [pairs[path] for path in training if path in pairs]
    if not kept:
        raise TrainingError(
            f"{folder}: no image in it can be trained on" + (f" ({notes[0]})" if notes else "")
        )
    return TrainingData(
        PatchBank(kept, scale),
        tuple(pairs[path] for path in parts.validation if path in pairs),
        tuple(notes),
        sum(pair.hr.shape[0] * pair.hr.shape[1] for pair in kept) / 1e6,
    )


def _within(
    paths: Sequence[Path], scale: int, max_bytes: int | None, seed: int, notes: list[str]
) -> tuple[Path, ...]:
    """Choose the pictures that fit into memory, in the order of the files."""
    if max_bytes is None:
        return tuple(paths)
    order = np.random.default_rng(seed).permutation(len(paths))
    chosen: list[int] = []
    held = 0.0
    for number in order:
        try:
            info = probe(paths[number])
        except ImageFileError:
            continue  # reading it says why
        # The pixels, their reduction, and once more both while they are copied together.
        held += info.width * info.height * 3 * (1 + 1 / scale**2) * 2
        if held > max_bytes and chosen:
            notes.append(
                f"{len(chosen):,} of {len(paths):,} training pictures, chosen by lot, fill the memory allowed"
            )
            break
        chosen.append(int(number))
    else:
        return tuple(paths)
    return tuple(paths[number] for number in sorted(chosen))


def _read(path: Path, scale: int, *, crop: bool) -> PicturePair | str:
    """Read one picture, whole or its centre, and reduce it; or say why not."""
    try:
        pixels = to_eight_bits(to_srgb(read_image(path)).pixels)
    except ImageFileError as error:
        return f"skipped {error}"
    if min(pixels.shape[:2]) < _SMALLEST_SIDE * scale:
        return f"skipped {path}: {pixels.shape[1]} x {pixels.shape[0]} pixels are too few for x{scale}"
    hr: NDArray[np.uint8] = np.asarray(cropped_to_multiple(pixels, scale), np.uint8)
    lr: NDArray[np.uint8] = np.asarray(downscale(hr, scale), np.uint8)
    if crop:
        # Cut after reducing, so that the crop's border is that of a part of a picture.
        height, width = (min(side, VALIDATION_SIDE) for side in lr.shape[:2])
        top, left = (lr.shape[0] - height) // 2, (lr.shape[1] - width) // 2
        lr = lr[top : top + height, left : left + width]
        hr = hr[top * scale : (top + height) * scale, left * scale : (left + width) * scale]
    return PicturePair(path.stem, lr, hr)
