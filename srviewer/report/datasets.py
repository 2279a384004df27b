"""Test sets on disk: pairs of a high-resolution picture and its low-resolution version."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from srviewer.imaging.files import is_image_path, read_image
from srviewer.imaging.image import Image
from srviewer.imaging.resize import cropped_to_multiple, downscale

_HR_MARK, _LR_MARK = "_HR", "_LR"
_SRF_FOLDER = re.compile(r"image_SRF_(\d+)")
_SRF_NAME = re.compile(r"_SRF_(\d+)_(?:HR|LR)$")


class DatasetError(Exception):
    """A folder is no test set, or is not whole. The message is one sentence that names the file or folder."""


@dataclass(frozen=True)
class Pair:
    """One picture of a test set.

    Attributes
    ----------
    name : the picture's name without marks and suffix, as ``img_001``.
    hr : the high-resolution file.
    lr : the low-resolution file; None where it is made from `hr`.
    """

    name: str
    hr: Path
    lr: Path | None


@dataclass(frozen=True)
class Dataset:
    """A test set at one scale.

    Attributes
    ----------
    name : the folder's name (for a folder ``image_SRF_4``, that of the folder around it).
    folder : where it lies.
    scale : how many times larger the high-resolution pictures are.
    pairs : in the order of their names; at least one.
    note : one sentence where the low-resolution pictures are not those of the test set, else "".
    """

    name: str
    folder: Path
    scale: int
    pairs: tuple[Pair, ...]
    note: str = ""


def find_dataset(folder: Path, scale: int) -> Dataset:
    """Find the pairs of a test set. Nothing is decoded.

    A test set is any of these; the first that fits is taken:

    1. ``*_HR.png`` beside ``*_LR.png`` (other files in the folder are left alone);
    2. folders ``image_SRF_S/`` of that kind inside it;
    3. ``HR/`` beside ``LR_bicubic/XS/`` (or ``xS``), where a picture is named as in ``HR/``, with or without
    an ``xS`` behind;
    4. a flat folder of high-resolution pictures.

    In the last, and where a test set of kind 1 to 3 has nothing at `scale`, each low-resolution picture is
    made from the high-resolution one by MATLAB-style bicubic, and `Dataset.note` says so. Of several other
    scales, the smallest gives the high-resolution pictures, because they are cut the least.

    Parameters
    ----------
    folder : the folder.
    scale : the magnification, at least 2.

    Raises
    ------
    DatasetError
        No such folder, no picture in it, a picture of a pair is missing, or two files claim the same picture.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    # A link keeps its own name, but "." and ".." have none.
    folder = folder.resolve() if folder.name in ("", "..") else folder.absolute()
    try:
        return _found(folder, scale)
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be listed ({error.strerror or error})") from error


