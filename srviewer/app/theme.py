"""The window's colours, light and dark, and how Qt is told of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontInfo,
    QGuiApplication,
    QIcon,
    QPainter,
    QPalette,
    QPixmap,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QStyleFactory

from srviewer import paths
from srviewer.app.stylesheet import style_sheet

ThemeChoice = Literal["light", "dark", "system"]
"""What a user may ask for."""

SPACE = 8
"""Logical pixels between things that do not belong together; half of it between those that do."""

_NARROWER = 90  # percent: what the condensed face of DejaVu Sans has
_ICON_SIDES = (16, 20, 24, 32, 48, 64)  # pixels; Qt takes the next larger one, so up to 3x stays sharp
_CHOICE, _PALETTE = "srviewerTheme", "srviewerPalette"  # properties of the application


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """The colours of one theme, by what they are for.

    Each of `text`, `muted`, `link`, `good`, `warning` and `error` can be read (contrast of 4.5 and more) on
    each of `window`, `bar`, `surface`, `raised`, `hover` and `selection`. QColor can be changed in place:
    nobody does.

    Attributes
    ----------
    name : which theme this is.
    window : behind everything.
    bar : menu, tool and status bars, and the titles of docks.
    surface : lists, tables and docks.
    raised : buttons, fields and badges.
    hover : what the pointer is over.
    outline : lines between things, and the borders of fields.
    text, muted, faint : what is read first, what is read second, what is disabled.
    accent, on_accent : what is switched on or runs, and text upon it.
    link : the accent as text.
    good, warning, error : as text.
    good_fill : bars of what is done; `on_accent` can be read on it.
    error_fill : bars of what failed; `on_accent` can be read on it.
    track : the empty part of a bar.
    selection : behind selected rows.
    canvas : behind the pictures: neutral, so that it does not colour the judgement.
    caption, caption_text, caption_muted : the captions on panes, whatever picture is below.
    box : the frame of the selected region.
    curves : of plots and panes, in order; the colour-blind can tell them apart.
    """

    name: Literal["light", "dark"]
    window: QColor
    bar: QColor
    surface: QColor
    raised: QColor
    hover: QColor
    outline: QColor
    text: QColor
    muted: QColor
    faint: QColor
    accent: QColor
    on_accent: QColor
    link: QColor
    good: QColor
    warning: QColor
    error: QColor
    good_fill: QColor
    error_fill: QColor
    track: QColor
    selection: QColor
    canvas: QColor
    caption: QColor
    caption_text: QColor
    caption_muted: QColor
    box: QColor
    curves: tuple[QColor, ...]


def _colours(*names: str) -> tuple[QColor, ...]:
    return tuple(QColor(name) for name in names)


LIGHT = Palette(
    name="light",
    window=QColor("#eceef1"),
    bar=QColor("#f5f6f8"),
    surface=QColor("#fcfcfd"),
    raised=QColor("#e8ebef"),
    hover=QColor("#eaedf2"),
    outline=QColor("#cbd0d8"),
    text=QColor("#1a1d22"),
    muted=QColor("#545c67"),
    faint=QColor("#949ba6"),
    accent=QColor("#2d62c8"),
    on_accent=QColor("#ffffff"),
    link=QColor("#1d52b6"),
    good=QColor("#0a6640"),
    warning=QColor("#7d4d00"),
    error=QColor("#ad1f1a"),
    good_fill=QColor("#1f7f52"),
    error_fill=QColor("#c0352b"),
    track=QColor("#dcdfe5"),
    selection=QColor("#d6e2fa"),
    canvas=QColor("#bdbdbd"),
    caption=QColor(18, 18, 18, 205),
    caption_text=QColor("#ffffff"),
    caption_muted=QColor("#d2d4d8"),
    box=QColor("#e4002b"),
    curves=_colours("#0060a0", "#c24e00", "#007a55", "#a8457f", "#8a6400", "#2b87c0", "#5a5f68"),
)
"""Dark ink on light ground."""

DARK = Palette(
    name="dark",
    window=QColor("#15171a"),
    bar=QColor("#1a1d20"),
    surface=QColor("#1f2226"),
    raised=QColor("#2c3036"),
    hover=QColor("#292d33"),
    outline=QColor("#3a4049"),
    text=QColor("#e6e8eb"),
    muted=QColor("#a7aeb8"),
    faint=QColor("#6b727c"),
    accent=QColor("#3d6fd0"),
    on_accent=QColor("#ffffff"),
    link=QColor("#8fb3ff"),
    good=QColor("#7fd3a2"),
    warning=QColor("#ecbd72"),
    error=QColor("#ff9d94"),
    good_fill=QColor("#27805a"),
    error_fill=QColor("#c2413a"),
    track=QColor("#33383f"),
    selection=QColor("#2a3956"),
    canvas=QColor("#101010"),
    caption=QColor(18, 18, 18, 205),
    caption_text=QColor("#ffffff"),
    caption_muted=QColor("#d2d4d8"),
    box=QColor("#ff4d5e"),
    curves=_colours("#5aa9f0", "#f0974a", "#4fc79b", "#e28bc0", "#e3c04f", "#9fd4f7", "#b4bac3"),
)
"""Light ink on dark ground."""


def apply_theme(app: QApplication, theme: ThemeChoice) -> Palette:
    """Show every window of `app` in a theme from now on; ``"system"`` follows the desktop's.

    Returns
    -------
    The palette that is in force. Widgets hear of the change by an event of the type ``PaletteChange``.
    """
    if app.property(_CHOICE) is None:
        app.setStyle(QStyleFactory.create("Fusion"))
        app.setFont(_interface_font(app.font()))
        app.styleHints().colorSchemeChanged.connect(lambda: _follow(app))
    app.setProperty(_CHOICE, theme)
    palette = _palette_of(theme)
    if palette is not current_palette() or not app.styleSheet():
        app.setProperty(_PALETTE, palette.name)
        app.setPalette(qt_palette(palette))
        app.setStyleSheet(style_sheet(_tokens(palette), _icons_path()))
    return palette


def current_palette() -> Palette:
    """Return the palette that is in force; the dark one before any theme was applied."""
    app = QApplication.instance()
    return LIGHT if app is not None and app.property(_PALETTE) == "light" else DARK


def qt_palette(palette: Palette) -> QPalette:
    """Return Qt's own palette in our colours, for what the style sheet leaves to the style."""
    qt = QPalette()
    role = QPalette.ColorRole
    for which, colour in (
        (role.Window, palette.window),
        (role.WindowText, palette.text),
        (role.Base, palette.surface),
        (role.AlternateBase, palette.bar),
        (role.Text, palette.text),
        (role.Button, palette.raised),
        (role.ButtonText, palette.text),
        (role.BrightText, palette.error),
        (role.ToolTipBase, palette.raised),
        (role.ToolTipText, palette.text),
        (role.PlaceholderText, palette.muted),
        (role.Highlight, palette.accent),
        (role.HighlightedText, palette.on_accent),
        (role.Accent, palette.accent),
        (role.Link, palette.link),
        (role.LinkVisited, palette.link),
        (role.Light, palette.hover),
        (role.Midlight, palette.raised),
        (role.Mid, palette.outline),
        (role.Dark, palette.outline),
        (role.Shadow, palette.outline),
    ):
        qt.setColor(which, colour)
    for which in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        qt.setColor(QPalette.ColorGroup.Disabled, which, palette.faint)
    qt.setColor(QPalette.ColorGroup.Disabled, role.Highlight, palette.outline)
    return qt


