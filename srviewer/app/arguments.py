"""What the command line asks of the window: a record that needs no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ThemeName = Literal["light", "dark", "system"]
"""The colours of the window."""

ModeName = Literal["grid", "wipe", "flip", "difference", "crops"]
"""The ways of comparing."""


@dataclass(frozen=True, slots=True)
class GuiArguments:
    """How the window begins.

    Attributes
    ----------
    paths : files and folders to open.
    models : references of the networks to tick; none means those of the last time.
    theme : colours; None means as remembered.
    screenshot : where to save a picture of the window once everything is done, instead of staying open;
        stored settings are ignored then.
    timeout : seconds that a screenshot is waited for at most.
    size : width and height of the window in logical pixels; None means as remembered.
    mode : how the panes are compared; None means as a grid.
    select : x, y, width, height of the region to select, in pixels of the networks' input.
    evaluate : whether the images are used as ground truth.
    histogram : whether the Histogram tab is on top.
    device, precision : how networks run, as the command line's options.
    """

    paths: tuple[Path, ...] = ()
    models: tuple[str, ...] = ()
    theme: ThemeName | None = None
    screenshot: Path | None = None
    timeout: float = 600.0
    size: tuple[int, int] | None = None
    mode: ModeName | None = None
    select: tuple[int, int, int, int] | None = None
    evaluate: bool = False
    histogram: bool = False
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