def read_pair(pair: Pair, scale: int) -> tuple[Image, Image]:
    """Read one pair and check that its sizes fit.

    Returns
    -------
    lr, hr : Image
        `hr` cut at its right and bottom to a multiple of `scale`, `lr` exactly `scale` times smaller. Opacity
        and profiles are dropped, and a grey picture counts as one of colours: that is what papers measure.

    Raises
    ------
    DatasetError
        `hr` is smaller than `scale`, or the size of `lr` is not that of `hr` divided by `scale`, rounded
        down.
    ImageFileError
        A file cannot be read.
    """
    hr = _cropped(read_image(pair.hr), pair.hr, scale)
    expected = (hr.height // scale, hr.width // scale)
    if pair.lr is None:
        made = downscale(hr.pixels, scale)
        return Image(pixels=made, path=pair.hr, format=hr.format), hr
    lr = read_image(pair.lr)
    if (lr.height, lr.width) != expected:
        raise DatasetError(
            f"{pair.lr}: {lr.width} × {lr.height} px, but {pair.hr.name} ({hr.width} × {hr.height} px "
            f"once cut to a multiple of {scale}) needs {expected[1]} × {expected[0]} px at scale {scale}"
        )
    return _colour_only(lr), hr


def _found(folder: Path, scale: int) -> Dataset:
    files = _pictures(folder)
    if any(path.stem.endswith((_HR_MARK, _LR_MARK)) for path in files):
        inner = _SRF_FOLDER.fullmatch(folder.name)
        name = folder.parent.name if inner else folder.name
        return _beside(folder, files, name, scale, int(inner[1]) if inner else None)
    srf_folders = {
        int(match[1]): path
        for path in sorted(folder.iterdir())
        if (match := _SRF_FOLDER.fullmatch(path.name)) and path.is_dir()
    }
    if srf_folders:
        stored = scale if scale in srf_folders else min(srf_folders)
        inside = srf_folders[stored]
        return _beside(inside, _pictures(inside), folder.name, scale, stored)
    if (folder / "HR").is_dir():
        return _divided(folder, scale)
    if not files:
        raise DatasetError(f"{folder}: holds no picture, and no folder image_SRF_{scale} or HR")
    pairs = tuple(Pair(path.stem, path, None) for path in files)
    return Dataset(folder.name, folder, scale, pairs, "LR made from HR by MATLAB-style bicubic")


def _beside(folder: Path, files: list[Path], name: str, scale: int, stored_scale: int | None) -> Dataset:
    """Pair ``*_HR`` with ``*_LR`` in one folder, whose pictures may say their scale themselves."""
    named_scales = {int(match[1]) for path in files if (match := _SRF_NAME.search(path.stem))}
    if named_scales:
        stored_scale = scale if scale in named_scales else min(named_scales)
        files = [
            path for path in files if (match := _SRF_NAME.search(path.stem)) and int(match[1]) == stored_scale
        ]
    high = _by_stem(files, _HR_MARK)
    low = _by_stem(files, _LR_MARK)
    if not high:
        raise DatasetError(f"{folder}: holds no high-resolution picture (*{_HR_MARK}.png)")
    stored = stored_scale in (None, scale)
    if stored and (alone := min(high.keys() - low.keys(), default=None)) is not None:
        raise DatasetError(
            f"{high[alone]}: its low-resolution picture {alone}{_LR_MARK}{high[alone].suffix} is missing"
        )
    if (alone := min(low.keys() - high.keys(), default=None)) is not None:
        raise DatasetError(
            f"{low[alone]}: its high-resolution picture {alone}{_HR_MARK}{low[alone].suffix} is missing"
        )
    pairs = tuple(
        Pair(re.sub(r"_SRF_\d+$", "", stem), high[stem], low[stem] if stored else None)
        for stem in sorted(high)
    )
    note = "" if stored else f"LR made by MATLAB-style bicubic from the HR stored for scale {stored_scale}"
    return Dataset(name, folder, scale, pairs, note)


def _divided(folder: Path, scale: int) -> Dataset:
    """Pair ``HR/`` with ``LR_bicubic/XS/``."""
    high = _by_stem(_pictures(folder / "HR"), "")
    if not high:
        raise DatasetError(f"{folder / 'HR'}: holds no picture")
    low_folder = next((path for x in "Xx" if (path := folder / "LR_bicubic" / f"{x}{scale}").is_dir()), None)
    if low_folder is None:
        pairs = tuple(Pair(stem, path, None) for stem, path in sorted(high.items()))
        note = f"LR made from HR by MATLAB-style bicubic, since there is no LR_bicubic/X{scale}"
        return Dataset(folder.name, folder, scale, pairs, note)
    low = _by_stem(_pictures(low_folder), "")
    pairs_found = []
    for stem, path in sorted(high.items()):
        candidates = [low.pop(key) for key in (f"{stem}x{scale}", stem) if key in low]
        if not candidates:
            raise DatasetError(
                f"{path}: its low-resolution picture {low_folder / stem}x{scale}{path.suffix} is missing"
            )
        if len(candidates) > 1:
            raise DatasetError(
                f"{path}: has two low-resolution pictures, {' and '.join(map(str, candidates))}"
            )
        pairs_found.append(Pair(stem, path, candidates[0]))
    if low:
        raise DatasetError(f"{low[min(low)]}: its high-resolution picture in {folder / 'HR'} is missing")
    return Dataset(folder.name, folder, scale, tuple(pairs_found))


def _pictures(folder: Path) -> list[Path]:
    """List the pictures of a folder by name; hidden files are none."""
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and is_image_path(path) and path.is_file()
    )


def _by_stem(files: list[Path], mark: str) -> dict[str, Path]:
    """Key the files that end in a mark by what stands before it."""
    found: dict[str, Path] = {}
    for path in files:
        if not path.stem.endswith(mark):
            continue
        stem = path.stem.removesuffix(mark)
        if stem in found:
            raise DatasetError(f"{path}: {found[stem].name} claims to be the same picture")
        found[stem] = path
    return found


def _cropped(image: Image, path: Path, scale: int) -> Image:
    """Cut right and bottom to a multiple of the scale, as papers do."""
    if min(image.height, image.width) < scale:
        raise DatasetError(f"{path}: {image.width} × {image.height} px are too small for scale {scale}")
    return replace(_colour_only(image), pixels=cropped_to_multiple(image.pixels, scale))


def _colour_only(image: Image) -> Image:
    return replace(image, alpha=None, grey=False, icc=None, exif=None)
