"""What the session wants read or made, told apart from the work so that ordering loads no image libraries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from srviewer.imaging.image import Image
from srviewer.session.geometry import Size
from srviewer.session.pixel_store import PixelKey

Making = Literal["as it is", "by region", "reduced", "cut"]
"""What is done with the picture: it is read as it is, its file is only opened, it is reduced (bicubic), or
cut to the ground truth's size.
"""


@dataclass(frozen=True, eq=False)
class LoadOrder:
    """What to read and what to make of it.

    Attributes
    ----------
    key : which picture is wanted.
    revision : the document's count of changes to the image's reference; a picture made for an older one is
        ignored.
    path : the file to read unless `source` is given.
    source : the file's picture, if it is in memory.
    making : what to do with it.
    scale : how many times smaller the networks' input is (`making` other than ``"as it is"``).
    target : the size that a ``"cut"`` must give; None for the largest multiple of `scale`.
    """

    key: PixelKey
    revision: int
    path: Path | None
    source: Image | None = None
    making: Making = "as it is"
    scale: int = 1
    target: Size | None = None
