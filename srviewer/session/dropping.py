"""What is behind dropped or named paths: images, checkpoints, and what has to be left aside."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from srviewer.imaging.files import is_image_path
from srviewer.zoo.manifest import CHECKPOINT_SUFFIXES


@dataclass(frozen=True, slots=True)
class Ignored:
    """A path that was left aside, and why, in words for the user (``"is no image"``)."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Dropped:
    """What dropped paths hold.

    Attributes
    ----------
    images : image files, recognised by suffix; those of a folder in natural order (``a2`` before ``a10``).
    checkpoints : files of weights, recognised by suffix.
    ignored : what was left aside.
    """

    images: tuple[Path, ...] = ()
    checkpoints: tuple[Path, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def natural_key(path: Path) -> tuple[tuple[tuple[int, int, str], ...], ...]:
    """Return a sort key by which numbers in names count as numbers and case does not matter."""
    return tuple(
        tuple(
            (0, int(part), "") if part.isdecimal() else (1, 0, part.casefold())
            for part in re.split(r"(\d+)", name)
            if part
        )
        for name in path.parts
    )


def expand(
    paths: Iterable[Path | str], *, recursive: bool = True, stopped: Callable[[], bool] | None = None
) -> Dropped:
    """Find the images and checkpoints behind files, folders and patterns.

    Parameters
    ----------
    paths : files, folders, and patterns such as ``photos/*.png`` where no file has that very name. A file
        named here is taken even if it is hidden.
    recursive : whether folders are searched with all that is below them. Hidden files and folders are passed
        over, as are files that are no images (checkpoints too); a folder reached twice, by links or
        otherwise, counts once.
    stopped : asked between files; True ends the search with what was found.

    Returns
    -------
    Dropped, in the order of `paths`, each file once.
    """
    search = _Search(recursive, stopped or (lambda: False))
    for path in paths:
        search.take(Path(path).expanduser())
    return Dropped(tuple(search.images), tuple(search.checkpoints), tuple(search.ignored))


def local_paths(urls: Iterable[str]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the paths of local files' URLs (``file:///a%20b.png``), and the URLs that are none."""
    paths: list[Path] = []
    others: list[str] = []
    for url in urls:
        text = url.strip()
        parts = urlsplit(text)
        if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
            paths.append(Path(url2pathname(parts.path) if sys.platform == "win32" else unquote(parts.path)))
        elif text:
            others.append(text)
    return tuple(paths), tuple(others)


class _Search:
    """One search: what was found, and which files and folders were seen."""

    def __init__(self, recursive: bool, stopped: Callable[[], bool]) -> None:
        self.images: dict[Path, None] = {}
        self.checkpoints: dict[Path, None] = {}
        self.ignored: list[Ignored] = []
        self._recursive = recursive
        self._stopped = stopped
        self._folders: set[tuple[int, int]] = set()
        self._files: set[Path] = set()

    def take(self, path: Path) -> None:
        """Take one path that the user named."""
        if self._stopped():
            return
        try:
            if path.is_dir():
                self._take_folder(path)
            elif path.exists():
                self._take_file(path)
            elif glob.has_magic(str(path)):
                self._take_pattern(path)
            elif path.is_symlink():
                self.ignored.append(Ignored(path, "is a link to something that does not exist"))
            else:
                self.ignored.append(Ignored(path, "does not exist"))
        except (OSError, ValueError) as error:  # ValueError: a null byte in the name
            self.ignored.append(Ignored(path, f"cannot be read: {_reason(error)}"))

    def _take_file(self, path: Path) -> None:
        if not path.is_file():
            self.ignored.append(Ignored(path, "is no regular file"))
        elif is_image_path(path):
            self._add(self.images, path)
        elif path.suffix.lower() in CHECKPOINT_SUFFIXES:
            self._add(self.checkpoints, path)
        else:
            self.ignored.append(Ignored(path, "is no image"))

    def _take_pattern(self, pattern: Path) -> None:
        matches = sorted((Path(match) for match in glob.glob(str(pattern), recursive=True)), key=natural_key)  # noqa: PTH207 -- Path.glob takes no absolute pattern
        if not matches:
            self.ignored.append(Ignored(pattern, "matches nothing"))
        for match in matches:
            if match.is_dir():
                continue  # as in a shell's `*.png`: folders are named, not matched
            self._take_file(match)

    def _take_folder(self, folder: Path) -> None:
        before = len(self._files)
        failed = len(self.ignored)
        for file in self._images_below(folder):
            self._add(self.images, file)
            if self._stopped():
                return
        if len(self._files) == before and len(self.ignored) == failed:
            self.ignored.append(Ignored(folder, "holds no image that is not in the list already"))

    def _images_below(self, folder: Path) -> Iterator[Path]:
        """Yield a folder's images in natural order, then those of its folders."""
        pending = [folder]
        while pending and not self._stopped():
            here = pending.pop()
            try:
                status = here.stat()
                identity = (status.st_dev, status.st_ino)
                if identity in self._folders:
                    continue
                self._folders.add(identity)
                with os.scandir(here) as entries:
                    listed = [(Path(entry.path), *_kind(entry)) for entry in entries]
            except OSError as error:
                self.ignored.append(Ignored(here, f"cannot be read: {_reason(error)}"))
                continue
            listed = [one for one in listed if not one[0].name.startswith(".")]
            listed.sort(key=lambda one: natural_key(one[0]))
            yield from (path for path, _, is_file in listed if is_file and is_image_path(path))
            if self._recursive:
                pending.extend(reversed([path for path, is_folder, _ in listed if is_folder]))

    def _add(self, found: dict[Path, None], path: Path) -> None:
        identity = path.absolute()
        if identity not in self._files:
            self._files.add(identity)
            found[path] = None


def _kind(entry: os.DirEntry[str]) -> tuple[bool, bool]:
    """Return whether an entry is a folder and whether it is a file; a link in a circle is neither."""
    try:
        return entry.is_dir(), entry.is_file()
    except OSError:
        return False, False


def _reason(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
