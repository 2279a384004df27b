from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QMouseEvent
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.conftest import FAST, ImageMaker, WindowMaker
from srviewer.app.analysing import FoundAttribution
from srviewer.app.attributions import AttributionChoice, AttributionRow
from srviewer.app.dialogs.export_figure import ExportFigureDialog, FigureAnswer
from srviewer.app.dialogs.files import FileDialogs
from srviewer.app.docks.attribution import close_up
from srviewer.app.main_window import MainWindow
from srviewer.session.geometry import WHOLE, PixelRect, Point
from srviewer.session.queue import Job
from srviewer.session.selection import Selection

MODELS = ("bicubic_x2", "safmn_x2")
CONTROL = Qt.KeyboardModifier.ControlModifier
LEFT = Qt.MouseButton.LeftButton


def settled(window: MainWindow) -> None:
    assert window.controller.is_idle
    assert window.canvas_is_settled


def opened(
    qtbot: QtBot, make_window: WindowMaker, image: Path, models: tuple[str, ...] = MODELS
) -> MainWindow:
    window = make_window(dataclasses.replace(FAST, ticked=models, run_on_drop=False))
    with qtbot.waitSignal(window.controller.loads.taken, timeout=30_000):
        window.controller.open([image])
    QTest.keyClick(window, Qt.Key.Key_4, CONTROL)
    qtbot.waitUntil(lambda: window.attribution.is_seen)
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    window.controller.attributions.choose(AttributionChoice(steps=4))
    window.canvas.setFocus()
    return window


@pytest.fixture
def ready(qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker) -> MainWindow:
    """A window with a small image and its results, the Attribution tab in front."""
    window = opened(qtbot, make_window, make_image("a.png", 32, 24))
    window.commands.runs.run()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    return window


def place(window: MainWindow, point: Point, pane: int = 0) -> QPoint:
    """Return where on the canvas a whole-image point of a pane is seen."""
    part = window.canvas.scene.parts[pane]
    at = part.viewport.to_pane(point)
    ratio = window.canvas.devicePixelRatioF()
    return QPoint(int((part.rect.x + at.x) / ratio), int((part.rect.y + at.y) / ratio))


def pick(window: MainWindow, point: Point) -> None:
    window.canvas.setFocus()
    QTest.keyClick(window.canvas, Qt.Key.Key_P)
    assert window.canvas.is_picking
    QTest.mouseClick(window.canvas, LEFT, pos=place(window, point))
    QTest.keyClick(window.canvas, Qt.Key.Key_Escape)
    assert not window.canvas.is_picking


def jobs_of(window: MainWindow) -> list[Job]:
    return [job for job in window.controller.session.queue.jobs if job.kind == "attribution"]


def run(qtbot: QtBot, window: MainWindow) -> None:
    QTest.mouseClick(window.attribution.run, LEFT)
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)


def shown(window: MainWindow) -> dict[str, FoundAttribution]:
    return {row.model: found for row, found in window.attribution.found}


def row_of(window: MainWindow, model: str) -> AttributionRow:
    return next(row for row in window.controller.attributions.rows if row.model == model)


def test_a_picked_point_is_explained_by_jobs(qtbot: QtBot, ready: MainWindow) -> None:
    from srviewer.analysis.lam import LamOptions, Window, attribute
    from srviewer.zoo.model import load_model

    dock = ready.attribution
    assert not dock.run.isEnabled()
    assert "Pick a point" in dock.hint.text()
    pick(ready, Point(0.5, 0.5))
    assert dock.place.text() == "x 16  y 12 of the input"
    run(qtbot, ready)
    assert [(job.model, job.state) for job in jobs_of(ready)] == [(model, "done") for model in MODELS]
    assert {row.name for row in ready.queue.rows.rows} >= {"a.png · SAFMN ×2 · attribution"}
    document = ready.controller.session.document
    assert document.current is not None
    held = document.pixels(document.current.id, "input")
    assert held is not None
    for model, found in shown(ready).items():
        window = found.attribution.window
        assert (window.height, window.width) == (16, 16)
        assert abs(window.col + 8 - 32) <= 1
        assert abs(window.row + 8 - 24) <= 1
        expected = attribute(held.pixels, load_model(model), window, LamOptions(steps=4, device="cpu"))
        assert np.allclose(found.attribution.map, expected.map, atol=1e-4)
        card = dock._cards[model]  # its text is what is looked at
        assert card.numbers.text().startswith(f"DI {expected.diffusion_index:.2f} · Gini {expected.gini:.3f}")
    assert isinstance(shown(ready)["safmn_x2"].attribution.window, Window)


