from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, Qt
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.conftest import FAST, ImageMaker, WindowMaker
from srviewer.app.dialogs.files import FileDialogs
from srviewer.app.main_window import MainWindow
from srviewer.app.message_bar import Message


def settled(window: MainWindow) -> None:
    assert window.controller.is_idle
    assert window.canvas_is_settled


@pytest.fixture
def at_once(make_window: WindowMaker) -> MainWindow:
    """A window that runs what is dropped."""
    return make_window(FAST)


def heard_by(window: MainWindow) -> list[Message]:
    heard: list[Message] = []
    window.controller.message.connect(heard.append)
    return heard


def open_and_wait(qtbot: QtBot, window: MainWindow, files: list[Path]) -> None:
    with qtbot.waitSignal(window.controller.loads.taken, timeout=30_000):
        window.controller.open(files)
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)


def red(width: int, height: int) -> QImage:
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.red)
    return image


@pytest.mark.parametrize("text", ["word " * 2000, "a\0b", "/nowhere/at/all.png", ""])
def test_text_that_names_no_file_is_not_opened(qtbot: QtBot, window: MainWindow, text: str) -> None:
    data = QMimeData()
    data.setText(text)
    heard = heard_by(window)
    assert not window.commands.files.take_data(data)
    (message,) = heard
    assert message.level == "note"


def test_pasting_runs_what_was_pasted_only(
    qtbot: QtBot, at_once: MainWindow, make_image: ImageMaker, tmp_path: Path
) -> None:
    for number in range(25):
        make_image(f"many/{number}.png", 8, 8)
    open_and_wait(qtbot, at_once, [tmp_path / "many"])  # more than are run without asking
    QGuiApplication.clipboard().setImage(red(12, 10))
    QTest.keyClick(at_once, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    document = at_once.controller.session.document
    assert document.current is not None
    assert {job.image for job in at_once.controller.session.queue.jobs} == {document.current.id}
    qtbot.waitUntil(lambda: settled(at_once), timeout=60_000)


def test_an_unreadable_image_is_told_once_for_all_networks(
    qtbot: QtBot, at_once: MainWindow, make_image: ImageMaker
) -> None:
    at_once.controller.session.document.tick(["bicubic_x2", "bicubic_x3", "bicubic_x4"])
    whole = make_image("whole.png", 64, 64)
    half = whole.with_name("half.png")
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    heard = heard_by(at_once)
    open_and_wait(qtbot, at_once, [half, whole])
    (error,) = [message for message in heard if message.level == "error"]
    assert error.text.count("half.png") == 1
    session = at_once.controller.session
    (good,) = [entry for entry in session.document.images if entry.name == "whole.png"]
    assert len(session.document.results_of(good.id)) == 3
    # mended, it can be run like any other
    half.write_bytes(whole.read_bytes())
    (failed,) = session.queue.failed
    at_once.controller.runs.retry(failed.id)
    qtbot.waitUntil(lambda: settled(at_once), timeout=60_000)
    at_once.table["run"].trigger()
    qtbot.waitUntil(lambda: settled(at_once), timeout=60_000)
    assert len(session.document.results_of(failed.image)) == 3


def test_a_file_that_is_no_checkpoint_is_told_once_and_leaves_no_jobs(
    qtbot: QtBot, at_once: MainWindow, make_image: ImageMaker, tmp_path: Path
) -> None:
    fake = tmp_path / "fake.pth"
    fake.write_bytes(b"nothing of the kind")
    heard = heard_by(at_once)
    open_and_wait(qtbot, at_once, [make_image("a.png", 16, 16), make_image("b.png", 16, 16), fake])
    (error,) = [message for message in heard if message.level == "error"]
    assert "fake.pth" in error.text
    session = at_once.controller.session
    assert {job.model for job in session.queue.jobs if job.state != "failed"} == {"bicubic_x2"}
    assert len(session.queue.failed) <= 1  # one may have begun before it was known
    assert session.document.ticked == ("bicubic_x2",)


def test_what_is_left_aside_is_told_in_one_form(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no image")
    heard = heard_by(window)
    open_and_wait(qtbot, window, [tmp_path / "empty.png", tmp_path / "notes.txt"])
    (message,) = heard
    assert "empty.png: the file is empty" in message.text
    assert "notes.txt: is no image" in message.text


def saved_session(qtbot: QtBot, window: MainWindow, path: Path) -> None:
    with qtbot.waitSignal(window.controller.exports.saved, timeout=30_000):
        window.controller.exports.save_session(path)
    window.table["close_all"].trigger()


def test_an_opened_session_runs_at_once_where_drops_do(
    qtbot: QtBot, at_once: MainWindow, make_image: ImageMaker, tmp_path: Path
) -> None:
    open_and_wait(qtbot, at_once, [make_image("a.png", 16, 16)])
    saved_session(qtbot, at_once, tmp_path / "work.srsession")
    controller = at_once.controller
    with qtbot.waitSignal(controller.loads.session_opened, timeout=30_000):
        controller.open([tmp_path / "work.srsession"])
    qtbot.waitUntil(lambda: settled(at_once), timeout=60_000)
    (entry,) = controller.session.document.images
    assert controller.session.document.result(entry.id, "bicubic_x2") is not None
    controller.settings = dataclasses.replace(controller.settings, run_on_drop=False)
    with qtbot.waitSignal(controller.loads.session_opened, timeout=30_000):
        controller.open([tmp_path / "work.srsession"])
    qtbot.waitUntil(lambda: settled(at_once), timeout=60_000)
    (entry,) = controller.session.document.images
    assert controller.session.document.result(entry.id, "bicubic_x2") is None


def test_files_beside_a_session_are_opened_into_it(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker, tmp_path: Path
) -> None:
    first = make_image("a.png", 16, 16)
    open_and_wait(qtbot, window, [first])
    saved_session(qtbot, window, tmp_path / "work.srsession")
    open_and_wait(qtbot, window, [make_image("b.png", 16, 16), tmp_path / "work.srsession"])
    assert [entry.name for entry in window.controller.session.document.images] == ["a.png", "b.png"]


def test_the_open_dialog_offers_all_that_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(parent: object, title: str, folder: str, kinds: str) -> tuple[list[str], str]:
        asked.append(kinds)
        return [], ""

    monkeypatch.setattr(QFileDialog, "getOpenFileNames", ask)
    assert FileDialogs.images(None) == ()
    first = asked[0].split(";;")[0]
    for suffix in ("*.png", "*.pth", "*.srsession"):
        assert suffix in first
