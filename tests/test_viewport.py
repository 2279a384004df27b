"""The shared viewport: conversions, zoom at a point, limits."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srviewer.session.geometry import PixelRect, Point, Rect, Size, covering, pixel_at
from srviewer.session.selection import Selection
from srviewer.session.viewport import Viewport, WheelStep, reference_size, wheel_factor, zoom_text

sizes = st.builds(Size, st.integers(1, 40_000), st.integers(1, 40_000))
panes = st.builds(Size, st.integers(40, 4000), st.integers(40, 4000))
shares = st.floats(0, 1)
steps: st.SearchStrategy[WheelStep] = st.sampled_from(("normal", "fine", "coarse"))


@st.composite
def viewports(draw: st.DrawFn) -> Viewport:
    """Any viewport that users can reach by fitting, zooming and dragging."""
    viewport = Viewport.fitting(draw(sizes), draw(panes))
    for _ in range(draw(st.integers(0, 4))):
        point = Point(draw(shares) * viewport.pane.width, draw(shares) * viewport.pane.height)
        viewport = viewport.wheeled(draw(st.integers(-20, 40)), point, draw(steps))
        viewport = viewport.panned(draw(st.floats(-3000, 3000)), draw(st.floats(-3000, 3000)))
    return viewport


@st.composite
def pane_points(draw: st.DrawFn, viewport: Viewport) -> Point:
    return Point(draw(shares) * viewport.pane.width, draw(shares) * viewport.pane.height)


@st.composite
def points_on_image(draw: st.DrawFn, viewport: Viewport) -> Point:
    """A point of the pane, in pane pixels, that has the image under it."""
    shown = viewport.visible()
    where = Point(shown.left + draw(shares) * shown.width, shown.top + draw(shares) * shown.height)
    point = viewport.to_pane(where)
    return Point(min(max(point.x, 0.0), viewport.pane.width), min(max(point.y, 0.0), viewport.pane.height))


def close(a: Point, b: Point, tolerance: float) -> bool:
    return abs(a.x - b.x) <= tolerance and abs(a.y - b.y) <= tolerance


@given(viewports(), st.data())
def test_conversions_are_inverse(viewport: Viewport, data: st.DataObject) -> None:
    point = data.draw(pane_points(viewport))
    assert close(viewport.to_pane(viewport.to_image(point)), point, 1e-5)
    where = Point(data.draw(shares), data.draw(shares))
    assert close(viewport.to_image(viewport.to_pane(where)), where, 1e-9)


@given(viewports(), st.floats(0, 30), steps, st.data())
def test_zooming_in_keeps_what_is_under_the_cursor(
    viewport: Viewport, notches: float, step: WheelStep, data: st.DataObject
) -> None:
    point = data.draw(points_on_image(viewport))
    under = viewport.to_image(point)
    assert close(viewport.wheeled(notches, point, step).to_pane(under), point, 1e-4)


@given(viewports(), st.floats(-30, 0), steps, st.data())
def test_zooming_out_keeps_it_too_until_the_whole_image_fits_and_is_centred(
    viewport: Viewport, notches: float, step: WheelStep, data: st.DataObject
) -> None:
    point = data.draw(points_on_image(viewport))
    under = viewport.to_image(point)
    after = viewport.wheeled(notches, point, step)
    if after.zoom < viewport.zoom and after.zoom <= after.fit_zoom:
        assert after.centre == Point(0.5, 0.5)
    elif after.zoom > after.fit_zoom * (1 + 1e-6):
        assert close(after.to_pane(under), point, 1e-4)


@given(viewports(), st.integers(1, 30), steps, st.data())
def test_zooming_in_and_out_again_returns(
    viewport: Viewport, notches: int, step: WheelStep, data: st.DataObject
) -> None:
    viewport = viewport.zoomed_to(viewport.fit_zoom * 1.5)
    point = data.draw(points_on_image(viewport))
    notches = min(
        notches,
        math.floor(math.log2(viewport.largest_zoom / viewport.zoom) / math.log2(wheel_factor(1, step))),
    )
    there = viewport.wheeled(notches, point, step)
    back = there.wheeled(-notches, point, step)
    assert back.zoom == pytest.approx(viewport.zoom)
    assert close(back.to_pane(viewport.to_image(point)), point, 1e-4)
    assert close(back.centre, viewport.centre, 1e-6)


@given(viewports(), st.floats(-50, 50), st.data())
def test_the_image_is_never_lost(viewport: Viewport, notches: float, data: st.DataObject) -> None:
    """Whatever was zoomed and dragged, some of the image is inside the pane (edges may just touch)."""
    for one in (viewport, viewport.wheeled(notches, data.draw(pane_points(viewport)))):
        shown = one.image_rect()
        assert shown.right >= -1e-3
        assert shown.bottom >= -1e-3
        assert shown.left <= one.pane.width + 1e-3
        assert shown.top <= one.pane.height + 1e-3
        assert one.smallest_zoom <= one.zoom <= one.largest_zoom


@given(viewports(), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_dragging_never_opens_a_gap(viewport: Viewport, dx: float, dy: float) -> None:
    def gap(first: float, last: float, span: float) -> float:
        """Return how far a large image leaves the pane's edge free, or a small one is off the middle."""
        if last - first <= span:
            return abs((first + last) / 2 - span / 2)
        return max(first, span - last, 0.0)

    before, after = viewport.image_rect(), viewport.panned(dx, dy).image_rect()
    pane = viewport.pane
    assert gap(after.left, after.right, pane.width) <= gap(before.left, before.right, pane.width) + 1e-3
    assert gap(after.top, after.bottom, pane.height) <= gap(before.top, before.bottom, pane.height) + 1e-3


