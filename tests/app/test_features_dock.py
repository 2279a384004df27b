from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.conftest import FAST, ImageMaker, WindowMaker
from srviewer.analysis.features import record, screen_normalised
from srviewer.analysis.taps import attention_blocks, find_taps, taps
from srviewer.app.dialogs.export_figure import ExportFigureDialog, FigureAnswer
from srviewer.app.docks.tap_tree import OVERVIEW
from srviewer.app.main_window import MainWindow
from srviewer.session.comparison import PaneKind
from srviewer.session.geometry import PixelRect
from srviewer.session.queue import Job
from srviewer.session.selection import Selection
from srviewer.zoo.model import load_model
from srviewer.zoo.spec import SPECS

MODELS = ("bicubic_x2", "safmn_x2")
CONTROL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton


def settled(window: MainWindow) -> None:
    assert window.controller.is_idle
    assert window.canvas_is_settled


def wait(qtbot: QtBot, window: MainWindow) -> None:
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)


@pytest.fixture
def ready(qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker) -> MainWindow:
    """A window with a small image, the Features tab in front; nothing was run."""
    window = make_window(dataclasses.replace(FAST, ticked=MODELS, run_on_drop=False))
    with qtbot.waitSignal(window.controller.loads.taken, timeout=30_000):
        window.controller.open([make_image("a.png", 40, 32)])
    QTest.keyClick(window, Qt.Key.Key_5, CONTROL)
    qtbot.waitUntil(lambda: window.features.is_seen)
    wait(qtbot, window)
    return window


def jobs_of(window: MainWindow) -> list[Job]:
    return [job for job in window.controller.session.queue.jobs if job.kind == "features"]


def input_of(window: MainWindow) -> NDArray[np.uint8]:
    document = window.controller.session.document
    assert document.current is not None
    held = document.pixels(document.current.id, "input")
    assert held is not None
    pixels: NDArray[np.uint8] = held.pixels.astype(np.uint8)
    return pixels


def select(window: MainWindow, box: PixelRect) -> None:
    session = window.controller.session
    current = session.document.current
    assert current is not None
    assert current.input_size is not None
    session.select_region(Selection(current.input_size, box))


def choose(qtbot: QtBot, window: MainWindow, tap: str) -> None:
    """Click a tap in the tree."""
    tree = window.features.tree
    item = tree._items[tap]
    tree.expandItem(item.parent() or item)
    tree.scrollToItem(item)
    QTest.mouseClick(tree.viewport(), LEFT, pos=tree.visualItemRect(item).center())
    assert tree.chosen() == tap
    wait(qtbot, window)


def test_the_tree_lists_every_tap(ready: MainWindow) -> None:
    dock = ready.features
    assert dock.models.model_reference == "safmn_x2"
    assert dock.tree.names() == ("", *(tap.name for tap in taps(SPECS["safmn_x2"])))
    first = dock.tree.topLevelItem(0)
    assert first is not None
    assert first.text(0) == OVERVIEW
    assert dock.hint.text().startswith("Choose a tap")
    assert jobs_of(ready) == []


def test_a_tap_shows_average_channels_and_statistics(qtbot: QtBot, ready: MainWindow) -> None:
    dock = ready.features
    choose(qtbot, ready, "fmm1.safm.input")
    assert [job.state for job in jobs_of(ready)] == ["done"]
    model = load_model("safmn_x2")
    tap = find_taps(model, "fmm1.safm.input")
    expected = record(input_of(ready), model, tap).features[0]
    assert dock.found is not None
    found = dock.found.taps[0].features
    assert found.shape == expected.shape
    assert np.allclose(found.average, expected.average, atol=1e-5)
    assert np.allclose(found.channels[7], expected.channels[7], atol=1e-5)
    texts = [dock.thumbnails.item(row).text() for row in range(dock.thumbnails.count())]
    assert texts == ["Average", *map(str, range(36))]
    assert dock.statistics.text().startswith("36 channels of 40 × 32\n")
    assert f"({expected.minimum:.3g} … {expected.maximum:.3g})" in dock.statistics.text()
    dock.thumbnails.setFocus()
    QTest.keyClick(dock.thumbnails, Qt.Key.Key_Right)
    assert dock.chosen is not None
    assert dock.chosen.channel == 0


def test_features_before_and_after_attention_stand_side_by_side(qtbot: QtBot, ready: MainWindow) -> None:
    dock = ready.features
    choose(qtbot, ready, "")
    model = load_model("safmn_x2")
    blocks = attention_blocks(model)
    assert dock.found is not None
    assert dock.found.blocks == blocks
    assert len(dock._views) == 3 * len(blocks)
    expected = record(input_of(ready), model, [blocks[1].after], channels=()).features[0]
    assert np.allclose(dock.found.at(blocks[1].after).features.average, expected.average, atol=1e-5)
    view, choice = dock._views[2]
    qtbot.waitUntil(lambda: view.width() > 30)
    QTest.mouseClick(view, LEFT)
    assert dock.chosen is choice
    assert choice.tap == blocks[0].after


def test_features_follow_the_selection(qtbot: QtBot, ready: MainWindow) -> None:
    dock = ready.features
    choose(qtbot, ready, "fmm2.output")
    for width in (10, 14, 18):
        select(ready, PixelRect(3, 5, width, 12))
    wait(qtbot, ready)
    assert len(jobs_of(ready)) == 1
    assert dock.found is not None
    assert dock.found.region == PixelRect(3, 5, 18, 12)
    assert dock.found.taps[0].features.shape[1:] == (12, 18)
    assert dock.title_row.count.text() == "18 × 12 px"


