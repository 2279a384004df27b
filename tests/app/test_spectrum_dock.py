from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyqtgraph as pg
import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.conftest import FAST, ImageMaker, WindowMaker
from srviewer.analysis.spectrum import plane_of, spectrum
from srviewer.app.dialogs.export_figure import ExportFigureDialog, FigureAnswer
from srviewer.app.dialogs.files import FileDialogs
from srviewer.app.docks.spectrum import share_text
from srviewer.app.docks.spectrum_plots import DensityPlot, SpectrumImage
from srviewer.app.main_window import MainWindow
from srviewer.session.geometry import PixelRect
from srviewer.session.selection import Selection

MODELS = ("bicubic_x2", "safmn_x2")


def settled(window: MainWindow) -> None:
    assert window.controller.is_idle
    assert window.canvas_is_settled


@pytest.fixture
def ready(qtbot: QtBot, make_window: WindowMaker, make_image: ImageMaker) -> MainWindow:
    """A window with an image, both results, and the Spectrum tab in front."""
    window = make_window(dataclasses.replace(FAST, ticked=MODELS, run_on_drop=True))
    with qtbot.waitSignal(window.controller.loads.taken, timeout=30_000):
        window.controller.open([make_image("a.png", 40, 32)])
    QTest.keyClick(window, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.spectrum.is_seen)
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    return window


def select(qtbot: QtBot, window: MainWindow, box: PixelRect) -> None:
    session = window.controller.session
    current = session.document.current
    assert current is not None
    assert current.input_size is not None
    session.select_region(Selection(current.input_size, box))
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)


def pixels_of(window: MainWindow, model: str) -> np.ndarray:
    document = window.controller.session.document
    assert document.current is not None
    held = document.pixels(document.current.id, "result" if model else "input", model)
    assert held is not None
    return held.pixels


def titles(window: MainWindow) -> list[str]:
    return [title for title, _ in window.spectrum.curves()]


def test_every_pane_has_its_curve(ready: MainWindow) -> None:
    dock = ready.spectrum
    assert dock.is_seen
    assert titles(ready) == ["Input", "Bicubic ×2", "SAFMN ×2"]
    for (_, found), model in zip(dock.curves(), ("", *MODELS), strict=True):
        expected = spectrum(plane_of(pixels_of(ready, model)))
        assert np.allclose(found.density, expected.density)
        assert found.density.sum() == pytest.approx(100)
    texts = [dock.table.item(row, 1).text() for row in range(3)]  # type: ignore[union-attr]  # filled
    assert texts == [share_text(found.high_frequency_share(0.25)) for _, found in dock.curves()]
    assert dock.title_row.count.text() == "Whole image"


def test_the_curves_follow_the_selection(qtbot: QtBot, ready: MainWindow) -> None:
    dock = ready.spectrum
    box = PixelRect(4, 6, 20, 12)
    select(qtbot, ready, box)
    assert dock.title_row.count.text() == "Selection of 20 × 12 px of the input"
    for (_, found), model, scale in zip(dock.curves(), ("", *MODELS), (1, 2, 2), strict=True):
        cut = box.times(scale)
        part = pixels_of(ready, model)[cut.y : cut.bottom, cut.x : cut.right]
        assert np.allclose(found.density, spectrum(plane_of(part)).density)


def test_only_the_last_of_many_selections_is_looked_at(qtbot: QtBot, ready: MainWindow) -> None:
    session = ready.controller.session
    size = session.document.current.input_size  # type: ignore[union-attr]  # it is open
    assert size is not None
    told: list[str] = []
    ready.controller.spectra.made.connect(lambda curves, scope: told.append(scope))
    for width in range(8, 20):
        session.select_region(Selection(size, PixelRect(0, 0, width, 8)))
    qtbot.waitUntil(lambda: settled(ready), timeout=60_000)
    assert set(told) == {"Selection of 19 × 8 px of the input"}


