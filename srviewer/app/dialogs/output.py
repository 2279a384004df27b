"""Where results are written, and under which names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from srviewer.imaging.formats import FORMATS, FormatName, format_of_path
from srviewer.imaging.writing import WriteOptions
from srviewer.session.naming import DEFAULT_TEMPLATE, ResultNaming, numbered, result_name

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]
"""How JPEG keeps colour differences."""

SUBSAMPLINGS: Mapping[Subsampling, str] = MappingProxyType(
    {"4:4:4": "4:4:4 (full colour)", "4:2:2": "4:2:2", "4:2:0": "4:2:0 (smallest)"}
)

FORMS: Mapping[FormatName | None, str] = MappingProxyType(
    {
        None: "As the input",
        "PNG": "PNG",
        "JPEG": "JPEG",
        "WEBP": "WebP",
        "TIFF": "TIFF",
        "BMP": "BMP",
        "AVIF": "AVIF",
    }
)
"""The formats that results can be saved in, as a dialog offers them."""

LOSSY: frozenset[FormatName] = frozenset({"JPEG", "WEBP", "AVIF"})
"""The formats that have a quality."""


@dataclass(frozen=True, slots=True)
class OutputChoice:
    """How results are written.

    Attributes
    ----------
    folder : where to; None if none was chosen yet.
    template : of their names, see `srviewer.session.naming`.
    form : the format; None means each input's own.
    quality : 1..100, of formats that lose something.
    subsampling : of JPEG.
    replace : whether files that exist are replaced; else the new ones are numbered.
    """

    folder: Path | None = None
    template: str = DEFAULT_TEMPLATE
    form: FormatName | None = None
    quality: int = 95
    subsampling: Subsampling = "4:4:4"
    replace: bool = False

    def write_options(self) -> WriteOptions:
        """Return the choice as files are written by it."""
        return WriteOptions(
            jpeg_quality=self.quality,
            jpeg_subsampling=self.subsampling,
            webp_quality=self.quality,
            avif_quality=self.quality,
        )


@dataclass(frozen=True, slots=True)
class OutputItem:
    """One result to write.

    Attributes
    ----------
    naming : what its name is made of.
    suffix : its input's, with the dot; empty for one that was pasted.
    bits : per sample.
    alpha : whether it has opacity.
    """

    naming: ResultNaming
    suffix: str = ".png"
    bits: int = 8
    alpha: bool = False


def format_of(item: OutputItem, choice: OutputChoice) -> FormatName:
    """Return the format that an item is written in; PNG where its input's cannot be told."""
    return choice.form or format_of_path(f"x{item.suffix}") or "PNG"


def planned_paths(items: Sequence[OutputItem], choice: OutputChoice) -> tuple[Path, ...]:
    """Return the path of each item: no two the same, and none that exists unless it is to be replaced.

    Raises
    ------
    NamingError
        If the template cannot be used.
    """
    folder = choice.folder or Path()
    used: set[str] = set()
    paths = []
    for item in items:
        own = item.suffix.lower() if choice.form is None and format_of_path(f"x{item.suffix}") else ""
        suffix = own or FORMATS[format_of(item, choice)].suffixes[0]
        name = f"{result_name(choice.template, item.naming)}{suffix}"

        def taken(candidate: str) -> bool:
            exists = not choice.replace and (folder / candidate).exists()
            return exists or candidate.casefold() in used

        free = numbered(name, taken)
        used.add(free.casefold())
        paths.append(folder / free)
    return tuple(paths)


def losses(items: Sequence[OutputItem], choice: OutputChoice) -> tuple[str, ...]:
    """Return sentences about what the chosen formats cannot hold."""
    deep = {format_of(item, choice) for item in items if item.bits > FORMATS[format_of(item, choice)].bits}
    clear = {
        format_of(item, choice) for item in items if item.alpha and not FORMATS[format_of(item, choice)].alpha
    }
    return (
        *(f"{name} holds 8 bits per sample: 16-bit results lose their fine steps." for name in sorted(deep)),
        *(f"{name} holds no opacity: transparent parts become white." for name in sorted(clear)),
    )