def test_a_hidden_dock_does_nothing(qtbot: QtBot, ready: MainWindow) -> None:
    choose(qtbot, ready, "fmm2.output")
    before = jobs_of(ready)
    QTest.keyClick(ready, Qt.Key.Key_1, CONTROL)
    qtbot.waitUntil(lambda: not ready.features.is_seen)
    select(ready, PixelRect(0, 0, 16, 16))
    wait(qtbot, ready)
    assert ready.features.found is not None
    assert ready.features.found.region == PixelRect(0, 0, 40, 32)
    assert len(jobs_of(ready)) <= len(before)
    QTest.keyClick(ready, Qt.Key.Key_5, CONTROL)
    qtbot.waitUntil(lambda: ready.features.is_seen)
    wait(qtbot, ready)
    assert ready.features.found.region == PixelRect(0, 0, 16, 16)


def test_another_question_takes_the_place_of_a_job(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = make_window(dataclasses.replace(FAST, ticked=("safmn_x4",), run_on_drop=False))
    with qtbot.waitSignal(window.controller.loads.taken, timeout=30_000):
        window.controller.open([make_image("a.png", 300, 260)])
    window.show_dock(window.features)
    qtbot.waitUntil(lambda: window.features.is_seen)
    wait(qtbot, window)
    tree = window.features.tree
    for name in ("fmm1.output", "fmm7.output", "", "fmm2.output"):
        tree.choose(name)
        qtbot.waitUntil(lambda: any(job.state == "running" for job in jobs_of(window)), timeout=30_000)
    wait(qtbot, window)
    assert [job.state for job in jobs_of(window)] == ["done"]
    assert window.features.found is not None
    assert window.features.found.order.tap == "fmm2.output"


def test_cancelling_leaves_the_dock_in_order(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = make_window(dataclasses.replace(FAST, ticked=("safmn_x4",), run_on_drop=False))
    with qtbot.waitSignal(window.controller.loads.taken, timeout=30_000):
        window.controller.open([make_image("a.png", 320, 300)])
    window.show_dock(window.features)
    qtbot.waitUntil(lambda: window.features.is_seen)
    wait(qtbot, window)
    window.features.tree.choose("")
    qtbot.waitUntil(lambda: any(job.state == "running" for job in jobs_of(window)), timeout=30_000)
    qtbot.waitUntil(window.features.busy.isVisible)
    QTest.mouseClick(window.features.busy.cancel, LEFT)
    wait(qtbot, window)
    assert [job.state for job in jobs_of(window)] == ["cancelled"]
    assert not window.features.busy.isVisible()
    assert window.features.found is None
    window.controller.runs.retry(jobs_of(window)[0].id)
    wait(qtbot, window)
    assert window.features.found is not None


def test_a_network_without_features_says_so(qtbot: QtBot, ready: MainWindow) -> None:
    dock = ready.features
    choose(qtbot, ready, "")
    dock.models.setCurrentIndex(0)
    wait(qtbot, ready)
    assert dock.hint.text() == "Bicubic ×2 interpolates: it has neither features nor attention."
    assert dock.tree.topLevelItemCount() == 0
    assert dock.found is None
    dock.models.setCurrentIndex(1)
    wait(qtbot, ready)
    assert dock.tree.names()[0] == ""


def test_maps_are_sent_to_the_canvas_as_panes(qtbot: QtBot, ready: MainWindow) -> None:
    dock, session = ready.features, ready.controller.session
    box = PixelRect(4, 6, 20, 16)
    select(ready, box)
    choose(qtbot, ready, "fmm1.safm.input")
    dock.thumbnails.setCurrentRow(4)
    QTest.mouseClick(dock.send, LEFT)
    wait(qtbot, ready)
    pane = session.panes[-1]
    assert pane.kind is PaneKind.MAP
    content = ready.controller.panes.contents[-1]
    assert content.title == "FMM 1 SAFM input, channel 3"
    assert content.lines[0] == "SAFMN ×2"
    assert content.picture is not None
    assert (content.picture.size.width, content.picture.size.height) == (40, 32)
    assert dock.found is not None
    grey = np.rint(screen_normalised(dock.found.taps[0].features.channels[3]) * 255).astype(int)
    shown = [[content.picture.pixel(x, y) for x in range(4, 24)] for y in range(6, 22)]
    assert np.array_equal(np.array(shown)[..., 0], grey)
    QTest.mouseClick(dock.send, LEFT)
    wait(qtbot, ready)
    assert len(session.panes) == 3
    assert ready.table["hide_maps"].isEnabled()
    ready.table["hide_maps"].trigger()
    wait(qtbot, ready)
    assert len(session.panes) == 2


@pytest.mark.parametrize("tap", ["", "fmm3.output"])
def test_figures_are_written(
    qtbot: QtBot, ready: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tap: str
) -> None:
    path = tmp_path / "features.svg"
    choose(qtbot, ready, tap)
    answer = FigureAnswer(path, (), "", 7.16, overwrite=False)
    monkeypatch.setattr(ExportFigureDialog, "ask", classmethod(_answering(answer)))
    with qtbot.waitSignal(ready.controller.exports.saved, timeout=60_000):
        QTest.mouseClick(ready.features.export, LEFT)
    assert "<text" in path.read_text()


def test_a_region_that_is_too_large_fails_in_one_sentence(qtbot: QtBot, ready: MainWindow) -> None:
    controller = ready.controller
    controller.set_options(dataclasses.replace(controller.settings.options, max_memory=1 << 16))
    choose(qtbot, ready, "fmm3.output")
    assert [job.state for job in jobs_of(ready)] == ["failed"]
    assert "choose a smaller part" in ready.features.hint.text()
    assert ready.features.found is None


def _answering(answer: object) -> Callable[..., object]:
    return lambda *_: answer
