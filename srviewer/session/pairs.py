"""Recognising an HR image and its LR version by their names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from srviewer.session.dropping import natural_key
from srviewer.session.geometry import Size

SCALES = (2, 3, 4)
"""How many times larger an HR image may be than its LR version."""

Side = Literal["hr", "lr"]

_SUFFIX_MARK = re.compile(
    r"^(?P<stem>.+?)[_\-. ](?P<side>hr|lr)(?:[_\-. ]?x?(?P<scale>[234])x?)?$", re.IGNORECASE
)
_SCALE_MARK = re.compile(r"^(?P<stem>.+?)[_\-. ]?x(?P<scale>[234])(?P<more>[a-z]?)$", re.IGNORECASE)
_FOLDER_MARK = re.compile(
    r"^(?:(?P<before>.*?)[_\-. ])?(?P<side>hr|lr|gt|hq|lq)(?:[_\-. ](?P<after>.*))?$", re.IGNORECASE
)
_SCALE_FOLDER = re.compile(r"^(?:x(?P<left>[234])|(?P<right>[234])x)$", re.IGNORECASE)
_LOW_QUALITY = ("lr", "lq")
# lr_bicubic and lr_bic say how LR was made; such words tell no two data sets apart
_MAKINGS = re.compile(r"(?:^|[_\-. ])(?:bicubic|bic|unknown|x[234]|[234]x)(?=$|[_\-. ])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Pair:
    """An LR image with its ground truth, which is `scale` times as large."""

    lr: Path
    hr: Path
    scale: int


@dataclass(frozen=True, slots=True)
class Pairing:
    """What recognising gave: pairs, and the files that belong to none, both in the files' order."""

    pairs: tuple[Pair, ...]
    singles: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class _Reading:
    """One way of reading a file's name: its side, its scale if that is named, and what both of a pair
    share.
    """

    side: Side
    scale: int | None
    shared: tuple[str, ...]
    rank: int  # lower is a plainer sign of a pair


def size_scale(lr: Size, hr: Size) -> int | None:
    """Return the scale between two sizes: 2, 3 or 4; None if they are no pair.

    HR may have up to `scale` - 1 more columns and rows than a multiple of LR's: papers cut them off.
    """
    for scale in SCALES:
        if hr.width // scale == lr.width and hr.height // scale == lr.height:
            return scale
    return None


def recognise(files: Sequence[Path], sizes: Mapping[Path, Size]) -> Pairing:
    """Find the HR+LR pairs among `files` by name, checked by size.

    Known are ``name_HR.png`` beside ``name_LR.png`` (or ``name_LRx4.png``); ``name.png`` beside
    ``namex4.png``, ``name_x4.png`` or ``name_4x.png``-like names; and equal names (up to such a mark) in
    folders ``HR`` and ``LR``, ``LR_bicubic/X4``, ``Set5_HR`` and ``Set5_LR``, ``GT`` and ``LQ``. Upper and
    lower case mean the same, and the two files may be of different formats.

    Parameters
    ----------
    files : the files to look at.
    sizes : their pictures' sizes in pixels. A file without a size is in no pair: a name alone proves nothing,
        since ``namex4.png`` may as well be what somebody made of ``name.png``.

    Returns
    -------
    Pairing. Each LR file is in one pair at most; an HR file may serve several LR files (x2, x3 and x4 of it).
    """
    by_shared: dict[tuple[str, ...], list[tuple[_Reading, Path]]] = defaultdict(list)
    for file in files:
        for reading in _readings(file):
            by_shared[reading.shared].append((reading, file))
    candidates: list[tuple[int, int, int, Pair]] = []
    order = {file: index for index, file in enumerate(files)}
    for group in by_shared.values():
        for lr_reading, lr in group:
            if lr_reading.side != "lr":
                continue
            for hr_reading, hr in group:
                if hr_reading.side != "hr" or hr == lr or lr not in sizes or hr not in sizes:
                    continue
                scale = size_scale(sizes[lr], sizes[hr])
                named = {one for one in (lr_reading.scale, hr_reading.scale) if one is not None}
                if scale is not None and named <= {scale}:
                    rank = lr_reading.rank + hr_reading.rank
                    candidates.append((rank, order[lr], order[hr], Pair(lr, hr, scale)))
    chosen: dict[Path, Pair] = {}
    truths: set[Path] = set()
    for _, _, _, pair in sorted(candidates, key=lambda one: one[:3]):
        if pair.lr not in chosen and pair.lr not in truths and pair.hr not in chosen:
            chosen[pair.lr] = pair
            truths.add(pair.hr)
    return Pairing(
        tuple(chosen[file] for file in files if file in chosen),
        tuple(file for file in files if file not in chosen and file not in truths),
    )


