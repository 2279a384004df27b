"""The files that were opened lately."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

MOST_RECENT = 12


class RecentFiles:
    """Files opened lately, up to a dozen of them.

    Attributes
    ----------
    paths : the latest first.
    """

    def __init__(self) -> None:
        self.paths: tuple[Path, ...] = ()

    def remember(self, paths: Sequence[Path]) -> bool:
        """Put files at the head, the first of `paths` first; return whether that changed anything."""
        recent = tuple(dict.fromkeys((*paths, *self.paths)))[:MOST_RECENT]
        changed = recent != self.paths
        self.paths = recent
        return changed
