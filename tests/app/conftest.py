"""Fixtures for tests of the window."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PySide6.QtCore import QThread
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from srviewer.app.controller import Controller
from srviewer.app.main_window import MainWindow
from srviewer.app.settings import Settings, SettingsStore
from srviewer.app.theme import apply_theme
from srviewer.engine.request import UpscaleOptions

# One thread for torch: tests share their cores, and threads that wait for each other there take seconds for
# what one does in milliseconds. Read when torch is loaded, which nothing here has done yet.
os.environ.setdefault("OMP_NUM_THREADS", "1")

WindowMaker = Callable[[Settings], MainWindow]
ImageMaker = Callable[[str, int, int], Path]

FAST = Settings(theme="dark", ticked=("bicubic_x2",), options=UpscaleOptions(device="cpu", precision="fp32"))
"""One interpolation, which takes milliseconds."""


@pytest.fixture(autouse=True)
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's real settings."""
    monkeypatch.setenv("SRVIEWER_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def make_image(tmp_path: Path) -> ImageMaker:
    """Write a small photograph-like PNG and return its path."""

    def make(name: str, width: int, height: int) -> Path:
        random = np.random.default_rng(len(name) + width)
        rough = random.integers(0, 256, (height // 4 + 2, width // 4 + 2, 3), np.uint8)
        pixels = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), pixels)
        return path

    return make


@pytest.fixture
def make_window(qtbot: QtBot, qapp: QApplication) -> Iterator[WindowMaker]:
    """Open windows; in the end all of them are closed, and no thread may be left."""
    before = set(threading.enumerate())
    windows: list[MainWindow] = []

    def make(settings: Settings) -> MainWindow:
        apply_theme(qapp, settings.theme)
        controller = Controller(settings)
        window = MainWindow(controller, SettingsStore(None))
        controller.setParent(window)
        windows.append(window)
        window.resize(1000, 700)
        with qtbot.waitSignal(window.painted):
            window.show()
        window.activateWindow()
        qtbot.waitUntil(window.isActiveWindow)
        return window

    yield make
    for window in windows:
        if not window.isHidden():
            with qtbot.waitSignal(window.closed, timeout=30_000):
                window.leave()
        assert not any(thread.isRunning() for thread in window.findChildren(QThread))
        window.deleteLater()
    qapp.processEvents()
    # Pools of libraries (torch's, OpenCV's) are no threads of Python's; what Python knows must have ended.
    left = {thread for thread in threading.enumerate() if thread not in before and thread.is_alive()}
    assert not [thread.name for thread in left if not thread.name.startswith("Dummy-")]


@pytest.fixture
def window(make_window: WindowMaker) -> MainWindow:
    """A window with one fast interpolation ticked; nothing runs by itself."""
    return make_window(dataclasses.replace(FAST, run_on_drop=False))