def test_the_cut_off_is_dragged_in_the_plot(ready: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pg.CONFIG_OPTIONS, "mouseRateLimit", 0)  # the events below come at once
    dock = ready.spectrum
    (plot,) = dock.findChildren(DensityPlot)
    view = plot.getPlotItem().getViewBox()

    def at(frequency: float) -> QPointF:
        # Below the middle, where the line's own number is not.
        bottom, top = view.viewRange()[1]
        scene = view.mapViewToScene(QPointF(frequency, bottom + (top - bottom) * 0.3))
        return QPointF(plot.mapFromScene(scene))

    def send(kind: QEvent.Type, where: QPointF, button: Qt.MouseButton, held: Qt.MouseButton) -> None:
        port = plot.viewport()
        event = QMouseEvent(
            kind, where, QPointF(port.mapToGlobal(where)), button, held, Qt.KeyboardModifier.NoModifier
        )
        QCoreApplication.sendEvent(port, event)

    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    before = dict(dock.shares())
    send(QEvent.Type.MouseMove, at(0.25), none, none)
    send(QEvent.Type.MouseButtonPress, at(0.25), left, left)
    for frequency in (0.2, 0.15, 0.1):
        send(QEvent.Type.MouseMove, at(frequency), none, left)
    send(QEvent.Type.MouseButtonRelease, at(0.1), left, none)
    assert dock.cut_off == pytest.approx(0.1, abs=0.02)
    assert dock.cut_off_field.value() == pytest.approx(dock.cut_off, abs=1e-3)
    assert all(share[0] > before[title][0] for title, share in dock.shares())
    dock.cut_off_field.setFocus()
    dock.cut_off_field.selectAll()
    QTest.keyClicks(dock.cut_off_field, "0.4")
    QTest.keyClick(dock.cut_off_field, Qt.Key.Key_Return)
    assert dock.cut_off == 0.4
    assert plot.cut_off == 0.4
    assert all(share[0] < before[title][0] for title, share in dock.shares())


def test_a_chosen_row_is_drawn_in_two_dimensions(ready: MainWindow) -> None:
    dock = ready.spectrum
    assert dock.caption.text() == "Spectrum of SAFMN ×2"
    dock.table.setFocus()
    dock.table.selectRow(0)
    assert dock.caption.text() == "Spectrum of Input"
    QTest.keyClick(dock.table, Qt.Key.Key_Down)
    assert dock.caption.text() == "Spectrum of Bicubic ×2"
    (image,) = dock.findChildren(SpectrumImage)
    assert image.isVisible()


def test_nothing_is_computed_while_the_dock_is_hidden(qtbot: QtBot, ready: MainWindow) -> None:
    before = ready.spectrum.curves()
    QTest.keyClick(ready, Qt.Key.Key_1, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: not ready.spectrum.is_seen)
    with qtbot.assertNotEmitted(ready.controller.spectra.made):
        select(qtbot, ready, PixelRect(2, 2, 10, 10))
    assert [found for _, found in ready.spectrum.curves()] == [found for _, found in before]
    QTest.keyClick(ready, Qt.Key.Key_3, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: ready.spectrum.is_seen)
    qtbot.waitUntil(lambda: settled(ready), timeout=60_000)
    assert ready.spectrum.title_row.count.text() == "Selection of 10 × 10 px of the input"


def test_differences_are_of_a_and_b_or_of_the_ground_truth(qtbot: QtBot, ready: MainWindow) -> None:
    dock = ready.spectrum
    dock.views.button(1).click()
    qtbot.waitUntil(lambda: settled(ready), timeout=60_000)
    assert titles(ready) == ["SAFMN ×2 − Bicubic ×2"]
    planes = [plane_of(pixels_of(ready, model)) for model in MODELS]
    assert np.allclose(dock.curves()[0][1].density, spectrum(planes[1] - planes[0]).density)
    ready.table["evaluate"].trigger()
    qtbot.waitUntil(lambda: settled(ready), timeout=60_000)
    assert titles(ready) == ["Bicubic ×2 − Ground truth", "SAFMN ×2 − Ground truth"]
    dock.views.button(0).click()
    qtbot.waitUntil(lambda: settled(ready), timeout=60_000)
    assert titles(ready) == ["Input", "Bicubic ×2", "SAFMN ×2", "Ground truth"]