def numbers_font(base: QFont) -> QFont:
    """Return `base` with digits of one width, so that numbers in a column stand below each other."""
    font = QFont(base)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def small_font(base: QFont) -> QFont:
    """Return `base` as second lines and badges are set in: a ninth smaller."""
    font = QFont(base)
    if base.pointSizeF() > 0:
        font.setPointSizeF(base.pointSizeF() * 8 / 9)
    else:
        font.setPixelSize(round(base.pixelSize() * 8 / 9))
    return font


def heading_font(base: QFont) -> QFont:
    """Return `base` as headings of lists are set in: small, bold and spaced, for capitals."""
    font = small_font(base)
    font.setWeight(QFont.Weight.DemiBold)
    font.setLetterSpacing(QFont.SpacingType.PercentageSpacing, 106)
    return font


def action_icon(name: str, palette: Palette, colour: QColor | None = None) -> QIcon:
    """Return the drawing ``resources/icons/actions/NAME.svg`` in the theme's ink, fainter where disabled.

    Raises
    ------
    FileNotFoundError
        If there is no such drawing.
    """
    drawing = (_icons_path() / "actions" / f"{name}.svg").read_text(encoding="utf-8")
    icon = QIcon()
    for mode, ink in (
        (QIcon.Mode.Normal, colour or palette.text),
        (QIcon.Mode.Disabled, palette.faint),
    ):
        renderer = QSvgRenderer(QByteArray(drawing.replace("currentColor", ink.name()).encode()))
        for side in _ICON_SIDES:
            icon.addPixmap(_rendered(renderer, side), mode)
    return icon


def application_icon() -> QIcon:
    """Return the program's own icon in all its sizes."""
    icon = QIcon()
    for path in sorted(_icons_path().glob("srviewer-*.png")):
        icon.addFile(str(path), QSize())
    return icon


def _palette_of(theme: ThemeChoice) -> Palette:
    if theme == "system":
        # A desktop that says nothing gets the dark one: pictures are judged better beside dark ground.
        light = QGuiApplication.styleHints().colorScheme() is Qt.ColorScheme.Light
        return LIGHT if light else DARK
    return LIGHT if theme == "light" else DARK


def _follow(app: QApplication) -> None:
    if app.property(_CHOICE) == "system":
        apply_theme(app, "system")


def _interface_font(system: QFont) -> QFont:
    """Return the system's font; DejaVu Sans, a sixth wider than others, condensed or made narrower."""
    font = QFont(system)
    if QFontInfo(system).family() == "DejaVu Sans":
        if "DejaVu Sans Condensed" in QFontDatabase.families():
            font.setFamilies(["DejaVu Sans Condensed", "DejaVu Sans"])
        else:
            font.setStretch(_NARROWER)
    return font


def _tokens(palette: Palette) -> dict[str, str]:
    """Return the colours by name as the style sheet writes them."""
    named = {name: getattr(palette, name) for name in palette.__dataclass_fields__}
    return {name: colour.name() for name, colour in named.items() if isinstance(colour, QColor)}


def _rendered(renderer: QSvgRenderer, side: int) -> QPixmap:
    pixmap = QPixmap(side, side)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF(0, 0, side, side))
    painter.end()
    return pixmap


def _icons_path() -> Path:
    return paths.resources_folder() / "icons"
