from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from session_listening import Listener, picture

from srviewer.engine.request import UpscaleOptions
from srviewer.session.analyses import AttributionOrder, FeaturesOrder, window_around
from srviewer.session.comparison import Pane, PaneKind
from srviewer.session.events import MapsChanged
from srviewer.session.geometry import PixelRect, Point, Size
from srviewer.session.queue import Queue
from srviewer.session.session import Session

SIDES = st.integers(1, 400)
SHARES = st.floats(0, 1, exclude_max=True)


@given(SHARES, SHARES, st.integers(1, 64), SIDES, SIDES)
def test_windows_lie_inside_and_hold_their_point(x: float, y: float, side: int, wide: int, tall: int) -> None:
    result = Size(wide, tall)
    window = window_around(Point(x, y), side, result)
    assert window.within(result)
    assert (window.width, window.height) == (min(side, wide), min(side, tall))
    assert window.x - 0.5 <= x * wide <= window.right + 0.5
    assert window.y - 0.5 <= y * tall <= window.bottom + 0.5


def test_a_job_keeps_what_it_is_to_look_into() -> None:
    session = Session()
    image = session.document.add_image(picture(8, 8), "a")
    order = AttributionOrder(PixelRect(1, 2, 3, 4))
    job = session.queue.add("attribution", image, "safmn_x2", UpscaleOptions(), analysis=order)
    work = session.begin_next()
    assert work is not None
    assert work.job.analysis == order
    assert work.picture is not None
    assert session.document.partial(image, "safmn_x2") is None
    session.job_failed(job, "no")
    session.queue.retry(job)
    assert session.queue.job(job).analysis == order


def test_jobs_may_come_before_those_that_wait() -> None:
    queue = Queue()
    session = Session()
    image = session.document.add_image(picture(8, 8), "a")
    upscale = queue.add("upscale", image, "bicubic_x2", UpscaleOptions())
    first = queue.add("features", image, "safmn_x2", UpscaleOptions(), first=True, analysis=FeaturesOrder())
    assert [job.id for job in queue.jobs] == [first, upscale]


def test_maps_have_panes_until_they_are_hidden() -> None:
    listener = Listener()
    session = Session(listener)
    session.document.tick(["bicubic_x2"])
    image = session.document.add_image(picture(8, 8), "a")
    session.show_map(image, "one")
    session.show_map(image, "two")
    panes = [Pane(PaneKind.RESULT, "bicubic_x2"), Pane(PaneKind.MAP, "one"), Pane(PaneKind.MAP, "two")]
    assert list(session.panes) == panes
    session.compare(session.comparison.with_b(panes[2]))
    assert session.record().comparison.b != panes[2]
    listener.take()
    session.hide_maps(image, "two")
    assert MapsChanged(image, ("one",)) in listener.take()
    assert list(session.panes) == panes[:2]
    assert session.comparison.b in (None, panes[1])
    other = session.document.add_image(picture(8, 8), "b")
    session.document.select(other)
    assert list(session.panes) == panes[:1]
    session.document.close(image)
    assert session.maps_of(image) == ()


def test_another_input_takes_its_maps_along() -> None:
    session = Session()
    image = session.document.add_image(picture(8, 8), "a")
    session.show_map(image, "one")
    session.document.use_as_ground_truth(image, 2)
    assert session.maps_of(image) == ()