def test_progress_shows_and_cancelling_answers_at_once(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = opened(qtbot, make_window, make_image("a.png", 64, 48), ("safmn_x2",))
    window.controller.attributions.choose(AttributionChoice(steps=500))
    pick(window, Point(0.5, 0.5))
    QTest.mouseClick(window.attribution.run, LEFT)
    qtbot.waitUntil(lambda: 0 < jobs_of(window)[0].share < 1, timeout=60_000)
    qtbot.waitUntil(lambda: window.attribution.busy.bar.value() > 0)
    assert window.attribution.busy.isVisible()
    row = window.queue.rows.rows[-1]
    assert row.text.startswith("step ")
    begun = time.monotonic()
    QTest.mouseClick(window.attribution.busy.cancel, LEFT)
    qtbot.waitUntil(lambda: jobs_of(window)[0].state == "cancelled", timeout=10_000)
    assert time.monotonic() - begun < 2
    qtbot.waitUntil(lambda: settled(window), timeout=30_000)
    assert not window.attribution.busy.isVisible()
    assert shown(window) == {}
    assert window.attribution.run.isEnabled()


def test_a_paused_map_waits_and_is_finished(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = opened(qtbot, make_window, make_image("a.png", 48, 40), ("safmn_x2",))
    window.controller.attributions.choose(AttributionChoice(steps=60))
    pick(window, Point(0.5, 0.5))
    window.table["attribute"].trigger()
    qtbot.waitUntil(lambda: jobs_of(window)[0].progress is not None, timeout=60_000)
    window.table["pause"].trigger()
    qtbot.waitUntil(lambda: jobs_of(window)[0].state == "paused")
    window.table["pause"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    assert set(shown(window)) == {"safmn_x2"}


def test_the_selected_region_can_be_the_window(qtbot: QtBot, ready: MainWindow) -> None:
    dock, session = ready.attribution, ready.controller.session
    current = session.document.current
    assert current is not None
    assert current.input_size is not None
    dock.side.setFocus()
    QTest.keyClick(dock.side, Qt.Key.Key_End)
    assert ready.controller.attributions.choice.side is None
    assert not dock.run.isEnabled()
    assert "Select a region" in dock.hint.text()
    session.select_region(Selection(current.input_size, PixelRect(4, 6, 10, 5)))
    qtbot.waitUntil(dock.run.isEnabled)
    run(qtbot, ready)
    window = shown(ready)["safmn_x2"].attribution.window
    assert (window.col, window.row, window.width, window.height) == (8, 12, 20, 10)


def test_maps_lie_over_their_panes(qtbot: QtBot, ready: MainWindow) -> None:
    dock, canvas = ready.attribution, ready.canvas
    canvas.leaveEvent(QEvent(QEvent.Type.Leave))
    pick(ready, Point(0.5, 0.5))
    run(qtbot, ready)

    def drawn() -> QImage:
        image: QImage = canvas.grab().toImage()
        return image

    def apart(image: QImage, other: QImage, point: Point) -> int:
        where = place(ready, point, 1)
        a, b = image.pixelColor(where), other.pixelColor(where)
        return abs(a.red() - b.red()) + abs(a.green() - b.green()) + abs(a.blue() - b.blue())

    canvas.leaveEvent(QEvent(QEvent.Type.Leave))
    dock.opacity.setValue(0)
    bare = drawn()
    dock.opacity.setValue(100)
    covered = drawn()
    assert apart(covered, bare, Point(0.53, 0.53)) > 4 * apart(covered, bare, Point(0.02, 0.95))
    dock.on_canvas.click()
    assert drawn() == bare
    dock.on_canvas.click()
    dock.layers.button(1).click()
    assert drawn() not in (bare, covered)
    QTest.keyClick(ready, Qt.Key.Key_1, CONTROL)
    qtbot.waitUntil(lambda: not dock.is_seen)
    assert apart(drawn(), bare, Point(0.53, 0.53)) == 0


def test_another_point_makes_maps_stale(qtbot: QtBot, ready: MainWindow) -> None:
    dock = ready.attribution
    pick(ready, Point(0.5, 0.5))
    run(qtbot, ready)
    assert row_of(ready, "safmn_x2").is_current
    pick(ready, Point(0.2, 0.3))
    assert not row_of(ready, "safmn_x2").is_current
    assert "Run makes them anew" in dock.hint.text()
    assert "window 16 × 16 at row" in dock._cards["safmn_x2"].numbers.text()
    run(qtbot, ready)
    assert row_of(ready, "safmn_x2").is_current
    assert not dock.hint.isVisible()


def test_networks_are_left_out_and_shown_side_by_side(qtbot: QtBot, ready: MainWindow) -> None:
    dock = ready.attribution
    pick(ready, Point(0.5, 0.5))
    dock._checks["bicubic_x2"].click()
    run(qtbot, ready)
    assert [job.model for job in jobs_of(ready)] == ["safmn_x2"]
    dock._checks["bicubic_x2"].click()
    run(qtbot, ready)
    assert [job.model for job in jobs_of(ready) if job.state == "done"] == list(reversed(MODELS))
    first, second = (dock._cards[model] for model in MODELS)
    qtbot.waitUntil(lambda: first.x() < second.x())
    assert first.y() == second.y()
    ready.controller.session.document.set_ticked("safmn_x2", ticked=False)
    qtbot.waitUntil(lambda: set(shown(ready)) == {"bicubic_x2"})


def test_dragging_pans_while_points_are_picked(qtbot: QtBot, ready: MainWindow) -> None:
    canvas, session = ready.canvas, ready.controller.session
    assert session.viewport is not None
    session.look(session.viewport.zoomed_to(32))
    QTest.mouseClick(ready.attribution.pick, LEFT)
    assert canvas.is_picking
    assert ready.table["pick_point"].isChecked()
    before, start = ready.controller.session.viewport, place(ready, Point(0.5, 0.5))
    with qtbot.assertNotEmitted(canvas.point_picked):
        QTest.mousePress(canvas, LEFT, pos=start)
        where = QPointF(start) + QPointF(20, 10)
        QCoreApplication.sendEvent(
            canvas,
            QMouseEvent(
                QEvent.Type.MouseMove,
                where,
                QPointF(canvas.mapToGlobal(where)),
                Qt.MouseButton.NoButton,
                LEFT,
                Qt.KeyboardModifier.NoModifier,
            ),
        )
        QTest.mouseRelease(canvas, LEFT, pos=where.toPoint())
    assert ready.controller.session.viewport != before
    a = ready.controller.session.comparison.a
    with qtbot.waitSignal(canvas.point_picked):
        QTest.mouseClick(canvas, LEFT, pos=place(ready, Point(0.5, 0.5)))
    assert ready.controller.session.comparison.a == a
    QTest.mouseClick(ready.attribution.pick, LEFT)
    assert not canvas.is_picking


def test_a_network_without_weights_says_why(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = opened(qtbot, make_window, make_image("a.png", 16, 16), ("fmen_x2", "bicubic_x2"))
    pick(window, Point(0.5, 0.5))
    run(qtbot, window)
    assert [job.state for job in jobs_of(window)] == ["failed", "done"]
    assert "fmen_x2" in window.attribution.hint.text()
    assert set(shown(window)) == {"bicubic_x2"}


def test_figure_and_maps_are_written(
    qtbot: QtBot, ready: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock = ready.attribution
    assert not dock.figure_action.isEnabled()
    pick(ready, Point(0.5, 0.5))
    run(qtbot, ready)
    figure, array = tmp_path / "lam.svg", tmp_path / "lam.npy"
    answer = FigureAnswer(figure, (), "", 7.16, overwrite=False)
    monkeypatch.setattr(ExportFigureDialog, "ask", classmethod(_answering(answer)))
    monkeypatch.setattr(FileDialogs, "attribution_map", classmethod(_answering(array)))
    with qtbot.waitSignal(ready.controller.exports.saved, timeout=60_000):
        dock.figure_action.trigger()
    assert "DI " in figure.read_text()
    with qtbot.waitSignal(ready.controller.exports.saved, timeout=60_000):
        dock.map_action.trigger()
    for model, found in shown(ready).items():
        saved = np.load(tmp_path / f"lam_{model}.npy")
        assert saved.dtype == np.float32
        assert np.array_equal(saved, found.attribution.map)
    with qtbot.waitSignal(ready.controller.exports.failed, timeout=60_000) as told:
        dock.map_action.trigger()
    assert "lam_bicubic_x2.npy" in told.args[0]


def test_a_flat_image_gives_an_empty_map(qtbot: QtBot, make_window: WindowMaker, tmp_path: Path) -> None:
    import cv2

    path = tmp_path / "flat.png"
    assert cv2.imwrite(str(path), np.full((24, 24, 3), 128, np.uint8))
    window = opened(qtbot, make_window, path, ("safmn_x2",))
    pick(window, Point(0.5, 0.5))
    run(qtbot, window)
    (found,) = shown(window).values()
    assert not found.attribution.map.any()
    assert "the map is empty" in window.attribution.hint.text()
    assert close_up([found]) != WHOLE or min(found.attribution.map.shape) <= 48


def _answering(answer: object) -> Callable[..., object]:
    return lambda *_: answer
