"""The images of the session, their ground truths, the ticked networks, and what these made of those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from srviewer.engine.request import FinishedTile, UpscaleOptions, UpscaleResult
from srviewer.imaging.image import Image
from srviewer.session.entries import (
    GivenReference,
    ImageEntry,
    ImageId,
    MadeReference,
    Reference,
    ResultEntry,
    ResultFacts,
    SeamCheck,
)
from srviewer.session.events import (
    Change,
    CurrentChanged,
    ImagesChanged,
    PixelsChanged,
    ReferenceChanged,
    ResultsChanged,
    ScoresChanged,
    SessionEvents,
    TickedChanged,
    TileArrived,
)
from srviewer.session.geometry import PixelRect, Size
from srviewer.session.image_list import DocumentError, ImageList
from srviewer.session.orders import LoadOrder
from srviewer.session.pictures import Pictures, key_of
from srviewer.session.pixel_store import MemoryBudget, PixelKey, Role
from srviewer.session.regions import STAYS_IN_FILE, RegionFile
from srviewer.session.results import PartialResult, Results
from srviewer.session.scores import Score, ScoreKey, ScoreOrder, ScoreRow, Scores, score_row


class Document(ImageList):
    """What the session holds; every change is told to `events` once it is complete.

    Parameters
    ----------
    events : who hears of changes.
    budget : how much memory decoded pictures may take.
    """

    def __init__(self, events: SessionEvents | None = None, budget: MemoryBudget | None = None) -> None:
        super().__init__(events)
        self._ticked: tuple[str, ...] = ()
        self._reference_revisions: dict[ImageId, int] = {}
        self._revision = 0
        self._pictures = Pictures(budget)
        self._results = Results()
        self._scores = Scores()

    # Images

    def add_image(self, image: Image, name: str) -> ImageId:
        """Add a picture that no file holds (pasted); it stays in memory until it is closed."""
        new = self._new_id()
        self._entries[new] = ImageEntry(
            new, None, name, Size(image.width, image.height), image.bits, image.notes, "ready"
        )
        gone = self._pictures.put(PixelKey(new, "file"), image, replaceable=False)
        self._events.images_changed(ImagesChanged("added", (new,)))
        self._tell_gone(gone)
        if self._current is None:
            self.select(new)
        return new

    def close(self, image: ImageId) -> None:
        """Close an image with all its results; if it was shown, the next one is (or the one before it)."""
        self.entry(image)
        following = self._neighbour(image, 1) or self._neighbour(image, -1)
        was_current = image == self._current
        if was_current:
            self._current = following
        del self._entries[image]
        self._reference_revisions.pop(image, None)
        self._results.drop_image(image)
        self._scores.drop_image(image)
        self._pictures.drop_image(image)
        gone = self._hold_what_is_shown()
        self._events.images_changed(ImagesChanged("removed", (image,)))
        if was_current:
            self._events.current_changed(CurrentChanged(following))
        self._tell_gone(gone)

    # Reading, done elsewhere: orders go out, pictures come in

    def load_order(self, image: ImageId, role: Role, model: str = "") -> LoadOrder | None:
        """Return what has to be read or made for a picture; None if it is in memory, or cannot be made by
        reading.
        """
        result = self._results.finished(image, model) if role == "result" else None
        if role == "result" and result is None:
            return None
        revision = self._reference_revisions.get(image, 0)
        return self._pictures.order(self.entry(image), role, result, revision)

    def loading(self, order: LoadOrder) -> None:
        """Note that an order is being worked on."""
        entry = self._entries.get(order.key.image)
        if entry is not None and order.key.role == "file" and entry.state in ("listed", "failed"):
            self._put(replace(entry, state="loading", error=None))

    def loaded(self, order: LoadOrder, image: Image | RegionFile) -> bool:
        """Take a picture, or the open file that stands for it; return False if it came too late: closed,
        another reference or a newer result by now.
        """
        key = order.key
        entry = self._entries.get(key.image)
        if entry is None or not self._still_fits(order):
            if isinstance(image, RegionFile):
                image.close()
            return False
        if key.role == "file":
            size = Size(image.width, image.height)
            self._put(
                replace(entry, size=size, bits=image.bits, notes=image.notes, state="ready", error=None)
            )
        gone = self._pictures.put(key, image, replaceable=True)
        self._events.pixels_changed(PixelsChanged(key.image, key.role, key.model, present=True))
        self._tell_gone(gone)
        return True

    def load_failed(self, order: LoadOrder, reason: str) -> None:
        """Take the reason why a picture cannot be had; a ground truth that fails is no ground truth any
        more.
        """
        entry = self._entries.get(order.key.image)
        if entry is None or not self._still_fits(order):
            return
        if order.key.role == "file":
            self._put(replace(entry, state="failed", error=reason))
        elif entry.reference is not None and order.key.role in ("truth", "input"):
            self._put(replace(entry, notes=(*entry.notes, reason)))
            self._set_reference(entry.id, None)

    def pixels(self, image: ImageId, role: Role, model: str = "") -> Image | None:
        """Return a picture from memory, which counts as used now; None if it is not there (see
        `load_order`).
        """
        entry = self._entries.get(image)
        return None if entry is None else self._pictures.pixels(key_of(entry, role, model))

    def region_file(self, image: ImageId, role: Role, model: str = "") -> RegionFile | None:
        """Return the open file of a picture that is read by region; None if there is none (see
        `load_order`).
        """
        entry = self._entries.get(image)
        return None if entry is None else self._pictures.file(key_of(entry, role, model))

    def close_files(self) -> None:
        """Close all files that are read by region: the session ends."""
        self._pictures.close_files()

    @property
    def held_bytes(self) -> int:
        """Bytes of decoded pictures in memory."""
        return self._pictures.held_bytes

    # Ground truth

    def use_as_ground_truth(self, image: ImageId, scale: int) -> None:
        """Take the image itself as ground truth: networks of `scale` get its bicubic reduction.

        Raises
        ------
        DocumentError
            If the image is known to be too small, or is left in its file.
        """
        self._refuse_by_region(image)
        size = self.entry(image).size
        if size is not None and min(size.width, size.height) < scale:
            raise DocumentError(
                f"{self.entry(image).name} is {size}: too small for a ground truth at ×{scale}"
            )
        self._set_reference(image, MadeReference(scale))

    def set_ground_truth(self, image: ImageId, path: Path, scale: int) -> None:
        """Take the file `path`, `scale` times as large, as ground truth of the image.

        Raises
        ------
        DocumentError
            If the image is left in its file.
        """
        self._refuse_by_region(image)
        self._set_reference(image, GivenReference(path, scale))

    def clear_ground_truth(self, image: ImageId) -> None:
        """Have no ground truth for the image any more."""
        self._set_reference(image, None)

    # Networks

    @property
    def ticked(self) -> tuple[str, ...]:
        """References of the ticked networks in the order of their panes."""
        return self._ticked

    def tick(self, models: Sequence[str]) -> None:
        """Tick exactly these networks, in this order."""
        models = tuple(dict.fromkeys(models))
        if models == self._ticked:
            return
        self._ticked = models
        gone = self._hold_what_is_shown()
        self._events.ticked_changed(TickedChanged(models))
        self._tell_gone(gone)

    def set_ticked(self, model: str, ticked: bool) -> None:
        """Tick one network (as the last) or untick it."""
        others = [one for one in self._ticked if one != model]
        if ticked != (model in self._ticked):
            self.tick([*others, model] if ticked else others)

    # Results

    def result(self, image: ImageId, model: str) -> ResultEntry | None:
        """Return a finished result."""
        return self._results.finished(image, model)

    def partial(self, image: ImageId, model: str) -> PartialResult | None:
        """Return a result that is being made."""
        return self._results.partial(image, model)

    def results_of(self, image: ImageId) -> tuple[ResultEntry, ...]:
        """Return the finished results of an image."""
        return self._results.of(image)

    def unsaved(self) -> tuple[ResultEntry, ...]:
        """Return the finished results that no file holds."""
        return tuple(entry for entry in self._results.all() if entry.saved is None)

    def begin_result(self, image: ImageId, model: str, scale: int | None, *, to_file: bool = False) -> None:
        """Begin a result, whose tiles will come; a finished one stays until then. An unknown scale is
        None. Of one that goes to a file only a preview's will come.
        """
        size = self.entry(image).input_size
        whole = None if size is None or scale is None else size.times(scale)
        self._results.begin(image, model, whole, to_file=to_file)
        self._events.results_changed(ResultsChanged(image, model, "added"))

    def add_tile(self, image: ImageId, model: str, tile: FinishedTile) -> None:
        """Take a finished tile; one of an image that was closed meanwhile is forgotten."""
        if self._results.add_tile(image, model, tile):
            self._events.tile_arrived(TileArrived(image, model, tile))

    def finish_result(
        self, image: ImageId, model: str, result: UpscaleResult, options: UpscaleOptions | None = None
    ) -> ResultEntry | None:
        """Take a result that was begun, with its pixels; None if it was forgotten meanwhile (closed, other
        input). `options` are those it was asked for with.
        """
        if self._results.partial(image, model) is None:
            return None
        entry = self._results.finish(image, model, ResultFacts.of(result), options)
        self._scores.drop_result(image, model)
        gone = self._pictures.put(PixelKey(image, "result", model), result.image, replaceable=False)
        self._events.results_changed(ResultsChanged(image, model, "changed"))
        self._events.pixels_changed(PixelsChanged(image, "result", model, present=True))
        self._tell_gone(gone)
        return entry

    def finish_streamed(
        self, image: ImageId, model: str, facts: ResultFacts, path: Path, options: UpscaleOptions
    ) -> ResultEntry | None:
        """Take a result that was written to `path` as it was made, and is read from there by region; None as
        `finish_result`.
        """
        if self._results.partial(image, model) is None:
            return None
        entry = self._results.finish(image, model, facts, options, streamed_to=path)
        self._scores.drop_result(image, model)
        self._pictures.drop(PixelKey(image, "result", model))
        self._events.results_changed(ResultsChanged(image, model, "changed"))
        return entry

    def check_seams(self, image: ImageId, model: str, revision: int, seams: SeamCheck) -> None:
        """Take what comparing a tiled result with an untiled one gave, unless there is another one by now."""
        if self._results.check_seams(image, model, revision, seams):
            self._events.results_changed(ResultsChanged(image, model, "changed"))

    def abandon_result(self, image: ImageId, model: str) -> None:
        """Forget the tiles of a result that was cancelled or failed; a finished older one stays."""
        if self._results.abandon(image, model):
            self._tell_result(image, model)

    def drop_result(self, image: ImageId, model: str) -> None:
        """Forget a result."""
        if self._results.drop(image, model):
            self._scores.drop_result(image, model)
            self._pictures.drop(PixelKey(image, "result", model))
            self._tell_result(image, model)

    def mark_saved(self, image: ImageId, model: str, path: Path, *, lossless: bool) -> None:
        """Note that a file holds a result; a lossless copy lets its pixels go when memory is short."""
        entry = self._results.mark_saved(image, model, path, lossless=lossless)
        if entry is not None:
            gone = self._pictures.make_replaceable(PixelKey(image, "result", model)) if entry.lossless else ()
            self._events.results_changed(ResultsChanged(image, model, "changed"))
            self._tell_gone(gone)

    # Scores, measured elsewhere: orders go out, numbers come in

    def score(self, image: ImageId, model: str, region: PixelRect | None = None) -> Score | None:
        """Return what was measured on a result; None if nothing was yet."""
        return self._scores.get(ScoreKey(image, model, region))

    def score_order(self, image: ImageId, model: str, region: PixelRect | None = None) -> ScoreOrder | None:
        """Return what has to be measured; None if it is known or under way, or there is no result to measure.

        Without a ground truth a result is compared with its input, as a whole only; one that was never in
        memory on regions only.
        """
        entry, result = self.entry(image), self._results.finished(image, model)
        if result is None or (result.streamed and entry.reference is not None):
            return None
        if entry.reference is None and result.streamed != (region is not None):
            return None
        order = ScoreOrder(
            ScoreKey(image, model, region),
            "input" if entry.reference is None else "truth",
            result.facts.scale,
            result.revision,
            self._reference_revisions.get(image, 0),
        )
        return order if self._scores.order(order) else None

    def scored(self, order: ScoreOrder, score: Score) -> bool:
        """Take what was measured; return False if result, reference or selection are others by now."""
        if not self._scores.put(order, score):
            return False
        self._events.scores_changed(ScoresChanged(order.key.image, order.key.model))
        return True

    def keep_scores_of(self, image: ImageId, region: PixelRect | None) -> None:
        """Forget what was measured on regions other than `region`: the selection moved on."""
        if self._scores.keep_region(image, region):
            self._events.scores_changed(ScoresChanged(image, None))

    def score_rows(
        self, image: ImageId, models: Sequence[str], base_line: str | None, region: PixelRect | None = None
    ) -> tuple[ScoreRow, ...]:
        """Return the table of metrics: a row for each network in order, deltas against `base_line`'s PSNR."""
        base = None if base_line is None else self.score(image, base_line, region)
        return tuple(
            score_row(model, self.result(image, model), self.score(image, model, region), base)
            for model in models
        )

    # Inside

    def _refuse_by_region(self, image: ImageId) -> None:
        entry = self.entry(image)
        if entry.by_region:
            raise DocumentError(f"{entry.name} cannot be a ground truth or have one: {STAYS_IN_FILE}")

    def _set_reference(self, image: ImageId, reference: Reference | None) -> None:
        """Change an image's ground truth; results go if the networks' input is another now, numbers in any
        case.
        """
        entry = self.entry(image)
        if entry.reference == reference:
            return
        input_changes = isinstance(entry.reference, MadeReference) or isinstance(reference, MadeReference)
        self._revision += 1
        self._reference_revisions[image] = self._revision
        self._entries[image] = replace(entry, reference=reference)
        self._scores.drop_image(image)
        for role in ("input", "truth"):
            self._pictures.drop(PixelKey(image, role))
        models: tuple[str, ...] = ()
        if input_changes:
            for result in self._results.of(image):
                self._pictures.drop(PixelKey(image, "result", result.model))
            models = self._results.drop_image(image)
        self._events.images_changed(ImagesChanged("changed", (image,)))
        for model in models:
            self._events.results_changed(ResultsChanged(image, model, "removed"))
        self._events.reference_changed(ReferenceChanged(image, reference, input_changes))
        self._events.scores_changed(ScoresChanged(image, None))

    def _still_fits(self, order: LoadOrder) -> bool:
        """Return whether the picture that was ordered is still the one that its key means."""
        key = order.key
        if key.role == "file":
            return True
        if key.role == "result":
            result = self._results.finished(key.image, key.model)
            return result is not None and result.saved == order.path and key not in self._pictures
        return order.revision == self._reference_revisions.get(key.image, 0)

    def _hold_what_is_shown(self) -> tuple[PixelKey, ...]:
        """Keep the current image's pictures in memory whatever they take; return the keys of others that
        went.
        """
        if self._current is None:
            return self._pictures.use(())
        shown = [PixelKey(self._current, role) for role in ("file", "input", "truth")]
        shown.extend(PixelKey(self._current, "result", model) for model in self._ticked)
        return self._pictures.use(shown)

    def _tell_result(self, image: ImageId, model: str) -> None:
        change: Change = "removed" if self._results.finished(image, model) is None else "changed"
        self._events.results_changed(ResultsChanged(image, model, change))
