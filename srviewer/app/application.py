"""The program around the window: from the command line's wishes to the exit status."""

from __future__ import annotations

import contextlib
import logging
import sys

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtWidgets import QApplication

from srviewer import __version__
from srviewer.app.arguments import GuiArguments
from srviewer.app.controller import Controller
from srviewer.app.diagnostics import FaultCatcher, Interrupts, log_qt_messages, start_log
from srviewer.app.main_window import MainWindow
from srviewer.app.message_bar import Message, MessageAction
from srviewer.app.overrides import Overrides
from srviewer.app.screenshot import Screenshot
from srviewer.app.settings import SettingsStore, settings_file
from srviewer.app.theme import apply_theme
from srviewer.engine.heap import keep_freed_memory
from srviewer.session.geometry import PixelRect
from srviewer.session.selection import Selection

_log = logging.getLogger(__name__)


_SCREENSHOT_SIZE = (1400, 850)


def qt_application() -> QApplication:
    """Return the one QApplication, made if there is none yet."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    app = QApplication(sys.argv[:1])
    app.setApplicationName("srviewer")
    app.setApplicationDisplayName("SR Viewer")
    app.setApplicationVersion(__version__)
    app.setDesktopFileName("srviewer")
    return app


class Application(QObject):
    """One run of the program.

    Attributes
    ----------
    controller, window : its parts.
    """

    def __init__(self, arguments: GuiArguments) -> None:
        keep_freed_memory()  # before there are threads
        self._app = qt_application()
        super().__init__()
        self._arguments = arguments
        store = SettingsStore(None if arguments.screenshot is not None else settings_file())
        overrides = Overrides(store.load(), arguments)
        settings = overrides.applied()
        apply_theme(self._app, settings.theme)
        self.controller = Controller(settings, self)
        self.window = MainWindow(self.controller, store, kept=overrides.taken_back)
        # a picture of the window must not depend on the screen: without one Qt pretends to 800 x 800
        size = arguments.size or (_SCREENSHOT_SIZE if arguments.screenshot is not None else None)
        if size is not None:
            self.window.resize(*size)
            self.window.resize_docks()
        self._shot = None if arguments.screenshot is None else Screenshot(self.window, arguments, self)
        if arguments.select is not None:
            self.controller.loads.taken.connect(self._select)
            self.controller.loads.session_opened.connect(self._select)
        self._faults = FaultCatcher(self)
        self._faults.caught.connect(self._tell_fault)

    def run(self) -> int:
        """Show the window and stay until it is closed."""
        handler = start_log()
        log_qt_messages()
        self._faults.install()
        interrupts = Interrupts(self)
        interrupts.interrupted.connect(self._leave)
        self._app.setQuitOnLastWindowClosed(False)
        self.window.closed.connect(self._quit)
        self.window.show()
        self.window.painted.connect(self._begin)
        try:
            status = int(self._app.exec())
        finally:
            interrupts.remove()
            self._faults.remove()
            if handler is not None:
                logging.getLogger().removeHandler(handler)
                handler.close()
        return status if self._shot is None else self._shot.end()

    def _begin(self) -> None:
        """Open what was asked for, now that the window stands."""
        arguments = self._arguments
        if arguments.mode is not None:
            self.window.table[f"mode_{arguments.mode}"].trigger()
        if arguments.histogram:
            self.window.show_dock(self.window.histogram)
        if self._shot is not None:
            self._shot.begin()
        else:
            for model in self.controller.session.document.ticked:
                self.controller.weights.inspect(model)
        self.controller.open(arguments.paths, as_truth=arguments.evaluate)

    def _select(self) -> None:
        """Select what was asked for, in the first image that comes."""
        loads, session = self.controller.loads, self.controller.session
        loads.taken.disconnect(self._select)
        loads.session_opened.disconnect(self._select)
        current, region = session.document.current, self._arguments.select
        if current is None or current.input_size is None or region is None:
            return
        try:
            session.select_region(Selection(current.input_size, PixelRect(*region)))
        except ValueError as error:
            self.controller.message.emit(Message(f"--select: {error}"))

    def _leave(self) -> None:
        _log.info("interrupted")
        self.window.leave()

    def _quit(self) -> None:
        # Later, so that the window's own closing has ended before the loop does.
        QTimer.singleShot(0, self._app, self._app.quit)

    def _tell_fault(self, text: str) -> None:
        copy = MessageAction("Copy diagnostics", self.window.commands.copy_diagnostics)
        with contextlib.suppress(RuntimeError):  # the window may be gone already
            self.window.show_message(
                Message(f"Something unexpected happened: {text}", "error", (copy,), key="fault")
            )
        if self._shot is not None:
            self._shot.fail(text)
