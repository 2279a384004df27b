"""The canvas: real events in, wishes out, and real pixels on the screen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, Qt
from PySide6.QtGui import QContextMenuEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from srviewer.app.canvas import Canvas, Hud, PaneContent
from srviewer.app.growing_picture import GrowingPicture
from srviewer.app.picture import ArrayPicture, Picture
from srviewer.app.qimages import to_pixels
from srviewer.app.theme import DARK, LIGHT
from srviewer.session.comparison import TRUTH_PANE, Comparison, Mode, Pane, PaneKind
from srviewer.session.geometry import PixelRect, Point, Size
from srviewer.session.selection import Selection
from srviewer.session.viewport import Viewport

LR, HR = Size(40, 30), Size(160, 120)
A = Pane(PaneKind.RESULT, "bicubic_x4")
B = Pane(PaneKind.RESULT, "safmn_x4")
C = Pane(PaneKind.RESULT, "bsrn_x4")
PANES = (A, B, C, TRUTH_PANE)
BARE = Hud(captions=False, pointer=False, values=False, selection=False)


def noise(size: Size, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size.height, size.width, 3), dtype=np.uint8)


def flat(size: Size, *colour: int) -> ArrayPicture:
    return ArrayPicture(np.broadcast_to(np.array(colour, np.uint8), (size.height, size.width, 3)).copy())


@dataclass
class Heard:
    """What the canvas wished."""

    viewports: list[Viewport] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    selections: list[Selection | None] = field(default_factory=list)
    clicked: list[Pane] = field(default_factory=list)
    carried: list[Pane] = field(default_factory=list)
    menus: list[tuple[Pane, QPoint]] = field(default_factory=list)
    hovered: list[Point | None] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)


class Stage:
    """A canvas with a stand-in for the controller: every wish comes true at once."""

    def __init__(self, qtbot: QtBot, pictures: dict[Pane, Picture | None], comparison: Comparison) -> None:
        self.qtbot = qtbot
        self.canvas = canvas = Canvas()
        qtbot.addWidget(canvas)
        self.heard = heard = Heard()
        canvas.viewport_wished.connect(heard.viewports.append)
        canvas.viewport_wished.connect(canvas.set_viewport)
        canvas.comparison_wished.connect(heard.comparisons.append)
        canvas.comparison_wished.connect(canvas.set_comparison)
        canvas.selection_wished.connect(heard.selections.append)
        canvas.selection_wished.connect(canvas.set_selection)
        canvas.pane_clicked.connect(heard.clicked.append)
        canvas.drag_out_wished.connect(heard.carried.append)
        canvas.context_menu_wished.connect(lambda pane, where: heard.menus.append((pane, where)))
        canvas.hovered.connect(heard.hovered.append)
        canvas.pane_size_changed.connect(heard.sizes.append)
        canvas.pane_size_changed.connect(self._take_size)
        canvas.resize(642, 482)
        canvas.set_theme(DARK)
        canvas.set_hud(BARE)
        canvas.set_input_size(LR)
        canvas.set_panes(
            [PaneContent(pane, pane.model or "truth", ("1",), shown) for pane, shown in pictures.items()]
        )
        canvas.set_comparison(comparison.settled(list(pictures)))
        canvas.set_viewport(Viewport.fitting(HR, canvas.pane_size))
        with qtbot.waitExposed(canvas):
            canvas.show()
        canvas.set_viewport(Viewport.fitting(HR, canvas.pane_size))

    def _take_size(self, size: Size) -> None:
        viewport = self.canvas.viewport
        if viewport is not None:
            self.canvas.set_viewport(viewport.with_pane(size))

    @property
    def viewport(self) -> Viewport:
        viewport = self.canvas.viewport
        assert viewport is not None
        return viewport

    def screen(self) -> np.ndarray:
        """Return what is on the screen once all is drawn: H x W x 3, physical pixels."""
        self.canvas.grab()
        self.qtbot.waitUntil(lambda: self.canvas.is_settled)
        return to_pixels(self.canvas.grab().toImage())[0]

    def pane(self, index: int = 0) -> np.ndarray:
        """Return one pane of the screen."""
        clip = self.canvas.scene.parts[index].clip
        return self.screen()[clip.y : clip.bottom, clip.x : clip.right]

    def wheel(
        self,
        at: QPointF,
        angle: QPoint,
        modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
        pixels: QPoint | None = None,
    ) -> None:
        event = QWheelEvent(
            at,
            QPointF(self.canvas.mapToGlobal(at)),
            pixels or QPoint(),
            angle,
            Qt.MouseButton.NoButton,
            modifiers,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(self.canvas, event)

    def drag(
        self,
        first: QPoint,
        last: QPoint,
        button: Qt.MouseButton = Qt.MouseButton.LeftButton,
        modifiers: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> None:
        QTest.mousePress(self.canvas, button, modifiers, first)
        for step in range(1, 5):
            QTest.mouseMove(self.canvas, first + (last - first) * step / 4)
        QTest.mouseRelease(self.canvas, button, modifiers, last)


class Paintings(QObject):
    """Counts how often a widget is painted."""

    count = 0

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802
        del watched
        self.count += event.type() == QEvent.Type.Paint
        return False


Make = Callable[..., Stage]


@pytest.fixture
def make(qtbot: QtBot) -> Iterator[Make]:
    made: list[Stage] = []

    def build(
        pictures: dict[Pane, Picture | None] | None = None,
        mode: Mode = Mode.GRID,
        comparison: Comparison | None = None,
    ) -> Stage:
        chosen: dict[Pane, Picture | None] = pictures or {
            pane: ArrayPicture(noise(HR, seed)) for seed, pane in enumerate(PANES)
        }
        made.append(Stage(qtbot, chosen, (comparison or Comparison()).with_mode(mode)))
        return made[-1]

    yield build
    for stage in made:
        stage.canvas.stop()


# Pixels


def test_one_to_one_shows_the_pixels_themselves(make: Make) -> None:
    stage = make()
    stage.canvas.set_viewport(stage.viewport.one_to_one())
    for index, seed in enumerate(range(4)):
        shown = stage.pane(index)
        # 320 x 240 of a pane, the 160 x 120 image in its middle
        assert np.array_equal(shown[60:180, 80:240], noise(HR, seed))
        assert np.all(shown[:60] == DARK.canvas.red())


@pytest.mark.parametrize("zoom", [8.0, 3.7, 1.5, 61.3, 200.0])
def test_nearest_neighbour_blocks(make: Make, zoom: float) -> None:
    stage = make()
    viewport = replace(stage.viewport, zoom=zoom, centre=Point(0.41, 0.43), fitted=False)
    stage.canvas.set_viewport(viewport)
    shown, pixels = stage.pane(1), noise(HR, 1)
    for y in (0, 77, 151, 239):
        for x in (0, 3, 100, 222, 319):
            under = viewport.pixel_under(Point(x + 0.5, y + 0.5), HR)
            expected = [DARK.canvas.red()] * 3 if under is None else pixels[under[1], under[0]].tolist()
            assert shown[y, x].tolist() == expected


def test_smaller_than_one_to_one_is_smooth_and_whole(make: Make) -> None:
    stripes = np.zeros((2000, 3000, 3), np.uint8)
    stripes[:, ::2] = 255
    stage = make({A: ArrayPicture(stripes)})
    stage.canvas.set_viewport(Viewport.fitting(Size(3000, 2000), stage.canvas.pane_size))
    shown = stage.pane()
    inside = shown[40:440, 4:638]
    assert np.abs(inside.astype(int) - 128).max() <= 3, "stripes one pixel wide average out, without seams"


def test_tiles_meet_without_seams(make: Make) -> None:
    ramp = np.linspace(0, 255, 2400).astype(np.uint8)[None, :, None].repeat(1800, axis=0).repeat(3, axis=2)
    stage = make({A: ArrayPicture(ramp)})
    viewport = Viewport(Size(2400, 1800), stage.canvas.pane_size, Point(0.4771, 0.5), 0.613)
    stage.canvas.set_viewport(viewport)
    line = stage.pane()[200, :, 0].astype(int)
    steps = np.diff(line)
    assert steps.min() >= 0
    assert steps.max() <= 1


def test_sizes_line_up(make: Make) -> None:
    large = np.zeros((120, 160, 3), np.uint8)
    large[:, 80:] = 255
    stage = make({A: ArrayPicture(large), B: ArrayPicture(large[::4, ::4])})
    first, second = stage.pane(0), stage.pane(1)
    assert np.array_equal(first, second)


def test_the_checkerboard_shows_through(make: Make) -> None:
    alpha = np.zeros((120, 160), np.uint8)
    alpha[:, 80:] = 255
    picture = ArrayPicture(np.full((120, 160, 3), 9, np.uint8), alpha)
    stage = make({A: picture})
    shown = stage.pane()
    assert {grey for grey, _, _ in shown[100:300, 100:200].reshape(-1, 3).tolist()} == {154, 102}
    assert np.all(shown[100:300, 400:500] == 9)


def test_the_input_is_dimmed_until_tiles_arrive(make: Make) -> None:
    growing = GrowingPicture(HR, flat(LR, 200, 200, 200))
    stage = make({A: growing})
    stage.canvas.set_viewport(stage.viewport.one_to_one())
    clip, before = stage.pane(), 240
    assert 60 < clip[240, 320, 0] < 120
    growing.paste(0, 0, np.full((60, 80, 3), 250, np.uint8))
    stage.canvas.picture_changed(growing)
    stage.qtbot.waitUntil(lambda: bool(np.all(stage.pane()[before - 50, 250] == 250)))
    assert stage.pane()[250, 330, 0] < 120
    # Finished: the result takes its place, and no frame in between shows anything else.
    stage.canvas.set_panes([PaneContent(A, "a", (), ArrayPicture(np.full((120, 160, 3), 250, np.uint8)))])
    at_once = to_pixels(stage.canvas.grab().toImage())[0]
    assert np.all(at_once[200, 260] == 250)
    assert np.all(stage.pane()[250, 330] == 250)


def test_arriving_tiles_are_gathered(make: Make) -> None:
    growing = GrowingPicture(HR, flat(LR, 200, 200, 200))
    stage = make({A: growing})
    stage.screen()
    painted = Paintings()
    stage.canvas.installEventFilter(painted)
    for _ in range(200):
        growing.paste(0, 0, np.full((8, 8, 3), 250, np.uint8))
        stage.canvas.picture_changed(growing)
        QApplication.processEvents()
    stage.qtbot.waitUntil(lambda: stage.canvas.is_settled)
    assert 1 <= painted.count < 100, "far fewer than arrivals"
    assert stage.pane()[10, 10, 0] == 250


# Modes


def test_wipe_shows_a_left_and_b_right(make: Make) -> None:
    stage = make({A: flat(HR, 250, 0, 0), B: flat(HR, 0, 0, 250)}, Mode.WIPE, Comparison(a=A, b=B))
    shown = stage.screen()
    assert shown[100, 100].tolist() == [250, 0, 0]
    assert shown[100, 500].tolist() == [0, 0, 250]
    stage.canvas.set_comparison(replace(stage.canvas._comparison, divider=0.25, orientation="horizontal"))
    shown = stage.screen()
    assert shown[100, 500].tolist() == [250, 0, 0]
    assert shown[140, 100].tolist() == [0, 0, 250]


def test_flip_shows_one_then_the_other_at_once(make: Make) -> None:
    stage = make({A: flat(HR, 250, 0, 0), B: flat(HR, 0, 0, 250)}, Mode.FLIP, Comparison(a=A, b=B))
    assert stage.screen()[240, 320].tolist() == [250, 0, 0]
    stage.canvas.set_comparison(stage.canvas._comparison.with_flip())
    assert to_pixels(stage.canvas.grab().toImage())[0][240, 320].tolist() == [0, 0, 250]


def test_the_difference_of_equals_is_black(make: Make) -> None:
    same = noise(HR, 5)
    comparison = Comparison(a=A, b=B, colour_map="grey", gain=64)
    stage = make({A: ArrayPicture(same), B: ArrayPicture(same.copy())}, Mode.DIFFERENCE, comparison)
    assert np.all(stage.screen()[10:470, 10:630] == 0)


def test_the_difference_is_amplified(make: Make) -> None:
    comparison = Comparison(a=A, b=B, colour_map="grey", gain=4)
    stage = make({A: flat(HR, 100, 100, 100), B: flat(HR, 100, 110, 103)}, Mode.DIFFERENCE, comparison)
    assert np.all(stage.screen()[100:300, 100:500] == 40)
    stage.canvas.set_comparison(stage.canvas._comparison.with_gain(8))
    assert np.all(stage.screen()[100:300, 100:500] == 80)


def test_the_difference_of_sizes_is_aligned(make: Make) -> None:
    comparison = Comparison(a=A, b=B, colour_map="grey", gain=64)
    stage = make({A: flat(LR, 50, 60, 70), B: flat(HR, 50, 60, 70)}, Mode.DIFFERENCE, comparison)
    assert np.all(stage.screen()[100:300, 100:500] == 0)


def test_crops_show_the_selection_from_every_pane(make: Make) -> None:
    stage = make(mode=Mode.CROPS)
    stage.canvas.set_selection(Selection(LR, PixelRect(10, 8, 12, 9)))
    parts = stage.canvas.scene.parts
    assert [part.role for part in parts] == ["overview", "crop", "crop", "crop", "crop"]
    screen = stage.screen()
    for seed, part in enumerate(parts[1:]):
        rect, pixels = part.rect, noise(HR, seed)
        for across, down in ((0.1, 0.1), (0.5, 0.5), (0.9, 0.9)):
            x, y = rect.x + int(rect.width * across), rect.y + int(rect.height * down)
            under = part.viewport.pixel_under(Point(x - rect.x + 0.5, y - rect.y + 0.5), HR)
            assert under is not None
            assert 40 <= under[0] < 88
            assert 32 <= under[1] < 68
            assert screen[y, x].tolist() == pixels[under[1], under[0]].tolist()


def test_one_pane_alone_serves_every_mode(make: Make) -> None:
    for mode in Mode:
        stage = make({A: flat(HR, 9, 99, 199)}, mode)
        assert (stage.screen() == [9, 99, 199]).all(axis=2).any()


def test_no_panes_and_no_viewport_show_the_ground(make: Make) -> None:
    stage = make()
    stage.canvas.set_panes([])
    stage.canvas.set_viewport(None)
    stage.canvas.set_theme(LIGHT)
    assert np.all(stage.screen() == LIGHT.canvas.red())
    stage.wheel(QPointF(10, 10), QPoint(0, 120))
    stage.drag(QPoint(10, 10), QPoint(80, 80))
    assert stage.heard.viewports == []


# Over the pictures


def test_the_selection_is_framed_in_every_pane(make: Make) -> None:
    stage = make({pane: flat(HR, 128, 128, 128) for pane in PANES})
    stage.canvas.set_hud(replace(BARE, selection=True))
    selection = Selection(LR, PixelRect(10, 8, 12, 9))
    stage.canvas.set_selection(selection)
    box = [DARK.box.red(), DARK.box.green(), DARK.box.blue()]
    for index in range(4):
        frame = stage.viewport.rect_to_pane(selection.area)
        shown = stage.pane(index)
        left, top, middle = round(frame.left), round(frame.top), round(frame.centre.y)
        assert shown[middle, left - 1].tolist() == box
        assert shown[top - 1, left + 20].tolist() == box
        assert shown[middle, left - 3].max() < 60, "dark beside it"
        assert shown[middle, left + 10].tolist() == [128] * 3, "the region itself is untouched"


def test_captions_can_be_read_on_any_picture_and_are_never_wider_than_the_pane(make: Make) -> None:
    for value in (0, 255):
        stage = make({pane: flat(HR, value, value, value) for pane in PANES})
        stage.canvas.set_hud(Hud())
        long = "a network with a name that is far too long for the pane " * 3
        stage.canvas.set_panes(
            [PaneContent(pane, long, (long,), flat(HR, value, value, value)) for pane in PANES]
        )
        plate = stage.pane(0)[12:40, 12:310]
        assert plate.max() > 200, "light ink"
        assert np.median(plate) < 80, "on a dark plate"
        assert np.all(stage.pane(0)[60:200, 312:] == value), "nothing beyond"


def test_badges_and_numbers_mark_the_panes(make: Make) -> None:
    stage = make()
    parts = stage.canvas.scene.parts
    assert [part.number for part in parts] == [1, 2, 3, 4]
    assert [part.badge for part in parts] == [None, None, "A", "B"]


def test_progress_is_a_line_at_the_bottom(make: Make) -> None:
    stage = make()
    stage.canvas.set_panes([PaneContent(A, "a", (), flat(HR, 128, 128, 128), 0.5)])
    line = stage.pane()[-2]
    assert line[10].tolist() == [DARK.link.red(), DARK.link.green(), DARK.link.blue()]
    assert line[-10].max() < 80


def test_an_error_is_told_in_the_pane(make: Make) -> None:
    stage = make()
    empty = stage.pane(0).shape
    stage.canvas.set_panes([PaneContent(A, "a", ("It does not fit into memory.",), None, None, True)])
    shown = stage.pane(0)
    assert empty[0] < shown.shape[0]
    assert (shown > 150).any(axis=2).sum() > 100


def test_values_are_written_into_large_pixels(make: Make) -> None:
    stage = make({A: flat(HR, 10, 20, 30)})
    stage.canvas.set_hud(replace(BARE, values=True))
    stage.canvas.set_viewport(stage.viewport.zoomed_to(64))
    assert stage.pane().max() > 200, "light ink on dark pixels"
    stage.canvas.set_viewport(stage.viewport.zoomed_to(40))
    assert stage.pane().max() < 60, "too small for a grid"


def test_the_pointer_is_marked_in_the_other_panes(make: Make) -> None:
    stage = make({pane: flat(HR, 128, 128, 128) for pane in PANES})
    stage.canvas.set_hud(replace(BARE, pointer=True))
    QTest.mouseMove(stage.canvas, QPoint(50, 60))
    first, second = stage.pane(0), stage.pane(1)
    assert np.all(first[40:80, 30:70] == 128)
    assert second[60, 50 + 5].max() > 200
    assert second[60, 50].max() == 128, "the pixel itself is free"
    point = stage.heard.hovered[-1]
    assert point is not None
    at = stage.viewport.to_pane(point)
    assert (at.x, at.y) == pytest.approx((50.5, 60.5))
    QApplication.sendEvent(stage.canvas, QEvent(QEvent.Type.Leave))
    assert stage.heard.hovered[-1] is None
    assert np.all(stage.pane(1)[40:80, 30:70] == 128)


# Wheel and gestures


@pytest.mark.parametrize("at", [QPointF(100, 90), QPointF(420.5, 300.25), QPointF(250, 400)])
def test_the_pixel_under_the_cursor_stays(make: Make, at: QPointF) -> None:
    stage = make()
    stage.canvas.set_viewport(stage.viewport.zoomed_to(6))
    x, y = int(at.x()), int(at.y())
    before = stage.screen()[y, x].tolist()
    for _ in range(9):
        stage.wheel(at, QPoint(0, 120))
        assert stage.screen()[y, x].tolist() == before
    for _ in range(6):
        stage.wheel(at, QPoint(0, -120))
        assert stage.screen()[y, x].tolist() == before
    assert stage.viewport.zoom == pytest.approx(6 * 2 ** (3 / 8))


@pytest.mark.parametrize(
    ("angle", "modifiers", "octaves"),
    [
        (QPoint(0, 120), Qt.KeyboardModifier.NoModifier, 1 / 8),
        (QPoint(0, -120), Qt.KeyboardModifier.NoModifier, -1 / 8),
        (QPoint(0, 15), Qt.KeyboardModifier.NoModifier, 1 / 64),
        (QPoint(0, 120), Qt.KeyboardModifier.ShiftModifier, 1 / 32),
        (QPoint(120, 0), Qt.KeyboardModifier.ShiftModifier, 1 / 32),
        (QPoint(0, 120), Qt.KeyboardModifier.ControlModifier, 1 / 2),
    ],
)
def test_notches(make: Make, angle: QPoint, modifiers: Qt.KeyboardModifier, octaves: float) -> None:
    stage = make()
    stage.canvas.set_viewport(stage.viewport.zoomed_to(6))
    stage.wheel(QPointF(100, 100), angle, modifiers)
    assert stage.viewport.zoom == pytest.approx(6 * 2**octaves)


def test_touchpads_without_notches(make: Make) -> None:
    stage = make()
    stage.canvas.set_viewport(stage.viewport.zoomed_to(6))
    stage.wheel(QPointF(100, 100), QPoint(), pixels=QPoint(0, 20))
    assert stage.viewport.zoom == pytest.approx(6 * 2 ** (1 / 16))
    stage.wheel(QPointF(100, 100), QPoint(120, 0))
    assert len(stage.heard.viewports) == 1, "sideways is no zoom"


# Dragging


def test_dragging_pans(make: Make) -> None:
    stage = make()
    stage.canvas.set_viewport(stage.viewport.zoomed_to(8))
    before = stage.pane(0)
    stage.drag(QPoint(400, 300), QPoint(370, 320))  # in the fourth pane: all share the viewport
    assert np.array_equal(stage.pane(0)[20:, :-30], before[:-20, 30:])
    assert stage.heard.clicked == []


def test_a_dragged_picture_is_the_one_drawn_anew(make: Make) -> None:
    size = Size(3000, 2000)
    smooth = cv2.GaussianBlur(noise(size, 4), (0, 0), 3).astype(np.uint8)
    stage = make({A: ArrayPicture(smooth)})
    stage.canvas.set_viewport(Viewport(size, stage.canvas.pane_size, Point(0.5, 0.5), 0.63))
    stage.screen()
    for last in (QPoint(371, 300), QPoint(430, 217), QPoint(300, 300), QPoint(401, 340)):
        stage.drag(QPoint(400, 300), last)
        dragged = stage.screen()
        stage.canvas._layers.clear()
        assert np.abs(dragged.astype(int) - stage.screen()).max() <= 1


def test_the_wheel_turns_during_a_drag(make: Make) -> None:
    stage = make()
    stage.canvas.set_viewport(stage.viewport.zoomed_to(8))
    QTest.mousePress(stage.canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    QTest.mouseMove(stage.canvas, QPoint(120, 110))
    stage.wheel(QPointF(120, 110), QPoint(0, 120))
    zoomed = stage.viewport
    QTest.mouseMove(stage.canvas, QPoint(125, 110))
    assert stage.viewport == zoomed.panned(5, 0)
    QTest.mouseRelease(stage.canvas, Qt.MouseButton.LeftButton, pos=QPoint(125, 110))


def test_right_dragging_selects_whole_input_pixels(make: Make) -> None:
    stage = make()
    stage.canvas.set_viewport(stage.viewport.one_to_one())
    # The image stands at 80, 60 in its pane; an input pixel is 4 wide.
    stage.drag(QPoint(80 + 9, 60 + 9), QPoint(80 + 21, 60 + 30), Qt.MouseButton.RightButton)
    assert stage.heard.selections[-1] == Selection(LR, PixelRect(2, 2, 4, 6))
    assert stage.heard.menus == []
    assert stage.heard.viewports == []


def test_a_right_click_wishes_the_menu(make: Make) -> None:
    stage = make()
    QTest.mouseClick(stage.canvas, Qt.MouseButton.RightButton, pos=QPoint(400, 100))
    assert stage.heard.menus == [(B, stage.canvas.mapToGlobal(QPoint(400, 100)))]
    assert stage.heard.selections == []


def test_the_menu_key_wishes_the_menu(make: Make) -> None:
    stage = make()
    event = QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(5, 5), QPoint(5, 5))
    QApplication.sendEvent(stage.canvas, event)
    assert len(stage.heard.menus) == 1


def test_a_click_tells_its_pane(make: Make) -> None:
    stage = make()
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 400))
    assert stage.heard.clicked == [C]
    assert stage.heard.viewports == []


def test_the_middle_button_swaps(make: Make) -> None:
    stage = make()
    QTest.mouseClick(stage.canvas, Qt.MouseButton.MiddleButton, pos=QPoint(100, 400))
    assert (stage.heard.comparisons[-1].a, stage.heard.comparisons[-1].b) == (TRUTH_PANE, C)


def test_a_double_click_goes_between_fit_and_one_to_one(make: Make) -> None:
    stage = make()
    fitted = stage.viewport
    QTest.mouseDClick(stage.canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    assert stage.viewport == fitted.one_to_one(Point(100.5, 100.5))
    QTest.mouseDClick(stage.canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 100))
    assert stage.viewport == fitted


def test_the_divider_is_dragged_before_all_else(make: Make) -> None:
    stage = make(mode=Mode.WIPE, comparison=Comparison(a=A, b=B))
    QTest.mouseMove(stage.canvas, QPoint(321, 100))
    assert stage.canvas.cursor().shape() == Qt.CursorShape.SplitHCursor
    stage.drag(QPoint(322, 100), QPoint(161, 130))
    assert stage.heard.comparisons[-1].divider == pytest.approx(161.5 / 642)
    assert stage.heard.viewports == []
    QTest.mouseMove(stage.canvas, QPoint(400, 300))
    assert stage.canvas.cursor().shape() == Qt.CursorShape.CrossCursor
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=QPoint(100, 300))
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=QPoint(400, 300))
    assert stage.heard.clicked == [A, B]


def test_alt_or_the_caption_carry_a_pane_out(make: Make) -> None:
    stage = make()
    stage.drag(QPoint(400, 100), QPoint(470, 160), modifiers=Qt.KeyboardModifier.AltModifier)
    assert stage.heard.carried == [B]
    stage.canvas.set_hud(Hud())
    stage.drag(QPoint(15, 15), QPoint(80, 60))
    assert stage.heard.carried == [B, A]
    assert stage.heard.viewports == []


def test_the_region_of_the_crops_is_moved_and_resized(make: Make) -> None:
    stage = make(mode=Mode.CROPS)
    overview = stage.canvas.scene.parts[0].rect
    QTest.mouseClick(stage.canvas, Qt.MouseButton.LeftButton, pos=QPoint(overview.x + 1, overview.y + 1))
    moved = stage.heard.selections[-1]
    assert moved is not None
    assert (moved.pixels.x, moved.pixels.y) == (0, 0)
    crop = stage.canvas.scene.parts[1].rect
    stage.wheel(QPointF(crop.x + 5, crop.y + 5), QPoint(0, 120))
    smaller = stage.heard.selections[-1]
    assert smaller is not None
    assert smaller.pixels.width < moved.pixels.width
    assert stage.heard.viewports == []


# Around


HIDPI = """
import numpy as np
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from srviewer.app.canvas import Canvas, Hud, PaneContent
from srviewer.app.picture import ArrayPicture
from srviewer.app.qimages import to_pixels
from srviewer.session.comparison import INPUT_PANE, Comparison
from srviewer.session.geometry import Size
from srviewer.session.viewport import Viewport

