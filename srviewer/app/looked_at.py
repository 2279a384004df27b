"""What docks look at of the shown image: the selection, the whole, or what is in view of a file."""

from __future__ import annotations

from collections.abc import Sequence

from srviewer.imaging.faults import ImageFileError
from srviewer.session.geometry import PixelRect
from srviewer.session.regions import Readable, RegionFile, RegionsClosedError
from srviewer.session.session import Session

COUNTED_SIDE = 4096
"""Pixels along each side of a file's part that is counted; of a larger part it is the middle's: 50 MB, half a
second.
"""


def views_count(session: Session) -> bool:
    """Return whether what is in view decides what is looked at."""
    current = session.document.current
    return current is not None and current.by_region and session.selection is None


def looked_at_words(session: Session) -> str:
    """Return in words what is looked at; empty without an image."""
    if session.document.current is None:
        return ""
    if session.selection is not None:
        return f"Selection of {session.selection.pixels} of the input"
    looked_at = session.looked_at
    return "Whole image" if looked_at is None else f"In view: {looked_at} of the input"


def counted_words(session: Session, parts: Sequence[PixelRect], boxes: Sequence[PixelRect]) -> str:
    """Return in words what is looked at, and that it is the middle where `parts` are less than `boxes`."""
    cut = [part for part, box in zip(parts, boxes, strict=True) if part != box]
    words = looked_at_words(session)
    return f"{words}, {cut[0]} in its middle counted" if cut else words


def middle_of(box: PixelRect, side: int) -> PixelRect:
    """Return the middle of a region, `side` pixels wide and high at most."""
    width, height = min(box.width, side), min(box.height, side)
    return PixelRect(box.x + (box.width - width) // 2, box.y + (box.height - height) // 2, width, height)


def counted_part(picture: Readable, box: PixelRect) -> PixelRect:
    """Return what is counted of a region: all of it in memory, of a file as much as can be read at once."""
    return middle_of(box, COUNTED_SIDE) if isinstance(picture, RegionFile) else box


def is_reading_fault(error: Exception) -> bool:
    """Return whether work failed because a file cannot be read (any more), not by a fault of the program."""
    return isinstance(error, ImageFileError | RegionsClosedError | MemoryError | OSError)
