"""Images that stay in their files, as the session knows them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from region_sources import ArraySource, noise
from session_listening import Listener, picture, upscaled

from srviewer.engine.request import UpscaleOptions
from srviewer.imaging.faults import ImageFileError
from srviewer.imaging.files import write_image
from srviewer.imaging.image import Image
from srviewer.imaging.streaming import open_stream
from srviewer.session import regions
from srviewer.session.comparison import INPUT_PANE, Pane, PaneKind
from srviewer.session.entries import ImageId, ResultFacts, SeamCheck
from srviewer.session.events import PixelsChanged
from srviewer.session.geometry import PixelRect, Point, Size
from srviewer.session.image_list import DocumentError
from srviewer.session.intake import listed_image, take_in
from srviewer.session.loading import LoadError, load
from srviewer.session.orders import LoadOrder
from srviewer.session.pixel_store import PixelKey
from srviewer.session.regions import RegionFile, RegionsClosedError, is_huge, part_image, part_of, size_of
from srviewer.session.selection import Selection
from srviewer.session.session import Session

MODEL = "bicubic_x2"


@pytest.fixture
def small_is_huge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let images of more than 10,000 pixels count as huge, whatever memory there is."""
    monkeypatch.setattr(regions, "HUGE_PIXELS", 10_000)
    monkeypatch.setattr(regions, "free_memory", lambda: 1 << 40)


def tiff(folder: Path, name: str, width: int, height: int) -> Path:
    path = folder / name
    with open_stream(path, width=width, height=height, bits=8) as writer:
        writer.write_rows(noise(width, height))
        writer.finish()
    return path


def facts(width: int, height: int, model: str = MODEL) -> ResultFacts:
    return ResultFacts(model, Size(width, height), 8, 2, "a device", "fp32", 64, 9, True, 2.0, 1.0, 1000, 0)


# Reading parts


@settings(max_examples=40, deadline=None)
@given(st.data(), st.integers(1, 1300), st.integers(1, 1100))
def test_parts_are_those_of_the_whole(data: st.DataObject, width: int, height: int) -> None:
    pixels = noise(width, height)
    file = RegionFile(ArraySource(pixels))
    for _ in range(3):
        x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
        box = PixelRect(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
        assert np.array_equal(file.read(box), pixels[box.y : box.bottom, box.x : box.right])


def test_neighbours_decode_what_they_share_once() -> None:
    source = ArraySource(noise(1400, 600))
    file = RegionFile(source)
    file.read(PixelRect(0, 0, 600, 500))
    assert len(source.reads) == 2
    file.read(PixelRect(400, 100, 500, 300))
    assert len(source.reads) == 2
    assert all(box.width <= regions.BLOCK_SIDE for _, box in source.reads)


def test_memory_for_blocks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "CACHE_BYTES", 2 * 512 * 512 * 3)
    source = ArraySource(noise(512 * 4, 512))
    file = RegionFile(source)
    for _ in range(2):
        for column in range(4):
            file.read(PixelRect(column * 512, 0, 512, 512))
    assert len(source.reads) == 8
    file.read(PixelRect(3 * 512, 0, 10, 10))
    assert len(source.reads) == 8


def test_known_values_are_told_without_reading() -> None:
    pixels = noise(700, 40)
    source = ArraySource(pixels)
    file = RegionFile(source)
    box = PixelRect(500, 3, 20, 2)
    assert (file.known(box) == -1).all()
    file.read(PixelRect(0, 0, 1, 1))
    assert np.array_equal(file.known(box)[:, :12], pixels[3:5, 500:512].astype(np.int32))
    assert (file.known(box)[:, 12:] == -1).all()
    assert len(source.reads) == 1


def test_a_part_is_an_image_with_profile_and_opacity() -> None:
    pixels, alpha = noise(600, 40), noise(600, 40, 4)[..., 0]
    file = RegionFile(ArraySource(pixels, alpha=alpha, icc=b"profile"))
    part = file.part(PixelRect(510, 1, 30, 20))
    assert np.array_equal(part.pixels, pixels[1:21, 510:540])
    assert part.alpha is not None
    assert np.array_equal(part.alpha, alpha[1:21, 510:540])
    assert part.icc == b"profile"
    assert part.path is None
    held = Image(pixels, alpha)
    assert np.array_equal(part_image(held, PixelRect(510, 1, 30, 20)).pixels, part.pixels)
    assert np.array_equal(part_of(file, PixelRect(2, 3, 4, 5)), part_of(held, PixelRect(2, 3, 4, 5)))
    assert size_of(file) == size_of(held)


