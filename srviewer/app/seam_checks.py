"""Comparing tiled results with untiled ones, as jobs of the queue."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from PySide6.QtCore import QObject

from srviewer.app.analysing import FoundSeams
from srviewer.app.runs import Runs
from srviewer.engine.request import SMALLEST_TILE, UpscaleOptions
from srviewer.session.analyses import SeamsOrder
from srviewer.session.entries import ImageEntry, ResultEntry
from srviewer.session.geometry import PixelRect, Size
from srviewer.session.queue import Job
from srviewer.session.session import Session

_PART_SIDE = 1536
"""Of the part of an image that stays in its file, in pixels: tiles of every size meet there several times,
and no network needs more than some GB for it untiled.
"""


class SeamChecks(QObject):
    """Queues the checks of the shown image's tiled results, and brings what they give into the session.

    Parameters
    ----------
    session, runs : whose jobs they are.
    options : how networks run now; a result is checked as it was made, where that is known.
    """

    def __init__(
        self,
        session: Session,
        runs: Runs,
        options: Callable[[], UpscaleOptions],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._options = options
        runs.analysed.connect(self._take)

    @property
    def checkable(self) -> tuple[ResultEntry, ...]:
        """The shown image's results that were made of tiles."""
        document = self._session.document
        if document.current is None:
            return ()
        found = [document.result(document.current.id, model) for model in document.ticked]
        return tuple(one for one in found if one is not None and one.facts.tile is not None)

    def run(self) -> int:
        """Queue a check of each tiled result that has none, of all if each has; return how many."""
        current, session = self._session.document.current, self._session
        results = self.checkable
        wanted = [one for one in results if one.seams is None] or list(results)
        queued = 0
        for result in wanted:
            if current is None or session.queue.pending("seams", result.image, result.model) is not None:
                continue
            order = SeamsOrder(result.revision, self._region(current))
            session.queue.add("seams", result.image, result.model, self._as_made(result), analysis=order)
            queued += 1
        return queued

    def _as_made(self, result: ResultEntry) -> UpscaleOptions:
        """Return the options that give the same tiles again."""
        facts = result.facts
        options = self._options() if result.options is None else result.options
        tile = None if facts.tile is None or facts.tile < SMALLEST_TILE else facts.tile
        return dataclasses.replace(options, tile=tile or options.tile, precision=facts.precision)

    def _region(self, current: ImageEntry) -> PixelRect | None:
        """Return the part of an image that stays in its file: about the middle of what is looked at."""
        looked_at, size = self._session.looked_at, current.input_size
        if not current.by_region or looked_at is None or size is None:
            return None
        return around(looked_at, _PART_SIDE, size)

    def _take(self, job: Job, outcome: object) -> None:
        if not isinstance(outcome, FoundSeams) or job.image not in self._session.document:
            return
        seams, part = outcome.seams, outcome.order.region
        if part is not None:
            region = seams.region
            moved = PixelRect(region.x + part.x, region.y + part.y, region.width, region.height)
            seams = dataclasses.replace(seams, region=moved)
        self._session.document.check_seams(job.image, job.model, outcome.order.revision, seams)


def around(box: PixelRect, side: int, size: Size) -> PixelRect:
    """Return the square of `side` pixels about the middle of `box`, as far as an image of `size` goes."""
    width, height = min(side, size.width), min(side, size.height)
    x = min(max(box.x + (box.width - width) // 2, 0), size.width - width)
    y = min(max(box.y + (box.height - height) // 2, 0), size.height - height)
    return PixelRect(x, y, width, height)
