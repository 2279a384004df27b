"""Closing the window: what is asked before, and what is kept for the next start."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from session_listening import picture, upscaled

from app.conftest import FAST
from srviewer.app import leaving
from srviewer.app.arguments import GuiArguments
from srviewer.app.main_window import MainWindow
from srviewer.app.message_bar import Message
from srviewer.app.overrides import Overrides
from srviewer.app.settings import Settings
from srviewer.engine.request import UpscaleOptions


def finish(window: MainWindow, seconds: float, name: str = "pasted") -> None:
    session = window.controller.session
    image = session.document.add_image(picture(20, 10), name)
    session.document.begin_result(image, "bicubic_x2", 2)
    session.document.finish_result(image, "bicubic_x2", upscaled(picture(20, 10), "bicubic_x2", 2, seconds))


@pytest.fixture
def messages(window: MainWindow) -> list[Message]:
    heard: list[Message] = []
    window.controller.message.connect(heard.append)
    return heard


def test_results_that_are_soon_made_again_are_not_asked_about(
    qtbot: QtBot, window: MainWindow, messages: list[Message]
) -> None:
    finish(window, leaving.WORTH_ASKING_SECONDS - 1)
    with qtbot.waitSignal(window.closed):
        window.close()
    assert messages == []


def test_results_that_took_long_are_asked_about_once(
    qtbot: QtBot, window: MainWindow, messages: list[Message]
) -> None:
    finish(window, 40)
    finish(window, 41, "another")
    assert not window.close()
    (asked,) = messages
    assert asked.text == "2 results are not saved; that took 1:21 min to make."
    assert [action.text for action in asked.actions] == ["Save…", "Close without saving"]
    assert window.isVisible()
    with qtbot.waitSignal(window.closed):
        window.close()


def test_a_result_made_since_is_asked_about_again(
    qtbot: QtBot, window: MainWindow, messages: list[Message]
) -> None:
    finish(window, 61)
    assert not window.close()
    finish(window, 1, "another")
    assert not window.close()
    assert len(messages) == 2
    with qtbot.waitSignal(window.closed):
        messages[-1].actions[1].act()


def test_saved_results_are_not_asked_about(
    qtbot: QtBot, window: MainWindow, messages: list[Message], tmp_path: Path
) -> None:
    finish(window, 100)
    document = window.controller.session.document
    (image,) = document.images
    document.mark_saved(image.id, "bicubic_x2", tmp_path / "a.png", lossless=True)
    with qtbot.waitSignal(window.closed):
        window.close()
    assert messages == []


STORED = dataclasses.replace(
    FAST, ticked=("bsrn_x4",), options=UpscaleOptions(device="cpu", precision="fp32", tile=128), theme="light"
)
GIVEN = GuiArguments(models=("safmn_x4",), device="cuda:0", precision="bf16", theme="dark")


def test_what_the_command_line_gives_counts_for_one_start() -> None:
    overrides = Overrides(STORED, GIVEN)
    first = overrides.applied()
    assert first.ticked == ("safmn_x4",)
    assert first.options == UpscaleOptions(device="cuda:0", precision="bf16", tile=128)
    assert first.theme == "dark"
    assert overrides.taken_back(first) == STORED


def test_what_users_change_after_that_is_kept() -> None:
    overrides = Overrides(STORED, GIVEN)
    now = dataclasses.replace(
        overrides.applied(),
        ticked=("safmn_x4", "bicubic_x4"),
        options=UpscaleOptions(device="cpu", precision="bf16", tile=96),
        run_on_drop=True,
    )
    kept = overrides.taken_back(now)
    assert kept.ticked == ("safmn_x4", "bicubic_x4")
    assert kept.options == UpscaleOptions(device="cpu", precision="fp32", tile=96)
    assert kept.theme == "light"
    assert kept.run_on_drop


def test_nothing_given_changes_nothing() -> None:
    overrides = Overrides(STORED, GuiArguments())
    assert overrides.applied() == STORED
    changed: Settings = dataclasses.replace(STORED, ticked=(), theme="system")
    assert overrides.taken_back(changed) == changed
