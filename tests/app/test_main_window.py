from __future__ import annotations

import dataclasses
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragLeaveEvent,
    QDropEvent,
    QGuiApplication,
    QImage,
    QMouseEvent,
    QWheelEvent,
)
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.conftest import FAST, ImageMaker, WindowMaker
from srviewer import paths
from srviewer.app.canvas import Canvas
from srviewer.app.docks.dock import Dock
from srviewer.app.main_window import MainWindow
from srviewer.engine.request import UpscaleOptions
from srviewer.imaging.files import read_image
from srviewer.imaging.pyramid import Rectangle
from srviewer.session.comparison import Mode, PaneKind
from srviewer.session.geometry import Point, Size
from srviewer.session.scores import Consistency

SLOW = UpscaleOptions(device="cpu", precision="fp32", tile=16)
"""Many small tiles, so that a job can be met while it runs."""


def settled(window: MainWindow) -> None:
    assert window.controller.is_idle
    assert window.canvas_is_settled


def drop(window: MainWindow, files: list[Path]) -> bool:
    """Drag files over the window and drop them there, by the events that a desktop would send."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in files])
    where = window.rect().center()
    copy, buttons, keys = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(where, copy, data, buttons, keys)
    QCoreApplication.sendEvent(window, enter)
    if not enter.isAccepted():
        QCoreApplication.sendEvent(window, QDragLeaveEvent())
        return False
    dropped = QDropEvent(QPointF(where), copy, data, buttons, keys)
    QCoreApplication.sendEvent(window, dropped)
    return dropped.isAccepted()


def drag(canvas: Canvas, start: QPoint, by: QPoint, button: Qt.MouseButton) -> None:
    """Press, move and release a button (QTest's own moves hold none)."""
    QTest.mousePress(canvas, button, pos=start)
    for part in (0.5, 1.0):
        where = QPointF(start) + QPointF(by) * part
        moved = QMouseEvent(
            QEvent.Type.MouseMove,
            where,
            canvas.mapToGlobal(where),
            Qt.MouseButton.NoButton,
            button,
            Qt.KeyboardModifier.NoModifier,
        )
        QCoreApplication.sendEvent(canvas, moved)
    QTest.mouseRelease(canvas, button, pos=start + by)


def open_and_wait(qtbot: QtBot, window: MainWindow, files: list[Path]) -> None:
    with qtbot.waitSignal(window.controller.loads.taken, timeout=30_000):
        assert drop(window, files)
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)


def test_the_first_start_ticks_bicubic_and_the_best_network(make_window: WindowMaker) -> None:
    window = make_window(dataclasses.replace(FAST, ticked=None))
    assert window.controller.session.document.ticked == ("bicubic_x4", "safmn_x4")
    assert window.centre.currentWidget() is window.empty