def common_scale(pairs: Sequence[Pair]) -> int | None:
    """Return the scale of most of the pairs (the larger of two as frequent); None without pairs."""
    scales = [pair.scale for pair in pairs]
    return max(SCALES, key=lambda scale: (scales.count(scale), scale)) if scales else None


def _readings(file: Path) -> list[_Reading]:
    """Return every way in which a file's name can be one side of a pair."""
    folder, stem = str(file.parent), file.stem.casefold()
    readings = [_Reading("hr", None, (folder, stem), 1)]  # name.png beside namex4.png
    marked = _SUFFIX_MARK.match(file.stem)
    if marked is not None:
        side: Side = "hr" if marked["side"].lower() == "hr" else "lr"
        scale = int(marked["scale"]) if marked["scale"] else None
        readings.append(_Reading(side, scale, (folder, "marked", marked["stem"].casefold()), 0))
    scaled = _SCALE_MARK.match(file.stem)
    if scaled is not None:
        readings.append(_Reading("lr", int(scaled["scale"]), (folder, scaled["stem"].casefold()), 1))
    readings.extend(_folder_readings(file))
    return readings


def _folder_readings(file: Path) -> list[_Reading]:
    """Return how the folders that a file is in, up to three above it, make it one side of a pair."""
    readings: list[_Reading] = []
    folders = file.parent.parts
    scale: int | None = None
    for depth, name in enumerate(reversed(folders[-3:]), start=1):
        scale_folder = _SCALE_FOLDER.match(name)
        if scale_folder is not None:
            scale = int(scale_folder["left"] or scale_folder["right"])
            continue
        mark = _FOLDER_MARK.match(name)
        if mark is None:
            continue
        side: Side = "lr" if mark["side"].lower() in _LOW_QUALITY else "hr"
        in_name = re.search(r"x([234])|([234])x", name, re.IGNORECASE)
        if scale is None and in_name is not None:
            scale = int(in_name[1] or in_name[2])
        root = str(Path(*folders[: len(folders) - depth])) if len(folders) > depth else ""
        rest = _MAKINGS.sub("", f"{mark['before'] or ''}_{mark['after'] or ''}").strip("_-. ").casefold()
        for stem, named in _stems(file.stem):
            if named is None or side == "lr":
                readings.append(
                    _Reading(side, scale if named is None else named, (root, "folder", rest, stem), 2 + depth)
                )
        break
    return readings


def _stems(stem: str) -> list[tuple[str, int | None]]:
    """Return a name as it is, and without a mark of scale or side at its end (``0801x4``, ``baby_LR``)."""
    stems: list[tuple[str, int | None]] = [(stem.casefold(), None)]
    scaled = _SCALE_MARK.match(stem)
    if scaled is not None:
        stems.append((scaled["stem"].casefold(), int(scaled["scale"])))
    marked = _SUFFIX_MARK.match(stem)
    if marked is not None:
        stems.append((marked["stem"].casefold(), int(marked["scale"]) if marked["scale"] else None))
    return stems


def in_natural_order(pairs: Sequence[Pair]) -> tuple[Pair, ...]:
    """Return the pairs sorted by their LR files' names, numbers as numbers."""
    return tuple(sorted(pairs, key=lambda pair: natural_key(pair.lr)))
