"""What helps when something unexpected happens: the log file, caught exceptions, and a text to hand on."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import platform
import signal
import socket
import sys
import threading
from importlib import metadata
from pathlib import Path
from types import FrameType, TracebackType

from PySide6.QtCore import (
    QMessageLogContext,
    QObject,
    QSocketNotifier,
    QtMsgType,
    Signal,
    qInstallMessageHandler,
    qVersion,
)
from PySide6.QtGui import QGuiApplication

from srviewer import __version__, paths

_log = logging.getLogger(__name__)

_LOG_BYTES = 512 * 1024
_LOG_FILES = 3
_TOLD_LINES = 120  # of the log's end
_PACKAGES = (
    "PySide6-Essentials",
    "torch",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "tifffile",
    "imagecodecs",
    "pyqtgraph",
    "matplotlib",
)
_QT_LEVELS = {
    QtMsgType.QtDebugMsg: logging.DEBUG,
    QtMsgType.QtInfoMsg: logging.INFO,
    QtMsgType.QtWarningMsg: logging.WARNING,
    QtMsgType.QtCriticalMsg: logging.ERROR,
    QtMsgType.QtFatalMsg: logging.CRITICAL,
}


def log_file() -> Path:
    """Return the path of the log file, which may not exist."""
    return paths.user_log_folder() / "srviewer.log"


def start_log() -> logging.Handler | None:
    """Write the log to its file from now on; None where that cannot be: the program runs without it."""
    path = log_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES - 1, encoding="utf-8", delay=True
        )
    except OSError:
        return None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    logging.getLogger("srviewer").setLevel(logging.INFO)
    _log.info("SR Viewer %s starts", __version__)
    return handler


def log_qt_messages() -> None:
    """Write Qt's own warnings to the log; those of the offscreen platform about size hints say nothing."""

    def take(kind: QtMsgType, context: QMessageLogContext, message: str) -> None:
        del context
        if "propagateSizeHints" not in message:
            logging.getLogger("qt").log(_QT_LEVELS.get(kind, logging.WARNING), "%s", message)

    qInstallMessageHandler(take)


def processor_name() -> str:
    """Return what the CPU is sold as, without asking torch."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model", "Hardware"):
                return " ".join(value.split())
    return platform.processor() or platform.machine() or "CPU"


def diagnostics_text() -> str:
    """Return versions, platform and the end of the log, for a report of a fault; it holds paths of files."""
    lines = [
        f"SR Viewer {__version__}",
        f"Python {platform.python_version()} on {platform.platform()}",
        f"Qt {qVersion()}, platform {QGuiApplication.platformName()}",
        f"CPU {processor_name()}, {os.cpu_count()} threads",
    ]
    for name in _PACKAGES:
        try:
            lines.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{name}: not found by its name")
    for screen in QGuiApplication.screens():
        size = screen.size()
        lines.append(f"screen {size.width()} × {size.height()} at {screen.devicePixelRatio():g}")
    try:
        tail = log_file().read_text("utf-8", "replace").splitlines()[-_TOLD_LINES:]
    except OSError:
        tail = ["(no log file)"]
    return "\n".join([*lines, "", *tail, ""])


class FaultCatcher(QObject):
    """Catches what nobody else did: logs it, and tells the window.

    Signals
    -------
    caught(str) : one line about the exception; always told on the GUI thread.
    """

    caught = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._before = (sys.excepthook, threading.excepthook)
        self._installed = False

    def install(self) -> None:
        """Take over Python's hooks for uncaught exceptions."""
        self._installed = True
        sys.excepthook = self._take

        def take_from_thread(arguments: threading.ExceptHookArgs) -> None:
            if arguments.exc_value is not None:
                self._take(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

        threading.excepthook = take_from_thread

    def remove(self) -> None:
        """Put the hooks back as they were."""
        if self._installed:
            sys.excepthook, threading.excepthook = self._before
            self._installed = False

    def _take(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return  # the terminal's wish to stop is heard by `Interrupts`
        _log.critical("uncaught", exc_info=(kind, error, trace))
        self.caught.emit(f"{kind.__name__}: {error}" if str(error) else kind.__name__)


class Interrupts(QObject):
    """Hears Ctrl+C in the terminal and the wish to terminate, without a timer that polls.

    Python runs its signal handlers only between bytecodes of the main thread, which waits in Qt's loop: so
    the signal's number is written to a socket, and reading it wakes the loop.

    Signals
    -------
    interrupted : SIGINT or SIGTERM came.
    """

    interrupted = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._notifier = QSocketNotifier(self._reader.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._wake)
        self._old_descriptor = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._old_handlers = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
        }

    def remove(self) -> None:
        """Put the handlers back as they were."""
        signal.set_wakeup_fd(self._old_descriptor)
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._notifier.setEnabled(False)
        self._reader.close()
        self._writer.close()

    def _note(self, number: int, frame: FrameType | None) -> None:
        """Do nothing: what counts is that Python does not raise `KeyboardInterrupt` somewhere."""

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(64)
        self.interrupted.emit()
