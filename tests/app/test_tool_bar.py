from __future__ import annotations

import numpy as np
import pytest
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QToolButton
from pytestqt.qtbot import QtBot

from srviewer.app.main_window import MainWindow
from srviewer.app.qimages import to_pixels
from srviewer.app.theme import ThemeChoice


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_has_no_room_is_behind_a_button_that_can_be_seen(
    qtbot: QtBot, window: MainWindow, theme: ThemeChoice
) -> None:
    window.commands.set_theme(theme)
    window.resize(1000, 700)
    more = window.tools.findChild(QToolButton, "qt_toolbar_ext_button")
    assert isinstance(more, QToolButton)
    qtbot.waitUntil(more.isVisible)
    drawn = more.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    pixels, _ = to_pixels(drawn)
    assert np.ptp(pixels.astype(int), axis=(0, 1)).min() > 60
