"""What the panes of the shown image show and say, made of the session's state."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from srviewer.app.background import Background
from srviewer.app.bridge import Bridge
from srviewer.app.feature_maps import FeatureMaps
from srviewer.app.growing_picture import GrowingPicture
from srviewer.app.pane_pictures import PanePictures
from srviewer.app.picture import Picture
from srviewer.app.scene import PaneContent
from srviewer.session.comparison import Mode, Pane, PaneKind
from srviewer.session.entries import ImageEntry, ImageId, ResultEntry
from srviewer.session.events import JobChanged, TileArrived
from srviewer.session.geometry import Point, Size, pixel_at
from srviewer.session.queue import Job
from srviewer.session.results import PartialResult
from srviewer.session.scores import Consistency, NotMeasured, Score
from srviewer.session.session import Session
from srviewer.session.wording import bytes_text, decibels_text, duration_text, seams_text, similarity_text

_PROGRESS_MILLISECONDS = 100  # between two looks at the shares of running jobs
_THREE_LINES = 3


class Panes(QObject):
    """Keeps the canvas's contents in line with the session.

    Pictures are made once for each set of pixels and kept while their image is shown.

    Signals
    -------
    changed(object) : the tuple of `PaneContent` of all panes.
    picture_changed(object) : a `Picture` that has got another piece.
    values_came : values at the pointer that had to be read from a file are there now.
    faulted(str) : one sentence why a file cannot be read.
    whole_seen(object, object) : an `ImageId` whose file stores no coarse levels, and the `Picture` that has
        them now.
    """

    changed = Signal(object)
    picture_changed = Signal(object)
    values_came = Signal()
    faulted = Signal(str)
    whole_seen = Signal(object, object)

    def __init__(
        self,
        session: Session,
        bridge: Bridge,
        background: Background,
        maps: FeatureMaps,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._maps = maps
        self._shown: ImageId | None = None
        self._pictures = PanePictures(session.document, background, self)
        self._pictures.picture_changed.connect(self.picture_changed)
        self._pictures.values_came.connect(self.values_came)
        self._pictures.faulted.connect(self.faulted)
        self._pictures.whole_seen.connect(self.whole_seen)
        self._growing: dict[str, tuple[PartialResult | None, Picture, GrowingPicture]] = {}
        self._pasted: dict[str, int] = {}
        self.contents: tuple[PaneContent, ...] = ()
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self.refresh)
        self._later = QTimer(self, singleShot=True, interval=_PROGRESS_MILLISECONDS)
        self._later.timeout.connect(self.refresh)
        for signal in (
            bridge.current_changed,
            bridge.pixels_changed,
            bridge.reference_changed,
            bridge.results_changed,
            bridge.ticked_changed,
            bridge.scores_changed,
            bridge.images_changed,
            bridge.selection_changed,
            bridge.comparison_changed,
            bridge.maps_changed,
        ):
            signal.connect(lambda _: self._soon.start())
        self._pictures.came.connect(self._soon.start)
        bridge.tile_arrived.connect(self._paste)
        bridge.job_changed.connect(self._follow_job)

    @property
    def is_idle(self) -> bool:
        """Whether the contents are those of the session now."""
        return not (self._soon.isActive() or self._later.isActive()) and self._pictures.is_idle

    def refresh(self) -> None:
        """Make the contents anew."""
        self._later.stop()
        current = self._session.document.current
        image = None if current is None else current.id
        if image != self._shown:
            self._shown = image
            self._pictures.clear()
            self._growing.clear()
            self._pasted.clear()
        contents = (
            () if current is None else tuple(self._content(current, pane) for pane in self._session.panes)
        )
        self._forget_unshown()
        self.contents = contents
        self.changed.emit(contents)

    def values_at(self, point: Point | None) -> tuple[tuple[str, tuple[int, int, int]], ...]:
        """Return each pane's title and its R, G, B at a whole-image point, where it has a pixel there."""
        if point is None:
            return ()
        found = []
        for content in self.contents:
            if content.picture is not None:
                place = pixel_at(point, content.picture.size)
                value = None if place is None else content.picture.pixel(*place)
                if value is not None:
                    found.append((content.title, value))
        return tuple(found)

    # Following

    def _follow_job(self, event: JobChanged) -> None:
        if event.change != "changed":
            self._soon.start()
        elif not self._later.isActive():
            self._later.start()

    def _paste(self, event: TileArrived) -> None:
        if event.image != self._shown:
            return
        known = self._growing.get(event.model)
        if known is None:
            self._soon.start()
            return
        self._catch_up(event.model, known[2])
        self.picture_changed.emit(known[2])

    def _catch_up(self, model: str, growing: GrowingPicture) -> None:
        """Paste all tiles that are not in the picture yet."""
        assert self._shown is not None
        partial = self._session.document.partial(self._shown, model)
        if partial is None or partial.size != growing.size:
            return
        for tile in partial.tiles[self._pasted.get(model, 0) :]:
            growing.paste(tile.x, tile.y, tile.pixels)
        self._pasted[model] = len(partial.tiles)

    # Contents

    def _content(self, current: ImageEntry, pane: Pane) -> PaneContent:
        if current.state == "failed":
            return PaneContent(pane, current.name, (current.error or "cannot be read",), is_error=True)
        match pane.kind:
            case PaneKind.INPUT:
                return self._input_content(current, pane)
            case PaneKind.TRUTH:
                size = current.truth_size
                lines = () if size is None else (str(size),)
                return PaneContent(pane, "Ground truth", lines, self._pictures.held(current.id, "truth"))
            case PaneKind.RESULT:
                return self._result_content(current, pane)
            case PaneKind.MAP:
                shown = self._maps.shown(current.id, pane.model)
                if shown is None:
                    return PaneContent(pane, pane.model)
                picture, caption = shown
                return PaneContent(pane, caption[0], caption[1:], picture)

    def _input_content(self, current: ImageEntry, pane: Pane) -> PaneContent:
        lines = [] if current.input_size is None else [str(current.input_size)]
        picture = self._pictures.held(current.id, "input")
        share = self._pictures.preparing(current.id, "input")
        if share is not None:
            lines.append(f"going through the file for a view of the whole: {share:.0%}")
        elif current.by_region:
            lines.append("shown from its file")
        return PaneContent(pane, "Input", tuple(lines), picture, share)

    def _result_content(self, current: ImageEntry, pane: Pane) -> PaneContent:
        document, model = self._session.document, pane.model
        title = self._session.title_of(model)
        result, partial = document.result(current.id, model), document.partial(current.id, model)
        job = self._job_of(current.id, model)
        if partial is not None:
            pictures = self._pictures
            below = pictures.held(current.id, "result", model) or pictures.held(current.id, "input")
            growing = None
            if partial.size is not None and below is not None:
                growing = self._growing_picture(model, partial, partial.size, below)
                self._catch_up(model, growing)
            share = job.share if job is not None else partial.share
            return PaneContent(pane, title, _running_lines(job), growing, share)
        if result is not None:
            self._growing.pop(model, None)
            lines = self._result_lines(current, result)
            return PaneContent(pane, title, lines, self._pictures.held(current.id, "result", model))
        below = self._pictures.held(current.id, "input")
        scale = self._session.scale_of(model)
        waiting = None
        if below is not None and scale is not None:
            waiting = self._growing_picture(model, None, below.size.times(scale), below)
        if job is not None and job.state == "failed":
            return PaneContent(pane, title, (job.error or "failed",), waiting, is_error=True)
        if job is not None and job.state == "waiting":
            return PaneContent(pane, title, ("waiting",), waiting, 0.0)
        words = "cancelled" if job is not None and job.state == "cancelled" else "not run yet"
        return PaneContent(pane, title, (words,), waiting)

    def _growing_picture(
        self, model: str, owner: PartialResult | None, size: Size, below: Picture
    ) -> GrowingPicture:
        """Return the picture of a result under way (`owner`), or of one that is still to come (None)."""
        known = self._growing.get(model)
        reduced = owner is not None and owner.reduced
        if known is None or known[0] is not owner or known[1] is not below:
            self._growing[model] = known = (owner, below, GrowingPicture(size, below, reduced=reduced))
            self._pasted[model] = 0
        return known[2]

    def _job_of(self, image: ImageId, model: str) -> Job | None:
        """Return the latest upscale job of an image and a network."""
        jobs = [
            job
            for job in self._session.queue.jobs
            if (job.kind, job.image, job.model) == ("upscale", image, model)
        ]
        active = [job for job in jobs if not job.finished]
        return (active or jobs)[-1] if jobs else None

    def _result_lines(self, current: ImageEntry, result: ResultEntry) -> tuple[str, ...]:
        facts = result.facts
        document = self._session.document
        parts = _score_parts(document.score(current.id, result.model))
        parts += [duration_text(facts.seconds), bytes_text(facts.peak_memory_bytes)]
        lines = [" · ".join(parts)]
        selection = self._session.selection
        if selection is not None and (current.reference is not None or result.streamed):
            score = document.score(current.id, result.model, selection.pixels)
            region = _score_parts(score)
            if region and self._session.comparison.mode is Mode.CROPS:
                lines.insert(0, " · ".join(region))  # what is seen there is the selection
            elif region:
                lines.append(f"selection {' · '.join(region)}")
        remarks = []
        if not facts.exact:
            remarks.append("≈ tiles differ from the whole")
        if facts.fp32_tiles:
            remarks.append(f"{facts.fp32_tiles} tiles again in fp32")
        if result.seams is not None:
            remarks.append(seams_text(result.seams))
        if result.streamed and result.saved is not None:
            remarks.append(f"in {result.saved.name}")
        if remarks:
            lines.append(" · ".join(remarks))
        return tuple(lines[:_THREE_LINES])

    # Pictures

    def _forget_unshown(self) -> None:
        """Let go of pictures whose pixels the session has dropped, and of panes that are gone."""
        panes = {pane.model for pane in self._session.panes if pane.kind is PaneKind.RESULT}
        self._pictures.forget_unshown(panes)
        for model in tuple(self._growing):
            if model not in panes:
                del self._growing[model]


def _running_lines(job: Job | None) -> tuple[str, ...]:
    if job is None:
        return ("running",)
    progress = job.progress
    if job.state == "paused":
        return ("paused",)
    if job.cancelling:
        return ("stopping",)
    if progress is None or progress.tiles_done == 0:
        return ("starting",)
    return (f"tile {progress.tiles_done} of {progress.tiles}",)


def _score_parts(score: Score | None) -> list[str]:
    match score:
        case None:
            return []
        case Consistency():
            return [f"LR {decibels_text(score.psnr_y)} dB"]
        case NotMeasured():
            return ["not comparable"]
        case _:
            return [f"{decibels_text(score.psnr_y)} dB", similarity_text(score.ssim_y)]
