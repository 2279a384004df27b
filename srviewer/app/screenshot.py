"""A picture of the window once everything in it is done."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QObject, QTimer

from srviewer.app.arguments import GuiArguments
from srviewer.app.message_bar import Message
from srviewer.session.intake import Intake

if TYPE_CHECKING:
    from srviewer.app.main_window import MainWindow

_LOOK_MILLISECONDS = 40
_CALM_LOOKS = 4  # in a row: what one step sets off has begun by the next look


class Screenshot(QObject):
    """Waits until what was asked for is open and nothing is left to do, saves the picture, closes the window.

    Attributes
    ----------
    status : 0 if all went well, else 1; what did not has been told on standard error.
    """

    def __init__(self, window: MainWindow, arguments: GuiArguments, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.status = 0
        self._window = window
        self._controller = window.controller
        self._arguments = arguments
        self._calm = 0
        self._opened = not arguments.paths
        self._ended = False
        self._told: set[str] = set()
        self._look = QTimer(self, interval=_LOOK_MILLISECONDS)
        self._look.timeout.connect(self._look_whether_done)
        self._late = QTimer(self, singleShot=True, interval=max(int(arguments.timeout * 1000), 1))
        self._late.timeout.connect(self._give_up)
        self._controller.message.connect(self._note)
        loads = self._controller.loads
        loads.taken.connect(self._after_intake)
        loads.session_opened.connect(self._note_opened)
        loads.failed.connect(self._note_opened)

    def begin(self) -> None:
        """Begin to wait."""
        self._late.start()
        self._look.start()

    def end(self) -> int:
        """Note that the window is gone, and return the status."""
        if not self._ended:
            self.fail("interrupted before the picture was taken")
        return self.status

    def fail(self, text: str) -> None:
        """Note that something went wrong; the picture is taken all the same."""
        self.status = 1
        if text not in self._told:
            self._told.add(text)
            sys.stderr.write(f"srviewer: {text}\n")

    def _note(self, message: Message) -> None:
        if message.level == "error":
            self.fail(message.text)

    def _after_intake(self, intake: Intake) -> None:
        for ignored in intake.ignored:
            self.fail(str(ignored))
        self._note_opened()

    def _note_opened(self) -> None:
        """Begin to look whether all is done: something is open, or cannot be."""
        self._opened = True

    def _look_whether_done(self) -> None:
        done = self._opened and self._controller.is_idle and self._window.canvas_is_settled
        self._calm = self._calm + 1 if done else 0
        if self._calm >= _CALM_LOOKS:
            self._take()

    def _give_up(self) -> None:
        self.fail(f"not done after {self._arguments.timeout:g} s: the picture shows how far it came")
        self._take()

    def _take(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._look.stop()
        self._late.stop()
        self._save()
        self._window.leave()

    def _save(self) -> None:
        from srviewer.imaging.atomic import whole_file
        from srviewer.imaging.faults import ImageFileError

        path = self._arguments.screenshot
        assert path is not None, "a screenshot has a path"
        content = QByteArray()
        buffer = QBuffer(content)
        buffer.open(QIODevice.OpenModeFlag.WriteOnly)
        picture = self._window.grab()
        if not picture.save(buffer, "PNG"):
            self.fail(f"{path}: the picture of the window cannot be encoded")
            return
        try:
            with whole_file(path, overwrite=True) as stream:
                stream.write(bytes(content.data()))
        except ImageFileError as error:
            self.fail(str(error))