def test_attention_is_looked_at_by_a_job(qtbot: QtBot, ready: MainWindow) -> None:
    from srviewer.analysis.features import record
    from srviewer.analysis.taps import attention_blocks
    from srviewer.zoo.model import load_model

    dock = ready.spectrum
    dock.views.button(2).click()
    qtbot.waitUntil(lambda: settled(ready), timeout=60_000)
    jobs = [job for job in ready.controller.session.queue.jobs if job.kind == "spectrum"]
    assert [(job.model, job.state) for job in jobs] == [("safmn_x2", "done")]
    model = load_model("safmn_x2")
    blocks = attention_blocks(model)
    assert [title for title, _ in dock.shares()] == [block.label for block in blocks]
    taps = [blocks[0].before, blocks[0].after]
    recorded = record(pixels_of(ready, ""), model, taps, channels=())
    expected = [spectrum(recorded.at(tap).average).high_frequency_share(0.25) for tap in taps]
    assert dock.shares()[0][1] == pytest.approx(expected, rel=1e-3)
    dock.scales.button(1).click()
    dock.sides.button(0).click()
    assert dock.caption.text() == f"Spectrum of {blocks[0].label}, before"
    select(qtbot, ready, PixelRect(0, 0, 16, 16))
    jobs = [job for job in ready.controller.session.queue.jobs if job.kind == "spectrum"]
    assert [job.state for job in jobs] == ["done"]
    assert len(dock.curves()[0][1].frequency) == 9


def test_a_network_without_attention_says_so(qtbot: QtBot, ready: MainWindow) -> None:
    dock = ready.spectrum
    dock.views.button(2).click()
    dock.models.setCurrentIndex(0)
    qtbot.waitUntil(lambda: settled(ready), timeout=60_000)
    assert dock.hint.isVisible()
    assert dock.hint.text() == "Bicubic ×2 interpolates: it has neither features nor attention."
    assert dock.curves() == ()
    assert not dock.figure_action.isEnabled()


@pytest.mark.parametrize("view", [0, 2])
def test_figure_and_curves_are_written(
    qtbot: QtBot, ready: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: int
) -> None:
    dock = ready.spectrum
    dock.views.button(view).click()
    qtbot.waitUntil(lambda: settled(ready), timeout=60_000)
    figure, table = tmp_path / "s.svg", tmp_path / "s.csv"
    answer = FigureAnswer(figure, (), "", 3.5, overwrite=False)
    monkeypatch.setattr(ExportFigureDialog, "ask", classmethod(_answering(answer)))
    monkeypatch.setattr(FileDialogs, "curves", classmethod(_answering(table)))
    with qtbot.waitSignal(ready.controller.exports.saved, timeout=60_000):
        dock.figure_action.trigger()
    assert "<text" in figure.read_text()
    with qtbot.waitSignal(ready.controller.exports.saved, timeout=60_000):
        dock.curves_action.trigger()
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert list(dict.fromkeys(row["curve"] for row in rows)) == titles(ready)
    first = [float(row["density_percent"]) for row in rows if row["curve"] == titles(ready)[0]]
    assert sum(first) == pytest.approx(100, abs=1e-4)


def test_an_empty_window_says_what_to_do(qtbot: QtBot, window: MainWindow) -> None:
    window.show_dock(window.spectrum)
    qtbot.waitUntil(lambda: window.spectrum.is_seen)
    for view in range(3):
        window.spectrum.views.button(view).click()
        assert window.spectrum.hint.isVisible()
        assert window.spectrum.hint.text()


def _answering(answer: object) -> Callable[..., object]:
    return lambda *_: answer
