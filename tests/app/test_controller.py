from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QDrag, QGuiApplication, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.conftest import FAST, ImageMaker
from srviewer.app.controller import Controller
from srviewer.app.dialogs.export_figure import ExportFigureDialog, FigureAnswer
from srviewer.app.dialogs.files import FileDialogs
from srviewer.app.dialogs.output import OutputChoice
from srviewer.app.dialogs.save_results import SaveAnswer, SaveResultsDialog
from srviewer.app.main_window import MainWindow
from srviewer.app.measuring import histograms
from srviewer.app.message_bar import Message
from srviewer.app.target_size import TargetSize
from srviewer.imaging.files import read_image
from srviewer.session.comparison import Pane, PaneKind
from srviewer.session.entries import ImageEntry
from srviewer.session.geometry import PixelRect
from srviewer.session.selection import Selection


def settled(window: MainWindow) -> None:
    assert window.controller.is_idle
    assert window.canvas_is_settled


@pytest.fixture
def messages(window: MainWindow) -> list[Message]:
    heard: list[Message] = []
    window.controller.message.connect(heard.append)
    return heard


@pytest.fixture
def done(qtbot: QtBot, window: MainWindow, make_image: ImageMaker) -> ImageEntry:
    """An image of 24 x 20 with its results by bicubic at x2 and x3."""
    controller = window.controller
    controller.session.document.tick(["bicubic_x2", "bicubic_x3"])
    with qtbot.waitSignal(controller.loads.taken):
        controller.open([make_image("cat.png", 24, 20)])
    controller.runs.run()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    (entry,) = controller.session.document.images
    return entry