def test_dropped_files_become_rows_and_run_at_once(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = make_window(FAST)
    open_and_wait(qtbot, window, [make_image("a.png", 32, 24), make_image("b.png", 20, 20)])
    document = window.controller.session.document
    assert [entry.name for entry in document.images] == ["a.png", "b.png"]
    assert window.centre.currentWidget() is window.canvas
    for entry in document.images:
        assert document.result(entry.id, "bicubic_x2") is not None
    score = document.score(document.images[0].id, "bicubic_x2")
    assert isinstance(score, Consistency)
    (content,) = window.controller.panes.contents
    assert content.picture is not None
    assert (content.picture.size.width, content.picture.size.height) == (64, 48)
    assert content.lines[0].startswith("LR ")
    assert window.windowTitle() == "a.png – SR Viewer"


def test_a_dropped_folder_is_searched(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker, tmp_path: Path
) -> None:
    make_image("photos/x10.png", 16, 16)
    make_image("photos/x9.png", 16, 16)
    make_image("photos/deep/y.png", 16, 16)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    open_and_wait(qtbot, window, [tmp_path / "photos"])
    names = [entry.name for entry in window.controller.session.document.images]
    assert names == ["x9.png", "x10.png", "y.png"]
    assert window.messages.strips == ()


def test_a_dropped_checkpoint_becomes_a_ticked_network_and_runs(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "mine.safetensors"
    checkpoint.write_bytes((paths.weights_folder() / "safmn_x4.safetensors").read_bytes())
    controller = window.controller
    with qtbot.waitSignal(controller.weights.checkpoint_known, timeout=60_000):
        assert drop(window, [checkpoint])
    reference = str(checkpoint)
    assert reference in controller.session.document.ticked
    assert controller.session.scale_of(reference) == 4
    open_and_wait(qtbot, window, [make_image("a.png", 16, 16)])
    window.table["run"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    current = controller.session.document.current
    assert current is not None
    result = controller.session.document.result(current.id, reference)
    assert result is not None
    assert result.facts.scale == 4


def test_a_dropped_file_that_is_no_checkpoint_goes_again(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    fake = tmp_path / "fake.pth"
    fake.write_bytes(b"nothing of the kind")
    with qtbot.waitSignal(window.controller.message, timeout=60_000) as told:
        assert drop(window, [fake])
    assert told.args[0].level == "error"
    assert "fake.pth" in told.args[0].text
    assert str(fake) not in window.controller.session.document.ticked


def test_a_dropped_pair_is_measured(qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker) -> None:
    window = make_window(FAST)
    open_and_wait(qtbot, window, [make_image("set/dog_HR.png", 48, 40), make_image("set/dog_LR.png", 24, 20)])
    session = window.controller.session
    (entry,) = session.document.images
    assert entry.name == "dog_LR.png"
    assert [pane.kind for pane in session.panes] == [PaneKind.RESULT, PaneKind.TRUTH]
    (row,) = session.document.score_rows(entry.id, session.document.ticked, None)
    assert row.psnr_y is not None


def test_what_is_no_image_is_told_and_the_rest_opens(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n rubbish")
    open_and_wait(qtbot, window, [broken, make_image("good.png", 16, 16), tmp_path / "missing.png"])
    assert [entry.name for entry in window.controller.session.document.images] == ["good.png"]
    (strip,) = window.messages.strips
    assert "broken.png" in strip.message.text
    assert "missing.png" in strip.message.text


def test_a_truncated_file_fails_in_its_row_only(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = make_window(FAST)
    whole = make_image("whole.png", 64, 64)
    half = whole.with_name("half.png")
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    open_and_wait(qtbot, window, [half, whole])
    states = {entry.name: entry.state for entry in window.controller.session.document.images}
    assert states == {"half.png": "failed", "whole.png": "ready"}
    assert any("half.png" in strip.message.text for strip in window.messages.strips)


def test_a_drag_without_files_is_refused(window: MainWindow) -> None:
    assert not drop(window, [])


def test_an_image_is_pasted(qtbot: QtBot, window: MainWindow) -> None:
    image = QImage(12, 10, QImage.Format.Format_RGB32)
    image.fill(Qt.GlobalColor.red)
    QGuiApplication.clipboard().setImage(image)
    QTest.keyClick(window, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: settled(window), timeout=30_000)
    document = window.controller.session.document
    (entry,) = document.images
    held = document.pixels(entry.id, "file")
    assert held is not None
    assert held.alpha is None
    assert held.pixels[0, 0].tolist() == [255, 0, 0]


def test_ticking_and_running_by_keys(qtbot: QtBot, window: MainWindow, make_image: ImageMaker) -> None:
    open_and_wait(qtbot, window, [make_image("a.png", 16, 16)])
    rows = window.models.rows
    window.models.view.setCurrentIndex(rows.index_of("bicubic_x3"))
    window.models.view.setFocus()
    QTest.keyClick(window.models.view, Qt.Key.Key_Space)
    assert window.controller.session.document.ticked == ("bicubic_x2", "bicubic_x3")
    QTest.keyClick(window, Qt.Key.Key_F5)
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    (entry,) = window.controller.session.document.images
    assert len(window.controller.session.document.results_of(entry.id)) == 2


def test_cancelling_answers_within_a_tile(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = make_window(dataclasses.replace(FAST, ticked=("safmn_x4",), options=SLOW, run_on_drop=True))
    session = window.controller.session
    tiles: list[object] = []
    window.controller.bridge.tile_arrived.connect(tiles.append)
    drop(window, [make_image("a.png", 320, 320)])
    qtbot.waitUntil(lambda: len(tiles) >= 4, timeout=60_000)
    (entry,) = session.document.images
    assert session.document.partial(entry.id, "safmn_x4") is not None
    assert window.controller.panes.contents[0].picture is not None
    seen = len(tiles)
    window.table["cancel"].trigger()
    qtbot.waitUntil(lambda: session.queue.idle, timeout=10_000)
    assert len(tiles) <= seen + 1  # how long that takes is measured by benchmarks/responsiveness.py
    (job,) = session.queue.jobs
    assert job.state == "cancelled"
    assert session.document.result(entry.id, "safmn_x4") is None
    assert session.document.partial(entry.id, "safmn_x4") is None
    qtbot.waitUntil(lambda: settled(window), timeout=30_000)
    assert window.controller.panes.contents[0].lines == ("cancelled",)


def test_pausing_holds_the_tiles_and_resuming_finishes(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = make_window(dataclasses.replace(FAST, ticked=("safmn_x4",), options=SLOW, run_on_drop=True))
    session = window.controller.session
    drop(window, [make_image("a.png", 64, 64)])
    with qtbot.waitSignal(window.controller.bridge.tile_arrived, timeout=60_000):
        pass
    window.table["pause"].trigger()
    active = session.queue.active
    assert active is not None
    assert active.state == "paused"
    qtbot.waitUntil(lambda: window.table["pause"].text() == "Resume")
    assert window.table["pause"].isChecked()
    qtbot.wait(400)  # the tile under way comes still
    held = session.queue.job(active.id).progress
    qtbot.wait(150)
    assert session.queue.job(active.id).progress == held
    window.table["pause"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    assert session.queue.job(active.id).state == "done"


def test_closing_an_image_stops_its_job(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = make_window(dataclasses.replace(FAST, ticked=("safmn_x4",), options=SLOW, run_on_drop=True))
    drop(window, [make_image("a.png", 400, 400)])
    with qtbot.waitSignal(window.controller.bridge.tile_arrived, timeout=60_000):
        pass
    QTest.keyClick(window, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: settled(window), timeout=20_000)
    assert window.controller.session.queue.jobs == ()
    assert window.centre.currentWidget() is window.empty


def test_closing_the_window_while_running_asks_first(
    qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker
) -> None:
    window = make_window(dataclasses.replace(FAST, ticked=("safmn_x4",), options=SLOW, run_on_drop=True))
    drop(window, [make_image("a.png", 400, 400)])
    with qtbot.waitSignal(window.controller.bridge.tile_arrived, timeout=60_000):
        pass
    assert not window.close()
    assert window.isVisible()
    (strip,) = window.messages.strips
    assert "1 job" in strip.message.text
    strip.buttons[1].click()  # keep running
    assert window.controller.is_busy
    assert not window.close()
    with qtbot.waitSignal(window.closed, timeout=20_000):
        window.messages.strips[0].buttons[0].click()
    assert not window.isVisible()


def test_evaluating_measures_against_the_image_itself(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker
) -> None:
    from srviewer.analysis.metrics import measure

    path = make_image("hr.png", 66, 49)
    open_and_wait(qtbot, window, [path])
    window.table["evaluate"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    session = window.controller.session
    (entry,) = session.document.images
    truth, result = (
        session.document.pixels(entry.id, "truth"),
        session.document.pixels(entry.id, "result", "bicubic_x2"),
    )
    assert truth is not None
    assert result is not None
    assert np.array_equal(truth.pixels, read_image(path).pixels[:48, :66])
    expected = measure(result.pixels, truth.pixels, scale=2)
    assert session.document.score(entry.id, "bicubic_x2") == expected
    assert window.controller.panes.contents[0].lines[0].startswith(f"{expected.psnr_y:.2f} dB")
    assert window.tools.evaluate.text().startswith("Evaluate: this image")
    window.table["clear_truth"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    assert session.document.entry(entry.id).reference is None


def test_a_selection_is_measured_and_forgotten(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker
) -> None:
    from srviewer.analysis.metrics import measure

    open_and_wait(qtbot, window, [make_image("hr.png", 96, 96)])
    window.table["evaluate"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    canvas, session = window.canvas, window.controller.session
    pane = canvas.scene.parts[0].rect
    start = QPoint(pane.x + pane.width // 2, pane.y + pane.height // 2)
    drag(canvas, start, QPoint(60, 60), Qt.MouseButton.RightButton)
    selection = session.selection
    assert selection is not None
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    (entry,) = session.document.images
    truth = session.document.pixels(entry.id, "truth")
    result = session.document.pixels(entry.id, "result", "bicubic_x2")
    assert truth is not None
    assert result is not None
    expected = measure(result.pixels, truth.pixels, scale=2, region=selection.at_scale(2).as_tuple())
    assert session.document.score(entry.id, "bicubic_x2", selection.pixels) == expected
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_Escape)
    assert session.selection is None
    assert session.document.score(entry.id, "bicubic_x2", selection.pixels) is None


def test_histograms_are_made_while_somebody_looks(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker
) -> None:
    open_and_wait(qtbot, window, [make_image("a.png", 40, 30)])
    assert window.histogram.shown() == ()
    window.histogram.raise_()
    qtbot.waitUntil(lambda: bool(window.histogram.shown()), timeout=30_000)
    assert [curve.pane for curve in window.histogram.shown()] == ["Input"]
    window.table["run"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    (curve,) = window.histogram.shown()
    assert curve.pane == "Bicubic ×2"
    assert sum(curve.counts) == 80 * 60


def test_the_wheel_zooms_at_the_pointer(qtbot: QtBot, window: MainWindow, make_image: ImageMaker) -> None:
    open_and_wait(qtbot, window, [make_image("a.png", 64, 64)])
    canvas, session = window.canvas, window.controller.session
    before = session.viewport
    assert before is not None
    where = QPointF(canvas.width() / 2 + 40.0, canvas.height() / 2 - 30.0)
    spun = QWheelEvent(
        where,
        canvas.mapToGlobal(where),
        QPoint(),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QCoreApplication.sendEvent(canvas, spun)
    after = session.viewport
    assert after is not None
    assert after.zoom == pytest.approx(before.zoom * 2**0.125)
    assert window.status.zoom.text() == window.tools.zoom.text() != ""


def test_hiding_docks_gives_the_room_to_the_canvas(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker
) -> None:
    open_and_wait(qtbot, window, [make_image("a.png", 32, 32)])
    window.canvas.setFocus()
    width = window.canvas.width()
    QTest.keyClick(window.canvas, Qt.Key.Key_H)
    assert all(dock.isHidden() for dock in window.docks)
    qtbot.waitUntil(lambda: window.canvas.width() > width)
    QTest.keyClick(window.canvas, Qt.Key.Key_H)
    assert not any(dock.isHidden() for dock in window.docks)


def test_docks_come_back_as_they_were(qtbot: QtBot, window: MainWindow) -> None:
    window.show_dock(window.histogram)
    qtbot.waitUntil(lambda: window.histogram.is_seen)
    for _ in range(2):
        window.table["hide_docks"].trigger()
    qtbot.waitUntil(lambda: window.histogram.is_seen and not window.metrics.is_seen)
    named = [
        dock
        for dock in window.findChildren(Dock)
        if dock in window.tabs.values() and dock.title_row.name.isVisible()
    ]
    assert named == []  # their tabs say it
    for dock in window.tabs.values():
        if dock is not window.metrics:
            dock.close()
    qtbot.waitUntil(lambda: not window.metrics.title_row.name.isHidden())


def test_the_layout_is_remembered_and_reset(qtbot: QtBot, make_window: WindowMaker, tmp_path: Path) -> None:
    from srviewer.app.settings import SettingsStore

    first = make_window(FAST)
    store = SettingsStore(tmp_path / "settings.ini")
    first._store = store
    first.queue.hide()
    first.controller.session.document.tick(["bicubic_x4", "bicubic_x3"])
    with qtbot.waitSignal(first.closed):
        first.close()
    second = make_window(store.load())
    assert second.queue.isHidden()
    assert second.controller.session.document.ticked == ("bicubic_x4", "bicubic_x3")
    second.table["reset_layout"].trigger()
    assert not second.queue.isHidden()


def test_the_pixel_under_the_pointer_is_told(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker
) -> None:
    path = make_image("a.png", 40, 40)
    window.controller.session.document.tick([])
    open_and_wait(qtbot, window, [path])
    points: list[Point | None] = []
    window.canvas.hovered.connect(points.append)
    QTest.mouseMove(window.canvas, window.canvas.rect().center() + QPoint(-30, 20))
    QTest.mouseMove(window.canvas, window.canvas.rect().center() + QPoint(31, 17))
    qtbot.waitUntil(lambda: bool(points) and points[-1] is not None)
    point = points[-1]
    assert point is not None
    x, y = int(point.x * 40), int(point.y * 40)
    red, green, blue = read_image(path).pixels[y, x].tolist()
    assert window.status.values.text() == f"x {x} y {y}   Input {red} {green} {blue}"
    window.canvas.hovered.emit(None)
    assert window.status.values.text() == ""


def test_a_fault_nobody_expected_offers_diagnostics(qtbot: QtBot, window: MainWindow) -> None:
    window.commands.copy_diagnostics()
    text = QGuiApplication.clipboard().text()
    assert text.startswith("SR Viewer ")
    assert "torch" in text


def test_modes_reach_canvas_and_tool_bar(qtbot: QtBot, window: MainWindow, make_image: ImageMaker) -> None:
    window.controller.session.document.tick(["bicubic_x2", "bicubic_x3"])
    open_and_wait(qtbot, window, [make_image("a.png", 32, 32)])
    window.table["run"].trigger()
    for mode in Mode:
        window.table[f"mode_{mode.value}"].trigger()
        qtbot.waitUntil(lambda: settled(window), timeout=60_000)
        assert window.controller.session.comparison.mode is mode
        assert window.table[f"mode_{mode.value}"].isChecked()
        assert not window.canvas.grab().isNull()


def test_delete_on_the_canvas_closes_the_image(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker
) -> None:
    open_and_wait(qtbot, window, [make_image("a.png", 16, 16), make_image("b.png", 16, 16)])
    window.canvas.setFocus()
    QTest.keyClick(window.canvas, Qt.Key.Key_Delete)
    assert [entry.name for entry in window.controller.session.document.images] == ["b.png"]


def test_an_uncaught_exception_is_told_and_logged(
    qtbot: QtBot, window: MainWindow, caplog: pytest.LogCaptureFixture
) -> None:
    from srviewer.app.diagnostics import FaultCatcher

    catcher = FaultCatcher()
    catcher.install()
    try:
        with qtbot.waitSignal(catcher.caught) as told:
            sys.excepthook(ValueError, ValueError("a slip"), None)
        with qtbot.waitSignal(catcher.caught):
            thread = threading.Thread(target=lambda: 1 // 0)
            thread.start()
            thread.join()
    finally:
        catcher.remove()
    assert told.args == ["ValueError: a slip"]
    assert "ZeroDivisionError" in caplog.text


def test_a_profile_is_shown_in_srgb_and_told_in_its_own_values(
    qtbot: QtBot, window: MainWindow, tmp_path: Path
) -> None:
    from icc_profiles import display_p3

    from srviewer.imaging.colour import to_srgb
    from srviewer.imaging.image import Image
    from srviewer.imaging.writing import write_image

    pixels = np.full((12, 12, 3), (200, 60, 30), np.uint8)
    image = Image(pixels, icc=display_p3())
    write_image(image, tmp_path / "wide.png")
    window.controller.session.document.tick([])
    open_and_wait(qtbot, window, [tmp_path / "wide.png"])
    (content,) = window.controller.panes.contents
    assert content.picture is not None
    assert content.picture.pixel(3, 3) == (200, 60, 30)
    shown = content.picture.read(0, Rectangle(3, 3, 1, 1))
    assert shown is not None
    assert shown[0, 0].tolist() == to_srgb(image).pixels[3, 3].tolist() != [200, 60, 30]


def test_a_target_size_is_chosen_in_its_dialog(qtbot: QtBot) -> None:
    from srviewer.app.dialogs.target_size import TargetSizeDialog
    from srviewer.app.target_size import TargetSize

    dialog = TargetSizeDialog(TargetSize(), Size(300, 200))
    qtbot.addWidget(dialog)
    assert not dialog.factor.isEnabled()
    dialog.kind.setCurrentIndex(2)
    dialog.edge.setValue(900)
    assert dialog.edge.isEnabled()
    assert "900 × 600" in dialog.outcome.text()
    assert dialog.answer() == TargetSize("long edge", long_edge=900)
    dialog.kind.setCurrentIndex(3)
    dialog.paper.setValue(1000.0)
    dialog.density.setValue(2400.0)
    assert not dialog.accept_button.isEnabled()
    assert "too long" in dialog.outcome.text()
