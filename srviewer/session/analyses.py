"""What is asked of a network's inside: the orders of the jobs that explain, record and take spectra."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from srviewer.session.geometry import PixelRect, Point, Size

if TYPE_CHECKING:  # types only: the modules that define them load torch
    from srviewer.analysis.lam_objectives import Objective
    from srviewer.analysis.lam_paths import PathKind


@dataclass(frozen=True, slots=True)
class AttributionOrder:
    """Make the local attribution map of a window of a network's result.

    Attributes
    ----------
    window : in pixels of the result.
    objective : what of the window is explained.
    path : what is integrated along.
    steps : points on the path.
    """

    window: PixelRect
    objective: Objective = "gradient"
    path: PathKind = "blur"
    steps: int = 50


@dataclass(frozen=True, slots=True)
class FeaturesOrder:
    """Record a network's features.

    Attributes
    ----------
    region : in pixels of the network's input; None for the whole.
    tap : the tap whose channels are wanted, by its name; None for the average features before and after every
        attention block.
    """

    region: PixelRect | None = None
    tap: str | None = None


@dataclass(frozen=True, slots=True)
class SpectraOrder:
    """Take the spectra of average features before and after every attention block.

    Attributes
    ----------
    region : in pixels of the network's input; None for the whole.
    """

    region: PixelRect | None = None


@dataclass(frozen=True, slots=True)
class SeamsOrder:
    """Compare a tiled result with the untiled one.

    Attributes
    ----------
    revision : of the result that is meant.
    region : in pixels of the network's input; None leaves the choice to what fits into memory.
    """

    revision: int
    region: PixelRect | None = None


AnalysisOrder = AttributionOrder | FeaturesOrder | SpectraOrder | SeamsOrder
"""What a job other than upscaling is to do."""


def window_around(centre: Point, side: int, result: Size) -> PixelRect:
    """Return the square of `side` pixels of a result about a point, moved inside where it would reach beyond.

    Parameters
    ----------
    centre : whole-image coordinates (0..1).
    side : pixels of the result; at most the result's own sides.
    result : the result's size.
    """
    width, height = min(side, result.width), min(side, result.height)
    x = min(max(round(centre.x * result.width - width / 2), 0), result.width - width)
    y = min(max(round(centre.y * result.height - height / 2), 0), result.height - height)
    return PixelRect(x, y, width, height)