app = QApplication([])
pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
canvas = Canvas()
canvas.resize(400, 320)
canvas.set_hud(Hud(captions=False, pointer=False))
canvas.viewport_wished.connect(canvas.set_viewport)
canvas.set_panes([PaneContent(INPUT_PANE, "input", (), ArrayPicture(pixels))])
canvas.set_comparison(Comparison(a=INPUT_PANE))
canvas.show()
size = canvas.pane_size
assert size == Size(round(400 * RATIO), round(320 * RATIO)), size
canvas.set_viewport(Viewport(Size(300, 200), size))

def screen():
    canvas.grab()
    while not canvas.is_settled:
        QTest.qWait(1)
    return to_pixels(canvas.grab().toImage())[0]

left, top = (size.width - 300) // 2, (size.height - 200) // 2
assert np.array_equal(screen()[top : top + 200, left : left + 300], pixels), "1:1 is one physical pixel"
at = QPointF(130.5, 170.0)
x, y = int(at.x() * RATIO), int(at.y() * RATIO)
before = screen()[y, x].tolist()
for _ in range(12):
    event = QWheelEvent(at, at, QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
                        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False)
    QApplication.sendEvent(canvas, event)
    assert screen()[y, x].tolist() == before
assert canvas.viewport.zoom > 2
canvas.stop()
"""


@pytest.mark.parametrize("ratio", ["2", "1.25"])
def test_high_resolution_screens_show_physical_pixels(ratio: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", HIDPI.replace("RATIO", ratio)],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "QT_SCALE_FACTOR": ratio},
        cwd=Path(__file__).resolve().parent.parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_the_panes_size_is_told(make: Make) -> None:
    stage = make()
    assert stage.heard.sizes[-1] == Size(320, 240)
    stage.canvas.set_comparison(stage.canvas._comparison.with_mode(Mode.FLIP))
    assert stage.heard.sizes[-1] == Size(642, 482)
    assert stage.viewport.pane == Size(642, 482)
    stage.canvas.resize(800, 600)
    stage.qtbot.waitUntil(lambda: stage.heard.sizes[-1] == Size(800, 600))


def test_a_pane_that_left_takes_its_memory_along(make: Make) -> None:
    stage = make()
    stage.screen()
    assert stage.canvas._cache.held_bytes > 0
    stage.canvas.set_panes([])
    assert stage.canvas._cache.held_bytes == 0
    stage.screen()
    assert stage.canvas._layers == {}


def test_it_takes_the_focus_and_has_a_name(make: Make) -> None:
    canvas = make().canvas
    assert canvas.focusPolicy() == Qt.FocusPolicy.StrongFocus
    assert canvas.accessibleName() == "Comparison canvas"
