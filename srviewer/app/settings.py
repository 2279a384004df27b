"""The user's settings: typed, versioned, and kept in a file that may be broken without harm."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args

from PySide6.QtCore import QSettings

from srviewer.app.dialogs.output import OutputChoice, Subsampling
from srviewer.app.target_size import TargetKind, TargetSize
from srviewer.app.theme import ThemeChoice
from srviewer.engine.request import PrecisionChoice, TileChoice, UpscaleError, UpscaleOptions
from srviewer.imaging.formats import FORMATS
from srviewer.session.estimate import Measurement, Workload
from srviewer.session.naming import check_template

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

VERSION = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """All that is remembered between two starts.

    Attributes
    ----------
    theme : light, dark, or as the desktop.
    options : how networks run.
    run_on_drop : whether dropped images are run at once.
    output : how results are saved, its folder the last one.
    target : the size that results are saved in.
    ticked : the networks; None before the first choice.
    checkpoints : weights opened from files, absolute paths.
    open_folder : where files were last opened; empty before.
    recent : files opened lately, the latest first.
    geometry, layout : the window's place and its docks, as Qt packs them; empty before the first closing.
    history : runs that estimates learn from.
    """

    theme: ThemeChoice = "system"
    options: UpscaleOptions = field(default_factory=UpscaleOptions)
    run_on_drop: bool = True
    output: OutputChoice = field(default_factory=OutputChoice)
    target: TargetSize = field(default_factory=TargetSize)
    ticked: tuple[str, ...] | None = None
    checkpoints: tuple[str, ...] = ()
    open_folder: str = ""
    recent: tuple[str, ...] = ()
    geometry: bytes = b""
    layout: bytes = b""
    history: tuple[Measurement, ...] = ()


def settings_file() -> Path:
    """Return the file of settings (``SRVIEWER_CONFIG`` names another folder); it may not exist."""
    named = os.environ.get("SRVIEWER_CONFIG")
    if named:
        return Path(named).expanduser() / "settings.ini"
    import platformdirs

    return platformdirs.user_config_path("srviewer", appauthor=False) / "settings.ini"


class SettingsStore:
    """Reads and writes the file of settings.

    Parameters
    ----------
    path : the file; None keeps nothing and starts from the defaults.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def load(self) -> Settings:
        """Return what the file says; the default for each value that is missing or makes no sense.

        A file that cannot be read as settings at all is put aside under the name ``settings.ini.broken``.
        """
        if self._path is None or not self._path.exists():
            return Settings()
        stored = QSettings(str(self._path), QSettings.Format.IniFormat)
        keys = stored.allKeys()
        version = _whole(1, 1 << 30).read(stored.value("version"), 0)
        if stored.status() != QSettings.Status.NoError or version == 0 or not keys:
            _log.warning("%s is broken: settings start anew", self._path)
            with contextlib.suppress(OSError):
                self._path.replace(self._path.with_name(self._path.name + ".broken"))
            return Settings()

        def get(key: str, codec: _Codec[_T], default: _T) -> _T:
            return codec.read(stored.value(key), default) if key in keys else default

        options, output, target = UpscaleOptions(), OutputChoice(), TargetSize()
        return Settings(
            theme=get("theme", _choice(get_args(ThemeChoice)), "system"),
            options=UpscaleOptions(
                device=get("run/device", _TEXT, options.device),
                precision=get("run/precision", _choice(get_args(PrecisionChoice)), options.precision),
                tile=get("run/tile", _TILE, options.tile),
                max_memory=get("run/max_memory", _optional(_whole(1, 1 << 50)), None),
                self_ensemble=get("run/self_ensemble", _SWITCH, options.self_ensemble),
            ),
            run_on_drop=get("run/on_drop", _SWITCH, True),
            output=OutputChoice(
                folder=get("output/folder", _FOLDER, output.folder),
                template=get("output/template", _TEMPLATE, output.template),
                form=get("output/form", _optional(_choice(tuple(FORMATS))), output.form),
                quality=get("output/quality", _whole(1, 100), output.quality),
                subsampling=get("output/subsampling", _choice(get_args(Subsampling)), output.subsampling),
                replace=get("output/replace", _SWITCH, output.replace),
            ),
            target=TargetSize(
                kind=get("target/kind", _choice(get_args(TargetKind)), target.kind),
                factor=get("target/factor", _NUMBER, target.factor),
                long_edge=get("target/long_edge", _whole(1, 100_000), target.long_edge),
                print_centimetres=get("target/print_centimetres", _NUMBER, target.print_centimetres),
                dots_per_inch=get("target/dots_per_inch", _NUMBER, target.dots_per_inch),
            ),
            ticked=get("models/ticked", _optional(_TEXTS), None),
            checkpoints=get("models/checkpoints", _TEXTS, ()),
            open_folder=get("folders/open", _TEXT, ""),
            recent=get("folders/recent", _TEXTS, ()),
            geometry=get("window/geometry", _BYTES, b""),
            layout=get("window/layout", _BYTES, b""),
            history=get("history", _HISTORY, ()),
        )

    def save(self, settings: Settings) -> None:
        """Write all settings; where that cannot be done, the program goes on without."""
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _log.warning("settings cannot be written: %s", error)
            return
        stored = QSettings(str(self._path), QSettings.Format.IniFormat)
        options, output, target = settings.options, settings.output, settings.target
        for key, text in (
            ("version", str(VERSION)),
            ("theme", settings.theme),
            ("run/device", _TEXT.write(options.device)),
            ("run/precision", options.precision),
            ("run/tile", str(options.tile)),
            ("run/max_memory", "null" if options.max_memory is None else str(options.max_memory)),
            ("run/self_ensemble", _SWITCH.write(options.self_ensemble)),
            ("run/on_drop", _SWITCH.write(settings.run_on_drop)),
            ("output/folder", _FOLDER.write(output.folder)),
            ("output/template", _TEMPLATE.write(output.template)),
            ("output/form", output.form or "null"),
            ("output/quality", str(output.quality)),
            ("output/subsampling", output.subsampling),
            ("output/replace", _SWITCH.write(output.replace)),
            ("target/kind", target.kind),
            ("target/factor", _NUMBER.write(target.factor)),
            ("target/long_edge", str(target.long_edge)),
            ("target/print_centimetres", _NUMBER.write(target.print_centimetres)),
            ("target/dots_per_inch", _NUMBER.write(target.dots_per_inch)),
            ("models/ticked", json.dumps(settings.ticked)),
            ("models/checkpoints", _TEXTS.write(settings.checkpoints)),
            ("folders/open", _TEXT.write(settings.open_folder)),
            ("folders/recent", _TEXTS.write(settings.recent)),
            ("window/geometry", _BYTES.write(settings.geometry)),
            ("window/layout", _BYTES.write(settings.layout)),
            ("history", _HISTORY.write(settings.history)),
        ):
            stored.setValue(key, text)
        stored.sync()
        if stored.status() != QSettings.Status.NoError:
            _log.warning("settings could not be written to %s", self._path)


