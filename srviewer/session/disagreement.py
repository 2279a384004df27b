"""Where networks disagree most about an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.image import Pixels
from srviewer.session.geometry import Rect

_LONGEST_SIDE = 768  # of the map that is searched: fine enough for windows of a twelfth of the picture
_WINDOW_SHARE = 12  # windows across the picture's longer side
_SMALLEST_WINDOW = 16  # pixels of the compared size
_MOST_PLACES = 50
_LEAST_STRENGTH = 0.5 / 255  # below half a step of 8 bits there is nothing to see
_LEAST_OF_FIRST = 0.1  # places ten times weaker than the first are not worth a visit
_BAND_SAMPLES = 1 << 20  # pixels of a band of rows: some 70 MB as float32 with its extremes


@dataclass(frozen=True, slots=True)
class Place:
    """A window in which networks disagree.

    Attributes
    ----------
    area : in whole-image coordinates.
    strength : mean over the window of the spread (largest minus smallest value among the results), mean over
        the three channels, 0..1.
    """

    area: Rect
    strength: float


def disagreements(results: Sequence[Pixels]) -> tuple[Place, ...]:
    """Return the places where results disagree, the strongest first; no two overlap.

    Parameters
    ----------
    results : each H x W x 3, uint8 or uint16, R, G, B, of the same picture. Larger ones are compared at the
        size of the smallest, reduced by averaging over areas.

    Returns
    -------
    At most 50 places, square (in pixels) up to the picture's edge; none if there are fewer than two results,
    or all agree within half a step of 8 bits. Memory needed beyond the results is that of a band of rows, and
    of the reduced copies where sizes differ.

    Raises
    ------
    ValueError
        If a result is not H x W x 3.
    """
    if any(one.ndim != 3 or one.shape[2] != 3 for one in results):
        raise ValueError("results are compared as H x W x 3")
    if len(results) < 2:
        return ()
    smallest = min(results, key=lambda one: one.shape[0] * one.shape[1])
    height, width = smallest.shape[:2]
    aligned = [_reduced(one, width, height) for one in results]
    spread, block = _spread_map(aligned, width, height)
    side = max(-(-max(width, height) // _WINDOW_SHARE), _SMALLEST_WINDOW)
    return _ranked(spread, block, side, width, height)


def next_disagreement(results: Sequence[Pixels], after: Place | None = None) -> Place | None:
    """Return the place to look at after `after`: the strongest first, then the weaker ones, then the
    strongest again.

    Parameters
    ----------
    results : as `disagreements` takes them.
    after : what it returned last; None (or a place that the results do not give any more) begins with the
        strongest.

    Returns
    -------
    The place, or None if the results agree everywhere.
    """
    return following(disagreements(results), after)


def following(places: Sequence[Place], after: Place | None) -> Place | None:
    """Return the place behind `after` in a list of places, the first behind the last; None if there are
    none.
    """
    if not places:
        return None
    areas = [place.area for place in places]
    if after is None or after.area not in areas:
        return places[0]
    return places[(areas.index(after.area) + 1) % len(places)]


def _reduced(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return `pixels` at the compared size, averaged over areas."""
    if pixels.shape[:2] == (height, width):
        return pixels
    reduced = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return reduced.astype(np.uint8, copy=False) if pixels.dtype == np.uint8 else reduced.astype(np.uint16)


def _spread_map(aligned: Sequence[Pixels], width: int, height: int) -> tuple[NDArray[np.float32], int]:
    """Return the mean spread of each block x block pixels (fewer at the right and bottom), and the block's
    side.
    """
    block = max(-(-max(width, height) // _LONGEST_SIDE), 1)
    rows, columns = -(-height // block), -(-width // block)
    spread = np.empty((rows, columns), np.float32)
    band = max(_BAND_SAMPLES // (width * block), 1)  # rows of blocks at a time
    starts = np.arange(0, width, block)
    for first in range(0, rows, band):
        last = min(first + band, rows)
        part = slice(first * block, min(last * block, height))
        low = high = _unit(aligned[0][part])
        for one in aligned[1:]:
            values = _unit(one[part])
            low, high = np.minimum(low, values), np.maximum(high, values)
        plane = (high - low).mean(axis=2)
        sums = np.add.reduceat(plane, starts, axis=1)
        sums = np.add.reduceat(sums, np.arange(0, plane.shape[0], block), axis=0)
        spread[first:last] = sums
    heights = np.minimum(block, height - np.arange(rows) * block)
    widths = np.minimum(block, width - np.arange(columns) * block)
    spread /= np.outer(heights, widths).astype(np.float32)
    return spread, block


def _unit(pixels: Pixels) -> NDArray[np.float32]:
    """Return samples of either depth on 0..1."""
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def _ranked(spread: NDArray[np.float32], block: int, side: int, width: int, height: int) -> tuple[Place, ...]:
    """Return the strongest windows of `side` pixels, each next one clear of all before (non-maximum
    suppression).
    """
    rows, columns = spread.shape
    across = min(max(round(side / block), 1), columns)
    down = min(max(round(side / block), 1), rows)
    sums = cv2.integral(spread, sdepth=cv2.CV_64F)
    means = (
        sums[down:, across:] - sums[:-down, across:] - sums[down:, :-across] + sums[:-down, :-across]
    ) / (across * down)
    places: list[Place] = []
    while len(places) < _MOST_PLACES:
        top, left = np.unravel_index(int(np.argmax(means)), means.shape)
        strength = float(means[top, left])
        if strength < max(_LEAST_STRENGTH, _LEAST_OF_FIRST * places[0].strength if places else 0.0):
            break
        area = Rect(
            float(left) * block / width,
            float(top) * block / height,
            min(float(left + across) * block / width, 1.0),
            min(float(top + down) * block / height, 1.0),
        )
        places.append(Place(area, strength))
        means[max(top - down + 1, 0) : top + down, max(left - across + 1, 0) : left + across] = -1.0
    return tuple(places)
