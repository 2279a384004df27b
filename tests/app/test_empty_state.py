from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from srviewer.app.empty_state import EmptyState
from srviewer.app.message_bar import Message, MessageAction, MessageBar, MessageStrip
from srviewer.app.theme import DARK, LIGHT, apply_theme


@pytest.fixture(autouse=True)
def dark(qapp: QApplication) -> Iterator[None]:
    apply_theme(qapp, "dark")
    yield
    qapp.setStyleSheet("")


@pytest.fixture
def bar(qtbot: QtBot) -> Iterator[MessageBar]:
    # As in the window: the bar takes what it needs, the canvas below it the rest.
    around = QWidget()
    column = QVBoxLayout(around)
    column.setContentsMargins(0, 0, 0, 0)
    messages = MessageBar()
    column.addWidget(messages)
    column.addStretch(1)
    around.resize(700, 400)
    qtbot.addWidget(around)
    around.show()
    qtbot.waitExposed(around)
    yield messages
    around.close()


def expiry(strip: MessageStrip) -> QTimer:
    timer = strip.findChild(QTimer)
    assert isinstance(timer, QTimer)
    return timer


def texts(bar: MessageBar) -> list[str]:
    return [strip.message.text for strip in bar.strips]


def test_each_button_wishes_by_mouse_and_by_key(qtbot: QtBot) -> None:
    empty = EmptyState()
    qtbot.addWidget(empty)
    empty.resize(800, 600)
    empty.show()
    qtbot.waitExposed(empty)
    for button, signal in (
        (empty.open_button, empty.open_wished),
        (empty.sample_button, empty.sample_wished),
        (empty.paste_button, empty.paste_wished),
    ):
        with qtbot.waitSignal(signal):
            QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        with qtbot.waitSignal(signal):
            QTest.keyClick(button, Qt.Key.Key_Space)
        assert button.width() >= button.sizeHint().width(), "its text is cut off"


def test_empty_state_shows_that_a_drag_would_be_taken_and_takes_no_drops_itself(qtbot: QtBot) -> None:
    empty = EmptyState()
    qtbot.addWidget(empty)
    empty.resize(800, 600)
    assert not empty.acceptDrops()
    centre = empty.rect().center()
    before = QColor(empty.grab().toImage().pixel(150, centre.y()))
    empty.set_dragging(True)
    during = QColor(empty.grab().toImage().pixel(150, centre.y()))
    assert before == DARK.surface
    assert during == DARK.selection


def test_empty_state_follows_the_theme(qtbot: QtBot, qapp: QApplication) -> None:
    empty = EmptyState()
    qtbot.addWidget(empty)
    empty.resize(800, 600)
    apply_theme(qapp, "light")
    assert QColor(empty.grab().toImage().pixel(4, 4)) == LIGHT.window


def test_empty_state_fits_a_small_window(qtbot: QtBot) -> None:
    empty = EmptyState()
    qtbot.addWidget(empty)
    assert empty.minimumSizeHint().width() <= 480
    assert empty.minimumSizeHint().height() <= 480


def test_messages_stack_with_the_latest_on_top(bar: MessageBar) -> None:
    assert not bar.isVisible()
    bar.show_message(Message("first"))
    bar.show_message(Message("second", "warning"))
    assert texts(bar) == ["second", "first"]
    assert bar.isVisible()
    tops = [strip.mapTo(bar, strip.rect().topLeft()).y() for strip in bar.strips]
    assert tops == sorted(tops)


def test_the_same_message_again_is_counted(bar: MessageBar) -> None:
    first = bar.show_message(Message("the disk is full"))
    again = bar.show_message(Message("the disk is full"))
    assert again is first
    assert first.times == 2
    assert len(bar.strips) == 1


def test_a_message_of_the_same_key_replaces_the_older_one(bar: MessageBar) -> None:
    bar.show_message(Message("1 of 3 saved", "note", key="saving"))
    bar.show_message(Message("3 of 3 saved", "note", key="saving"))
    assert texts(bar) == ["3 of 3 saved"]
    bar.dismiss("saving")
    assert texts(bar) == []
    assert not bar.isVisible()


def test_an_action_acts_and_takes_its_message_away(bar: MessageBar) -> None:
    done: list[str] = []
    strip = bar.show_message(
        Message("weights are missing", "warning", (MessageAction("Get weights", lambda: done.append("got")),))
    )
    QTest.mouseClick(strip.buttons[0], Qt.MouseButton.LeftButton)
    assert done == ["got"]
    assert texts(bar) == []


def test_messages_are_dismissed_by_button_and_by_escape(bar: MessageBar) -> None:
    first, second = bar.show_message(Message("first")), bar.show_message(Message("second"))
    QTest.mouseClick(first.close_button, Qt.MouseButton.LeftButton)
    assert texts(bar) == ["second"]
    QTest.keyClick(second.close_button, Qt.Key.Key_Escape)
    assert texts(bar) == []


def test_many_messages_leave_room_for_the_canvas(bar: MessageBar) -> None:
    for number in range(9):
        bar.show_message(Message(f"fault {number}"))
    assert sum(strip.isVisible() for strip in bar.strips) == 3
    assert bar.sizeHint().height() < 180
    bar.dismiss("fault 8")
    assert [strip.message.text for strip in bar.strips if strip.isVisible()] == [
        "fault 7",
        "fault 6",
        "fault 5",
    ]


def test_notes_go_by_themselves_and_errors_stay(bar: MessageBar, qtbot: QtBot) -> None:
    note = bar.show_message(Message("saved", "note"))
    error = bar.show_message(Message("not saved", "error"))
    assert expiry(note).isActive()
    assert not expiry(error).isActive()
    with qtbot.waitSignal(note.dismissed):
        expiry(note).start(0)
    assert texts(bar) == ["not saved"]


def test_long_messages_wrap_instead_of_being_cut(bar: MessageBar, qtbot: QtBot) -> None:
    text = "photo.tif: the file is truncated. " * 8
    strip = bar.show_message(Message(text, "error", (MessageAction("Copy diagnostics", lambda: None),)))

    def grown() -> None:
        assert strip.height() >= 3 * strip.fontMetrics().lineSpacing()

    qtbot.waitUntil(grown)
