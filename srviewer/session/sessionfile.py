"""Session files: everything needed to open a session again, as versioned JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar, get_args

from srviewer.imaging.atomic import whole_file
from srviewer.imaging.faults import ImageFileError
from srviewer.session.comparison import ColourMap, Comparison, Mode, Orientation, Pane, PaneKind
from srviewer.session.entries import GivenReference, MadeReference, Reference
from srviewer.session.geometry import IMAGE_CENTRE, PixelRect, Point

SESSION_SUFFIX = ".srsession"
_KIND = "srviewer session"
_VERSION = 1
_T = TypeVar("_T")


class SessionFileError(Exception):
    """A session file cannot be read or written. The message is one sentence naming the file and the
    reason.
    """


@dataclass(frozen=True, slots=True)
class SavedImage:
    """An image as a session file remembers it.

    Attributes
    ----------
    path : its file.
    reference : where its ground truth comes from.
    selection : the selected region in LR pixels.
    """

    path: Path
    reference: Reference | None = None
    selection: PixelRect | None = None


@dataclass(frozen=True, slots=True)
class SavedView:
    """The part of the image that was shown; the pane's size is the screen's own matter."""

    centre: Point = IMAGE_CENTRE
    zoom: float = 1.0
    fitted: bool = True


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What a session file holds.

    Attributes
    ----------
    images : in the order of their rows; images without a file are not among them.
    current : index of the image that is shown.
    ticked : references of the ticked networks, in order; a checkpoint's is an absolute path.
    view, comparison : what the panes showed, and how.
    """

    images: tuple[SavedImage, ...] = ()
    current: int | None = None
    ticked: tuple[str, ...] = ()
    view: SavedView = field(default_factory=SavedView)
    comparison: Comparison = field(default_factory=Comparison)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session file's content without what is gone.

    Attributes
    ----------
    record : images whose files are there; a ground truth that is gone is left out of its image.
    missing : files that the session names and that are not there.
    """

    record: SessionRecord
    missing: tuple[Path, ...]


def save_session(record: SessionRecord, path: Path) -> None:
    """Write a session file, whole or not at all; one of that name is replaced.

    Files are named relative to the session file's folder, so that both can be carried elsewhere together; on
    another drive they are named by their absolute paths.

    Raises
    ------
    SessionFileError
        If it cannot be written; what was there before still is.
    """
    folder = path.parent
    content = {
        "kind": _KIND,
        "version": _VERSION,
        "images": [_image_table(image, folder) for image in record.images],
        "current": record.current,
        "ticked": list(record.ticked),
        "view": {
            "centre": [record.view.centre.x, record.view.centre.y],
            "zoom": record.view.zoom,
            "fitted": record.view.fitted,
        },
        "comparison": _comparison_table(record.comparison),
    }
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        with whole_file(path, overwrite=True) as stream:
            stream.write(text.encode("utf-8", "surrogatepass"))
    except ImageFileError as error:
        raise SessionFileError(str(error)) from error


def open_session(path: Path) -> OpenedSession:
    """Read a session file.

    Raises
    ------
    SessionFileError
        If it cannot be read, is no session file, is damaged, or was written by a newer version. Images that
        are gone are no error: see `OpenedSession`.
    """
    try:
        content: object = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
    except OSError as error:
        raise SessionFileError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError):
        raise SessionFileError(f"{path}: is damaged, or no session file") from None
    if not isinstance(content, dict) or content.get("kind") != _KIND:
        raise SessionFileError(f"{path}: is no session file")
    version = content.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise SessionFileError(f"{path}: is damaged (version)")
    if version > _VERSION:
        raise SessionFileError(f"{path}: was written by a newer version of the program")
    try:
        record = _record(_Table(content, ""), path.parent)
    except _DamagedError as error:
        raise SessionFileError(f"{path}: is damaged ({error})") from None
    return _without_missing(record)


class _DamagedError(Exception):
    """A value is not what it has to be; str() is where it stands."""


class _Table:
    """A JSON object whose values are asked for by type."""

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, dict):
            raise _DamagedError(where)
        self._values: Mapping[str, object] = values
        self._where = f"{where}." if where else ""

    def value(self, key: str, kind: type[_T]) -> _T:
        value = self._values.get(key)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise _DamagedError(self._where + key)
        return value

    def optional(self, key: str, kind: type[_T]) -> _T | None:
        return None if self._values.get(key) is None else self.value(key, kind)

    def number(self, key: str, low: float, high: float) -> float:
        return _number(self._values.get(key), low, high, self._where + key)

    def choice(self, key: str, choices: Sequence[_T]) -> _T:
        for choice in choices:
            if choice == self._values.get(key):
                return choice
        raise _DamagedError(self._where + key)

    def table(self, key: str) -> _Table:
        return _Table(self._values.get(key), self._where + key)

    def has(self, key: str) -> bool:
        return self._values.get(key) is not None

    def items(self, key: str) -> list[tuple[object, str]]:
        values: list[object] = self.value(key, list)
        return [(value, f"{self._where}{key}[{index}]") for index, value in enumerate(values)]


def _number(value: object, low: float, high: float, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise _DamagedError(where)
    return float(value)


def _whole(value: object, low: int, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise _DamagedError(where)
    return value


def _record(table: _Table, folder: Path) -> SessionRecord:
    images = tuple(_image(_Table(value, where), folder) for value, where in table.items("images"))
    current = table.optional("current", int)
    if current is not None and not 0 <= current < len(images):
        raise _DamagedError("current")
    ticked: list[str] = []
    for value, where in table.items("ticked"):
        if not isinstance(value, str):
            raise _DamagedError(where)
        ticked.append(value)
    view = table.table("view")
    centre = view.items("centre")
    if len(centre) != 2:
        raise _DamagedError("view.centre")
    x, y = (_number(value, 0.0, 1.0, where) for value, where in centre)
    return SessionRecord(
        images,
        current,
        tuple(dict.fromkeys(ticked)),
        SavedView(Point(x, y), view.number("zoom", 1e-9, 1e9), view.value("fitted", bool)),
        _comparison(table.table("comparison")),
    )


def _image(table: _Table, folder: Path) -> SavedImage:
    return SavedImage(
        _from_text(table.value("path", str), folder),
        _reference(table.table("reference"), folder) if table.has("reference") else None,
        _selection(table) if table.has("selection") else None,
    )


def _reference(table: _Table, folder: Path) -> Reference:
    scale = table.choice("scale", (1, 2, 3, 4, 8))
    if table.choice("kind", ("made", "given")) == "made":
        return MadeReference(scale)
    return GivenReference(_from_text(table.value("path", str), folder), scale)


def _selection(table: _Table) -> PixelRect:
    values = table.items("selection")
    if len(values) != 4:
        raise _DamagedError("selection")
    x, y = (_whole(value, 0, where) for value, where in values[:2])
    width, height = (_whole(value, 1, where) for value, where in values[2:])
    return PixelRect(x, y, width, height)


def _comparison(table: _Table) -> Comparison:
    orientations: tuple[Orientation, ...] = get_args(Orientation)
    colour_maps: tuple[ColourMap, ...] = get_args(ColourMap)
    return Comparison(
        mode=Mode(table.choice("mode", [mode.value for mode in Mode])),
        a=_pane(table, "a"),
        b=_pane(table, "b"),
        divider=table.number("divider", 0.0, 1.0),
        orientation=table.choice("orientation", orientations),
        gain=table.number("gain", 1.0, 64.0),
        colour_map=table.choice("colour_map", colour_maps),
    )


def _pane(table: _Table, key: str) -> Pane | None:
    if not table.has(key):
        return None
    pane = table.table(key)
    return Pane(PaneKind(pane.choice("kind", [kind.value for kind in PaneKind])), pane.value("model", str))


def _image_table(image: SavedImage, folder: Path) -> dict[str, object]:
    table: dict[str, object] = {"path": _to_text(image.path, folder)}
    match image.reference:
        case MadeReference(scale):
            table["reference"] = {"kind": "made", "scale": scale}
        case GivenReference(path, scale):
            table["reference"] = {"kind": "given", "scale": scale, "path": _to_text(path, folder)}
        case None:
            pass
    if image.selection is not None:
        table["selection"] = list(image.selection.as_tuple())
    return table


def _comparison_table(comparison: Comparison) -> dict[str, object]:
    def pane(one: Pane | None) -> dict[str, str] | None:
        return None if one is None else {"kind": one.kind.value, "model": one.model}

    return {
        "mode": comparison.mode.value,
        "a": pane(comparison.a),
        "b": pane(comparison.b),
        "divider": comparison.divider,
        "orientation": comparison.orientation,
        "gain": comparison.gain,
        "colour_map": comparison.colour_map,
    }


def _to_text(path: Path, folder: Path) -> str:
    """Return `path` as seen from `folder`, with forward slashes; absolute where it is on another drive."""
    absolute = path.absolute()
    try:
        return PurePosixPath(Path(os.path.relpath(absolute, folder.absolute())).as_posix()).as_posix()
    except ValueError:
        return absolute.as_posix()


def _from_text(text: str, folder: Path) -> Path:
    if not text or "\0" in text:
        raise _DamagedError("path")
    return Path(os.path.normpath(folder.absolute() / text))


def _without_missing(record: SessionRecord) -> OpenedSession:
    """Leave out what is gone, so that the rest of the session opens."""
    missing: list[Path] = []
    kept: list[SavedImage] = []
    current: int | None = None
    for index, image in enumerate(record.images):
        if not image.path.is_file():
            missing.append(image.path)
            continue
        reference = image.reference
        if isinstance(reference, GivenReference) and not reference.path.is_file():
            missing.append(reference.path)
            reference = None
        if index == record.current:
            current = len(kept)
        kept.append(SavedImage(image.path, reference, image.selection))
    if current is None and kept:
        current = 0
    opened = SessionRecord(tuple(kept), current, record.ticked, record.view, record.comparison)
    return OpenedSession(opened, tuple(dict.fromkeys(missing)))
