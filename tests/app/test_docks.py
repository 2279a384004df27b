from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QModelIndex, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QColor, QDragEnterEvent, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMainWindow, QMenu, QToolButton
from pytestqt.qtbot import QtBot

from srviewer.app.bridge import Bridge
from srviewer.app.docks.dock import Dock
from srviewer.app.docks.histogram import HistogramCurve, HistogramDock
from srviewer.app.docks.images import ImagesDock
from srviewer.app.docks.job_painting import act_rects
from srviewer.app.docks.job_rows import JobAct, JobEstimate
from srviewer.app.docks.plots import CurvePlot, MemorySparkline
from srviewer.app.docks.queue import QueueDock
from srviewer.app.theme import LIGHT, apply_theme
from srviewer.engine.request import Progress, UpscaleOptions
from srviewer.session.document import Document
from srviewer.session.entries import ImageId, ResultFacts
from srviewer.session.events import JobId
from srviewer.session.geometry import Size
from srviewer.session.queue import Queue

LEFT = Qt.MouseButton.LeftButton
FACTS = ResultFacts("bsrn_x4", Size(400, 300), 8, 4, "CPU", "bf16", 96, 4, True, 0.109, 1.6, 210 << 20, 0)


@dataclass
class Session:
    """A session whose changes the docks hear of, as in the window."""

    bridge: Bridge
    document: Document
    queue: Queue

    def add(self, *names: str) -> tuple[ImageId, ...]:
        return self.document.add_files([Path("/pictures") / name for name in names])


@pytest.fixture
def session(qapp: QApplication) -> Iterator[Session]:
    apply_theme(qapp, "dark")
    bridge = Bridge()
    yield Session(bridge, Document(bridge.listener), Queue(bridge.listener))
    qapp.setStyleSheet("")


def in_window(qtbot: QtBot, dock: Dock, width: int = 260, height: int = 300) -> QMainWindow:
    """Show a dock as the only content of a window."""
    window = QMainWindow()
    qtbot.addWidget(window)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    window.resize(width, height)
    window.show()
    qtbot.waitExposed(window)
    return window


def pressed(menu: QMenu, text: str) -> None:
    action = next(action for action in menu.actions() if action.text() == text)
    assert action.isEnabled()
    action.trigger()


# Images


@pytest.fixture
def images(qtbot: QtBot, session: Session) -> Iterator[ImagesDock]:
    dock = ImagesDock(session.document, session.bridge)
    window = in_window(qtbot, dock)
    yield dock
    window.close()


def image_texts(dock: ImagesDock) -> list[tuple[str, str]]:
    rows = [dock.rows.row(dock.rows.index(place)) for place in range(dock.rows.rowCount())]
    return [(row.name, row.detail) for row in rows if row is not None]


def click(dock: ImagesDock, image: ImageId) -> None:
    centre = dock.view.visualRect(dock.rows.index_of(image)).center()
    QTest.mouseClick(dock.view.viewport(), LEFT, pos=centre)


def test_image_rows_follow_the_document(images: ImagesDock, session: Session) -> None:
    a, b, c = session.add("a.png", "b.tif", "c.jpg")
    session.document.described(a, Size(256, 170), 8)
    session.document.set_ground_truth(a, Path("/hr/a.png"), 4)
    session.document.described(b, Size(400, 300), 16)
    session.document.use_as_ground_truth(b, 4)
    order = session.document.load_order(c, "file")
    assert order is not None
    session.document.load_failed(order, "/pictures/c.jpg: the file is truncated")
    assert image_texts(images) == [
        ("a.png", "256 × 170 · HR given"),
        ("b.tif", "400 × 300 · 16-bit · HR ×4"),
        ("c.jpg", "the file is truncated"),
    ]
    session.document.loading(order)
    images.set_activity(a, "queued")
    assert [detail for _, detail in image_texts(images)] == [
        "256 × 170 · HR given · queued",
        "400 × 300 · 16-bit · HR ×4",
        "reading…",
    ]
    images.set_activity(a, "")
    session.document.move(c, 0)
    session.document.close(a)
    assert [name for name, _ in image_texts(images)] == ["c.jpg", "b.tif"]
    assert images.title_row.count.text() == "2"