@dataclass(frozen=True, slots=True)
class _Codec(Generic[_T]):
    """How a value stands in the file; `parse` raises ValueError, TypeError or KeyError for nonsense."""

    parse: Callable[[str], _T]
    write: Callable[[_T], str]

    def read(self, stored: object, default: _T) -> _T:
        """Return the stored value, or the default."""
        if not isinstance(stored, str):
            return default
        try:
            return self.parse(stored)
        except (ValueError, TypeError, KeyError):
            return default


def _choice(choices: tuple[_T, ...]) -> _Codec[_T]:
    def parse(text: str) -> _T:
        return next(choice for choice in choices if choice == text)

    def guarded(text: str) -> _T:
        try:
            return parse(text)
        except StopIteration:
            raise ValueError(text) from None

    return _Codec(guarded, str)


def _whole(low: int, high: int) -> _Codec[int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return _Codec(parse, str)


def _optional(codec: _Codec[_T]) -> _Codec[_T | None]:
    return _Codec(
        lambda text: None if text == "null" else codec.parse(text),
        lambda value: "null" if value is None else codec.write(value),
    )


def _parse_switch(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _parse_number(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise ValueError(text)
    return value


def _parse_text(text: str) -> str:
    value = json.loads(text)
    if not isinstance(value, str):
        raise TypeError(text)
    return value


def _parse_texts(text: str) -> tuple[str, ...]:
    values = json.loads(text)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(text)
    return tuple(values)


def _parse_tile(text: str) -> TileChoice:
    tile: TileChoice = "auto" if text == "auto" else "off" if text == "off" else int(text)
    try:
        UpscaleOptions(tile=tile)
    except UpscaleError as error:
        raise ValueError(text) from error
    return tile


def _parse_template(text: str) -> str:
    template = _parse_text(text)
    check_template(template)  # NamingError is a ValueError
    return template


def _parse_bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


def _parse_history(text: str) -> tuple[Measurement, ...]:
    return tuple(_measurement(value) for value in json.loads(text))


def _measurement(value: dict[str, Any]) -> Measurement:
    workload = value["workload"]
    adds = workload["multi_adds_720p"]
    tile = value["tile"]
    return Measurement(
        Workload(str(workload["model"]), int(workload["scale"]), None if adds is None else float(adds)),
        str(value["device"]),
        str(value["precision"]),
        tile if isinstance(tile, int) else str(tile),
        bool(value["ensemble"]),
        int(value["output_pixels"]),
        float(value["seconds"]),
        int(value["peak_memory_bytes"]),
    )


def _write_history(history: tuple[Measurement, ...]) -> str:
    return json.dumps([dataclasses.asdict(one) for one in history])


_TEXT = _Codec(_parse_text, json.dumps)
_TEXTS: _Codec[tuple[str, ...]] = _Codec(_parse_texts, json.dumps)
_FOLDER: _Codec[Path | None] = _Codec(
    lambda text: Path(_parse_text(text)) if _parse_text(text) else None,
    lambda folder: json.dumps("" if folder is None else str(folder)),
)
_SWITCH = _Codec(_parse_switch, lambda on: "true" if on else "false")
_NUMBER = _Codec(_parse_number, repr)
_TILE: _Codec[TileChoice] = _Codec(_parse_tile, str)
_TEMPLATE = _Codec(_parse_template, json.dumps)
_BYTES = _Codec(_parse_bytes, lambda value: base64.b64encode(value).decode("ascii"))
_HISTORY = _Codec(_parse_history, _write_history)
