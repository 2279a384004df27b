"""The numbers measured on results: kept while they fit, forgotten when what they were measured on changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from srviewer.session.entries import ImageId, ResultEntry
from srviewer.session.geometry import PixelRect

if TYPE_CHECKING:  # a type only: measuring loads OpenCV, which the window must not wait for
    from srviewer.analysis.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Consistency:
    """How well a result agrees with its input where there is no ground truth.

    Attributes
    ----------
    psnr_y : dB on Y between the input and the result scaled back by MATLAB-style bicubic, whole image.
    """

    psnr_y: float


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """Why there is no number.

    Attributes
    ----------
    reason : one sentence for the user.
    """

    reason: str


Score: TypeAlias = "Metrics | Consistency | NotMeasured"
"""What measuring gave."""


@dataclass(frozen=True, slots=True)
class ScoreKey:
    """What is measured: an image's result by a network, on a region in LR pixels or (None) the whole
    image.
    """

    image: ImageId
    model: str
    region: PixelRect | None = None


@dataclass(frozen=True, slots=True)
class ScoreOrder:
    """What to measure, for any thread; the answer counts while both revisions are still the session's.

    Attributes
    ----------
    key : what is measured.
    against : the ground truth, or the input (LR consistency).
    scale : of the result: the border that is shaved, and the factor from LR pixels to the region's.
    result_revision, reference_revision : of the result and of the image's reference when this was ordered.
    """

    key: ScoreKey
    against: Literal["truth", "input"]
    scale: int
    result_revision: int
    reference_revision: int

    @property
    def region(self) -> tuple[int, int, int, int] | None:
        """The region in pixels of the result: x, y, width, height; None for the whole image."""
        return None if self.key.region is None else self.key.region.times(self.scale).as_tuple()


class Scores:
    """Scores by key, and which ones are being measured."""

    def __init__(self) -> None:
        self._scores: dict[ScoreKey, Score] = {}
        self._ordered: dict[ScoreKey, ScoreOrder] = {}

    def __len__(self) -> int:
        return len(self._scores)

    def get(self, key: ScoreKey) -> Score | None:
        """Return what was measured; None if nothing was yet."""
        return self._scores.get(key)

    def order(self, order: ScoreOrder) -> bool:
        """Note that `order` is being measured; return False if it is already, or was."""
        if order.key in self._scores or self._ordered.get(order.key) == order:
            return False
        self._ordered[order.key] = order
        return True

    def put(self, order: ScoreOrder, score: Score) -> bool:
        """Keep an answer; return False (and forget it) if nobody waits for this order any more."""
        if self._ordered.get(order.key) != order:
            return False
        del self._ordered[order.key]
        self._scores[order.key] = score
        return True

    def drop_image(self, image: ImageId) -> bool:
        """Forget everything about an image; return whether there was anything."""
        return self._drop([key for key in (*self._scores, *self._ordered) if key.image == image])

    def drop_result(self, image: ImageId, model: str) -> bool:
        """Forget everything about one result; return whether there was anything."""
        return self._drop(
            [key for key in (*self._scores, *self._ordered) if key.image == image and key.model == model]
        )

    def keep_region(self, image: ImageId, region: PixelRect | None) -> bool:
        """Forget the regions of an image other than `region` (its whole stays); return whether there were
        any.
        """
        return self._drop(
            [
                key
                for key in (*self._scores, *self._ordered)
                if key.image == image and key.region is not None and key.region != region
            ]
        )

    def _drop(self, keys: Sequence[ScoreKey]) -> bool:
        for key in keys:
            self._scores.pop(key, None)
            self._ordered.pop(key, None)
        return bool(keys)


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One network's row in the table of metrics; None where a number is not known (yet).

    Attributes
    ----------
    model : the network's reference.
    psnr_y, ssim_y, psnr_rgb : against the ground truth.
    delta_db : `psnr_y` minus the base line's, dB.
    consistency : LR consistency in dB where there is no ground truth.
    seconds, peak_memory_bytes : of the run.
    exact : whether the result equals the untiled one.
    note : why something could not be measured.
    """

    model: str
    psnr_y: float | None = None
    ssim_y: float | None = None
    psnr_rgb: float | None = None
    delta_db: float | None = None
    consistency: float | None = None
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    exact: bool | None = None
    note: str = ""


ScoreColumn = Literal[
    "model", "psnr_y", "ssim_y", "psnr_rgb", "delta_db", "consistency", "seconds", "peak_memory_bytes"
]
"""What the rows can be sorted by."""


def score_row(
    model: str, result: ResultEntry | None, score: Score | None, base_line: Score | None = None
) -> ScoreRow:
    """Return a network's row from its result, its score and the base line's score (None where there is
    none).
    """
    seconds = None if result is None else result.facts.seconds
    memory = None if result is None else result.facts.peak_memory_bytes
    exact = None if result is None else result.facts.exact
    row = ScoreRow(model, seconds=seconds, peak_memory_bytes=memory, exact=exact)
    match score:
        case None:
            return row
        case NotMeasured():
            return replace(row, note=score.reason)
        case Consistency():
            return replace(row, consistency=score.psnr_y)
        case _:
            return replace(
                row,
                psnr_y=score.psnr_y,
                ssim_y=score.ssim_y,
                psnr_rgb=score.psnr_rgb,
                delta_db=_delta(score, base_line),
            )


def _delta(score: Metrics, base_line: Score | None) -> float | None:
    """Return how many dB `score` is above the base line; None if either is infinite or not known."""
    if base_line is None or isinstance(base_line, Consistency | NotMeasured):
        return None
    delta = score.psnr_y - base_line.psnr_y
    return delta if math.isfinite(delta) else None


def sorted_rows(
    rows: Sequence[ScoreRow], column: ScoreColumn, *, descending: bool = False
) -> tuple[ScoreRow, ...]:
    """Return the rows sorted by a column; equal ones keep their order, unknown numbers come last either
    way.
    """
    if column == "model":
        return tuple(sorted(rows, key=lambda row: row.model.casefold(), reverse=descending))
    known: list[tuple[float, ScoreRow]] = []
    unknown: list[ScoreRow] = []
    for row in rows:
        value = _number(row, column)
        if value is None:
            unknown.append(row)
        else:
            known.append((value, row))
    known.sort(key=lambda pair: pair[0], reverse=descending)
    return (*(row for _, row in known), *unknown)


def _number(row: ScoreRow, column: ScoreColumn) -> float | None:
    match column:
        case "psnr_y":
            return row.psnr_y
        case "ssim_y":
            return row.ssim_y
        case "psnr_rgb":
            return row.psnr_rgb
        case "delta_db":
            return row.delta_db
        case "consistency":
            return row.consistency
        case "seconds":
            return row.seconds
        case "peak_memory_bytes":
            return row.peak_memory_bytes
        case "model":
            return None
