"""What dropped paths bring in: images with their sizes, pairs and checkpoints, found by work for any
thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from srviewer.imaging.files import ImageFileError, probe
from srviewer.session.dropping import Ignored, expand
from srviewer.session.geometry import Size
from srviewer.session.pairs import Pair, recognise
from srviewer.session.regions import is_huge, open_file


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image file by its header.

    Attributes
    ----------
    path : the file.
    size : in pixels, upright.
    bits : per sample.
    by_region : whether its pixels should stay in the file, of which parts can be read.
    """

    path: Path
    size: Size
    bits: int
    by_region: bool = False


@dataclass(frozen=True, slots=True)
class Intake:
    """What dropped paths bring in.

    Attributes
    ----------
    images : the image files that can be rows: all that are not the ground truth of another.
    pairs : those among them that have a ground truth beside them.
    checkpoints : files of weights.
    ignored : what was left aside, files that cannot be read as images among it.
    """

    images: tuple[ListedImage, ...] = ()
    pairs: tuple[Pair, ...] = ()
    checkpoints: tuple[Path, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def listed_image(path: Path) -> ListedImage:
    """Read an image file's header, and find out how its pixels are had.

    Raises
    ------
    srviewer.imaging.files.ImageFileError
        If it is no image that can be read.
    """
    info = probe(path)
    size = Size(info.width, info.height)
    if not is_huge(size, info.bits):
        return ListedImage(path, size, info.bits)
    opened = open_file(path)
    if opened is None:
        return ListedImage(path, size, info.bits)
    opened.close()
    return ListedImage(path, size, info.bits, by_region=True)


def take_in(paths: Iterable[Path | str], *, stopped: Callable[[], bool] | None = None) -> Intake:
    """Find out what is behind `paths`: folders are searched, headers are read, HR+LR pairs are recognised.

    Parameters
    ----------
    paths : files, folders and patterns.
    stopped : asked between files; True ends the work with what was found.
    """
    dropped = expand(paths, stopped=stopped)
    listed: dict[Path, ListedImage] = {}
    ignored = list(dropped.ignored)
    for path in dropped.images:
        if stopped is not None and stopped():
            break
        try:
            listed[path] = listed_image(path)
        except ImageFileError as error:
            ignored.append(Ignored(path, error.reason))
    pairing = recognise(tuple(listed), {path: image.size for path, image in listed.items()})
    truths = {pair.hr for pair in pairing.pairs}
    return Intake(
        tuple(image for path, image in listed.items() if path not in truths),
        pairing.pairs,
        dropped.checkpoints,
        tuple(ignored),
    )
