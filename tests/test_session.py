"""The session as a whole: what one change means for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from session_listening import Listener, picture, tile, upscaled

from srviewer.engine.request import Progress, UpscaleOptions
from srviewer.imaging.files import write_image
from srviewer.imaging.image import Image
from srviewer.session.catalogue import (
    ModelRow,
    by_family,
    checkpoint_row,
    default_ticked,
    known_scale,
    known_title,
    offered,
    search,
)
from srviewer.session.comparison import TRUTH_PANE, Mode, Pane, PaneKind
from srviewer.session.disagreement import Place
from srviewer.session.entries import GivenReference, ImageId
from srviewer.session.events import (
    ComparisonChanged,
    CurrentChanged,
    JobChanged,
    SelectionChanged,
    ViewportChanged,
)
from srviewer.session.geometry import WHOLE, PixelRect, Point, Rect, Size
from srviewer.session.intake import ListedImage, take_in
from srviewer.session.loading import load
from srviewer.session.queue import QueueError
from srviewer.session.running import WorkOrder
from srviewer.session.selection import Selection
from srviewer.session.session import Session
from srviewer.session.sessionfile import open_session, save_session
from srviewer.session.viewport import Viewport
from srviewer.zoo.spec import SPECS

BSRN, BICUBIC, SAFMN2 = "bsrn_x4", "bicubic_x4", "safmn_x2"
OPTIONS = UpscaleOptions(device="cpu")


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def session(listener: Listener) -> Session:
    session = Session(listener)
    session.resize_panes(Size(400, 300))
    session.document.tick([BICUBIC, BSRN])
    return session


def paste(session: Session, width: int = 40, height: int = 30) -> ImageId:
    return session.document.add_image(picture(width, height), "pasted")


def selected(session: Session) -> Selection | None:
    """Return the selection anew (a type checker takes a property for a fixed value)."""
    return session.selection


def work_off(session: Session) -> list[WorkOrder]:
    """Do what the worker does, until the queue is idle."""
    orders = []
    while (order := session.begin_next()) is not None:
        orders.append(order)
        job = order.job
        source = order.picture
        if source is None:
            assert order.load is not None
            loaded = load(order.load)
            assert isinstance(loaded, Image)
            source = loaded
        scale = session.scale_of(job.model)
        assert scale is not None
        session.job_progressed(job.id, Progress(0, 1, 0.0, None, 0.0, 0.0, 1))
        session.job_tile(job.id, tile(0, 0, source.width * scale, source.height * scale))
        session.job_done(job.id, upscaled(source, job.model, scale))
    return orders


def test_the_first_image_is_shown_whole(session: Session, listener: Listener) -> None:
    listener.take()
    paste(session)
    assert session.viewport == Viewport.fitting(Size(160, 120), Size(400, 300))
    assert session.panes == (Pane(PaneKind.RESULT, BICUBIC), Pane(PaneKind.RESULT, BSRN))
    assert session.comparison.a == Pane(PaneKind.RESULT, BSRN)
    kinds = [type(event) for event in listener.take()]
    assert kinds.index(ViewportChanged) < kinds.index(CurrentChanged), "all is settled when anybody hears"


def test_every_event_finds_a_settled_session(session: Session) -> None:
    """Whoever hears of another image finds viewport and panes that belong to it already."""
    found: list[tuple[Size | None, int]] = []

    class Looker(Listener):
        def current_changed(self, event: CurrentChanged, /) -> None:
            view = watched.viewport
            found.append((None if view is None else view.reference, len(watched.panes)))

    watched = Session(Looker())
    watched.document.tick([BICUBIC])
    watched.document.add_image(picture(8, 6), "a")
    assert found == [(Size(32, 24), 1)]


def test_the_zoom_refers_to_the_largest_result(session: Session) -> None:
    paste(session)
    session.document.tick([SAFMN2])
    assert session.viewport is not None
    assert session.viewport.reference == Size(80, 60)
    session.look(session.viewport.wheeled(8, Point(10, 10)))
    before = session.viewport
    session.document.tick([SAFMN2, BSRN])
    assert session.viewport.reference == Size(160, 120)
    assert session.viewport.zoom == pytest.approx(before.zoom / 2), "the screen shows the same"
    assert session.viewport.to_image(Point(3, 4)).x == pytest.approx(before.to_image(Point(3, 4)).x)


def test_a_job_runs_from_queue_to_result(session: Session) -> None:
    image = paste(session)
    jobs = session.run(OPTIONS)
    assert [session.queue.job(job).model for job in jobs] == [BICUBIC, BSRN]
    assert session.run(OPTIONS) == (), "they wait already"
    orders = work_off(session)
    assert orders[0].picture is session.document.pixels(image, "input")
    assert orders[0].focus == WHOLE.as_tuple()
    assert all(session.queue.job(job).state == "done" for job in jobs)
    result = session.queue.job(jobs[1]).result
    assert result is not None
    assert result.size == Size(160, 120)
    assert session.run(OPTIONS) == (), "they have results"
    assert len(session.run(OPTIONS, again=True)) == 2
    estimate = session.estimate(image, BSRN, OPTIONS)
    assert estimate is not None
    assert estimate.seconds == pytest.approx(1.0)


def test_the_shown_image_comes_first_and_its_tiles_in_view(session: Session) -> None:
    paste(session)
    shown = paste(session)
    session.document.select(shown)
    view = session.viewport
    assert view is not None
    session.look(view.zoomed_to(20, Point(0, 0)))
    jobs = session.run(OPTIONS)
    assert [session.queue.job(job).image == shown for job in jobs] == [True, True, False, False]
    order = session.begin_next()
    assert order is not None
    assert session.viewport is not None
    assert order.focus == session.viewport.visible().as_tuple()
    session.document.select_beside(1)
    session.job_cancelled(order.job.id)
    following = session.begin_next()
    assert following is not None
    assert following.focus is None


def test_a_cancelled_job_leaves_nothing(session: Session) -> None:
    image = paste(session)
    session.run(OPTIONS)
    order = session.begin_next()
    assert order is not None
    job = order.job.id
    session.job_tile(job, tile(0, 0, 16, 16))
    assert session.queue.cancel(job)
    session.job_tile(job, tile(16, 0, 16, 16))
    partial = session.document.partial(image, BICUBIC)
    assert partial is not None
    assert len(partial.tiles) == 1, "tiles that come after the wish to stop are forgotten"
    session.job_done(job, upscaled(picture(40, 30), BICUBIC, 4))
    assert session.queue.job(job).state == "cancelled"
    assert session.document.result(image, BICUBIC) is None
    assert session.document.partial(image, BICUBIC) is None


def test_a_failed_job_says_why_and_can_be_tried_again(session: Session) -> None:
    image = paste(session)
    session.run(OPTIONS)
    order = session.begin_next()
    assert order is not None
    session.job_failed(order.job.id, "no memory")
    assert [job.error for job in session.queue.failed] == ["no memory"]
    session.queue.retry(order.job.id)
    work_off(session)
    assert session.document.result(image, BICUBIC) is not None


def test_closing_an_image_takes_its_jobs_along(session: Session, listener: Listener) -> None:
    image, other = paste(session), paste(session)
    session.run(OPTIONS)
    order = session.begin_next()
    assert order is not None
    listener.take()
    session.close_image(image)
    assert JobChanged(order.job.id, "changed") in listener.take()
    assert session.queue.job(order.job.id).cancelling
    assert {job.image for job in session.queue.jobs if job.id != order.job.id} == {other}
    session.job_tile(order.job.id, tile(0, 0, 8, 8))
    session.job_cancelled(order.job.id)
    with pytest.raises(QueueError):
        session.queue.job(order.job.id)


def test_another_ground_truth_stops_what_was_made_of_the_old_input(session: Session) -> None:
    image = paste(session)
    session.select_region(Selection(Size(40, 30), PixelRect(0, 0, 20, 20)))
    jobs = session.run(OPTIONS)
    session.begin_next()
    session.document.use_as_ground_truth(image, 4)
    assert session.queue.job(jobs[0]).cancelling
    assert session.queue.job(jobs[1]).state == "cancelled"
    assert session.selection is None
    assert session.panes[-1] == TRUTH_PANE
    assert session.viewport is not None
    assert session.viewport.reference == Size(40, 28)
    session.job_done(jobs[0], upscaled(picture(40, 30), BICUBIC, 4))
    assert session.document.result(image, BICUBIC) is None
    assert session.base_line(image) == BICUBIC
    again = session.run(OPTIONS)
    assert len(again) == 2
    orders = work_off(session)
    assert orders[0].load is not None
    assert session.document.result(image, BSRN) is not None


def test_a_selection_belongs_to_its_image(session: Session, listener: Listener) -> None:
    first, second = paste(session), paste(session)
    selection = Selection(Size(40, 30), PixelRect(1, 2, 3, 4))
    session.select_region(selection)
    assert listener.take()[-1] == SelectionChanged(first, selection)
    session.document.select(second)
    assert selected(session) is None
    session.document.select(first)
    assert selected(session) == selection
    session.select_region(None)
    session.select_region(None)
    assert listener.take()[-1] == SelectionChanged(first, None)


def test_scores_are_wanted_for_whole_and_selection(session: Session) -> None:
    image = paste(session, 64, 64)
    session.document.use_as_ground_truth(image, 4)
    session.run(OPTIONS)
    work_off(session)
    session.select_region(Selection(Size(16, 16), PixelRect(0, 0, 8, 8)))
    wanted = session.score_orders()
    assert {(order.key.model, order.key.region) for order in wanted} == {
        (model, region) for model in (BICUBIC, BSRN) for region in (None, PixelRect(0, 0, 8, 8))
    }
    assert session.score_orders() == ()
    session.select_region(Selection(Size(16, 16), PixelRect(4, 4, 8, 8)))
    assert {order.key.region for order in session.score_orders()} == {PixelRect(4, 4, 8, 8)}


def test_the_mode_and_panes_are_told_when_they_change(session: Session, listener: Listener) -> None:
    paste(session)
    listener.take()
    session.compare(session.comparison.with_mode(Mode.WIPE))
    session.compare(session.comparison)
    (event,) = listener.take()
    assert event == ComparisonChanged(session.comparison)
    session.document.tick([BICUBIC])
    assert session.comparison.a == Pane(PaneKind.RESULT, BICUBIC)
    assert session.comparison.b is None


def test_looking_at_a_place_frames_it(session: Session) -> None:
    paste(session, 400, 300)
    session.look_at(Place(Rect(0.5, 0.5, 0.6, 0.6), 0.1))
    assert session.viewport is not None
    assert session.viewport.visible().contains(Point(0.55, 0.55))
    assert session.viewport.centre.x == pytest.approx(0.55)


def test_dropped_pairs_and_checkpoints(session: Session, tmp_path: Path) -> None:
    write_image(picture(8, 6), tmp_path / "a_LR.png")
    write_image(picture(32, 24), tmp_path / "a_HR.png")
    (tmp_path / "mine.pth").touch()
    (image,) = session.take(take_in([tmp_path, tmp_path / "mine.pth"]))
    assert session.document.entry(image).reference == GivenReference(tmp_path / "a_HR.png", 4)
    own = str(tmp_path / "mine.pth")
    assert session.document.ticked == (BICUBIC, BSRN, own)
    assert session.scale_of(own) is None
    assert session.estimate(image, own, OPTIONS) is None
    session.run(OPTIONS, [image])
    for _ in range(2):
        order = session.begin_next()
        assert order is not None
        session.job_cancelled(order.job.id)
    order = session.begin_next()
    assert order is not None
    partial = session.document.partial(image, own)
    assert partial is not None
    assert partial.size is None
    session.describe_model(checkpoint_row(tmp_path / "mine.pth").described(SPECS["safmn_x2"]))
    partial = session.document.partial(image, own)
    assert partial is not None
    assert partial.size == Size(16, 12)
    assert session.title_of(own) == "mine"


def test_a_session_is_saved_and_opened(session: Session, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_image(picture(40, 30), tmp_path / name)
    first, second = session.take(take_in([tmp_path]))
    paste(session)
    session.document.use_as_ground_truth(second, 2)
    session.document.select(first)
    session.select_region(Selection(Size(40, 30), PixelRect(1, 2, 3, 4)))
    assert session.viewport is not None
    session.look(session.viewport.zoomed_to(5, Point(10, 20)))
    session.compare(session.comparison.with_mode(Mode.DIFFERENCE).with_gain(8))
    path = tmp_path / "one.srsession"
    save_session(session.record(), path)

    other = Session()
    other.resize_panes(Size(400, 300))
    paste(other)
    opened = open_session(path)
    headers = [ListedImage(image.path, Size(40, 30), 8) for image in opened.record.images]
    other.restore(opened, headers)
    assert [entry.path for entry in other.document.images] == [tmp_path / "a.png", tmp_path / "b.png"]
    assert other.document.ticked == session.document.ticked
    assert other.comparison == session.comparison
    assert other.selection == session.selection
    assert other.viewport is not None
    assert other.viewport.zoom == pytest.approx(5)
    assert other.viewport.centre.x == pytest.approx(session.viewport.centre.x)
    assert other.record() == session.record()


# The list of models


def test_the_list_offers_every_known_network() -> None:
    rows = offered()
    assert [row.reference for row in rows[: len(SPECS)]] == list(SPECS)
    assert all(row.runnable for row in rows if row.family == "bicubic")
    bsrn = next(row for row in rows if row.reference == "bsrn_x4")
    assert (bsrn.title, bsrn.parameters) == ("BSRN ×4", 352_400)


def test_the_list_is_searched_and_grouped() -> None:
    rows = (*offered(), checkpoint_row(Path("/w/my net.pth")))
    assert {row.reference for row in search(rows, "bsrn x4")} == {"bsrn_x4", "bsrn_s_x4"}
    assert [row.reference for row in search(rows, "MY ×")] == []
    assert search(rows, " ") == rows
    groups = by_family(rows)
    assert [name for name, _ in groups] == ["Bicubic", "FMEN", "MAFFSRN", "SAFMN", "BSRN", "Other"]
    assert sum(len(group) for _, group in groups) == len(rows)


def test_the_best_network_is_ticked_at_first() -> None:
    base = ModelRow("bicubic_x4", "Bicubic", "built in", "bicubic", 4, 0, 0)
    fast = ModelRow("safmn_x4", "SAFMN", "shipped", "safmn", 4, 1, 10, 31.9)
    good = ModelRow("fmen_s_x4", "FMEN-S", "shipped", "fmen", 4, 1, 20, 32.1)
    absent = ModelRow("bsrn_x4", "BSRN", "gettable", "bsrn", 4, 1, 30, 32.3)
    small = ModelRow("fmen_x2", "FMEN", "shipped", "fmen", 2, 1, 90, 38.0)
    unmeasured = ModelRow("mine", "mine", "yours", "fmen", 4, 1, 99)
    assert default_ticked([base, fast, good, absent, small, unmeasured]) == ("bicubic_x4", "fmen_s_x4")
    assert default_ticked([base, absent]) == ("bicubic_x4",)
    assert default_ticked([]) == ()


def test_references_with_sources_are_known() -> None:
    assert known_scale("bsrn_x3@official", ()) == 3
    assert known_scale("/w/x.pth", ()) is None
    assert known_title("bsrn_x4@official", ()) == "BSRN ×4 (official)"
    assert known_title("/w/x.pth", ()) == "x"
