"""Images that stay in their files: opened, looked at, run to files, in the window, by real events."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot
from region_sources import noise

from app.conftest import FAST
from srviewer.analysis.metrics import lr_consistency
from srviewer.app import file_runs
from srviewer.app.dialogs.run_to_files import FileRun, RunToFilesDialog
from srviewer.app.growing_picture import GrowingPicture
from srviewer.app.main_window import MainWindow
from srviewer.app.message_bar import Message
from srviewer.app.region_picture import RegionPicture
from srviewer.app.tile_cache import TileCache
from srviewer.engine.request import Cancelled, FinishedTile, Progress, UpscaleError, UpscaleOptions
from srviewer.engine.streaming import StreamedResult
from srviewer.imaging.files import read_image
from srviewer.imaging.image import Image, Pixels
from srviewer.imaging.pyramid import Rectangle
from srviewer.imaging.resize import downscale
from srviewer.imaging.streaming import open_stream
from srviewer.session import regions
from srviewer.session.comparison import INPUT_PANE, Pane, PaneKind
from srviewer.session.entries import ImageEntry, SeamCheck
from srviewer.session.geometry import PixelRect, Point, Size
from srviewer.session.scores import Consistency
from srviewer.session.selection import Selection
from srviewer.session.wording import decibels_text
from srviewer.zoo.model import LoadedModel

WIDTH, HEIGHT = 2900, 1700
MODEL = "bicubic_x2"


def engine(
    source: Path,
    output: Path,
    model: LoadedModel,
    options: UpscaleOptions,
    *,
    progress: Callable[[Progress], None],
    on_tile: Callable[[FinishedTile], None],
    cancelled: Callable[[], bool],
    paused: Callable[[], bool],
) -> StreamedResult:
    """Do what the engine does from file to file, for images that fit into memory."""
    del options, paused
    pixels = read_image(source).pixels.repeat(model.scale, 0).repeat(model.scale, 1)
    with open_stream(output, width=pixels.shape[1], height=pixels.shape[0], bits=8) as writer:
        for part in range(4):
            if cancelled():
                raise Cancelled
            rows = pixels.shape[0]
            band = pixels[rows * part // 4 : rows * (part + 1) // 4]
            writer.write_rows(band)
            on_tile(FinishedTile(0, rows * part // 4, band.shape[1], band.shape[0], band))
            progress(Progress(part + 1, 4, 0.1, 0.1, 1.0, 1.0, 1000))
        writer.finish()
    return StreamedResult(
        output,
        pixels.shape[1],
        pixels.shape[0],
        model.id,
        model.scale,
        "a device",
        "fp32",
        tile=64,
        tiles=4,
        exact=True,
        seconds=1.0,
        megapixels_per_second=1.0,
        peak_memory_bytes=1000,
        fp32_tiles=0,
        notes=(),
    )


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return noise(WIDTH, HEIGHT)


@pytest.fixture(autouse=True)
def small_is_huge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "HUGE_PIXELS", 1_000_000)
    monkeypatch.setattr(regions, "free_memory", lambda: 1 << 40)


@pytest.fixture
def scan(tmp_path: Path, pixels: np.ndarray) -> Path:
    path = tmp_path / "scan.tif"
    with open_stream(path, width=WIDTH, height=HEIGHT, bits=8) as writer:
        writer.write_rows(pixels)
        writer.finish()
    return path


@pytest.fixture
def messages(window: MainWindow) -> list[Message]:
    heard: list[Message] = []
    window.controller.message.connect(heard.append)
    return heard


def settled(window: MainWindow) -> None:
    assert window.controller.is_idle
    assert window.canvas_is_settled


def open_it(qtbot: QtBot, window: MainWindow, path: Path) -> ImageEntry:
    with qtbot.waitSignal(window.controller.loads.taken, timeout=30_000):
        window.controller.open([path])
    qtbot.waitUntil(lambda: settled(window), timeout=30_000)
    current = window.controller.session.document.current
    assert current is not None
    return current


@pytest.fixture
def shown(qtbot: QtBot, window: MainWindow, scan: Path) -> ImageEntry:
    """The scan, opened and drawn."""
    return open_it(qtbot, window, scan)


def decoding_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Image:
        raise AssertionError("a huge image was decoded whole")

    monkeypatch.setattr("srviewer.session.loading.read_image", refuse)
    monkeypatch.setattr("srviewer.imaging.files.read_thumbnail", refuse)


def colour_at(window: MainWindow, place: QPoint) -> tuple[int, int, int]:
    ratio = window.canvas.devicePixelRatioF()
    colour = window.canvas.grab().toImage().pixelColor(place * ratio)
    return colour.red(), colour.green(), colour.blue()


# Looking


def test_it_is_shown_without_being_decoded(
    qtbot: QtBot, window: MainWindow, scan: Path, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoding_fails(monkeypatch)
    thumbnails: list[object] = []
    window.controller.loads.thumbnail_made.connect(lambda image, _: thumbnails.append(image))
    entry = open_it(qtbot, window, scan)
    assert entry.by_region
    session = window.controller.session
    (content,) = window.controller.panes.contents
    assert isinstance(content.picture, RegionPicture)
    assert content.lines == ("2900 × 1700", "shown from its file")
    assert session.document.held_bytes == 0
    assert session.panes == (INPUT_PANE,)
    assert session.queue.jobs == ()
    qtbot.waitUntil(lambda: thumbnails == [entry.id])
    # At 1:1 the screen shows the file's very pixels.
    assert session.viewport is not None
    session.look(session.viewport.zoomed_to(8).centred_on(Point(1000.5 / WIDTH, 700.5 / HEIGHT)))
    qtbot.waitUntil(lambda: settled(window))
    part = window.canvas.scene.parts[0]
    middle = QPoint(part.rect.x + part.rect.width // 2, part.rect.y + part.rect.height // 2)
    assert colour_at(window, middle) == tuple(pixels[700, 1000].tolist())


def test_the_pointer_is_told_the_files_values(
    qtbot: QtBot, window: MainWindow, shown: ImageEntry, pixels: np.ndarray
) -> None:
    session = window.controller.session
    session.look(session.viewport.fit() if session.viewport else pytest.fail("no viewport"))
    qtbot.waitUntil(lambda: settled(window))
    told: list[str] = []
    window.controller.panes.values_came.connect(lambda: told.append("came"))
    part = window.canvas.scene.parts[0]
    ratio = window.canvas.devicePixelRatioF()
    place = QPoint(int((part.rect.x + part.rect.width * 0.6) / ratio), int(part.rect.height * 0.5 / ratio))
    QTest.mouseMove(window.canvas, place)
    where = part.viewport.to_image(part.local(window.canvas._at(place.toPointF())))
    x, y = int(where.x * WIDTH), int(where.y * HEIGHT)
    red, green, blue = pixels[y, x].tolist()
    expected = f"x {x} y {y}   Input {red} {green} {blue}"
    qtbot.waitUntil(lambda: window.status.values.text() == expected, timeout=10_000)
    assert told


def test_values_are_written_into_large_pixels(qtbot: QtBot, window: MainWindow, shown: ImageEntry) -> None:
    session = window.controller.session
    assert session.viewport is not None
    session.look(session.viewport.zoomed_to(64).centred_on(Point(0.5, 0.5)))
    qtbot.waitUntil(lambda: settled(window))
    (content,) = window.controller.panes.contents
    assert isinstance(content.picture, RegionPicture)
    assert content.picture.pixel(WIDTH // 2, HEIGHT // 2) is not None


def test_zooming_and_panning_by_events(qtbot: QtBot, window: MainWindow, shown: ImageEntry) -> None:
    session, canvas = window.controller.session, window.canvas
    centre = canvas.rect().center()
    for key in (Qt.Key.Key_Plus, Qt.Key.Key_Plus, Qt.Key.Key_Plus):
        canvas.setFocus()
        QTest.keyClick(canvas, key)
    assert session.viewport is not None
    before = session.viewport
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=centre)
    QTest.mouseMove(canvas, centre + QPoint(-60, -40))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=centre + QPoint(-60, -40))
    assert session.viewport != before
    qtbot.waitUntil(lambda: settled(window))


def test_a_file_without_levels_says_how_far_it_is(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "wide.png"
    with open_stream(path, width=9000, height=600, bits=8) as writer:
        writer.write_rows(noise(9000, 600))
        writer.finish()
    said: set[str] = set()
    window.controller.panes.changed.connect(
        lambda contents: said.update(line for content in contents for line in content.lines)
    )
    thumbnails: list[object] = []
    window.controller.loads.thumbnail_made.connect(lambda image, _: thumbnails.append(image))
    entry = open_it(qtbot, window, path)
    assert entry.by_region
    assert "shown from its file" in said
    qtbot.waitUntil(lambda: thumbnails == [entry.id])
    (content,) = window.controller.panes.contents
    assert content.picture is not None
    assert content.picture.is_prepared
    assert content.busy is None


def test_a_file_that_goes_away_is_told_once(
    qtbot: QtBot,
    window: MainWindow,
    shown: ImageEntry,
    messages: list[Message],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = window.controller.session.document.region_file(shown.id, "input")
    assert file is not None

    def fail(*_: object, **__: object) -> np.ndarray:
        from srviewer.imaging.faults import ImageFileError

        raise ImageFileError(file.path, "the file is truncated or damaged")

    monkeypatch.setattr(file, "_decode", fail)
    session = window.controller.session
    assert session.viewport is not None
    session.look(session.viewport.zoomed_to(1).centred_on(Point(0.9, 0.9)))
    qtbot.waitUntil(lambda: any("damaged" in one.text for one in messages), timeout=10_000)
    assert sum("damaged" in one.text for one in messages) == 1


def test_histogram_and_spectrum_look_at_what_is_in_view(
    qtbot: QtBot, window: MainWindow, shown: ImageEntry
) -> None:
    session = window.controller.session
    window.show_dock(window.histogram)
    qtbot.waitUntil(lambda: bool(window.histogram.shown()), timeout=20_000)
    assert window.histogram.title_row.count.text() == "In view: 2900 × 1700 px of the input"
    assert sum(window.histogram.shown()[0].counts) == WIDTH * HEIGHT
    session.select_region(Selection(Size(WIDTH, HEIGHT), PixelRect(10, 20, 300, 200)))
    qtbot.waitUntil(lambda: sum(window.histogram.shown()[0].counts) == 300 * 200, timeout=20_000)
    session.select_region(None)
    assert session.viewport is not None
    session.look(session.viewport.zoomed_to(1).centred_on(Point(0.5, 0.5)))
    qtbot.waitUntil(lambda: sum(window.histogram.shown()[0].counts) < WIDTH * HEIGHT, timeout=20_000)
    window.show_dock(window.spectrum)
    qtbot.waitUntil(lambda: bool(window.spectrum.pictures), timeout=20_000)
    assert window.spectrum.title_row.count.text().startswith("In view: ")


# What needs memory


def test_what_needs_the_whole_says_what_to_do_instead(
    qtbot: QtBot, window: MainWindow, shown: ImageEntry, messages: list[Message]
) -> None:
    for name in ("evaluate", "attribute", "export_figure"):
        messages.clear()
        window.table[name].setEnabled(True)
        window.table[name].trigger()
        assert "open that as an image of its own" in messages[-1].text, name
    window.show_dock(window.features)
    window.show_dock(window.metrics)
    assert "Measured on a selected region only" in window.metrics.hint.text()
    assert window.controller.session.document.entry(shown.id).reference is None
    assert window.controller.session.queue.jobs == ()
    window.commands.copy_result()
    assert "too large for the clipboard" in messages[-1].text


def test_a_selected_region_becomes_an_image_and_can_be_copied(
    qtbot: QtBot, window: MainWindow, shown: ImageEntry, pixels: np.ndarray
) -> None:
    session = window.controller.session
    assert not window.table["open_region"].isEnabled()
    session.select_region(Selection(Size(WIDTH, HEIGHT), PixelRect(1000, 500, 40, 30)))
    window.refresh_actions()
    with qtbot.waitSignal(QGuiApplication.clipboard().changed, timeout=10_000):
        window.commands.copy_result()
    assert QGuiApplication.clipboard().image().width() == 40
    window.table["open_region"].trigger()
    qtbot.waitUntil(lambda: len(session.document.images) == 2, timeout=10_000)
    entry = session.document.current
    assert entry is not None
    assert entry.name == "scan 40 × 30 at 1000, 500"
    assert not entry.by_region
    held = session.document.pixels(entry.id, "file")
    assert held is not None
    assert np.array_equal(held.pixels, pixels[500:530, 1000:1040])
    window.controller.evaluate(entry.id)
    assert session.document.entry(entry.id).reference is not None
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)


# Runs to files


Asked = list[tuple[FileRun, ...]]


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What was asked; each run is answered by a file beside the image."""
    asked: Asked = []

    def ask(
        runs: tuple[FileRun, ...],
        folder: Path | None,
        parent: QWidget | None = None,
        *,
        taken: Collection[Path] = (),
    ) -> tuple[Path | None, ...]:
        del parent
        assert folder is not None
        assert not taken
        asked.append(tuple(runs))
        return tuple(folder / f"{run.stem}_{run.model}_{len(asked)}.tif" for run in runs)

    monkeypatch.setattr(RunToFilesDialog, "ask", ask)
    monkeypatch.setattr(file_runs, "upscale_file", engine)
    return asked