def result_of(
    controller: Controller, entry: ImageEntry, model: str
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    image = controller.session.document.pixels(entry.id, "result", model)
    assert image is not None
    return np.asarray(image.pixels, np.uint8)


def test_results_are_saved_as_the_dialog_says(
    qtbot: QtBot,
    window: MainWindow,
    done: ImageEntry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    messages: list[Message],
) -> None:
    controller = window.controller
    folder = tmp_path / "out"

    def ask(items: object, choice: OutputChoice, parent: object = None) -> SaveAnswer:
        del items, parent
        return SaveAnswer(
            dataclasses.replace(choice, folder=folder, form="PNG"), (folder / "a.png", folder / "b.png")
        )

    monkeypatch.setattr(SaveResultsDialog, "ask", ask)
    with qtbot.waitSignal(controller.exports.saved, timeout=30_000):
        window.table["save_results"].trigger()
    assert np.array_equal(read_image(folder / "a.png").pixels, result_of(controller, done, "bicubic_x2"))
    assert np.array_equal(read_image(folder / "b.png").pixels, result_of(controller, done, "bicubic_x3"))
    saved = controller.session.document.result(done.id, "bicubic_x2")
    assert saved is not None
    assert saved.saved == folder / "a.png"
    assert saved.lossless
    assert controller.settings.output.folder == folder
    assert messages[-1].text.startswith("Saved 2 files")
    # Once more without leave to replace: refused, and what was there stays.
    before = (folder / "a.png").read_bytes()
    with qtbot.waitSignal(controller.exports.failed, timeout=30_000) as told:
        window.commands.files.save_results()
    assert "a.png" in told.args[0]
    assert (folder / "a.png").read_bytes() == before


def test_a_target_size_is_reached_when_saving(
    qtbot: QtBot, window: MainWindow, done: ImageEntry, tmp_path: Path
) -> None:
    controller = window.controller
    results = controller.exports.savable()
    assert [one.item.naming.stem for one in results] == ["cat", "cat"]
    choice = OutputChoice(tmp_path)
    answer = SaveAnswer(choice, (tmp_path / "x.png", tmp_path / "y.png"))
    with qtbot.waitSignal(controller.exports.saved, timeout=30_000):
        controller.exports.save(results, answer, TargetSize("long edge", long_edge=60))
    image = read_image(tmp_path / "x.png")
    assert (image.width, image.height) == (60, 50)
    entry = controller.session.document.result(done.id, "bicubic_x2")
    assert entry is not None
    assert not entry.lossless


def test_a_folder_that_cannot_be_written_is_told(
    qtbot: QtBot, window: MainWindow, done: ImageEntry, tmp_path: Path
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    results = window.controller.exports.savable()[:1]
    answer = SaveAnswer(OutputChoice(blocked), (blocked / "x.png",))
    with qtbot.waitSignal(window.controller.exports.failed, timeout=30_000) as told:
        window.controller.exports.save(results, answer, TargetSize())
    assert str(blocked) in told.args[0]


def evaluate(qtbot: QtBot, window: MainWindow, entry: ImageEntry) -> None:
    window.controller.evaluate(entry.id)
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_a_figure_is_exported(
    qtbot: QtBot,
    window: MainWindow,
    done: ImageEntry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
) -> None:
    controller = window.controller
    controller.session.document.tick(["bicubic_x2"])
    evaluate(qtbot, window, done)
    current = controller.session.document.current
    assert current is not None
    assert current.input_size is not None
    controller.session.select_region(Selection(current.input_size, PixelRect(2, 1, 6, 5)))
    path = tmp_path / f"figure{suffix}"
    offered: list[str] = []

    def ask(suggested: Path, panes: tuple[object, ...], name: str, parent: object = None) -> FigureAnswer:
        del parent
        offered.extend(getattr(pane, "title") for pane in panes)  # noqa: B009 -- object to mypy
        assert suggested.name == "cat_crops.png"
        return FigureAnswer(path, tuple(getattr(pane, "key") for pane in panes), name, 3.5, False)  # noqa: B009

    monkeypatch.setattr(ExportFigureDialog, "ask", ask)
    with qtbot.waitSignal(controller.exports.saved, timeout=60_000):
        window.commands.files.export_figure()
    assert offered == ["HR", "Bicubic ×2"]
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("form", ["csv", "json", "latex", "markdown"])
def test_metrics_are_exported_in_every_form(
    qtbot: QtBot,
    window: MainWindow,
    done: ImageEntry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    controller = window.controller
    controller.session.document.tick(["bicubic_x2"])
    evaluate(qtbot, window, done)
    path = tmp_path / f"metrics.{form}"
    monkeypatch.setattr(FileDialogs, "table", lambda *_: path)
    with qtbot.waitSignal(controller.exports.saved, timeout=60_000):
        window.metrics.export_wished.emit(form)
    text = path.read_text()
    (row,) = controller.session.document.score_rows(done.id, ("bicubic_x2",), "bicubic_x2")
    assert row.psnr_y is not None
    if form == "csv":
        (line,) = csv.DictReader(text.splitlines())
        assert float(line["psnr_y"]) == row.psnr_y
        assert line["model"] == "bicubic_x2"
    elif form == "json":
        assert json.loads(text)["rows"][0]["psnr_y"] == row.psnr_y
    else:
        assert f"{row.psnr_y:.2f}" in text
        assert "Bicubic" in text


def test_a_session_is_saved_and_opened(
    qtbot: QtBot,
    window: MainWindow,
    done: ImageEntry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    controller = window.controller
    evaluate(qtbot, window, done)
    path = tmp_path / "work.srsession"
    monkeypatch.setattr(FileDialogs, "session_to_save", lambda *_: path)
    with qtbot.waitSignal(controller.exports.saved, timeout=30_000):
        window.commands.files.save_session()
    window.table["close_all"].trigger()
    controller.session.document.tick(["bicubic_x4"])
    with qtbot.waitSignal(controller.loads.session_opened, timeout=30_000):
        controller.open([path])
    (entry,) = controller.session.document.images
    assert entry.name == "cat.png"
    assert entry.reference == controller.session.document.entry(entry.id).reference is not None
    assert "bicubic_x2" in controller.session.document.ticked
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)


def test_a_broken_session_changes_nothing(
    qtbot: QtBot, window: MainWindow, done: ImageEntry, tmp_path: Path, messages: list[Message]
) -> None:
    path = tmp_path / "bad.srsession"
    path.write_text("{")
    with qtbot.waitSignal(window.controller.loads.failed, timeout=30_000):
        window.controller.open([path])
    assert "bad.srsession" in messages[-1].text
    assert window.controller.session.document.images == (done,)


def test_a_pane_is_carried_out_as_a_file(qtbot: QtBot, window: MainWindow, done: ImageEntry) -> None:
    exports = window.controller.exports
    carried: list[Path] = []

    def start(drag: QDrag) -> None:
        (url,) = drag.mimeData().urls()
        carried.append(Path(url.toLocalFile()))

    exports.start_drag = start
    exports.button_is_down = lambda: True
    assert exports.drag_out(Pane(PaneKind.RESULT, "bicubic_x2"), window.canvas)
    qtbot.waitUntil(lambda: bool(carried), timeout=30_000)
    (path,) = carried
    assert path.name == "cat_bicubic_x2.png"
    pixels = result_of(window.controller, done, "bicubic_x2")
    assert np.array_equal(read_image(path).pixels, pixels)
    assert not exports.drag_out(Pane(PaneKind.RESULT, "bicubic_x4"), window.canvas)
    exports.close()
    assert not path.exists()


def test_a_copied_pane_is_the_result(qtbot: QtBot, window: MainWindow, done: ImageEntry) -> None:
    with qtbot.waitSignal(QGuiApplication.clipboard().dataChanged, timeout=30_000):
        assert window.controller.exports.copy(Pane(PaneKind.RESULT, "bicubic_x3"), lambda: None)
    image = QGuiApplication.clipboard().image()
    pixel = result_of(window.controller, done, "bicubic_x3")[7, 5]
    colour = image.pixelColor(5, 7)
    assert [colour.red(), colour.green(), colour.blue()] == pixel.tolist()


def test_a_failed_job_is_told_and_can_be_tried_again(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker, messages: list[Message]
) -> None:
    controller = window.controller
    controller.session.document.tick(["fmen_x2"])
    with qtbot.waitSignal(controller.runs.failed, timeout=60_000):
        controller.open([make_image("a.png", 16, 16)])
        qtbot.waitUntil(lambda: bool(controller.session.document.images), timeout=30_000)
        controller.runs.run()
    controller.panes.refresh()
    (content,) = controller.panes.contents
    assert content.is_error
    failure = messages[-1]
    assert "FMEN" in failure.text
    assert "a.png" in failure.text
    (again,) = [action for action in failure.actions if action.text == "Try again"]
    with qtbot.waitSignal(controller.runs.failed, timeout=60_000):
        again.act()
    assert controller.session.queue.jobs[0].attempt == 2


def test_jobs_can_be_put_in_another_order(qtbot: QtBot, window: MainWindow, make_image: ImageMaker) -> None:
    controller = window.controller
    controller.session.document.tick(["bicubic_x2", "bicubic_x3", "bicubic_x4"])
    with qtbot.waitSignal(controller.loads.taken):
        controller.open([make_image("a.png", 16, 16)])
    controller.runs.run()
    jobs = [job.id for job in controller.session.queue.jobs]
    window.queue.move_wished.emit(jobs[2], -1)
    order: list[str] = []
    controller.bridge.results_changed.connect(
        lambda event: order.append(event.model) if event.change == "changed" else None
    )
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    assert order == ["bicubic_x2", "bicubic_x4", "bicubic_x3"]


def test_many_images_are_not_run_unasked(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker, tmp_path: Path, messages: list[Message]
) -> None:
    controller = window.controller
    controller.settings = dataclasses.replace(controller.settings, run_on_drop=True)
    for number in range(25):
        make_image(f"many/{number}.png", 8, 8)
    with qtbot.waitSignal(controller.loads.taken, timeout=30_000):
        controller.open([tmp_path / "many"])
    assert controller.session.queue.jobs == ()
    (run_all,) = messages[-1].actions
    run_all.act()
    assert len(controller.session.queue.jobs) == 25
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)


def test_estimates_come_from_earlier_runs(qtbot: QtBot, window: MainWindow, make_image: ImageMaker) -> None:
    controller = window.controller
    told: list[str] = []
    controller.estimate_changed.connect(lambda text, details: told.append(text))
    with qtbot.waitSignal(controller.loads.taken):
        controller.open([make_image("a.png", 30, 20)])
    qtbot.waitUntil(lambda: bool(told) and "60 × 40" in told[-1], timeout=30_000)
    assert window.status.estimate.text() == told[-1]
    controller.runs.run()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    assert told[-1] == ""


def test_changing_the_truth_while_running_stops_the_job(
    qtbot: QtBot, window: MainWindow, make_image: ImageMaker
) -> None:
    controller = window.controller
    controller.set_options(dataclasses.replace(FAST.options, tile=16))
    controller.session.document.tick(["safmn_x4"])
    with qtbot.waitSignal(controller.loads.taken):
        controller.open([make_image("a.png", 128, 128)])
    controller.runs.run()
    with qtbot.waitSignal(controller.bridge.tile_arrived, timeout=60_000):
        pass
    (entry,) = controller.session.document.images
    controller.evaluate(entry.id)
    qtbot.waitUntil(lambda: settled(window), timeout=120_000)
    states = [(job.model, job.state) for job in controller.session.queue.jobs]
    assert states[0] == ("safmn_x4", "cancelled")
    assert ("bicubic_x4", "done") in states
    assert ("safmn_x4", "done") in states
    result = controller.session.document.result(entry.id, "safmn_x4")
    assert result is not None
    assert (result.facts.size.width, result.facts.size.height) == (128, 128)


def test_a_truth_of_the_wrong_size_is_refused(
    qtbot: QtBot, window: MainWindow, done: ImageEntry, make_image: ImageMaker, messages: list[Message]
) -> None:
    window.controller.set_truth(done.id, make_image("big.png", 50, 100))
    assert "50 × 100" in messages[-1].text
    assert window.controller.session.document.entry(done.id).reference is None
    window.controller.set_truth(done.id, make_image("right.png", 48, 40))
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    reference = window.controller.session.document.entry(done.id).reference
    assert reference is not None
    assert reference.scale == 2


def test_histograms_count_every_pixel() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 65536, (700, 40, 3), np.uint16)
    luma, red, green, blue = histograms("x", pixels, True)
    assert luma.is_truth
    assert sum(luma.counts) == sum(red.counts) == sum(green.counts) == 700 * 40
    assert red.counts[3] == int(np.sum(pixels[..., 0] >> 8 == 3))
    assert blue.counts[255] == int(np.sum(pixels[..., 2] >> 8 == 255))


def test_an_opaque_pasted_image_has_no_alpha(qtbot: QtBot, qapp: QApplication, window: MainWindow) -> None:
    image = QImage(4, 4, QImage.Format.Format_ARGB32)
    image.fill(0xFF102030)
    new = window.controller.loads.paste(image)
    held = window.controller.session.document.pixels(new, "file")
    assert held is not None
    assert held.alpha is None
    image.fill(0x80102030)
    other = window.controller.session.document.pixels(window.controller.loads.paste(image), "file")
    assert other is not None
    assert other.alpha is not None
    qtbot.waitUntil(lambda: settled(window), timeout=30_000)