def test_one_thread_reads_a_block_and_others_wait_for_it() -> None:
    source = ArraySource(noise(100, 100))
    source.gate.clear()
    file = RegionFile(source)
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(file.read(PixelRect(0, 0, 9, 9)).size)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert source.entered.wait(10)
    source.gate.set()
    for thread in threads:
        thread.join(10)
    assert found == [243] * 3
    assert len(source.reads) == 1


def test_closing_waits_for_who_reads() -> None:
    source = ArraySource(noise(100, 100))
    source.gate.clear()
    file = RegionFile(source)
    found: list[int] = []
    reader = threading.Thread(target=lambda: found.append(file.read(PixelRect(0, 0, 9, 9)).size))
    reader.start()
    assert source.entered.wait(10)
    file.close()
    assert source.closed == 0
    with pytest.raises(RegionsClosedError):
        file.read(PixelRect(0, 0, 9, 9))
    source.gate.set()
    reader.join(10)
    assert found == [243]
    assert source.closed == 1
    file.close()
    assert source.closed == 1


def test_a_fault_is_told_each_time_and_later_reading_may_succeed() -> None:
    source = ArraySource(noise(100, 100))
    source.fault = ImageFileError("a.tif", "the file is damaged")
    file = RegionFile(source)
    for _ in range(2):
        with pytest.raises(ImageFileError):
            file.read(PixelRect(0, 0, 9, 9))
    source.fault = None
    assert file.read(PixelRect(0, 0, 9, 9)).shape == (9, 9, 3)


# Which images stay in their files


def test_what_is_huge_depends_on_pixels_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "free_memory", lambda: 1 << 40)
    assert not is_huge(Size(10_000, 20_000), 16)
    assert is_huge(Size(10_001, 20_000), 8)
    monkeypatch.setattr(regions, "free_memory", lambda: 8_000_000)
    assert not is_huge(Size(500, 600), 8)
    assert is_huge(Size(500, 600), 16)


@pytest.mark.usefixtures("small_is_huge")
def test_intake_tells_what_stays_in_its_file(tmp_path: Path) -> None:
    huge = tiff(tmp_path, "huge.tif", 300, 200)
    small = tiff(tmp_path, "small.tif", 90, 60)
    whole = tmp_path / "whole.jpg"
    write_image(picture(300, 200), whole)
    intake = take_in([huge, small, whole])
    assert [image.by_region for image in intake.images] == [True, False, False]
    assert listed_image(huge).size == Size(300, 200)


@pytest.fixture
def heard() -> Listener:
    return Listener()


@pytest.fixture
def session(heard: Listener, small_is_huge: None, tmp_path: Path) -> Iterator[Session]:
    """A session that shows an image in its file, of 300 x 200, with one network ticked."""
    del small_is_huge
    session = Session(heard)
    session.resize_panes(Size(150, 100))
    session.document.tick([MODEL])
    session.take(take_in([tiff(tmp_path, "huge.tif", 300, 200)]))
    yield session
    session.document.close_files()


def current(session: Session) -> ImageId:
    entry = session.document.current
    assert entry is not None
    return entry.id


def shown_size(session: Session) -> Size:
    assert session.viewport is not None
    return session.viewport.reference


def opened(session: Session) -> RegionFile:
    order = session.document.load_order(current(session), "input")
    assert order is not None
    assert order.making == "by region"
    file = load(order)
    assert isinstance(file, RegionFile)
    assert session.document.loaded(order, file)
    return file


def test_an_image_in_its_file_is_opened_and_never_decoded(session: Session, heard: Listener) -> None:
    image = current(session)
    file = opened(session)
    document = session.document
    assert PixelsChanged(image, "file", "", present=True) in heard.take()
    assert document.entry(image).state == "ready"
    assert document.pixels(image, "input") is None
    assert document.region_file(image, "input") is file
    assert document.region_file(image, "file") is file
    assert document.load_order(image, "input") is None
    assert document.held_bytes == 0
    session.close_image(image)
    with pytest.raises(RegionsClosedError):
        file.read(PixelRect(0, 0, 1, 1))


