"""The pictures of the session: which are in memory or open in their files, and how missing ones are made."""

from __future__ import annotations

from collections.abc import Collection

from srviewer.imaging.image import Image
from srviewer.session.entries import GivenReference, ImageEntry, ImageId, MadeReference, ResultEntry
from srviewer.session.orders import LoadOrder, Making
from srviewer.session.pixel_store import MemoryBudget, PixelKey, PixelStore, Role
from srviewer.session.regions import RegionFile


class Pictures:
    """Decoded pixels within a budget, and files that are read by region instead.

    Parameters
    ----------
    budget : how much memory decoded pictures may take.
    """

    def __init__(self, budget: MemoryBudget | None = None) -> None:
        self._store = PixelStore(budget)
        self._files: dict[PixelKey, RegionFile] = {}

    @property
    def held_bytes(self) -> int:
        """Bytes of decoded pictures in memory."""
        return self._store.held_bytes

    def __contains__(self, key: PixelKey) -> bool:
        return key in self._store or key in self._files

    def pixels(self, key: PixelKey) -> Image | None:
        """Return a picture from memory, which counts as used now; None if it is not there."""
        return self._store.get(key)

    def file(self, key: PixelKey) -> RegionFile | None:
        """Return the open file of a picture that is read by region; None if there is none."""
        return self._files.get(key)

    def put(self, key: PixelKey, picture: Image | RegionFile, *, replaceable: bool) -> tuple[PixelKey, ...]:
        """Keep a picture instead of the one before; return the keys of those that had to go for it."""
        self.drop(key)
        if isinstance(picture, RegionFile):
            self._files[key] = picture
            return ()
        return self._store.put(key, picture, replaceable=replaceable)

    def make_replaceable(self, key: PixelKey) -> tuple[PixelKey, ...]:
        """Let a picture go when memory is short: it could be made again from now on. Return what went."""
        return self._store.make_replaceable(key)

    def use(self, keys: Collection[PixelKey]) -> tuple[PixelKey, ...]:
        """Hold on to exactly the pictures of `keys` from now on; return the keys of those that went."""
        return self._store.use(keys)

    def drop(self, key: PixelKey) -> None:
        """Forget a picture; a file is closed as soon as nobody reads from it."""
        self._store.drop(key)
        file = self._files.pop(key, None)
        if file is not None:
            file.close()

    def drop_image(self, image: ImageId) -> None:
        """Forget all pictures of an image."""
        self._store.drop_image(image)
        for key in [key for key in self._files if key.image == image]:
            self.drop(key)

    def close_files(self) -> None:
        """Close all files that are read by region."""
        for key in tuple(self._files):
            self.drop(key)

    # What is missing

    def order(
        self, entry: ImageEntry, role: Role, result: ResultEntry | None, revision: int
    ) -> LoadOrder | None:
        """Return what has to be read or made for a picture; None if it is there, or cannot be had by reading.

        Parameters
        ----------
        entry : whose picture.
        role : which of its pictures.
        result : the finished result that is meant, for that role.
        revision : the document's count of changes to the image's reference.
        """
        key = key_of(entry, role, "" if result is None else result.model)
        if key in self:
            return None
        if key.role == "result":
            if result is None or not result.lossless:
                return None
            making: Making = "by region" if result.streamed else "as it is"
            return LoadOrder(key, revision, result.saved, making=making)
        if key.role == "file":
            return LoadOrder(key, revision, entry.path, making="by region" if entry.by_region else "as it is")
        reference = entry.reference
        if isinstance(reference, MadeReference):
            source = self._store.get(PixelKey(entry.id, "file"))
            making = "reduced" if key.role == "input" else "cut"
            return LoadOrder(key, revision, entry.path, source, making, reference.scale)
        if isinstance(reference, GivenReference):
            return LoadOrder(key, revision, reference.path, None, "cut", reference.scale, entry.truth_size)
        return None


def key_of(entry: ImageEntry, role: Role, model: str) -> PixelKey:
    """Return which picture is meant: without a reduction the networks' input is the file's picture itself."""
    if role == "input" and not isinstance(entry.reference, MadeReference):
        role = "file"
    return PixelKey(entry.id, role, model if role == "result" else "")
