"""The decoded pixels that the session keeps in memory, within a budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from srviewer.imaging.image import Image
from srviewer.session.entries import ImageId

Role = Literal["file", "input", "truth", "result"]
"""Which picture of an entry: its file's, what the networks get, the ground truth, or a network's result."""

DEFAULT_BUDGET_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class PixelKey:
    """Names one picture: which image, in which role, and for a result by which network."""

    image: ImageId
    role: Role
    model: str = ""


@dataclass(frozen=True, slots=True)
class MemoryBudget:
    """How much memory pictures may take that could be made again.

    Attributes
    ----------
    pixels : bytes of decoded pictures to keep; the least recently used go first. The pictures in use, and
        those that could not be read or computed again, stay whatever they take.
    """

    pixels: int = DEFAULT_BUDGET_BYTES

    def __post_init__(self) -> None:
        if self.pixels < 0:
            raise ValueError(f"a budget of {self.pixels} bytes is no amount of memory")


def image_bytes(image: Image) -> int:
    """Return how many bytes a decoded picture holds."""
    alpha = 0 if image.alpha is None else image.alpha.nbytes
    return image.pixels.nbytes + alpha + len(image.icc or b"") + len(image.exif or b"")


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    image: Image
    size: int
    replaceable: bool


class PixelStore:
    """Pictures by key, the least recently used first to go.

    A picture is never dropped while it is in use (`use`), while it could not be made again (`replaceable`
    False), or as the last one put.
    """

    def __init__(self, budget: MemoryBudget | None = None) -> None:
        self._budget = budget or MemoryBudget()
        self._held: OrderedDict[PixelKey, _Held] = OrderedDict()
        self._in_use: frozenset[PixelKey] = frozenset()
        self._bytes = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of all pictures in memory."""
        return self._bytes

    def __contains__(self, key: PixelKey) -> bool:
        return key in self._held

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: PixelKey) -> Image | None:
        """Return a picture, which counts as used now; None if it is not in memory."""
        held = self._held.get(key)
        if held is None:
            return None
        self._held.move_to_end(key)
        return held.image

    def put(self, key: PixelKey, image: Image, *, replaceable: bool) -> tuple[PixelKey, ...]:
        """Keep a picture; return the keys of those that had to go for it."""
        self._forget(key)
        held = _Held(image, image_bytes(image), replaceable)
        self._held[key] = held
        self._bytes += held.size
        return self._shrink(newest=key)

    def make_replaceable(self, key: PixelKey) -> tuple[PixelKey, ...]:
        """Let a picture go when memory is short: it could be made again from now on. Return what went."""
        held = self._held.get(key)
        if held is None:
            return ()
        self._held[key] = _Held(held.image, held.size, replaceable=True)
        return self._shrink()

    def use(self, keys: Collection[PixelKey]) -> tuple[PixelKey, ...]:
        """Hold on to exactly the pictures of `keys` from now on; return the keys of those that went."""
        self._in_use = frozenset(keys)
        return self._shrink()

    def drop(self, key: PixelKey) -> bool:
        """Forget a picture; return whether it was in memory."""
        return self._forget(key)

    def drop_image(self, image: ImageId) -> tuple[PixelKey, ...]:
        """Forget all pictures of an image; return their keys."""
        gone = tuple(key for key in self._held if key.image == image)
        for key in gone:
            self._forget(key)
        self._in_use = frozenset(key for key in self._in_use if key.image != image)
        return gone

    def _forget(self, key: PixelKey) -> bool:
        held = self._held.pop(key, None)
        if held is None:
            return False
        self._bytes -= held.size
        return True

    def _shrink(self, newest: PixelKey | None = None) -> tuple[PixelKey, ...]:
        """Drop what may go, least recently used first, until the budget is met."""
        gone = []
        for key in tuple(self._held):
            if self._bytes <= self._budget.pixels:
                break
            if self._held[key].replaceable and key not in self._in_use and key != newest:
                self._forget(key)
                gone.append(key)
        return tuple(gone)