def test_a_click_and_the_arrows_choose_an_image(images: ImagesDock, session: Session, qtbot: QtBot) -> None:
    a, b, c = session.add("a.png", "b.png", "c.png")
    images.chosen.connect(session.document.select)
    with qtbot.waitSignal(images.chosen, check_params_cb=lambda image: image == b):
        click(images, b)
    images.view.setFocus()
    with qtbot.waitSignal(images.chosen, check_params_cb=lambda image: image == c):
        QTest.keyClick(images.view, Qt.Key.Key_Down)
    assert session.document.current is not None
    assert session.document.current.id == c
    with qtbot.assertNotEmitted(images.chosen):
        session.document.select(a)
    assert images.rows.index_of(a) == images.view.currentIndex()


def test_delete_closes_the_selected_images(images: ImagesDock, session: Session, qtbot: QtBot) -> None:
    a, b, c = session.add("a.png", "b.png", "c.png")
    click(images, a)
    centre = images.view.visualRect(images.rows.index_of(c)).center()
    QTest.mouseClick(images.view.viewport(), LEFT, Qt.KeyboardModifier.ControlModifier, centre)
    with qtbot.waitSignal(images.close_wished) as told:
        QTest.keyClick(images.view, Qt.Key.Key_Delete)
    assert told.args == [(a, c)]
    assert b in session.document


