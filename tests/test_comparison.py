"""Modes, the choice of panes, and where panes lie."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srviewer.session.comparison import (
    INPUT_PANE,
    TRUTH_PANE,
    Comparison,
    Mode,
    Pane,
    PaneKind,
    comparison_panes,
)
from srviewer.session.geometry import PixelRect, Point, Size
from srviewer.session.layout import crops_layout, grid_layout

BICUBIC, FMEN, BSRN = (Pane(PaneKind.RESULT, name) for name in ("bicubic_x4", "fmen_s_x4", "bsrn_x4"))


def test_panes_follow_the_ticked_networks() -> None:
    assert comparison_panes(["bicubic_x4", "bsrn_x4"], has_truth=True) == (BICUBIC, BSRN, TRUTH_PANE)
    assert comparison_panes([], has_truth=False) == (INPUT_PANE,)


def test_a_and_b_are_settled_and_kept() -> None:
    panes = (BICUBIC, FMEN, BSRN, TRUTH_PANE)
    first = Comparison().settled(panes)
    assert (first.a, first.b) == (BSRN, TRUTH_PANE)
    chosen = first.with_a(FMEN)
    assert chosen.settled(panes) == chosen
    fewer = chosen.settled((BICUBIC, BSRN))
    assert (fewer.a, fewer.b) == (BSRN, BICUBIC)
    single = chosen.settled((INPUT_PANE,))
    assert (single.a, single.b) == (INPUT_PANE, None)
    assert single.settled(()).a is None
    assert single.settled((TRUTH_PANE,)).a == TRUTH_PANE


def test_choosing_the_other_pane_swaps() -> None:
    comparison = Comparison(a=FMEN, b=BSRN)
    assert comparison.with_a(BSRN) == Comparison(a=BSRN, b=FMEN)
    assert comparison.with_b(FMEN) == Comparison(a=BSRN, b=FMEN)
    assert comparison.swapped() == Comparison(a=BSRN, b=FMEN)


def test_flip_shows_b_while_held_or_toggled() -> None:
    comparison = Comparison(a=FMEN, b=BSRN).with_mode(Mode.FLIP)
    assert comparison.shown == FMEN
    assert comparison.with_flip(True).shown == BSRN
    assert comparison.with_flip().with_flip().shown == FMEN
    assert comparison.with_flip(True).with_mode(Mode.FLIP).shown == FMEN
    assert Comparison(a=FMEN).with_flip(True).shown == FMEN


def test_the_divider_is_dragged_within_its_pane() -> None:
    pane, wipe = Size(200, 100), Comparison(mode=Mode.WIPE)
    assert wipe.divider_pixel(pane) == 100
    assert wipe.with_divider_at(Point(50, 99), pane).divider == 0.25
    assert wipe.with_divider_at(Point(-50, 0), pane).divider == 0
    assert wipe.turned().with_divider_at(Point(50, 99), pane).divider == 0.99
    assert wipe.turned().turned() == wipe
    assert wipe.near_divider(Point(104, 5), pane)
    assert not wipe.near_divider(Point(110, 5), pane)
    assert not Comparison().near_divider(Point(100, 5), pane)


def test_gain_and_divider_have_limits() -> None:
    assert Comparison().with_gain(1e9).gain == 64
    assert Comparison().with_gain(0).gain == 1
    with pytest.raises(ValueError, match="gain"):
        Comparison(gain=0.5)
    with pytest.raises(ValueError, match="divider"):
        Comparison(divider=1.5)


canvases = st.builds(Size, st.integers(30, 4000), st.integers(30, 4000))
pictures = st.builds(Size, st.integers(1, 20_000), st.integers(1, 20_000))


def apart(first: PixelRect, other: PixelRect, gap: int) -> bool:
    return (
        first.right + gap <= other.x
        or other.right + gap <= first.x
        or first.bottom + gap <= other.y
        or other.bottom + gap <= first.y
    )


@given(st.integers(1, 9), canvases, pictures)
def test_a_grid_has_equal_panes_inside_the_canvas_that_do_not_overlap(
    count: int, canvas: Size, picture: Size
) -> None:
    panes = grid_layout(count, canvas, picture)
    assert len(panes) == count
    assert len({(pane.width, pane.height) for pane in panes}) == 1
    assert all(pane.within(canvas) for pane in panes)
    assert all(apart(one, other, 2) for one, other in itertools.combinations(panes, 2))


@given(st.integers(1, 9), canvases, pictures)
def test_no_other_grid_shows_the_picture_larger(count: int, canvas: Size, picture: Size) -> None:
    pane = grid_layout(count, canvas, picture)[0]
    scale = min(pane.width / picture.width, pane.height / picture.height)
    for columns in range(1, count + 1):
        rows = -(-count // columns)
        width, height = (
            (canvas.width - 2 * (columns - 1)) // columns,
            (canvas.height - 2 * (rows - 1)) // rows,
        )
        assert min(width / picture.width, height / picture.height) <= scale + 1e-12


def test_grids_look_as_expected() -> None:
    four = grid_layout(4, Size(900, 630), Size(1024, 680))
    assert four == tuple(PixelRect(x, y, 449, 314) for y in (0, 316) for x in (0, 451))
    assert {pane.y for pane in grid_layout(3, Size(900, 600), Size(300, 600))} == {0}
    assert {pane.x for pane in grid_layout(3, Size(900, 600), Size(6000, 600))} == {0}
    assert grid_layout(0, Size(9, 9), Size(1, 1)) == ()
    assert len(grid_layout(9, Size(1, 1), Size(1, 1))) == 9


@given(st.integers(0, 9), st.builds(Size, st.integers(300, 4000), st.integers(300, 4000)), pictures, pictures)
def test_the_crops_figure_fits_its_canvas(count: int, canvas: Size, picture: Size, crop: Size) -> None:
    layout = crops_layout(count, canvas, picture, crop, gap=8, caption=20)
    assert len(layout.crops) == count
    for rect in (layout.overview, *layout.crops):
        assert rect.within(canvas)
        assert rect.bottom + 20 <= canvas.height
    for one, other in itertools.combinations((layout.overview, *layout.crops), 2):
        assert apart(one, other, 8)


def test_crops_keep_their_proportions() -> None:
    layout = crops_layout(4, Size(1200, 600), Size(1024, 680), Size(120, 80), caption=30)
    assert layout.overview.width / layout.overview.height == pytest.approx(1024 / 680, rel=0.01)
    assert layout.crops[0].width / layout.crops[0].height == pytest.approx(1.5, rel=0.02)