def test_a_run_asks_where_to_and_shows_the_result_from_its_file(
    qtbot: QtBot,
    window: MainWindow,
    shown: ImageEntry,
    answered: Asked,
    messages: list[Message],
    tmp_path: Path,
) -> None:
    session = window.controller.session
    window.table["run"].trigger()
    ((asked,),) = answered
    assert (asked.stem, asked.model, asked.output) == ("scan", MODEL, Size(2 * WIDTH, 2 * HEIGHT))
    assert asked.needed_bytes > 4 * WIDTH * HEIGHT * 3 * 4 // 3
    assert session.panes == (INPUT_PANE, Pane(PaneKind.RESULT, MODEL))
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    output = tmp_path / f"scan_{MODEL}_1.tif"
    assert output.is_file()
    result = session.document.result(shown.id, MODEL)
    assert result is not None
    assert result.saved == output
    contents = window.controller.panes.contents
    assert [type(content.picture) for content in contents] == [RegionPicture, RegionPicture]
    assert contents[1].picture is not None
    assert contents[1].picture.size == Size(2 * WIDTH, 2 * HEIGHT)
    assert contents[1].lines[-1] == f"in {output.name}"
    assert any(one.text == f"Saved {output}." for one in messages)
    window.commands.files.save_results()
    assert messages[-1].text == f"Already in a file: {output}."
    # All has run; running again asks for another file.
    window.table["run"].trigger()
    assert len(answered) == 1
    window.table["run_again"].trigger()
    assert len(answered) == 2
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)