def test_a_file_that_comes_too_late_is_closed(session: Session) -> None:
    order = session.document.load_order(current(session), "input")
    assert order is not None
    file = load(order)
    assert isinstance(file, RegionFile)
    session.close_image(current(session))
    assert not session.document.loaded(order, file)
    with pytest.raises(RegionsClosedError):
        file.read(PixelRect(0, 0, 1, 1))


def test_what_cannot_be_read_by_region_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    write_image(picture(30, 20), path)
    order = LoadOrder(PixelKey(ImageId(1), "file"), 0, path, making="by region")
    with pytest.raises(LoadError, match=r"a\.jpg cannot be read by region"):
        load(order)


def test_an_image_in_its_file_has_no_ground_truth(session: Session, tmp_path: Path) -> None:
    image = current(session)
    with pytest.raises(DocumentError, match=r"huge\.tif cannot be a ground truth .* open that as an image"):
        session.document.use_as_ground_truth(image, 2)
    with pytest.raises(DocumentError):
        session.document.set_ground_truth(image, tmp_path / "hr.png", 2)
    assert session.document.entry(image).reference is None


def test_a_pair_whose_small_one_is_huge_is_no_pair(tmp_path: Path, small_is_huge: None) -> None:
    del small_is_huge
    tiff(tmp_path, "a_LR.tif", 300, 200)
    tiff(tmp_path, "a_HR.tif", 600, 400)
    intake = take_in([tmp_path])
    assert len(intake.pairs) == 1
    session = Session()
    (image,) = session.take(intake)
    assert session.document.entry(image).reference is None


def test_only_networks_that_were_asked_for_have_panes(session: Session, tmp_path: Path) -> None:
    image = current(session)
    assert session.panes[1:] == ()
    assert shown_size(session) == Size(300, 200)
    session.run_to_file(image, MODEL, UpscaleOptions(), tmp_path / "out.tif")
    with_result = session.panes
    assert with_result == (INPUT_PANE, Pane(PaneKind.RESULT, MODEL))
    assert shown_size(session) == Size(600, 400)
    session.queue.cancel_all()
    session.queue.clear_finished()
    assert shown_size(session) == Size(300, 200)


# Runs to files


def test_runs_leave_images_in_files_to_whoever_asks_where_to(session: Session, tmp_path: Path) -> None:
    image = current(session)
    small = session.document.add_image(picture(20, 10), "small")
    assert session.lacking_files() == ((image, MODEL),)
    (job,) = session.run(UpscaleOptions())
    assert session.queue.job(job).image == small
    output = tmp_path / "out.tif"
    session.run_to_file(image, MODEL, UpscaleOptions(), output)
    assert session.lacking_files() == ()
    session.queue.cancel(job)
    order = session.begin_next()
    assert order is not None
    assert order.job.output == output
    assert order.path == session.document.entry(image).path
    assert order.picture is None
    assert order.load is None


