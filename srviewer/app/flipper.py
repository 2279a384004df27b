"""Flipping between A and B by a key that is tapped or held."""

from __future__ import annotations

from PySide6.QtCore import QElapsedTimer, QObject, Qt

from srviewer.session.comparison import Mode
from srviewer.session.session import Session

_PEEK_MILLISECONDS = 350  # a key that is down for longer was held, not tapped


class Flipper(QObject):
    """Flips A and B: a tap stays, a held key shows the other one until it is let go."""

    def __init__(self, session: Session, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._held = QElapsedTimer()
        self._pressed = False

    def press(self) -> None:
        """Show the other one of A and B; any other mode becomes flip mode first."""
        comparison = self._session.comparison
        if comparison.mode is not Mode.FLIP:
            comparison = comparison.with_mode(Mode.FLIP)
        self._session.compare(comparison.with_flip())
        self._held.start()
        self._pressed = True

    def release(self, key: int, *, is_repeat: bool) -> None:
        """Flip back if the key was held."""
        if key != Qt.Key.Key_Space or is_repeat or not self._pressed:
            return
        self._pressed = False
        comparison = self._session.comparison
        if self._held.elapsed() > _PEEK_MILLISECONDS and comparison.mode is Mode.FLIP:
            self._session.compare(comparison.with_flip())
