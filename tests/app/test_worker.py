from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QObject, Signal
from pytestqt.qtbot import QtBot

from srviewer.app.requests import UpscaleRequest
from srviewer.app.torch_loading import DeviceFacts
from srviewer.app.worker import Worker, WorkerThread
from srviewer.engine.request import FinishedTile, UpscaleOptions, UpscaleResult
from srviewer.imaging.colour import srgb_profile
from srviewer.imaging.image import Image
from srviewer.session.events import JobId

CPU = UpscaleOptions(device="cpu", precision="fp32")
SMALL_TILES = UpscaleOptions(device="cpu", precision="fp32", tile=16)


class Ear(QObject):
    """Hears the worker on the GUI thread: what is connected to it is called there, unlike a bare function."""

    progressed = Signal(int, object)
    tile_finished = Signal(int, object)
    finished = Signal(int, object)
    failed = Signal(int, str)
    cancelled = Signal(int)
    began = Signal(int)
    model_known = Signal(str, object)
    model_broken = Signal(str, str)
    devices_known = Signal(object)

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        worker.progressed.connect(self.progressed)
        worker.tile_finished.connect(self.tile_finished)
        worker.finished.connect(self.finished)
        worker.failed.connect(self.failed)
        worker.cancelled.connect(self.cancelled)
        worker.began.connect(self.began)
        worker.model_known.connect(self.model_known)
        worker.model_broken.connect(self.model_broken)
        worker.devices_known.connect(self.devices_known)


@pytest.fixture
def thread(qtbot: QtBot) -> Iterator[WorkerThread]:
    thread = WorkerThread()
    yield thread
    thread.stop()


@pytest.fixture
def ear(thread: WorkerThread) -> Ear:
    return Ear(thread.worker)


def picture(width: int = 24, height: int = 20) -> Image:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return Image(pixels)


def request(
    job: int, model: str, options: UpscaleOptions = CPU, image: Image | None = None
) -> UpscaleRequest:
    return UpscaleRequest(JobId(job), model, options, image or picture(), None)