def test_results_too_large_for_memory_go_to_files(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tiff(tmp_path, "small.tif", 90, 60)
    (image,) = session.take(take_in([small]))
    pasted = session.document.add_image(picture(90, 60), "pasted")
    session.document.tick([MODEL, "bicubic_x4"])
    assert not session.goes_to_file(image, MODEL)
    monkeypatch.setattr(regions, "free_memory", lambda: 3 * 90 * 60 * 4 * 3)  # holds ×2, not ×4
    assert not session.goes_to_file(image, MODEL)
    assert session.goes_to_file(image, "bicubic_x4")
    assert not session.goes_to_file(pasted, "bicubic_x4")
    assert session.lacking_files([image]) == ((image, "bicubic_x4"),)
    assert len(session.run(UpscaleOptions(), [image])) == 1
    session.document.use_as_ground_truth(image, 2)
    assert not session.goes_to_file(image, "bicubic_x4")


def test_a_result_in_a_file_is_shown_from_there(session: Session, tmp_path: Path) -> None:
    image, output = current(session), tiff(tmp_path, "out.tif", 600, 400)
    file = opened(session)
    job = session.run_to_file(image, MODEL, UpscaleOptions(), output)
    assert session.begin_next() is not None
    session.job_streamed(job, facts(600, 400), output)
    assert session.queue.job(job).state == "done"
    result = session.document.result(image, MODEL)
    assert result is not None
    assert (result.saved, result.streamed, result.lossless) == (output, True, True)
    assert session.document.unsaved() == ()
    assert session.document.score_order(image, MODEL) is None  # as a whole it is not measured
    region = session.document.score_order(image, MODEL, PixelRect(1, 2, 30, 20))
    assert region is not None
    assert region.against == "input"
    assert session.lacking_files() == ()
    order = session.document.load_order(image, "result", MODEL)
    assert order is not None
    found = load(order)
    assert isinstance(found, RegionFile)
    assert session.document.loaded(order, found)
    pane = Pane(PaneKind.RESULT, MODEL)
    assert session.readable_in(image, pane) is found
    assert session.readable_in(image, INPUT_PANE) is file
    assert session.picture_in(image, pane) is None
    # A later run replaces it; the old file is let go of.
    again = session.run_to_file(image, MODEL, UpscaleOptions(), output)
    assert session.begin_next() is not None
    session.job_streamed(again, facts(600, 400), output)
    with pytest.raises(RegionsClosedError):
        found.read(PixelRect(0, 0, 1, 1))


def test_a_whole_file_counts_even_if_the_job_was_to_stop(session: Session, tmp_path: Path) -> None:
    image, output = current(session), tiff(tmp_path, "out.tif", 600, 400)
    job = session.run_to_file(image, MODEL, UpscaleOptions(), output)
    session.begin_next()
    session.queue.cancel(job)
    session.job_streamed(job, facts(600, 400), output)
    assert session.queue.job(job).state == "cancelled"
    assert session.document.result(image, MODEL) is not None


def test_runs_to_files_teach_time_but_not_memory(session: Session, tmp_path: Path) -> None:
    image = current(session)
    job = session.run_to_file(image, MODEL, UpscaleOptions(), tmp_path / "out.tif")
    session.begin_next()
    session.job_streamed(job, facts(600, 400), tmp_path / "out.tif")
    estimate = session.estimate(image, MODEL, UpscaleOptions())
    assert estimate is not None
    assert estimate.seconds == pytest.approx(2.0)
    assert estimate.memory_bytes is None


# What is looked at


def test_what_is_in_view_is_looked_at_unless_a_region_is_selected(session: Session) -> None:
    assert session.viewport is not None
    assert session.looked_at == PixelRect(0, 0, 300, 200)
    session.look(session.viewport.zoomed_to(2).centred_on(Point(0.5, 0.5)))
    assert session.looked_at == PixelRect(112, 75, 76, 50)
    selection = Selection(Size(300, 200), PixelRect(1, 2, 3, 4))
    session.select_region(selection)
    assert session.looked_at == selection.pixels
    session.document.select(session.document.add_image(picture(20, 10), "small"))
    assert session.looked_at is None


def test_seams_belong_to_the_result_that_was_checked(session: Session) -> None:
    small = session.document.add_image(picture(20, 10), "small")
    job = session.queue.add("upscale", small, MODEL, UpscaleOptions(tile=64))
    session.begin_next()
    session.job_done(job, upscaled(picture(20, 10), MODEL, 2))
    first = session.document.result(small, MODEL)
    assert first is not None
    assert first.options == UpscaleOptions(tile=64)
    seams = SeamCheck(0.4, 94.2, PixelRect(0, 0, 20, 10))
    session.document.check_seams(small, MODEL, first.revision, seams)
    checked = session.document.result(small, MODEL)
    assert checked is not None
    assert checked.seams == seams
    job = session.queue.add("upscale", small, MODEL, UpscaleOptions(tile=64))
    session.begin_next()
    session.job_done(job, upscaled(picture(20, 10), MODEL, 2))
    session.document.check_seams(small, MODEL, first.revision, seams)
    second = session.document.result(small, MODEL)
    assert second is not None
    assert second.seams is None
