from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMenu
from pytestqt.qtbot import QtBot

from app.conftest import FAST, ImageMaker, WindowMaker
from srviewer.app.actions import ACTIONS, Actions, ActionSpec
from srviewer.app.main_window import MainWindow
from srviewer.session.comparison import Mode

KEYS = [(spec, key) for spec in ACTIONS for key in spec.keys]


@pytest.fixture
def ready(qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker) -> MainWindow:
    """A window with two images and two results of the first, its canvas in focus."""
    window = make_window(dataclasses.replace(FAST, ticked=("bicubic_x2", "bicubic_x3"), run_on_drop=False))
    with qtbot.waitSignal(window.controller.loads.taken):
        window.controller.open([make_image("one.png", 24, 24), make_image("two.png", 24, 24)])
    window.commands.runs.run()
    qtbot.waitUntil(lambda: idle(window), timeout=60_000)
    assert len(window.controller.session.queue.jobs) == 4
    window.canvas.setFocus()
    assert window.canvas.hasFocus()
    return window


def idle(window: MainWindow) -> None:
    assert window.controller.is_idle
    assert window.canvas_is_settled


def press(window: MainWindow, key: str) -> None:
    """Press a shortcut in the widget that has the focus."""
    widget = window.focusWidget()
    assert widget is not None
    combined = QKeySequence(key)[0]  # type: ignore[index]  # Qt's stubs forget it
    QTest.keyClick(widget, combined.key(), combined.keyboardModifiers())


def test_every_action_is_in_a_menu_and_has_a_tip(window: MainWindow) -> None:
    listed = {
        action.objectName() for menu in window.menuBar().findChildren(QMenu) for action in menu.actions()
    }
    for spec in ACTIONS:
        assert spec.id in listed
        assert spec.tip
        if spec.keys:
            assert window.table[spec.id].shortcut().toString()


def test_no_key_means_two_things() -> None:
    seen: dict[str, str] = {}
    for spec, key in KEYS:
        name = QKeySequence(key).toString()
        assert name
        assert name not in seen, f"{name}: {seen.get(name)} and {spec.id}"
        seen[name] = spec.id


def test_a_missing_handler_is_noticed(window: MainWindow) -> None:
    handlers = dict(window.commands.handlers())
    del handlers["run"]
    with pytest.raises(ValueError, match="run"):
        Actions(window, window.canvas, handlers)


@pytest.mark.parametrize(("spec", "key"), KEYS, ids=[f"{spec.id}-{key}" for spec, key in KEYS])
def test_every_key_triggers_its_action_while_the_canvas_has_the_focus(
    qtbot: QtBot, make_window: WindowMaker, spec: ActionSpec, key: str
) -> None:
    window = make_window(dataclasses.replace(FAST, run_on_drop=False))
    window.centre.setCurrentWidget(window.canvas)
    window.canvas.setFocus()
    action = window.table[spec.id]
    action.setEnabled(True)
    action.triggered.disconnect()  # what it does is tested elsewhere
    with qtbot.waitSignal(action.triggered, timeout=1000):
        press(window, key)


def test_canvas_keys_leave_the_lists_alone(qtbot: QtBot, ready: MainWindow) -> None:
    session = ready.controller.session
    ready.models.view.setFocus()
    ready.models.view.setCurrentIndex(ready.models.rows.index_of("bicubic_x4"))
    ticked = session.document.ticked
    press(ready, "Space")
    assert session.document.ticked == (*ticked, "bicubic_x4")
    assert session.comparison.mode is Mode.GRID
    press(ready, "D")
    press(ready, "1")
    assert session.comparison.mode is Mode.GRID
    row = ready.models.view.currentIndex().row()
    press(ready, "Down")
    assert ready.models.view.currentIndex().row() > row
    current = session.document.current
    assert current is not None
    assert current.name == "one.png"
    ready.images.view.setFocus()
    press(ready, "Down")
    current = session.document.current
    assert current is not None
    assert current.name == "two.png"
    ready.models.search_field.setFocus()
    for letter in ("G", "W", "N", "?", "Space", "-"):
        press(ready, letter)
    assert session.comparison.mode is Mode.GRID
    assert len(ready.models.search_field.text()) == 6


Check = Callable[[MainWindow], object]


