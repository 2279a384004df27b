"""The canvas as it is looked at: it draws what it was told to show, at the cost of what the screen shows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from PySide6.QtCore import QRect, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import QWidget

from srviewer.app.difference import DifferencePicture
from srviewer.app.map_overlay import MapOverlay, draw_overlay, draw_window
from srviewer.app.overlays import (
    Pen,
    difference_content,
    draw_caption,
    draw_difference_key,
    draw_divider,
    draw_message,
    draw_pointer,
    draw_progress,
    draw_selection,
)
from srviewer.app.pane_painter import PaneLayer, tiles_to_come
from srviewer.app.picture import Picture
from srviewer.app.pixel_values import PixelValues
from srviewer.app.scene import PANE_GAP, PaneContent, Part, Role, Scene, central_region, compose, pane_size
from srviewer.app.theme import Palette, current_palette
from srviewer.app.tile_cache import TileCache, Wanted
from srviewer.session.comparison import Comparison, Mode, Pane, PaneKind
from srviewer.session.geometry import Point, Rect, Size
from srviewer.session.selection import Selection
from srviewer.session.viewport import Viewport

FRAME_MILLISECONDS = 16
"""Least time between two repaints for tiles that arrive: about 60 a second."""

_MAKING_SECONDS = (
    0.004  # of a repaint that may go into making missing tiles; what is left comes from the workers
)


@dataclass(frozen=True, slots=True)
class Hud:
    """What is drawn over the pictures.

    Attributes
    ----------
    captions : names and numbers of the panes.
    pointer : the pointer's place in the other panes.
    values : grid and values of large pixels.
    selection : the selected region's frame.
    """

    captions: bool = True
    pointer: bool = True
    values: bool = True
    selection: bool = True


class CanvasView(QWidget):
    """Draws panes, captions, selection and the rest; decides nothing.

    Signals
    -------
    pane_size_changed(object) : the `Size` of each pane in physical pixels, after a resize or another layout.
    """

    pane_size_changed = Signal(object)

    def __init__(self, parent: QWidget | None = None, *, cache: TileCache | None = None) -> None:
        super().__init__(parent)
        self._cache = cache or TileCache(parent=self)
        self._contents: tuple[PaneContent, ...] = ()
        self._comparison = Comparison()
        self._viewport: Viewport | None = None
        self._selection: Selection | None = None
        self._overlays: Mapping[Pane, MapOverlay] = {}
        self._window_area: Rect | None = None
        self._input_size: Size | None = None
        self._palette = current_palette()
        self._hud = Hud()
        self._pointer: Point | None = None
        self._pointed: tuple[Role, Pane] | None = None
        self._difference: tuple[Picture, Picture, float, str, DifferencePicture] | None = None
        self._layers: dict[tuple[Role, Pane], PaneLayer] = {}
        self._scene: Scene | None = None
        self._told_size: Size | None = None
        self._values = PixelValues()
        self._stale: set[Picture] = set()
        self._is_undrawn = True
        self._frame = QTimer(self, singleShot=True, interval=FRAME_MILLISECONDS)
        self._frame.timeout.connect(self._show_arrivals)
        self._cache.changed.connect(self._gather)
        # An opaque widget: Qt need not paint the window below it first.
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setMinimumSize(160, 120)

    # What is shown

    def set_panes(self, contents: Sequence[PaneContent]) -> None:
        """Show these panes, in this order."""
        before = {content.pane: content.picture for content in self._contents}
        self._contents = tuple(contents)
        for content in self._contents:
            old, new = before.get(content.pane), content.picture
            if old is not None and new is not None and old is not new and old.size == new.size:
                self._cache.succeed(old, new)
        self._changed(layout=True)

    def set_viewport(self, viewport: Viewport | None) -> None:
        """Show this part of the image; None if there is none."""
        self._viewport = viewport
        self._changed(layout=True)

    def set_comparison(self, comparison: Comparison) -> None:
        """Compare the panes this way."""
        self._comparison = comparison
        self._changed(layout=True)

    def set_selection(self, selection: Selection | None) -> None:
        """Frame this region in every pane."""
        self._selection = selection
        self._changed()

    def set_overlays(self, overlays: Mapping[Pane, MapOverlay]) -> None:
        """Lay maps over panes."""
        self._overlays = dict(overlays)
        self.update()

    def set_window_area(self, area: Rect | None) -> None:
        """Frame the window that is explained, in whole-image coordinates; None frames nothing."""
        if area != self._window_area:
            self._window_area = area
            self.update()

    def set_input_size(self, size: Size | None) -> None:
        """Let selections snap to the pixels of an image of this size (the networks' input).

        None takes the input's pane, else the size that the zoom refers to.
        """
        self._input_size = size
        self._changed()

    def set_theme(self, palette: Palette) -> None:
        """Draw in these colours."""
        self._palette = palette
        self._changed()

    def set_hud(self, hud: Hud) -> None:
        """Choose what is drawn over the pictures."""
        self._hud = hud
        self.update()

    def picture_changed(self, picture: Picture) -> None:
        """Hear that a picture's pixels changed; however often, it is drawn at most 60 times a second."""
        self._gather(frozenset([picture]))

    def stop(self) -> None:
        """End the threads that make tiles; the canvas cannot be used afterwards."""
        self._frame.stop()
        self._cache.stop()

    # What may be asked

    @property
    def is_settled(self) -> bool:
        """Whether everything visible is drawn from its final tiles and nothing is being made."""
        return (
            self._cache.is_idle
            and not self._is_undrawn
            and not self._frame.isActive()
            and all(layer.missed == 0 for layer in self._layers.values())
        )

    @property
    def viewport(self) -> Viewport | None:
        """What it was last told to show."""
        return self._viewport

    @property
    def canvas_size(self) -> Size:
        """Of the whole canvas, physical pixels."""
        ratio = self.devicePixelRatioF()
        return Size(max(round(self.width() * ratio), 1), max(round(self.height() * ratio), 1))

    @property
    def pane_size(self) -> Size:
        """Of each pane, physical pixels; in crops mode what the grid would have."""
        mode_free = self._comparison
        if mode_free.mode is Mode.CROPS:
            mode_free = mode_free.with_mode(Mode.GRID)
        picture = self._viewport.reference if self._viewport is not None else Size(4, 3)
        return pane_size(mode_free, len(self._contents), self.canvas_size, picture)

    @property
    def scene(self) -> Scene:
        """What lies where; empty while there is nothing to show."""
        if self._scene is None:
            self._scene = Scene()
            if self._viewport is not None:
                self._scene = compose(
                    self._contents,
                    self._comparison,
                    self._viewport,
                    self.canvas_size,
                    region=self._selection or central_region(self.input_size),
                    pixel_ratio=self.devicePixelRatioF(),
                )
        return self._scene

    @property
    def input_size(self) -> Size:
        """Of the image whose pixels selections snap to."""
        if self._input_size is not None:
            return self._input_size
        for content in self._contents:
            if content.pane.kind is PaneKind.INPUT and content.picture is not None:
                return content.picture.size
        return self._viewport.reference if self._viewport is not None else Size(1, 1)

    def pen(self, painter: QPainter) -> Pen:
        """Return what overlays are drawn and measured with."""
        return Pen(painter, self._palette, self.font(), self.devicePixelRatioF())

    # Inside

    def _changed(self, *, layout: bool = False) -> None:
        """Draw anew; with another `layout` the panes' size and the pictures in use may be others."""
        self._scene = None
        self._is_undrawn = True
        if layout:
            self._tell_size()
            self._keep_pictures()
        self.update()

    def _tell_size(self) -> None:
        size = self.pane_size
        if size != self._told_size and self.isVisible():
            self._told_size = size
            self.pane_size_changed.emit(size)

    def _keep_pictures(self) -> None:
        pictures: list[Picture] = [
            content.picture for content in self._contents if content.picture is not None
        ]
        difference = self._difference_picture()
        if difference is not None:
            pictures.append(difference)
        self._cache.keep(pictures)

    def _difference_picture(self) -> DifferencePicture | None:
        """Return the difference of A and B in difference mode; the same one while nothing changes it."""
        comparison = self._comparison
        pictures = {content.pane: content.picture for content in self._contents}
        a = pictures.get(comparison.a) if comparison.a is not None else None
        b = pictures.get(comparison.b) if comparison.b is not None else None
        if comparison.mode is not Mode.DIFFERENCE or a is None or b is None:
            self._difference = None
            return None
        before = self._difference
        if before is not None and before[:4] == (a, b, comparison.gain, comparison.colour_map):
            return before[4]
        picture = DifferencePicture(a, b, comparison.gain, comparison.colour_map)
        if before is not None and before[4].size == picture.size:
            self._cache.succeed(before[4], picture)
        self._difference = (a, b, comparison.gain, comparison.colour_map, picture)
        return picture

    def _gather(self, pictures: frozenset[Picture]) -> None:
        self._stale |= pictures
        if not self._frame.isActive():
            self._frame.start()

    def _show_arrivals(self) -> None:
        stale, self._stale = self._stale, set()
        for part in self.scene.parts:
            picture = self._picture_of(part)
            layer = self._layers.get(part.key)
            if layer is not None and (picture in stale or part.role == "difference"):
                layer.invalidate()
        self._is_undrawn = True
        self.update()

    def _picture_of(self, part: Part) -> Picture | None:
        return self._difference_picture() if part.role == "difference" else part.content.picture

    # Drawing

    def _draw(self, painter: QPainter) -> None:
        """Draw everything; the painter counts in physical pixels."""
        size, scene = self.canvas_size, self.scene
        pen = self.pen(painter)
        covered = len(scene.parts) == 1 and scene.parts[0].role != "overview"
        if not covered:
            painter.fillRect(0, 0, size.width, size.height, self._palette.canvas)
        if self._comparison.mode is Mode.GRID and not covered:
            for part in scene.parts:  # a line around each; the panes then leave what lies between them
                rect, gap = part.rect, PANE_GAP
                around = QRect(rect.x - gap, rect.y - gap, rect.width + 2 * gap, rect.height + 2 * gap)
                painter.fillRect(around, self._separator)
        self._draw_pictures(painter, scene)
        for part in scene.parts:
            self._draw_over(pen, part)
        if scene.divider is not None:
            draw_divider(pen, scene.divider, self._comparison)
        if self._hud.captions:
            for part in scene.parts:
                self._draw_caption(pen, part)

    @property
    def _separator(self) -> QColor:
        return self._palette.outline if self._palette.name == "light" else QColor("#000000")

    def _draw_pictures(self, painter: QPainter, scene: Scene) -> None:
        deadline = time.perf_counter() + _MAKING_SECONDS
        layers: dict[tuple[Role, Pane], PaneLayer] = {}
        visible: list[Wanted] = []
        ahead: list[Wanted] = []
        for part in scene.parts:
            layer = layers[part.key] = self._layers.get(part.key) or PaneLayer(self._cache)
            picture = self._picture_of(part)
            image = layer.image(picture, part.viewport, self._palette.canvas, deadline)
            clip = part.clip
            source = QRect(clip.x - part.rect.x, clip.y - part.rect.y, clip.width, clip.height)
            painter.drawImage(clip.x, clip.y, image, source.x(), source.y(), source.width(), source.height())
            if picture is not None:
                visible += [(picture, index) for index in layer.wanted[: layer.missed]]
                ahead += [(picture, index) for index in layer.wanted[layer.missed :]]
        self._layers = layers
        self._is_undrawn = False
        hidden = self._hidden_in_flip(scene)
        if hidden is not None:
            picture, viewport = hidden
            visible += [(picture, index) for index in tiles_to_come(self._cache, picture, viewport)]
        self._cache.ask([*visible, *ahead])

    def _hidden_in_flip(self, scene: Scene) -> tuple[Picture, Viewport] | None:
        """Return the picture that a flip would show: it has to be there at once."""
        if self._comparison.mode is not Mode.FLIP or not scene.parts:
            return None
        other = self._comparison.with_flip().shown
        picture = next((one.picture for one in self._contents if one.pane == other), None)
        return None if picture is None else (picture, scene.parts[0].viewport)

    def _draw_over(self, pen: Pen, part: Part) -> None:
        """Draw what lies over one part: values, selection, pointer, progress; words for want of a picture."""
        content, clip, painter = part.content, part.clip, pen.painter
        if clip.width < 1 or clip.height < 1:
            return
        painter.save()
        painter.setClipRect(QRect(clip.x, clip.y, clip.width, clip.height))
        if self._picture_of(part) is None and part.role == "difference":
            draw_message(pen, clip, "Waiting", "A difference needs the pictures of both panes, A and B.")
        elif content.picture is None:
            heading = "No result" if content.is_error else "" if content.lines else "Waiting"
            draw_message(pen, clip, heading, " ".join(content.lines), is_error=content.is_error)
        else:
            overlay = self._overlays.get(content.pane) if part.role != "difference" else None
            if overlay is not None:
                draw_overlay(painter, part, overlay)
            if self._hud.values and part.role in ("pane", "crop"):
                self._values.draw(painter, part, self.font(), pen.ratio)
            region = self._framed(part)
            if region is not None and self._hud.selection:
                draw_selection(pen, part, region.area)
            if self._window_area is not None:
                draw_window(pen, part, self._window_area)
            if self._pointer is not None and self._hud.pointer and part.key != self._pointed:
                draw_pointer(pen, part, self._pointer)
        if content.busy is not None:
            draw_progress(pen, part, content.busy)
        painter.restore()

    def _draw_caption(self, pen: Pen, part: Part) -> None:
        if part.role == "difference":
            draw_difference_key(pen, part.rect, self._comparison)
        draw_caption(pen, self._captioned(part))

    def _framed(self, part: Part) -> Selection | None:
        """Return the region that is framed in a part: none in a crop, which is all of it."""
        if part.role == "crop":
            return None
        return self._selection or (central_region(self.input_size) if part.role == "overview" else None)

    def _captioned(self, part: Part) -> Part:
        """Return a part with the words that its caption shows."""
        if part.role == "difference":
            b = next(one for one in self._contents if one.pane == self._comparison.b)
            title, lines = difference_content(part.content, b, self._comparison)
        elif part.role == "overview":
            region = self._selection or central_region(self.input_size)
            title, lines = part.content.title, (f"Region of {region.pixels} in the input",)
        else:
            return part
        return replace(part, content=PaneContent(part.content.pane, title, lines, part.content.picture))

    # Qt

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 -- Qt's name
        """Draw in physical pixels, whatever the screen's ratio."""
        del event
        painter = QPainter(self)
        ratio = self.devicePixelRatioF()
        painter.scale(1 / ratio, 1 / ratio)
        self._draw(painter)
        painter.end()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Lay out anew and tell the panes' size."""
        super().resizeEvent(event)
        self._changed(layout=True)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Tell the panes' size, which before was nobody's."""
        super().showEvent(event)
        self._tell_size()
