from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QByteArray, QEvent, QSize
from PySide6.QtGui import QColor, QFont, QIcon, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from srviewer import paths
from srviewer.app.theme import (
    DARK,
    LIGHT,
    Palette,
    action_icon,
    application_icon,
    apply_theme,
    current_palette,
    numbers_font,
    qt_palette,
    small_font,
)

ICONS = paths.resources_folder() / "icons"
DRAWINGS = sorted((ICONS / "actions").glob("*.svg"))
GROUNDS = ("window", "bar", "surface", "raised", "hover", "selection")
INKS = ("text", "muted", "link", "good", "warning", "error")


@pytest.fixture(autouse=True)
def back_to_plain(qapp: QApplication) -> Iterator[None]:
    yield
    qapp.setStyleSheet("")
    qapp.setProperty("srviewerPalette", None)


def luminance(colour: QColor) -> float:
    """Relative luminance of sRGB, WCAG 2.1."""
    linear = [
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in (colour.redF(), colour.greenF(), colour.blueF())
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: QColor, second: QColor) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def over(front: QColor, back: QColor) -> QColor:
    alpha = front.alphaF()
    mixed = [
        f * alpha + b * (1 - alpha)
        for f, b in zip(front.getRgbF()[:3], back.getRgbF()[:3], strict=True)  # type: ignore[index]
    ]
    return QColor.fromRgbF(*mixed)


def test_contrast_of_black_and_white_is_21() -> None:
    assert contrast(QColor("#000000"), QColor("#ffffff")) == pytest.approx(21)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda one: one.name)
@pytest.mark.parametrize(("ink", "ground"), [*itertools.product(INKS, GROUNDS)])
def test_every_ink_can_be_read_on_every_ground(palette: Palette, ink: str, ground: str) -> None:
    assert contrast(getattr(palette, ink), getattr(palette, ground)) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda one: one.name)
@pytest.mark.parametrize("fill", ["accent", "good_fill", "error_fill"])
def test_text_on_filled_shapes_can_be_read(palette: Palette, fill: str) -> None:
    assert contrast(palette.on_accent, getattr(palette, fill)) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda one: one.name)
@pytest.mark.parametrize("picture", ["#000000", "#808080", "#ffffff"])
def test_captions_can_be_read_on_any_picture(palette: Palette, picture: str) -> None:
    ground = over(palette.caption, QColor(picture))
    assert contrast(palette.caption_text, ground) >= 4.5
    assert contrast(palette.caption_muted, ground) >= 4.5


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=lambda one: one.name)
def test_curves_stand_out_and_the_canvas_is_neutral(palette: Palette) -> None:
    assert all(contrast(curve, palette.surface) >= 3 for curve in palette.curves)
    assert palette.canvas.red() == palette.canvas.green() == palette.canvas.blue()


def test_a_theme_reaches_windows_that_are_open(qapp: QApplication, qtbot: QtBot) -> None:
    heard: list[QEvent.Type] = []

    class Listener(QWidget):
        def changeEvent(self, event: QEvent) -> None:  # noqa: N802 -- Qt's name
            heard.append(event.type())
            super().changeEvent(event)

    apply_theme(qapp, "dark")
    widget = Listener()
    qtbot.addWidget(widget)
    widget.show()
    qtbot.waitExposed(widget)
    heard.clear()
    assert apply_theme(qapp, "light") is LIGHT
    qapp.processEvents()
    assert QEvent.Type.PaletteChange in heard
    assert current_palette() is LIGHT
    assert qapp.palette().window().color() == LIGHT.window
    assert LIGHT.accent.name() in qapp.styleSheet()
    assert apply_theme(qapp, "dark") is DARK
    assert DARK.accent.name() in qapp.styleSheet()


def test_a_desktop_that_says_nothing_gets_the_dark_theme(qapp: QApplication) -> None:
    # The offscreen platform reports no colour scheme.
    assert apply_theme(qapp, "system") is DARK


def test_the_style_sheet_names_files_that_exist(qapp: QApplication) -> None:
    apply_theme(qapp, "dark")
    named = re.findall(r'url\("([^"]+)"\)', qapp.styleSheet())
    assert len(named) >= 4
    assert all(Path(one).is_file() for one in named)
    assert "$" not in qapp.styleSheet()


def test_disabled_text_differs_from_enabled_text() -> None:
    for palette in (LIGHT, DARK):
        qt = qt_palette(palette)
        role = qt.ColorRole.Text
        assert qt.color(qt.ColorGroup.Disabled, role) != qt.color(qt.ColorGroup.Active, role)


def test_fonts_of_numbers_and_second_lines(qapp: QApplication) -> None:
    base = QFont("DejaVu Sans", 9)
    assert QFont.Tag("tnum") in numbers_font(base).featureTags()
    assert small_font(base).pointSizeF() == pytest.approx(8)
    assert base.pointSizeF() == pytest.approx(9)


@pytest.mark.parametrize("drawing", DRAWINGS, ids=lambda one: one.stem)
def test_each_drawing_can_be_drawn_in_the_themes_ink(qapp: QApplication, drawing: Path) -> None:
    icon = action_icon(drawing.stem, LIGHT)
    for mode, ink in ((QIcon.Mode.Normal, LIGHT.text), (QIcon.Mode.Disabled, LIGHT.faint)):
        image = icon.pixmap(QSize(32, 32), mode).toImage()
        inked = [
            QColor(image.pixelColor(x, y))
            for x in range(32)
            for y in range(32)
            if image.pixelColor(x, y).alpha() > 250
        ]
        assert inked, "nothing is drawn"
        if "currentColor" in drawing.read_text("utf-8"):
            assert all(abs(one.red() - ink.red()) <= 2 for one in inked)


def test_an_unknown_drawing_is_an_error(qapp: QApplication) -> None:
    with pytest.raises(FileNotFoundError):
        action_icon("no such drawing", DARK)


def test_the_programs_icon_is_its_drawing_in_all_sizes(qapp: QApplication) -> None:
    renderer = QSvgRenderer(QByteArray((ICONS / "srviewer.svg").read_bytes()))
    assert renderer.isValid()
    sides = sorted(int(path.stem.rpartition("-")[2]) for path in ICONS.glob("srviewer-*.png"))
    assert sides == [16, 24, 32, 48, 64, 128, 256, 512]
    assert {size.width() for size in application_icon().availableSizes()} == set(sides)
    stored = QImage(str(ICONS / "srviewer-64.png"))
    drawn = QImage(64, 64, QImage.Format.Format_ARGB32)
    drawn.fill(0)
    painter = QPainter(drawn)
    renderer.render(painter)
    painter.end()
    worst = max(
        abs(stored.pixelColor(x, y).red() - drawn.pixelColor(x, y).red())
        for x in range(16, 48)
        for y in range(16, 48)
    )
    assert worst <= 24
