"""The names of result files, made from a template."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

from srviewer.zoo.manifest import CHECKPOINT_SUFFIXES

DEFAULT_TEMPLATE = "{stem}_{model}"

FIELDS = ("stem", "model", "scale", "family", "index")
"""What a template may name: the input's stem, the network, its scale and family, and the result's number."""

_NUMBERS = ("scale", "index")  # the fields that a format such as {index:03d} may follow
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')  # by Windows, so that results can be carried there
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)", re.IGNORECASE)
_LONGEST_BYTES = 200  # of the usual 255: room for a number, a suffix and a temporary name while writing


class NamingError(ValueError):
    """A template cannot be used. The message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class ResultNaming:
    """What a result is named after.

    Attributes
    ----------
    stem : of the input's file.
    model : the network's id (``"bsrn_x4@official"``) or its checkpoint's path.
    scale : its factor.
    family : its family.
    index : the result's number, from 1.
    """

    stem: str
    model: str
    scale: int
    family: str
    index: int = 1


def safe_model(model: str) -> str:
    """Return a network's id as part of a file name: ``bsrn_x4@official`` gives ``bsrn_x4-official``.

    A checkpoint's path gives its stem, with either system's separators.
    """
    if "/" in model or "\\" in model or PurePath(model).suffix.lower() in CHECKPOINT_SUFFIXES:
        flavour: type[PurePath] = PureWindowsPath if "\\" in model else PurePosixPath
        named = flavour(model)
        model = named.stem if named.suffix.lower() in CHECKPOINT_SUFFIXES else named.name
    return _FORBIDDEN.sub("-", model.replace("@", "-"))


def check_template(template: str) -> None:
    """Refuse a template that `result_name` could not use.

    Raises
    ------
    NamingError
        If it names an unknown field, is not well-formed, holds a path separator, or gives no name.
    """
    result_name(template, ResultNaming("stem", "model", 4, "family"))


def result_name(template: str, naming: ResultNaming) -> str:
    """Return a result's file name, without suffix.

    Characters that some system forbids in file names become ``-``, names that Windows keeps for devices get a
    ``_`` before them, and a name too long for a file loses its end.

    Raises
    ------
    NamingError
        If the template names an unknown field, is not well-formed, holds a path separator, or gives no name.
    """
    if "/" in template or "\\" in template:
        raise NamingError(
            f"the name template {template!r} holds a path separator: choose the folder apart from it"
        )
    values: dict[str, str | int] = {
        "stem": naming.stem,
        "model": safe_model(naming.model),
        "scale": naming.scale,
        "family": naming.family,
        "index": naming.index,
    }
    name = "".join(
        literal + _filled(field, spec, values, template) for literal, field, spec in _parts(template)
    )
    return _safe(name, template)


def numbered(name: str, taken: Callable[[str], bool]) -> str:
    """Return `name` if it is free, else the first free one of ``name_2``, ``name_3``, ...

    A suffix stays last: ``a.png`` gives ``a_2.png``.
    """
    if not taken(name):
        return name
    path = PurePath(name)
    number = 2
    while taken(candidate := f"{path.stem}_{number}{path.suffix}"):
        number += 1
    return candidate


def unique_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in order, each later one that equals an earlier one numbered; case makes no
    difference.
    """
    used: set[str] = set()
    unique = []
    for name in names:
        free = numbered(name, lambda candidate: candidate.casefold() in used)
        used.add(free.casefold())
        unique.append(free)
    return tuple(unique)


def free_path(folder: Path, name: str) -> Path:
    """Return the path of `name` in `folder`, numbered if something by that name is there."""
    return folder / numbered(name, lambda candidate: (folder / candidate).exists())


def _parts(template: str) -> list[tuple[str, str | None, str]]:
    """Return the template's (literal text, field or None, format) triples."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise NamingError(f"the name template {template!r} is not well-formed: {error}") from None
    parts = []
    for literal, field, spec, conversion in parsed:
        if field is not None and field not in FIELDS:
            known = ", ".join(f"{{{one}}}" for one in FIELDS)
            raise NamingError(f"the name template {template!r} names {{{field}}}: it may name {known}")
        if conversion or (spec and (field not in _NUMBERS or "{" in spec)):
            raise NamingError(
                f"the name template {template!r} formats {{{field}}} in a way that file names do not know"
            )
        parts.append((literal, field, spec or ""))
    return parts


def _filled(field: str | None, spec: str, values: dict[str, str | int], template: str) -> str:
    if field is None:
        return ""
    if re.fullmatch(r"0?[1-9]?d?", spec) is None:
        raise NamingError(
            f"the name template {template!r} formats {{{field}}} by {spec!r}: use digits such as 03d"
        )
    return format(values[field], spec)


def _safe(name: str, template: str) -> str:
    name = _FORBIDDEN.sub("-", name).strip().rstrip(".")
    if not name.strip("-._ "):
        raise NamingError(f"the name template {template!r} gives no name")
    while len(name.encode("utf-8", "surrogateescape")) > _LONGEST_BYTES:
        name = name[:-1].rstrip(" .")
    return f"_{name}" if _RESERVED.match(name) else name
