from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMainWindow, QToolButton
from pytestqt.qtbot import QtBot

from srviewer.analysis.metrics import Metrics
from srviewer.app.bridge import Bridge
from srviewer.app.docks.metric_rows import COLUMNS, MetricRow, MetricRows
from srviewer.app.docks.metrics import MetricsDock
from srviewer.app.docks.plots import ScatterPlot
from srviewer.app.theme import apply_theme
from srviewer.engine.request import UpscaleResult
from srviewer.imaging.image import Image
from srviewer.session.document import Document
from srviewer.session.entries import ImageId
from srviewer.session.events import SelectionChanged
from srviewer.session.geometry import PixelRect, Size
from srviewer.session.scores import Consistency, NotMeasured, Score, ScoreRow
from srviewer.session.selection import Selection

TICKED = ("bicubic_x4", "fmen_s_x4", "bsrn_x4@official", "safmn_x4")
QUALITY = {"bicubic_x4": (19.04, 0.6542), "fmen_s_x4": (21.96, 0.8101), "bsrn_x4@official": (22.09, 0.8161)}
REGION = PixelRect(8, 4, 30, 20)
KEYS: list[str] = [column.key for column in COLUMNS]


@dataclass
class Session:
    bridge: Bridge
    document: Document
    image: ImageId

    def finish(self, model: str, score: Score, seconds: float = 0.1, region: PixelRect | None = None) -> None:
        if self.document.result(self.image, model) is None:
            self.document.begin_result(self.image, model, 4)
            pixels = np.zeros((80, 160, 3), np.uint8)
            result = UpscaleResult(
                Image(pixels),
                model,
                4,
                "CPU",
                "bf16",
                96,
                1,
                model != "fmen_s_x4",
                seconds,
                1.0,
                200 << 20,
                0,
            )
            self.document.finish_result(self.image, model, result)
        order = self.document.score_order(self.image, model, region)
        assert order is not None
        assert self.document.scored(order, score)

    def select(self, region: PixelRect | None) -> None:
        selection = None if region is None else Selection(Size(40, 30), region)
        self.bridge.selection_changed.emit(SelectionChanged(self.image, selection))


@pytest.fixture
def session(qapp: QApplication) -> Iterator[Session]:
    apply_theme(qapp, "dark")
    bridge = Bridge()
    document = Document(bridge.listener)
    (image,) = document.add_files([Path("/pictures/img.png")])
    document.described(image, Size(40, 30), 8)
    document.tick(TICKED)
    yield Session(bridge, document, image)
    qapp.setStyleSheet("")


@pytest.fixture
def metrics(qtbot: QtBot, session: Session) -> Iterator[MetricsDock]:
    dock = MetricsDock(session.document, session.bridge)
    window = QMainWindow()
    qtbot.addWidget(window)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    window.resize(380, 700)
    window.show()
    qtbot.waitExposed(window)
    yield dock
    window.close()


@pytest.fixture
def measured(metrics: MetricsDock, session: Session, qtbot: QtBot) -> MetricsDock:
    session.document.set_ground_truth(session.image, Path("/hr/img.png"), 4)
    for place, (model, (psnr, ssim)) in enumerate(QUALITY.items()):
        session.finish(model, Metrics(psnr, ssim, psnr - 1, 4), 0.5 - place * 0.2)
    qtbot.waitUntil(lambda: cell(metrics, "bsrn_x4@official", "psnr_y") == "22.09")
    return metrics


def cell(dock: MetricsDock, model: str, key: str) -> str:
    for place, row in enumerate(dock.rows.rows):
        if row.whole.model == model:
            return str(dock.rows.index(place, KEYS.index(key)).data())
    return "no row"


def order(dock: MetricsDock) -> list[str]:
    return [row.whole.model for row in dock.rows.rows]


def click_header(dock: MetricsDock, key: str) -> None:
    header = dock.table.horizontalHeader()
    section = KEYS.index(key)
    at = header.viewport().rect().center()
    at.setX(header.sectionViewportPosition(section) + header.sectionSize(section) // 2)
    QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=at)


def hidden(dock: MetricsDock) -> set[str]:
    header = dock.table.horizontalHeader()
    return {key for place, key in enumerate(KEYS) if header.isSectionHidden(place)}


def test_rows_hold_quality_gain_time_and_memory(measured: MetricsDock) -> None:
    assert order(measured) == list(TICKED)
    assert [cell(measured, "bsrn_x4@official", key) for key in KEYS] == [
        "BSRN ×4", "22.09", "0.8161", "+3.05", "21.09", "–", "100 ms", "200 MB",
    ]  # fmt: skip
    assert cell(measured, "bicubic_x4", "delta_db") == "–"
    assert cell(measured, "fmen_s_x4", "model") == "FMEN-S ×4 ≈"
    assert cell(measured, "safmn_x4", "psnr_y") == "–"
    assert hidden(measured) == {"psnr_rgb", "consistency"}
    assert "4 px shaved" in measured.protocol.text()


def test_nothing_important_is_cut_at_the_docks_usual_width(measured: MetricsDock) -> None:
    table = measured.table
    assert not table.horizontalScrollBar().isVisible()
    for place in range(measured.rows.rowCount()):
        for column, key in enumerate(KEYS):
            if key not in hidden(measured):
                index = measured.rows.index(place, column)
                assert table.columnWidth(column) >= table.sizeHintForIndex(index).width()


def test_without_a_ground_truth_consistency_is_shown(
    metrics: MetricsDock, session: Session, qtbot: QtBot
) -> None:
    session.finish("bsrn_x4@official", Consistency(44.09))
    qtbot.waitUntil(lambda: cell(metrics, "bsrn_x4@official", "consistency") == "44.09")
    assert hidden(metrics) == {"psnr_y", "ssim_y", "psnr_rgb", "delta_db"}
    assert "ground truth" in metrics.hint.text()