def test_a_region_is_measured_as_the_whole_would_be(
    qtbot: QtBot, window: MainWindow, shown: ImageEntry, answered: Asked, pixels: np.ndarray
) -> None:
    session = window.controller.session
    window.table["run"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    assert session.document.score(shown.id, MODEL) is None
    result = session.document.result(shown.id, MODEL)
    assert result is not None
    assert result.saved is not None
    back = downscale(read_image(result.saved).pixels, 2)
    for box in (PixelRect(700, 500, 60, 40), PixelRect(0, 0, 31, 17), PixelRect(2890, 1690, 10, 10)):
        session.select_region(Selection(Size(WIDTH, HEIGHT), box))
        qtbot.waitUntil(lambda: settled(window), timeout=20_000)
        rows, columns = slice(box.y, box.bottom), slice(box.x, box.right)
        expected = lr_consistency(pixels[rows, columns], back[rows, columns], 1)
        score = session.document.score(shown.id, MODEL, box)
        assert isinstance(score, Consistency)
        assert score.psnr_y == pytest.approx(expected, abs=1e-9)
        text = f"selection LR {decibels_text(score.psnr_y)} dB"
        assert text in window.controller.panes.contents[1].lines
    assert "LR dB of the selection" in window.metrics.protocol.text()
    session.select_region(Selection(Size(WIDTH, HEIGHT), PixelRect(0, 0, 2900, 10)))
    qtbot.waitUntil(lambda: "select a region of at most" in window.metrics.hint.text(), timeout=20_000)


def test_a_run_to_a_file_shows_a_preview_while_it_is_made(
    qtbot: QtBot,
    window: MainWindow,
    shown: ImageEntry,
    answered: Asked,
    pixels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    idle = threading.Event()

    def held(*_: object, **given: Any) -> StreamedResult:
        part = pixels[:800, :1200].repeat(2, 0).repeat(2, 1)
        given["on_tile"](FinishedTile(1600, 0, 2400, 1600, part))
        while not given["cancelled"]():
            idle.wait(0.01)
        raise Cancelled

    monkeypatch.setattr(file_runs, "upscale_file", held)
    window.table["run"].trigger()

    def there() -> Pixels:
        contents = window.controller.panes.contents
        assert len(contents) == 2
        picture = contents[1].picture
        assert isinstance(picture, GrowingPicture)
        assert picture.size == Size(WIDTH, HEIGHT)  # half of the result's: a quarter of its pixels
        found = picture.read(0, Rectangle(800, 0, 1200, 800))
        assert found is not None
        assert np.array_equal(found, pixels[:800, :1200])
        assert picture.pixel(900, 100) is None
        assert (picture.values(Rectangle(900, 100, 2, 2)) == -1).all()
        return found

    qtbot.waitUntil(lambda: there() is not None, timeout=20_000)
    window.table["cancel"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=10_000)


def test_cancelling_a_run_to_a_file_leaves_none(
    qtbot: QtBot,
    window: MainWindow,
    shown: ImageEntry,
    answered: Asked,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, idle = threading.Event(), threading.Event()

    def stopped(*_: object, cancelled: Callable[[], bool], **__: object) -> StreamedResult:
        begun.set()
        while not cancelled():
            idle.wait(0.01)
        raise Cancelled

    monkeypatch.setattr(file_runs, "upscale_file", stopped)
    session = window.controller.session
    window.table["run"].trigger()
    qtbot.waitUntil(begun.is_set, timeout=60_000)
    window.table["cancel"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=10_000)
    assert [job.state for job in session.queue.jobs] == ["cancelled"]
    assert session.document.result(shown.id, MODEL) is None
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".tif") == ["scan.tif"]


def test_what_the_engine_refuses_is_told(
    qtbot: QtBot,
    window: MainWindow,
    shown: ImageEntry,
    answered: Asked,
    messages: list[Message],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> StreamedResult:
        raise UpscaleError("the disk cannot hold the result")

    monkeypatch.setattr(file_runs, "upscale_file", refuse)
    window.table["run"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    (job,) = window.controller.session.queue.jobs
    assert job.error == "the disk cannot hold the result"
    assert messages[-1].text == "Bicubic ×2 on scan.tif: the disk cannot hold the result"
    assert window.controller.panes.contents[1].is_error


def test_dropping_one_runs_nothing_but_offers_to(
    qtbot: QtBot, window: MainWindow, scan: Path, messages: list[Message], answered: Asked
) -> None:
    window.controller.settings = dataclasses.replace(FAST, run_on_drop=True)
    open_it(qtbot, window, scan)
    assert window.controller.session.queue.jobs == ()
    (offer,) = [one for one in messages if one.actions]
    assert offer.text == (
        "scan.tif is 2900 × 1700: it is shown from its file, and results of it go to files."
    )
    offer.actions[0].act()
    assert len(answered) == 1
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    assert len(window.controller.session.document.results_of(window.controller.session.document.images[0].id))


def test_results_too_large_for_memory_are_asked_for_as_well(
    qtbot: QtBot,
    window: MainWindow,
    scan: Path,
    messages: list[Message],
    answered: Asked,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(regions, "HUGE_PIXELS", 1 << 40)
    window.controller.settings = dataclasses.replace(FAST, run_on_drop=True)
    monkeypatch.setattr(regions, "SHARE_FOR_A_RESULT", 0.0)
    entry = open_it(qtbot, window, scan)
    session = window.controller.session
    assert not entry.by_region
    assert session.queue.jobs == ()
    assert messages[-1].text == "Results that do not fit into memory go to files."
    window.table["run"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    result = session.document.result(entry.id, MODEL)
    assert result is not None
    assert result.streamed
    (content,) = window.controller.panes.contents
    assert isinstance(content.picture, RegionPicture)
    assert "not measured" in window.metrics.hint.text()


# The dialog


def runs(*needed: int) -> list[FileRun]:
    return [
        FileRun("scan", f"net{index}_x4", f"Net {index}", Size(40, 30), one, 12.0, 3 << 29, index > 0)
        for index, one in enumerate(needed)
    ]


def test_the_dialog_names_files_beside_the_image_and_numbers_those_that_exist(
    qtbot: QtBot, tmp_path: Path
) -> None:
    (tmp_path / "scan_net1_x4.tif").touch()
    taken = [tmp_path / "scan_net2_x4.tif"]
    dialog = RunToFilesDialog(runs(1 << 20, 1 << 20, 1 << 20), tmp_path, taken=taken)
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.answer() == (None, tmp_path / "scan_net1_x4_2.tif", tmp_path / "scan_net2_x4_2.tif")
    assert dialog.sum.text().startswith("2 files, up to 2.0 MB · about 0:24 · ")
    assert (
        dialog.list.item(2).text().endswith("\n40 × 30 · up to 1.0 MB · about 0:12 · about 1.50 GB of memory")
    )
    assert dialog.accept_button.isEnabled()
    dialog.list.item(0).setCheckState(Qt.CheckState.Checked)
    assert dialog.answer()[0] == tmp_path / "scan_net0_x4.tif"
    for row in range(3):
        dialog.list.item(row).setCheckState(Qt.CheckState.Unchecked)
    assert not dialog.accept_button.isEnabled()


def test_the_dialog_refuses_what_the_disk_cannot_hold(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = RunToFilesDialog(runs(1 << 20, 1 << 60), tmp_path)
    qtbot.addWidget(dialog)
    dialog.show()
    assert not dialog.accept_button.isEnabled()
    assert "are free in" in dialog.fault.text()
    dialog.list.item(1).setCheckState(Qt.CheckState.Unchecked)
    dialog.list.item(0).setCheckState(Qt.CheckState.Checked)
    assert dialog.accept_button.isEnabled()
    dialog.folder.edit.setText(str(tmp_path / "nowhere"))
    assert not dialog.accept_button.isEnabled()
    assert dialog.fault.text().endswith("is not a folder.")


# Seams


def test_seams_of_a_tiled_result_are_checked_and_shown(
    qtbot: QtBot, window: MainWindow, shown: ImageEntry, answered: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = window.controller.session
    window.table["run"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    checked: list[tuple[Size, UpscaleOptions]] = []

    def check(image: Image, model: LoadedModel, options: UpscaleOptions, stop: object) -> SeamCheck:
        del stop
        assert model.id == MODEL
        checked.append((Size(image.width, image.height), options))
        return SeamCheck(0.25, 94.2, PixelRect(5, 6, 100, 80))

    monkeypatch.setattr("srviewer.app.analysing.check_seams", check)
    window.refresh_actions()
    assert window.table["check_seams"].isEnabled()
    window.table["check_seams"].trigger()
    qtbot.waitUntil(lambda: settled(window), timeout=60_000)
    assert [size for size, _ in checked] == [Size(1536, 1536)]
    assert checked[0][1].tile == 64
    result = session.document.result(shown.id, MODEL)
    assert result is not None
    assert result.seams == SeamCheck(0.25, 94.2, PixelRect(687, 88, 100, 80))
    line = "seams at most 0.25/255 · 94.2 dB to untiled"
    assert any(line in one for one in window.controller.panes.contents[1].lines)
    assert line in window.metrics.protocol.text()


def test_tile_cache_is_small(window: MainWindow, shown: ImageEntry) -> None:
    cache = window.canvas.findChild(TileCache)
    assert cache is not None
    assert cache.held_bytes < 64 << 20