def test_dragging_moves_by_screen_pixels_and_stops_at_the_edge() -> None:
    viewport = Viewport.fitting(Size(4000, 3000), Size(400, 300)).one_to_one()
    before = viewport.to_pane(Point(0.5, 0.5))
    moved = viewport.panned(30, -20)
    assert close(moved.to_pane(Point(0.5, 0.5)), Point(before.x + 30, before.y - 20), 1e-9)
    assert close(moved.panned(1e9, 1e9).to_image(Point(0, 0)), Point(0, 0), 1e-12)


@given(sizes, panes)
def test_fitting_shows_all_and_touches_two_edges(reference: Size, pane: Size) -> None:
    viewport = Viewport.fitting(reference, pane)
    shown = viewport.image_rect()
    assert max(shown.width / pane.width, shown.height / pane.height) == pytest.approx(1)
    assert shown.centre.x == pytest.approx(pane.width / 2)
    assert shown.centre.y == pytest.approx(pane.height / 2)
    assert viewport.fitted


@given(viewports(), panes)
def test_a_fitted_image_keeps_fitting_any_other_keeps_its_zoom(viewport: Viewport, pane: Size) -> None:
    resized = viewport.with_pane(pane)
    if viewport.fitted:
        assert resized == Viewport.fitting(viewport.reference, pane)
    else:
        limited = min(max(viewport.zoom, resized.smallest_zoom), resized.largest_zoom)
        assert resized.zoom == pytest.approx(limited)


def test_a_hundred_percent_is_one_pixel_of_the_largest_image() -> None:
    lr, truth = Size(256, 170), Size(1024, 680)
    assert reference_size(lr, (2, 4)) == truth
    assert reference_size(lr, (2,), truth) == truth
    viewport = Viewport.fitting(truth, Size(450, 316)).one_to_one()
    assert viewport.zoom == 1
    assert viewport.pixel_size(truth) == 1
    assert viewport.pixel_size(lr) == 4
    assert viewport.shows_pixels(truth)
    assert not viewport.shows_values(lr)
    closer = viewport.zoomed_to(12)
    assert closer.shows_values(lr)
    assert not closer.shows_values(truth)


def test_another_reference_of_the_same_picture_changes_nothing_on_the_screen() -> None:
    viewport = Viewport.fitting(Size(400, 300), Size(200, 200)).wheeled(9, Point(30, 150))
    after = viewport.with_reference(Size(800, 600))
    assert after.zoom == pytest.approx(viewport.zoom / 2)
    for point in (Point(0, 0), Point(77, 13)):
        assert close(after.to_image(point), viewport.to_image(point), 1e-12)


def test_the_next_image_keeps_zoom_and_place_unless_fitted() -> None:
    viewport = Viewport.fitting(Size(4000, 3000), Size(400, 300))
    assert viewport.for_image(Size(100, 900)) == Viewport.fitting(Size(100, 900), Size(400, 300))
    near = viewport.zoomed_to(2.5, Point(10, 10))
    after = near.for_image(Size(5000, 5000))
    assert after.zoom == 2.5
    assert after.centre == near.centre


def test_the_wheel_steps_are_the_documented_ones() -> None:
    assert wheel_factor(8) == pytest.approx(2)
    assert wheel_factor(-8) == pytest.approx(0.5)
    assert wheel_factor(32, "fine") == pytest.approx(2)
    assert wheel_factor(2, "coarse") == pytest.approx(2)


def test_zoom_keys_go_through_round_numbers() -> None:
    viewport = Viewport.fitting(Size(1000, 1000), Size(300, 300)).one_to_one()
    assert [zoom_text(viewport.stepped(1).zoom), zoom_text(viewport.stepped(1).stepped(1).zoom)] == [
        "150 %",
        "200 %",
    ]
    assert viewport.stepped(-1).stepped(1).zoom == 1
    assert zoom_text(2.5) == "250 %"
    assert zoom_text(0.031) == "3.1 %"
    far = viewport
    for _ in range(60):
        far = far.stepped(1)
    assert far.zoom == far.largest_zoom