def test_keys_and_drops_move_images(images: ImagesDock, session: Session, qtbot: QtBot) -> None:
    a, _, c = session.add("a.png", "b.png", "c.png")
    images.move_wished.connect(session.document.move)
    click(images, a)
    QTest.keyClick(images.view, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert [name for name, _ in image_texts(images)] == ["b.png", "a.png", "c.png"]
    assert images.rows.row(images.view.currentIndex()) is not None
    assert images.view.currentIndex() == images.rows.index_of(a)
    data = images.rows.mimeData([images.rows.index_of(c)])
    images.rows.dropMimeData(data, Qt.DropAction.MoveAction, 0, 0, QModelIndex())
    assert [name for name, _ in image_texts(images)] == ["c.png", "b.png", "a.png"]
    data = images.rows.mimeData([images.rows.index_of(c)])
    images.rows.dropMimeData(data, Qt.DropAction.MoveAction, 2, 0, QModelIndex())
    assert [name for name, _ in image_texts(images)] == ["b.png", "c.png", "a.png"]


def test_the_menu_of_an_image_wishes(images: ImagesDock, session: Session, qtbot: QtBot) -> None:
    (a,) = session.add("a.png")
    for text, signal in (
        ("Use as ground truth", images.ground_truth_wished),
        ("Choose ground truth…", images.truth_file_wished),
        ("Reveal in folder", images.reveal_wished),
    ):
        with qtbot.waitSignal(signal, check_params_cb=lambda image: image == a):
            pressed(images.menu_of(a), text)
    clear = next(one for one in images.menu_of(a).actions() if one.text() == "Clear ground truth")
    assert not clear.isEnabled()
    session.document.use_as_ground_truth(a, 4)
    with qtbot.waitSignal(images.clear_truth_wished):
        pressed(images.menu_of(a), "Clear ground truth")
    with qtbot.waitSignal(images.close_wished, check_params_cb=lambda chosen: chosen == (a,)):
        pressed(images.menu_of(a), "Close")


def test_thumbnails_are_wished_for_rows_in_view_only(
    images: ImagesDock, session: Session, qtbot: QtBot
) -> None:
    wished: list[ImageId] = []
    images.thumbnail_wished.connect(wished.append)
    all_images = session.add(*(f"{number:03}.png" for number in range(200)))
    qtbot.waitUntil(lambda: len(wished) > 0)
    assert len(wished) < 20
    assert wished == list(all_images[: len(wished)])
    images.view.scrollToBottom()
    qtbot.waitUntil(lambda: all_images[-1] in wished)
    assert len(wished) < 40
    assert len(set(wished)) == len(wished)


def test_a_thumbnail_is_drawn(images: ImagesDock, session: Session, qtbot: QtBot) -> None:
    (a,) = session.add("a.png")
    thumbnail = QImage(100, 72, QImage.Format.Format_RGB32)
    thumbnail.fill(QColor("#12c834"))
    images.set_thumbnail(a, thumbnail)
    row = images.view.visualRect(images.rows.index_of(a))
    drawn = images.view.viewport().grab().toImage()
    ratio = drawn.devicePixelRatio()
    place = QPointF(row.left() + 30, row.center().y()) * ratio
    assert drawn.pixelColor(place.toPoint()) == QColor("#12c834")


def test_files_from_elsewhere_are_left_to_the_window(images: ImagesDock, session: Session) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/pictures/a.png")])
    event = QDragEnterEvent(
        QPoint(20, 20), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier
    )
    QApplication.sendEvent(images.view.viewport(), event)
    assert not event.isAccepted()


def test_the_reason_of_a_failure_gets_more_lines(images: ImagesDock, session: Session) -> None:
    a, b = session.add("a.png", "b.png")
    order = session.document.load_order(b, "file")
    assert order is not None
    session.document.load_failed(
        order, "the file is truncated after 12,311 of 20,480 bytes and cannot be read further"
    )
    images.view.doItemsLayout()
    rects = [images.view.visualRect(images.rows.index_of(one)) for one in (a, b)]
    assert rects[1].height() > rects[0].height()


# Queue


@pytest.fixture
def jobs(qtbot: QtBot, session: Session) -> Iterator[QueueDock]:
    dock = QueueDock(session.queue, session.document, session.bridge)
    window = in_window(qtbot, dock, 1100, 200)
    yield dock
    window.close()


def add_jobs(session: Session, *models: str) -> list[JobId]:
    (image,) = session.add("img.png")
    return [session.queue.add("upscale", image, model, UpscaleOptions()) for model in models]


def click_act(dock: QueueDock, job: JobId, act: JobAct) -> None:
    index = dock.rows.index_of(job)
    row = dock.rows.row(index)
    assert row is not None
    places = dict(act_rects(row, dock.view.visualRect(index), dock.view.font()))
    QTest.mouseClick(dock.view.viewport(), LEFT, pos=places[act].center())


def test_job_rows_say_how_far_jobs_are(jobs: QueueDock, session: Session) -> None:
    first, second = add_jobs(session, "bsrn_x4", "fmen_s_x4@official")
    assert [row.name for row in jobs.rows.rows] == ["img.png · BSRN ×4", "img.png · FMEN-S ×4 (official)"]
    jobs.set_estimate(second, JobEstimate(41, int(1.3 * 2**30)))
    session.queue.started(first)
    assert [row.text for row in jobs.rows.rows] == ["starting…", "waiting · about 0:41 · needs 1.30 GB"]
    session.queue.progressed(first, Progress(58, 94, 2.4, 14.2, 41.2, 9.84, int(1.21 * 2**30)))
    row = jobs.rows.rows[0]
    assert row.text == "tile 58 of 94 · 41 ms/tile · 9.8 MP/s · 1.21 GB · 0:14 left"
    assert row.share == pytest.approx(58 / 94)
    session.queue.pause()
    assert jobs.rows.rows[0].text == "paused · tile 58 of 94"
    session.queue.cancel(first)
    assert jobs.rows.rows[0].text == "stopping after this tile…"
    assert jobs.rows.rows[0].acts == ()
    session.queue.stopped(first)
    session.queue.started(second)
    session.queue.done(second, FACTS)
    assert [row.text for row in jobs.rows.rows] == ["cancelled", "done · 109 ms · 1.6 MP/s · peak 210 MB"]
    session.queue.retry(first)
    session.queue.started(first)
    session.queue.failed_with(first, "the disk is full")
    assert jobs.rows.rows[0].text == "the disk is full"
    assert jobs.title_row.count.text() == "1 failed"


def test_every_act_can_be_clicked_in_its_row(jobs: QueueDock, session: Session, qtbot: QtBot) -> None:
    first, second = add_jobs(session, "bsrn_x4", "fmen_x4")
    session.queue.started(first)
    with qtbot.waitSignal(jobs.pause_wished):
        click_act(jobs, first, "Pause")
    session.queue.pause()
    with qtbot.waitSignal(jobs.resume_wished):
        click_act(jobs, first, "Resume")
    with qtbot.waitSignal(jobs.cancel_wished, check_params_cb=lambda job: job == first):
        click_act(jobs, first, "Cancel")
    with qtbot.waitSignal(jobs.remove_wished, check_params_cb=lambda job: job == second):
        click_act(jobs, second, "Remove")
    session.queue.resume()
    session.queue.failed_with(first, "no")
    with qtbot.waitSignal(jobs.retry_wished, check_params_cb=lambda job: job == first):
        click_act(jobs, first, "Retry")
    session.queue.started(second)
    session.queue.done(second, FACTS)
    with qtbot.waitSignal(jobs.show_wished, check_params_cb=lambda job: job == second):
        click_act(jobs, second, "Show")


def test_the_queue_can_be_used_by_keys(jobs: QueueDock, session: Session, qtbot: QtBot) -> None:
    first, second, third = add_jobs(session, "bsrn_x4", "fmen_x4", "safmn_x4")
    jobs.move_wished.connect(session.queue.move)
    session.queue.started(first)
    jobs.view.setFocus()
    jobs.view.setCurrentIndex(jobs.rows.index_of(third))
    QTest.keyClick(jobs.view, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert [row.id for row in jobs.rows.rows] == [first, third, second]
    assert jobs.view.currentIndex() == jobs.rows.index_of(third)
    with qtbot.waitSignal(jobs.pause_wished):
        QTest.keyClick(jobs.view, Qt.Key.Key_Space)
    with qtbot.waitSignal(jobs.remove_wished, check_params_cb=lambda job: job == third):
        QTest.keyClick(jobs.view, Qt.Key.Key_Delete)
    QTest.keyClick(jobs.view, Qt.Key.Key_Up)
    with qtbot.waitSignal(jobs.show_wished, check_params_cb=lambda job: job == first):
        QTest.keyClick(jobs.view, Qt.Key.Key_Return)


def test_tools_are_enabled_where_they_can_act(jobs: QueueDock, session: Session, qtbot: QtBot) -> None:
    def enabled() -> set[JobAct]:
        return {act for act, action in jobs.tools.items() if action.isEnabled()}

    assert enabled() == set()
    first, second = add_jobs(session, "bsrn_x4", "fmen_x4")
    session.queue.started(first)
    assert enabled() == {"Pause", "Cancel"}
    with qtbot.waitSignal(jobs.cancel_wished, check_params_cb=lambda job: job == first):
        jobs.tools["Cancel"].trigger()
    jobs.view.setCurrentIndex(jobs.rows.index_of(second))
    assert enabled() == {"Pause", "Cancel", "Remove", "Show"}
    session.queue.pause()
    assert enabled() == {"Resume", "Cancel", "Remove", "Show"}
    assert not jobs.clear_action.isEnabled()
    session.queue.cancel(second)
    assert jobs.clear_action.isEnabled()
    with qtbot.waitSignal(jobs.clear_wished):
        jobs.clear_action.trigger()


def test_dragging_moves_past_waiting_jobs_only(jobs: QueueDock, session: Session) -> None:
    first, second, third, fourth = add_jobs(session, "bsrn_x2", "bsrn_x3", "bsrn_x4", "fmen_x4")
    jobs.move_wished.connect(session.queue.move)
    session.queue.started(first)
    flag = Qt.ItemFlag.ItemIsDragEnabled
    assert not jobs.rows.flags(jobs.rows.index_of(first)) & flag
    assert jobs.rows.flags(jobs.rows.index_of(fourth)) & flag
    data = jobs.rows.mimeData([jobs.rows.index_of(fourth)])
    jobs.rows.dropMimeData(data, Qt.DropAction.MoveAction, 0, 0, QModelIndex())
    assert [row.id for row in jobs.rows.rows] == [first, fourth, second, third]
    data = jobs.rows.mimeData([jobs.rows.index_of(fourth)])
    jobs.rows.dropMimeData(data, Qt.DropAction.MoveAction, -1, 0, QModelIndex())
    assert [row.id for row in jobs.rows.rows] == [first, second, third, fourth]


def test_the_job_that_begins_comes_into_view(jobs: QueueDock, session: Session) -> None:
    ids = add_jobs(session, *(f"bicubic_x{2 + number % 3}@{number}" for number in range(30)))
    shown = jobs.view.viewport().rect()
    for job in ids[:20]:
        session.queue.started(job)
        assert shown.contains(jobs.view.visualRect(jobs.rows.index_of(job)))
        session.queue.done(job)
    jobs.view.setFocus()  # whoever reads the list is not moved away
    jobs.view.scrollToTop()
    session.queue.started(ids[20])
    assert jobs.view.verticalScrollBar().value() == 0


def test_jobs_of_closed_images_keep_their_names(jobs: QueueDock, session: Session) -> None:
    (job,) = add_jobs(session, "bsrn_x4")
    session.document.close(session.document.images[0].id)
    session.queue.cancel(job)
    assert jobs.rows.rows[0].name == "img.png · BSRN ×4"
    session.queue.remove(job)
    assert jobs.rows.rows == ()


def test_the_menu_of_a_job_wishes(jobs: QueueDock, session: Session, qtbot: QtBot) -> None:
    first, second = add_jobs(session, "bsrn_x4", "fmen_x4")
    row = jobs.rows.row(jobs.rows.index_of(second))
    assert row is not None
    with qtbot.waitSignal(jobs.move_wished, check_params_cb=lambda job, step: (job, step) == (second, -1)):
        pressed(jobs.menu_of(row), "Move up")
    with qtbot.waitSignal(jobs.remove_wished, check_params_cb=lambda job: job == second):
        pressed(jobs.menu_of(row), "Remove")
    assert first in [one.id for one in jobs.rows.rows]


def test_memory_is_drawn_and_written(jobs: QueueDock, session: Session) -> None:
    for second in range(5):
        jobs.add_memory_sample(float(second), (1000 + second) << 20)
    sparkline = jobs.findChild(MemorySparkline)
    assert sparkline is not None
    line = sparkline.getPlotItem().listDataItems()[0]
    seconds, megabytes = line.getData()
    np.testing.assert_allclose(seconds, [0, 1, 2, 3, 4])
    np.testing.assert_allclose(megabytes, [1000, 1001, 1002, 1003, 1004])
    assert "0.98 GB" in {label.text() for label in jobs.findChildren(QLabel)}


def test_a_narrow_title_row_does_without_its_words(jobs: QueueDock, session: Session, qtbot: QtBot) -> None:
    add_jobs(session, "bsrn_x4")
    assert jobs.title_row.count.isVisible()
    jobs.window().resize(270, 200)
    qtbot.waitUntil(lambda: not jobs.title_row.count.isVisible())
    buttons = [one for one in jobs.title_row.findChildren(QToolButton) if one.isVisible()]
    assert len(buttons) == 8
    qtbot.waitUntil(lambda: all(one.width() >= one.sizeHint().width() for one in buttons))


@pytest.mark.parametrize("width", [260, 1100])
def test_acts_are_inside_their_row_at_any_width(
    jobs: QueueDock, session: Session, qtbot: QtBot, width: int
) -> None:
    (job,) = add_jobs(session, "bsrn_x4")
    session.queue.started(job)
    jobs.window().resize(width, 200)
    index = jobs.rows.index_of(job)

    def settled() -> None:
        row = jobs.rows.row(index)
        assert row is not None
        rect = jobs.view.visualRect(index)
        assert rect.width() <= width
        assert all(rect.contains(place) for _, place in act_rects(row, rect, jobs.view.font()))

    qtbot.waitUntil(settled)


# Histogram


def curves() -> list[HistogramCurve]:
    counts = tuple(range(256))
    return [
        HistogramCurve("Bicubic ×4", "luma", counts),
        HistogramCurve("Bicubic ×4", "red", counts),
        HistogramCurve("Ground truth", "luma", tuple(reversed(counts)), is_truth=True),
    ]


def test_histograms_of_the_chosen_channel_are_drawn(session: Session, qtbot: QtBot) -> None:
    dock = HistogramDock()
    window = in_window(qtbot, dock, 340, 300)
    dock.set_histograms(curves(), "whole image")
    plot = dock.findChild(CurvePlot)
    assert plot is not None
    drawn = plot.getPlotItem().listDataItems()
    assert [one.name() for one in drawn] == ["Bicubic ×4", "Ground truth"]
    values, shares = drawn[0].getData()
    assert 0 < values[0] < values[-1] < 255
    assert sum(shares) == pytest.approx(100)
    QTest.mouseClick(dock.channels.button(1), LEFT)
    assert [one.name() for one in plot.getPlotItem().listDataItems()] == ["Bicubic ×4"]
    QTest.mouseClick(dock.channels.button(0), LEFT)
    dock.logarithmic.setChecked(True)
    _, logarithms = plot.getPlotItem().listDataItems()[0].getData()
    assert logarithms[0] == pytest.approx(-3)
    assert 10 ** logarithms[-1] == pytest.approx(shares[-1])
    dock.set_histograms([])
    assert not plot.isVisible()
    window.close()


def test_histograms_of_other_bin_widths_have_the_same_height(session: Session, qtbot: QtBot) -> None:
    dock = HistogramDock()
    window = in_window(qtbot, dock, 340, 300)
    dock.set_histograms([HistogramCurve("a", "luma", (7,) * 256), HistogramCurve("b", "luma", (28,) * 64)])
    plot = dock.findChild(CurvePlot)
    assert plot is not None
    heights = [one.getData()[1].mean() for one in plot.getPlotItem().listDataItems()]
    assert heights[0] == pytest.approx(heights[1])
    window.close()


# All docks


def test_a_dock_that_shares_its_place_is_named_by_its_tab(session: Session, qtbot: QtBot) -> None:
    window = QMainWindow()
    qtbot.addWidget(window)
    first, second = HistogramDock(window), ImagesDock(session.document, session.bridge, window)
    area = Qt.DockWidgetArea.RightDockWidgetArea
    window.addDockWidget(area, first)
    window.addDockWidget(area, second)
    window.show()
    qtbot.waitExposed(window)
    assert first.title_row.name.isVisible()
    window.tabifyDockWidget(first, second)
    first.raise_()
    qtbot.waitUntil(lambda: not first.title_row.name.isVisible())
    window.close()


def test_docks_can_be_closed_named_and_drawn_in_the_other_theme(
    jobs: QueueDock, images: ImagesDock, session: Session, qapp: QApplication
) -> None:
    for dock in (jobs, images):
        assert dock.objectName()
        assert dock.accessibleName()
        for button in dock.title_row.findChildren(QToolButton):
            assert button.accessibleName()
            assert not button.icon().isNull()
    apply_theme(qapp, "light")
    drawn = images.view.viewport().grab().toImage()
    assert drawn.pixelColor(2, drawn.height() - 2) == LIGHT.surface
    closing = next(b for b in images.title_row.findChildren(QToolButton) if b.toolTip() == "Hide Images")
    QTest.mouseClick(closing, LEFT)
    assert not images.isVisible()
