"""The bars above the canvas that tell of errors and notes, in place of boxes that block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from srviewer.app.theme import Palette, action_icon, current_palette
from srviewer.session.wording import plural

Level = Literal["error", "warning", "note"]
"""How grave a message is; notes go by themselves."""

_NOTE_MILLISECONDS = 8000
_MOST_SHOWN = 3
_STRIPE = 3  # logical pixels


@dataclass(frozen=True, slots=True)
class MessageAction:
    """A button in a message: its text, and what it does; the message goes when it was pressed."""

    text: str
    act: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Message:
    """What a bar says.

    Attributes
    ----------
    text : one or two sentences.
    level : how grave it is.
    actions : buttons.
    key : a message with the key of one that is shown replaces it; by default its text.
    """

    text: str
    level: Level = "error"
    actions: tuple[MessageAction, ...] = ()
    key: str = ""

    @property
    def identity(self) -> str:
        """By what it is told from others."""
        return self.key or self.text


class MessageStrip(QFrame):
    """One bar: a stripe and a drawing in the level's colour, the text, buttons.

    Signals
    -------
    dismissed : the user (or time) wishes it gone.
    """

    dismissed = Signal()

    def __init__(self, message: Message, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.message = message
        self.times = 1
        self.setAccessibleName(f"{message.level}: {message.text}")
        row = QHBoxLayout(self)
        row.setContentsMargins(8 + _STRIPE, 4, 4, 4)
        row.setSpacing(8)
        self._drawing = QLabel()
        self._drawing.setFixedSize(16, 16)
        row.addWidget(self._drawing, 0, Qt.AlignmentFlag.AlignVCenter)
        self._text = QLabel(message.text)
        self._text.setTextFormat(Qt.TextFormat.PlainText)
        self._text.setWordWrap(True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row.addWidget(self._text, 1)
        self._count = QLabel()
        self._count.setProperty("role", "muted")
        self._count.hide()
        row.addWidget(self._count)
        self.buttons: list[QPushButton] = []
        for action in message.actions:
            button = QPushButton(action.text)
            button.clicked.connect(lambda _=False, chosen=action: self._do(chosen))
            row.addWidget(button)
            self.buttons.append(button)
        self.close_button = QToolButton()
        self.close_button.setAutoRaise(True)
        self.close_button.setIconSize(QSize(14, 14))
        self.close_button.setToolTip("Dismiss (Esc)")
        self.close_button.setAccessibleName("Dismiss message")
        self.close_button.clicked.connect(lambda _=False: self.dismissed.emit())
        row.addWidget(self.close_button)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self._expiry = QTimer(self)
        self._expiry.setSingleShot(True)
        self._expiry.timeout.connect(self.dismissed)
        self._refresh()
        self.restart()

    def restart(self) -> None:
        """Let a note stay for its whole time from now on; other messages stay until they are dismissed."""
        if self.message.level == "note" and not self.message.actions:
            self._expiry.start(_NOTE_MILLISECONDS)

    def again(self) -> None:
        """Say that the same thing happened once more."""
        self.times += 1
        self._count.setText(f"{self.times} times")
        self._count.show()
        self.restart()

    def _do(self, action: MessageAction) -> None:
        self.dismissed.emit()
        action.act()

    def _refresh(self) -> None:
        palette = current_palette()
        colour = _colour(self.message.level, palette)
        self._drawing.setPixmap(action_icon(self.message.level, palette, colour).pixmap(QSize(16, 16)))
        self.close_button.setIcon(action_icon("remove", palette, palette.muted))

    def changeEvent(self, event: QEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange:
            self._refresh()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102, N802 -- Qt's name
        if event.key() == Qt.Key.Key_Escape:
            self.dismissed.emit()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102, N802 -- Qt's name
        palette = current_palette()
        painter = QPainter(self)
        painter.fillRect(self.rect(), palette.raised)
        painter.fillRect(0, 0, _STRIPE, self.height(), _colour(self.message.level, palette))
        painter.fillRect(0, self.height() - 1, self.width(), 1, palette.outline)
        painter.end()


def _colour(level: Level, palette: Palette) -> QColor:
    return {"error": palette.error, "warning": palette.warning, "note": palette.link}[level]


class MessageBar(QWidget):
    """The bars, the latest on top; beyond a few, the older ones are counted and shown when room is made."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Messages")
        self._strips: list[MessageStrip] = []
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(0)
        self._more = QPushButton()
        self._more.setFlat(True)
        self._more.setToolTip("Dismiss all messages")
        self._more.clicked.connect(lambda _=False: self.clear())
        self._column.addWidget(self._more)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self._settle()

    def show_message(self, message: Message) -> MessageStrip:
        """Show a message; the same one again is counted, and one of the same key replaced."""
        for strip in self._strips:
            if strip.message.identity == message.identity:
                if strip.message.text == message.text:
                    strip.again()
                    return strip
                self._remove(strip)
                break
        strip = MessageStrip(message, self)
        strip.dismissed.connect(lambda gone=strip: self._dismiss(gone))
        self._strips.insert(0, strip)
        self._column.insertWidget(0, strip)
        self._settle()
        return strip

    def dismiss(self, key: str) -> None:
        """Take the message of a key (or text) away, if it is there."""
        for strip in tuple(self._strips):
            if strip.message.identity == key:
                self._dismiss(strip)

    def clear(self) -> None:
        """Take all messages away."""
        for strip in tuple(self._strips):
            self._remove(strip)
        self._settle()

    @property
    def strips(self) -> tuple[MessageStrip, ...]:
        """The bars, the latest first."""
        return tuple(self._strips)

    def _dismiss(self, strip: MessageStrip) -> None:
        if strip in self._strips:
            self._remove(strip)
            self._settle()

    def _remove(self, strip: MessageStrip) -> None:
        self._strips.remove(strip)
        self._column.removeWidget(strip)
        strip.hide()
        strip.deleteLater()

    def _settle(self) -> None:
        for place, strip in enumerate(self._strips):
            strip.setVisible(place < _MOST_SHOWN)
        hidden = len(self._strips) - _MOST_SHOWN
        self._more.setVisible(hidden > 0)
        self._more.setText(f"{plural(hidden, 'earlier message')} · dismiss all")
        self.setVisible(bool(self._strips))