def test_what_a_job_freed_is_not_counted_with_the_next(
    qtbot: QtBot, thread: WorkerThread, ear: Ear, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_back: list[str] = []
    monkeypatch.setattr(
        "srviewer.engine.telemetry.release_memory", lambda device: given_back.append(device.kind)
    )
    with qtbot.waitSignal(ear.finished, timeout=60_000):
        thread.upscale(request(1, "bicubic_x2"))
    qtbot.waitUntil(lambda: given_back == ["cpu"], timeout=10_000)


def test_a_job_gives_tiles_progress_and_one_result(qtbot: QtBot, thread: WorkerThread, ear: Ear) -> None:
    tiles: list[FinishedTile] = []
    shares: list[int] = []
    ear.tile_finished.connect(lambda job, tile: tiles.append(tile))
    ear.progressed.connect(lambda job, progress: shares.append(progress.tiles_done))
    with qtbot.waitSignal(ear.finished, timeout=60_000) as done:
        thread.upscale(request(7, "bicubic_x2", SMALL_TILES))
    job, result = done.args
    assert job == 7
    assert isinstance(result, UpscaleResult)
    assert (result.image.width, result.image.height) == (48, 40)
    pasted = np.zeros_like(result.image.pixels)
    for tile in tiles:
        assert not tile.pixels.flags.writeable
        pasted[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] = tile.pixels
    assert np.array_equal(pasted, result.image.pixels)
    assert shares == list(range(len(tiles) + 1))


def test_the_first_job_tells_of_the_devices(qtbot: QtBot, thread: WorkerThread, ear: Ear) -> None:
    heard: list[tuple[DeviceFacts, ...]] = []
    ear.devices_known.connect(heard.append)
    for number in (1, 2):
        with qtbot.waitSignal(ear.finished, timeout=60_000):
            thread.upscale(request(number, "bicubic_x2"))
    (devices,) = heard
    assert all(isinstance(one, DeviceFacts) for one in devices)
    assert devices[-1].id == "cpu"


def test_cancelling_stops_between_tiles(qtbot: QtBot, thread: WorkerThread, ear: Ear) -> None:
    ear.tile_finished.connect(lambda *_: thread.cancel())
    with qtbot.waitSignal(ear.cancelled, timeout=60_000) as told:
        thread.upscale(request(3, "safmn_x4", SMALL_TILES, picture(96, 96)))
    assert told.args == [3]


def test_a_paused_job_waits_and_still_answers_a_cancel(qtbot: QtBot, thread: WorkerThread, ear: Ear) -> None:
    tiles: list[int] = []
    ear.tile_finished.connect(lambda *_: tiles.append(1))
    with qtbot.waitSignal(ear.tile_finished, timeout=60_000):
        thread.upscale(request(4, "safmn_x4", SMALL_TILES, picture(160, 160)))
    thread.pause()
    qtbot.wait(100)  # whatever was under way has come
    seen = len(tiles)
    qtbot.wait(150)
    assert len(tiles) <= seen + 1
    begun = time.monotonic()
    with qtbot.waitSignal(ear.cancelled, timeout=10_000):
        thread.cancel()
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize(
    ("model", "words"),
    [("fmen_x2", "fmen_x2"), ("nothing_x9", "nothing_x9"), ("/nowhere/net.pth", "net.pth")],
)
def test_a_network_that_cannot_be_loaded_fails_in_one_sentence(
    qtbot: QtBot, thread: WorkerThread, ear: Ear, model: str, words: str
) -> None:
    with qtbot.waitSignal(ear.failed, timeout=60_000) as told:
        thread.upscale(request(5, model))
    job, reason = told.args
    assert job == 5
    assert words in reason
    assert "\n" not in reason


def test_a_device_that_is_not_there_fails(qtbot: QtBot, thread: WorkerThread, ear: Ear) -> None:
    with qtbot.waitSignal(ear.failed, timeout=60_000) as told:
        thread.upscale(request(6, "bicubic_x2", UpscaleOptions(device="cuda:9")))
    assert "cuda:9" in told.args[1]


def test_networks_stay_loaded_until_forgotten(qtbot: QtBot, thread: WorkerThread, ear: Ear) -> None:
    known: list[str] = []
    ear.model_known.connect(lambda reference, spec: known.append(reference))
    for number in (1, 2):
        with qtbot.waitSignal(ear.finished, timeout=60_000):
            thread.upscale(request(number, "bicubic_x3"))
    assert known == ["bicubic_x3"]
    thread.forget_models()
    with qtbot.waitSignal(ear.finished, timeout=60_000):
        thread.upscale(request(3, "bicubic_x3"))
    assert known == ["bicubic_x3", "bicubic_x3"]


def test_a_file_that_is_no_checkpoint_is_told(
    qtbot: QtBot, thread: WorkerThread, ear: Ear, tmp_path: Path
) -> None:
    path = tmp_path / "broken.pth"
    path.write_bytes(b"not weights")
    with qtbot.waitSignal(ear.model_broken, timeout=60_000) as told:
        thread.inspect(str(path))
    assert told.args[0] == str(path)
    assert "broken.pth" in told.args[1]


def test_an_srgb_profile_leaves_tiles_as_they_are(qtbot: QtBot, thread: WorkerThread, ear: Ear) -> None:
    image = Image(picture().pixels, icc=srgb_profile())
    tiles: list[FinishedTile] = []
    ear.tile_finished.connect(lambda job, tile: tiles.append(tile))
    with qtbot.waitSignal(ear.finished, timeout=60_000) as told:
        thread.upscale(request(1, "bicubic_x2", image=image))
    result = told.args[1]
    (tile,) = tiles
    assert np.array_equal(tile.pixels, result.image.pixels)
    assert result.image.icc == image.icc


def test_stopping_ends_a_running_job(qtbot: QtBot, thread: WorkerThread, ear: Ear) -> None:
    with qtbot.waitSignal(ear.began, timeout=60_000):
        thread.upscale(request(1, "safmn_x4", SMALL_TILES, picture(200, 200)))
    begun = time.monotonic()
    thread.stop()
    assert time.monotonic() - begun < 10