def test_a_header_sorts_best_first_then_worst_then_as_the_panes(measured: MetricsDock) -> None:
    click_header(measured, "psnr_y")
    assert order(measured) == ["bsrn_x4@official", "fmen_s_x4", "bicubic_x4", "safmn_x4"]
    click_header(measured, "psnr_y")
    assert order(measured) == ["bicubic_x4", "fmen_s_x4", "bsrn_x4@official", "safmn_x4"]
    click_header(measured, "psnr_y")
    assert order(measured) == list(TICKED)
    click_header(measured, "seconds")
    assert order(measured)[0] == "bsrn_x4@official"


def test_a_selection_gets_values_of_its_own(measured: MetricsDock, session: Session, qtbot: QtBot) -> None:
    session.finish("bsrn_x4@official", Metrics(19.99, None, 18.0, 4, (32, 16, 120, 80)), region=REGION)
    lines = measured.table.rowHeight(0)
    session.select(REGION)
    qtbot.waitUntil(lambda: measured.rows.has_regions)
    row = next(row for row in measured.rows.rows if row.whole.model == "bsrn_x4@official")
    assert row.region is not None
    assert (row.region.psnr_y, row.whole.psnr_y) == (19.99, 22.09)
    assert measured.table.rowHeight(0) > lines
    assert "30 × 20 px" in measured.protocol.text()
    spoken = measured.rows.index(2, KEYS.index("ssim_y")).data(Qt.ItemDataRole.AccessibleTextRole)
    assert spoken == "SSIM 0.8161, selection –"
    session.select(None)
    qtbot.waitUntil(lambda: not measured.rows.has_regions)


def test_the_table_is_copied_as_text(measured: MetricsDock) -> None:
    measured.table.setFocus()
    QTest.keyClick(measured.table, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0] == "Network\tPSNR-Y\tSSIM\tΔ dB\tTime\tMemory"
    assert lines[3] == "BSRN ×4 (official)\t22.09\t0.8161\t+3.05\t100 ms\t200 MB"
    assert len(lines) == 5
    measured.table.selectRow(1)
    measured.copy()
    assert len(QGuiApplication.clipboard().text().splitlines()) == 2


def test_the_best_is_marked_among_networks() -> None:
    rows = MetricRows()
    rows.show_rows(
        [
            MetricRow(ScoreRow("bicubic_x4", psnr_y=40.0, seconds=0.001)),
            MetricRow(ScoreRow("bsrn_x4", psnr_y=22.091, seconds=2.0)),
            MetricRow(ScoreRow("fmen_s_x4", psnr_y=22.089, seconds=1.0)),
            MetricRow(ScoreRow("safmn_x4", psnr_y=21.0, seconds=3.0)),
        ]
    )
    best = {
        key: [rows.index(place, column).data(Qt.ItemDataRole.UserRole + 1).best for place in range(4)]
        for column, key in enumerate(KEYS)
    }
    assert best["psnr_y"] == [False, True, True, False], "what reads alike is best alike"
    assert best["seconds"] == [False, False, True, False]
    assert not any(best["model"])


def test_why_something_was_not_measured_is_said(metrics: MetricsDock, session: Session, qtbot: QtBot) -> None:
    session.document.set_ground_truth(session.image, Path("/hr/img.png"), 4)
    session.finish("bsrn_x4@official", NotMeasured("the ground truth has another size"))
    qtbot.waitUntil(lambda: "another size" in metrics.hint.text())


def test_exports_are_wished(measured: MetricsDock, qtbot: QtBot) -> None:
    export = next(
        one for one in measured.title_row.findChildren(QToolButton) if one.toolTip() == "Export the table"
    )
    wished: list[str] = []
    measured.export_wished.connect(wished.append)
    for action in export.menu().actions():
        action.trigger()
    assert wished == ["csv", "json", "latex", "markdown"]
    measured.axis.setCurrentIndex(2)
    with qtbot.waitSignal(measured.scatter_export_wished, check_params_cb=lambda axis: axis == "seconds"):
        measured.export_plot.trigger()


def test_quality_is_drawn_against_the_chosen_cost(measured: MetricsDock, qtbot: QtBot) -> None:
    plot = measured.findChild(ScatterPlot)
    assert plot is not None

    def points() -> dict[float, float]:
        drawn = [one.getData() for one in plot.getPlotItem().listDataItems()]
        return {round(float(x[0]), 1): float(y[0]) for x, y in drawn}

    assert points() == {341.1: 21.96, 352.4: 22.09}, "interpolation has no parameters"
    measured.axis.setCurrentIndex(2)
    assert points() == {500.0: 19.04, 300.0: 21.96, 100.0: 22.09}


def test_every_column_explains_itself() -> None:
    rows = MetricRows()
    for place, column in enumerate(COLUMNS):
        told = rows.headerData(place, Qt.Orientation.Horizontal, Qt.ItemDataRole.WhatsThisRole)
        assert told == column.explanation
        assert len(column.explanation) > 40


def test_the_rgb_column_is_shown_on_wish(measured: MetricsDock) -> None:
    measured.show_rgb(True)
    assert "psnr_rgb" not in hidden(measured)
    assert cell(measured, "fmen_s_x4", "psnr_rgb") == "20.96"


def test_an_empty_document_says_what_to_do(qtbot: QtBot, qapp: QApplication) -> None:
    bridge = Bridge()
    dock = MetricsDock(Document(bridge.listener), bridge)
    qtbot.addWidget(dock)
    assert "Open an image" in dock.hint.text()
    assert dock.rows.rowCount() == 0