@pytest.mark.parametrize(
    ("key", "changed"),
    [
        ("W", lambda window: window.controller.session.comparison.mode is Mode.WIPE),
        ("L", lambda window: window.controller.session.comparison.mode is Mode.FLIP),
        ("D", lambda window: window.controller.session.comparison.mode is Mode.DIFFERENCE),
        ("C", lambda window: window.controller.session.comparison.mode is Mode.CROPS),
        ("Space", lambda window: window.controller.session.comparison.flipped),
        ("1", lambda window: window.controller.session.comparison.a.model == "bicubic_x2"),
        ("Shift+2", lambda window: window.controller.session.comparison.b.model == "bicubic_x3"),
        ("X", lambda window: window.controller.session.comparison.a.model == "bicubic_x2"),
        ("T", lambda window: window.controller.session.comparison.orientation == "horizontal"),
        ("]", lambda window: window.controller.session.comparison.gain == 8),
        ("[", lambda window: window.controller.session.comparison.gain == 2),
        ("M", lambda window: window.controller.session.comparison.colour_map == "viridis"),
        ("Ctrl+0", lambda window: window.controller.session.viewport.zoom == 1.0),
        ("+", lambda window: not window.controller.session.viewport.fitted),
        ("-", lambda window: not window.controller.session.viewport.fitted),
        ("Right", lambda window: window.controller.session.document.current.name == "two.png"),
        ("Left", lambda window: window.controller.session.document.current.name == "two.png"),
        ("Ctrl+W", lambda window: window.controller.session.document.current.name == "two.png"),
        ("Ctrl+Shift+W", lambda window: window.controller.session.document.current is None),
        ("Ctrl+A", lambda window: window.controller.session.selection is not None),
        (
            "N",
            lambda window: (
                (window.controller.background.is_idle and bool(window.messages.strips))
                or not window.controller.session.viewport.fitted
            ),
        ),
        ("H", lambda window: window.queue.isHidden()),
        ("F11", lambda window: window.isFullScreen()),
        ("I", lambda window: not window.table["captions"].isChecked()),
        ("Ctrl+G", lambda window: window.controller.session.document.current.reference is not None),
        ("Shift+F5", lambda window: len(window.controller.session.queue.jobs) == 6),
    ],
)
def test_keys_do_what_they_say(qtbot: QtBot, ready: MainWindow, key: str, changed: Check) -> None:
    assert not changed(ready)
    press(ready, key)
    qtbot.waitUntil(lambda: bool(changed(ready)), timeout=10_000)
    qtbot.waitUntil(lambda: idle(ready), timeout=60_000)


def test_space_held_flips_back(qtbot: QtBot, ready: MainWindow) -> None:
    session = ready.controller.session
    QTest.keyPress(ready.canvas, Qt.Key.Key_Space)
    shown = [session.comparison.flipped]
    qtbot.wait(400)
    QTest.keyRelease(ready.canvas, Qt.Key.Key_Space)
    shown.append(session.comparison.flipped)
    QTest.keyClick(ready.canvas, Qt.Key.Key_Space)
    shown.append(session.comparison.flipped)
    assert shown == [True, False, True]


def test_a_result_is_copied(qtbot: QtBot, ready: MainWindow) -> None:
    press(ready, "1")
    with qtbot.waitSignal(QGuiApplication.clipboard().dataChanged):
        press(ready, "Ctrl+C")
    assert QGuiApplication.clipboard().image().size().toTuple() == (48, 48)


def test_themes_change_at_once(qtbot: QtBot, ready: MainWindow) -> None:
    from srviewer.app.theme import current_palette

    ready.table["theme_light"].trigger()
    assert current_palette().name == "light"
    ready.table["theme_dark"].trigger()
    assert current_palette().name == "dark"


def test_shortcuts_and_about_open_beside_the_window(qtbot: QtBot, ready: MainWindow, tmp_path: Path) -> None:
    from srviewer.app.dialogs.about import AboutDialog
    from srviewer.app.dialogs.shortcuts import ShortcutsDialog

    press(ready, "?")
    (dialog,) = ready.findChildren(ShortcutsDialog)
    dialog.close()
    ready.table["about"].trigger()
    (about,) = ready.findChildren(AboutDialog)
    about.close()