@pytest.mark.parametrize("zoom", [0.0, -1.0, math.nan, math.inf])
def test_a_zoom_that_shows_nothing_is_refused(zoom: float) -> None:
    with pytest.raises(ValueError, match="zoom"):
        Viewport.fitting(Size(10, 10), Size(10, 10)).zoomed_to(zoom)


@given(viewports(), sizes, st.data())
def test_the_pixel_under_a_point_is_where_it_is_drawn(
    viewport: Viewport, size: Size, data: st.DataObject
) -> None:
    point = data.draw(pane_points(viewport))
    pixel = viewport.pixel_under(point, size)
    if pixel is None:
        where = viewport.to_image(point)
        assert not (0 <= where.x < 1 and 0 <= where.y < 1)
    else:
        drawn = viewport.pixel_to_pane(*pixel, size)
        assert drawn.left - 1e-3 <= point.x <= drawn.right + 1e-3
        assert drawn.top - 1e-3 <= point.y <= drawn.bottom + 1e-3


@given(viewports(), sizes, st.data())
def test_visible_pixels_cover_what_is_under_every_point(
    viewport: Viewport, size: Size, data: st.DataObject
) -> None:
    pixel = viewport.pixel_under(data.draw(pane_points(viewport)), size)
    if pixel is not None:
        shown = viewport.visible_pixels(size)
        assert shown is not None
        assert shown.within(size)
        assert shown.x - 1 <= pixel[0] <= shown.right
        assert shown.y - 1 <= pixel[1] <= shown.bottom


def test_framing_brings_an_area_to_half_the_pane() -> None:
    viewport = Viewport.fitting(Size(4000, 3000), Size(800, 600))
    shown = viewport.framed(Rect(0.4, 0.4, 0.5, 0.5)).rect_to_pane(Rect(0.4, 0.4, 0.5, 0.5))
    assert shown.width == pytest.approx(400)
    assert shown.centre.x == pytest.approx(400)
    assert shown.centre.y == pytest.approx(300)


@given(sizes, st.data())
def test_a_rectangle_of_pixels_survives_whole_image_coordinates(size: Size, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, size.width - 1)), data.draw(st.integers(0, size.height - 1))
    rect = PixelRect(
        x, y, data.draw(st.integers(1, size.width - x)), data.draw(st.integers(1, size.height - y))
    )
    assert covering(rect.whole_image(size), size) == rect


@given(sizes, shares, shares)
def test_a_pixel_holds_its_point(size: Size, x: float, y: float) -> None:
    pixel = pixel_at(Point(x, y), size)
    if x < 1 and y < 1 and x * size.width < size.width and y * size.height < size.height:
        assert pixel is not None
        assert pixel[0] <= x * size.width < pixel[0] + 1
        assert pixel[1] <= y * size.height < pixel[1] + 1


corners = st.builds(Point, st.floats(-0.5, 1.5), st.floats(-0.5, 1.5))


@given(
    corners, corners, st.builds(Size, st.integers(1, 3000), st.integers(1, 3000)), st.sampled_from((2, 3, 4))
)
def test_a_selection_holds_the_drag_and_is_exact_at_every_scale(
    first: Point, last: Point, lr: Size, scale: int
) -> None:
    selection = Selection.between(first, last, lr)
    assert selection == Selection.between(last, first, lr)
    left, right = sorted((first.x, last.x))
    top, bottom = sorted((first.y, last.y))
    if selection is None:
        assert right <= 0 or bottom <= 0 or left >= 1 or top >= 1
        return
    area = selection.area
    assert area.left <= max(left, 0) + 1e-6
    assert area.right >= min(right, 1) - 1e-6
    assert selection.pixels.within(lr)
    assert selection.at_scale(scale) == selection.in_size(lr.times(scale))
    assert selection.at_scale(scale).whole_image(lr.times(scale)).left == pytest.approx(area.left)


def test_a_selection_snaps_to_lr_pixels() -> None:
    selection = Selection.between(Point(0.11, 0.26), Point(0.29, 0.31), Size(10, 10))
    assert selection is not None
    assert selection.pixels == PixelRect(1, 2, 2, 2)
    assert selection.at_scale(4) == PixelRect(4, 8, 8, 8)
    assert selection.in_size(Size(43, 43)) == PixelRect(4, 8, 9, 10)
    assert selection.moved(100, -100).pixels == PixelRect(8, 0, 2, 2)
    assert selection.grown(100, -100).pixels == PixelRect(1, 2, 9, 1)
    with pytest.raises(ValueError, match="within"):
        Selection(Size(4, 4), PixelRect(2, 2, 3, 1))
