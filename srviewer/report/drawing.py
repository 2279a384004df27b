"""What the figures have in common: fonts, inks and the way to a file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from srviewer.imaging.atomic import whole_file

FigureFormat = Literal["png", "pdf", "svg"]
"""The formats that figures are written in."""

FIGURE_FORMATS: tuple[FigureFormat, ...] = ("png", "pdf", "svg")

POINTS_PER_INCH = 72.0
PRINT_DPI = 600
"""Dots per inch that pictures inside PDF and SVG have: what a printing press resolves."""
_PNG_DPI = 300
SMALLEST_FONT = 5.0
"""Points; smaller type cannot be read in print."""
# Matplotlib keeps these settings for the whole process only, so one figure is drawn at a time.
_DRAWING = threading.Lock()


class FigureError(ValueError):
    """A figure cannot be drawn or written. The message is one sentence for the user."""


def font(size: float, *, bold: bool = False) -> FontProperties:
    """Return the typeface of all figures: matplotlib brings it along, so they look alike on every machine."""
    return FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")


def text_width(words: str, face: FontProperties) -> float:
    """Return the width of a line of text in points."""
    return float(TextPath((0, 0), words, prop=face).get_extents().width) if words.strip() else 0.0


def fitted(words: str, face: FontProperties, width: float) -> tuple[str, FontProperties]:
    """Make a line fit `width` points: by smaller type, down to 5 points, then an ellipsis in the middle."""
    needed = text_width(words, face)
    if needed <= width:
        return words, face
    smaller = face.copy()
    smaller.set_size(max(SMALLEST_FONT, face.get_size_in_points() * width / needed))
    kept = len(words)
    shortened = words
    while kept > 2 and text_width(shortened, smaller) > width:
        kept -= 1
        shortened = f"{words[: (kept + 1) // 2]}…{words[len(words) - kept // 2 :]}"
    return shortened, smaller


def save_figure(figure: Figure, path: Path, *, overwrite: bool = False) -> None:
    """Write a figure as PNG (300 dots per inch), PDF or SVG, as the suffix says; text stays text in the
    latter two.

    The file appears under its name only when it is whole. The same figure gives the same bytes.

    Raises
    ------
    FigureError
        The path has another suffix.
    ImageFileError
        The file is there already and is not to be overwritten, or it cannot be written.
    """
    form = next((known for known in FIGURE_FORMATS if path.suffix.lower() == f".{known}"), None)
    if form is None:
        raise FigureError(
            f"{path}: figures are written as {', '.join(FIGURE_FORMATS)}, not {path.suffix or 'that'}"
        )
    with whole_file(path, overwrite=overwrite) as file, _printing():
        dpi = _PNG_DPI if form == "png" else PRINT_DPI
        figure.savefig(file, format=form, dpi=dpi, metadata=_METADATA[form])


@contextlib.contextmanager
def _printing() -> Iterator[None]:
    """Set what matplotlib's writers take only from its settings, and set it back."""
    with (
        _DRAWING,
        mpl.rc_context(
            {"pdf.fonttype": 42, "ps.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "srviewer"}
        ),
    ):
        yield


# No date, so that the same figure gives the same file.
_METADATA: dict[FigureFormat, dict[str, str | None]] = {
    "png": {"Software": "SR Viewer"},
    "pdf": {"Creator": "SR Viewer", "Producer": "SR Viewer", "CreationDate": None},
    "svg": {"Creator": "SR Viewer", "Date": None},
}
