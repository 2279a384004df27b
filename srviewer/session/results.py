"""The results of the session, finished and under way, without their finished pixels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from srviewer.engine.request import FinishedTile, UpscaleOptions
from srviewer.session.entries import ImageId, ResultEntry, ResultFacts, SeamCheck
from srviewer.session.geometry import Size
from srviewer.session.previews import Preview


@dataclass(eq=False)
class PartialResult:
    """A result that is being made.

    Attributes
    ----------
    image, model : whose result by which network.
    size : of the whole result in pixels, or of its preview; None until the image's size is known.
    tiles : those finished so far, in the order they came.
    reduced : whether this is a preview, with fewer pixels than the result.
    """

    image: ImageId
    model: str
    size: Size | None = None
    tiles: list[FinishedTile] = field(default_factory=list)
    reduced: bool = False

    @property
    def share(self) -> float:
        """How much of the result is there, 0..1."""
        if self.size is None:
            return 0.0
        return min(sum(tile.width * tile.height for tile in self.tiles) / self.size.pixels, 1.0)


class Results:
    """Finished and partial results by image and network."""

    def __init__(self) -> None:
        self._finished: dict[tuple[ImageId, str], ResultEntry] = {}
        self._partial: dict[tuple[ImageId, str], PartialResult] = {}
        self._revision = 0

    def finished(self, image: ImageId, model: str) -> ResultEntry | None:
        """Return the finished result, if there is one."""
        return self._finished.get((image, model))

    def partial(self, image: ImageId, model: str) -> PartialResult | None:
        """Return the result that is being made, if there is one."""
        return self._partial.get((image, model))

    def of(self, image: ImageId) -> tuple[ResultEntry, ...]:
        """Return all finished results of an image, in the order they were finished."""
        return tuple(entry for entry in self._finished.values() if entry.image == image)

    def all(self) -> tuple[ResultEntry, ...]:
        """Return all finished results, in the order they were finished."""
        return tuple(self._finished.values())

    def begin(self, image: ImageId, model: str, size: Size | None, *, to_file: bool = False) -> PartialResult:
        """Begin a result; a finished older one stays until this is finished."""
        partial = PartialResult(image, model, size)
        if to_file and size is not None:
            preview = Preview.of(size)
            partial = PartialResult(image, model, preview.size, reduced=preview.halvings > 0)
        self._partial[image, model] = partial
        return partial

    def add_tile(self, image: ImageId, model: str, tile: FinishedTile) -> bool:
        """Add a finished tile; return whether that result is being made."""
        partial = self._partial.get((image, model))
        if partial is None:
            return False
        partial.tiles.append(tile)
        return True

    def finish(
        self,
        image: ImageId,
        model: str,
        facts: ResultFacts,
        options: UpscaleOptions | None,
        *,
        streamed_to: Path | None = None,
    ) -> ResultEntry:
        """Replace what was there by a finished result; one never in memory is in the file `streamed_to`."""
        self._partial.pop((image, model), None)
        self._finished.pop((image, model), None)
        self._revision += 1
        streamed = streamed_to is not None
        entry = ResultEntry(image, model, facts, self._revision, streamed_to, streamed, streamed, options)
        self._finished[image, model] = entry
        return entry

    def abandon(self, image: ImageId, model: str) -> bool:
        """Forget the tiles of a result that will not be finished; return whether there was one."""
        return self._partial.pop((image, model), None) is not None

    def mark_saved(self, image: ImageId, model: str, path: Path, *, lossless: bool) -> ResultEntry | None:
        """Note where a finished result was saved; None if there is no such result.

        A lossless copy is not forgotten for a lossy one that is saved later.
        """
        entry = self._finished.get((image, model))
        if entry is None:
            return None
        if lossless or not entry.lossless:
            entry = replace(entry, saved=path, lossless=lossless)
            self._finished[image, model] = entry
        return entry

    def check_seams(self, image: ImageId, model: str, revision: int, seams: SeamCheck) -> bool:
        """Note how far a result is from the untiled one; return whether it is still that result."""
        entry = self._finished.get((image, model))
        if entry is None or entry.revision != revision:
            return False
        self._finished[image, model] = replace(entry, seams=seams)
        return True

    def drop(self, image: ImageId, model: str) -> bool:
        """Forget a finished result and one under way; return whether there was one."""
        partial = self.abandon(image, model)
        return self._finished.pop((image, model), None) is not None or partial

    def drop_image(self, image: ImageId) -> tuple[str, ...]:
        """Forget all results of an image; return the networks that had made or were making them."""
        models = dict.fromkeys(model for owner, model in (*self._finished, *self._partial) if owner == image)
        for model in models:
            self.drop(image, model)
        return tuple(models)
