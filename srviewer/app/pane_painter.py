"""Draws the part of a picture that a viewport shows, from cached tiles."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, QRect, QRectF
from PySide6.QtGui import QBrush, QColor, QImage, QPainter

from srviewer.app.picture import Picture
from srviewer.app.qimages import blank, words_of
from srviewer.app.tile_cache import MARGIN, Tile, TileCache
from srviewer.imaging.pyramid import TileIndex
from srviewer.session.geometry import Rect
from srviewer.session.viewport import Viewport

_SAME = 1e-6  # screen pixels per pixel closer than this to 1 are 1:1
_CHECKER_SIDE = 8  # screen pixels
_CHECKER = (QColor(154, 154, 154), QColor(102, 102, 102))
_RING = 1  # tiles beyond the visible ones that are made ahead


def snapped(position: float) -> int:
    """Return the first screen pixel whose centre lies at or beyond `position`: where an edge is drawn."""
    return math.ceil(position - 0.5)


def snapped_rect(rect: Rect) -> QRect:
    """Return the screen pixels whose centres lie in `rect`."""
    left, top = snapped(rect.left), snapped(rect.top)
    return QRect(left, top, snapped(rect.right) - left, snapped(rect.bottom) - top)


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of the way from a level's pixels to the screen's: screen = origin + pixel * scale."""

    origin: float
    scale: float

    def source(self, screen: float) -> float:
        return (screen - self.origin) / self.scale


class PaneLayer:
    """A pane's picture as it was last drawn, so that what lies over it can change at no cost.

    Parameters
    ----------
    cache : the tiles' owner.

    Attributes
    ----------
    wanted : tiles that the last drawing missed, the visible ones first; then those around them.
    missed : how many of them are visible.
    """

    def __init__(self, cache: TileCache) -> None:
        self._cache = cache
        self._drawn: QImage | None = None
        self._spare: QImage | None = None
        self._state: tuple[Picture | None, Viewport, int] | None = None
        self.wanted: list[TileIndex] = []
        self.missed = 0

    def invalidate(self) -> None:
        """Draw anew the next time."""
        self._state = None

    def image(self, picture: Picture | None, viewport: Viewport, ground: QColor, deadline: float) -> QImage:
        """Return the pane as it is now.

        Parameters
        ----------
        picture : None leaves the ground.
        viewport : what is shown, and the pane's size.
        ground : colour beside the picture.
        deadline : `time.perf_counter` until which missing tiles may be made here and now.
        """
        state = (picture, viewport, ground.rgb())
        if self._drawn is not None and self._state == state:
            return self._drawn
        pane = viewport.pane
        image, self._spare = self._spare, self._drawn
        if image is None or (image.width(), image.height()) != (pane.width, pane.height):
            image = QImage(pane.width, pane.height, QImage.Format.Format_RGB32)
        painter = QPainter(image)
        areas = self._moved(painter, picture, viewport, ground)
        self._draw(painter, picture, viewport, ground, deadline, areas)
        painter.end()
        self._drawn, self._state = image, state
        return image

    def _moved(
        self, painter: QPainter, picture: Picture | None, viewport: Viewport, ground: QColor
    ) -> tuple[QRect, ...]:
        """Take over what the last drawing shares with this one; return the areas that are left to draw.

        After a drag by whole pixels that is nearly all, and copying is several times quicker than scaling.
        """
        whole = QRect(0, 0, viewport.pane.width, viewport.pane.height)
        if self._state is None or self._spare is None or picture is None or picture.has_alpha or self.missed:
            return (whole,)
        before_picture, before, before_ground = self._state
        same = before_picture is picture and before_ground == ground.rgb()
        if not same or before != replace(viewport, centre=before.centre, fitted=before.fitted):
            return (whole,)
        if viewport.shows_pixels(picture.size):  # quick anyway
            return (whole,)
        old, new = before.image_rect(), viewport.image_rect()
        across, down = new.left - old.left, new.top - old.top
        dx, dy = round(across), round(down)
        if (
            max(abs(across - dx), abs(down - dy)) > _SAME
            or abs(dx) >= whole.width()
            or abs(dy) >= whole.height()
        ):
            return (whole,)
        painter.drawImage(dx, dy, self._spare)
        beside = QRect(0 if dx > 0 else whole.width() + dx, 0, abs(dx), whole.height())
        below = QRect(0, 0 if dy > 0 else whole.height() + dy, whole.width(), abs(dy))
        return (beside, below)

    def _draw(
        self,
        painter: QPainter,
        picture: Picture | None,
        viewport: Viewport,
        ground: QColor,
        deadline: float,
        areas: tuple[QRect, ...],
    ) -> None:
        whole = QRect(0, 0, viewport.pane.width, viewport.pane.height)
        shown = whole.intersected(snapped_rect(viewport.image_rect()))
        self.wanted, self.missed = [], 0
        if picture is None or shown != whole:
            for area in areas:
                painter.fillRect(area, ground)
        if picture is None or shown.isEmpty():
            return
        if picture.has_alpha:
            _draw_checkerboard(painter, shown)
        painting = _Painting(painter, picture, viewport, tuple(shown.intersected(area) for area in areas))
        missing: list[tuple[TileIndex, Tile | None]] = []
        for index in painting.visible():
            tile = self._cache.tile(picture, index)
            if tile is None or tile.revision != picture.tile_revision(index):
                if time.perf_counter() < deadline and self._cache.is_quick(picture, index):
                    tile = self._cache.make(picture, index) or tile
                else:
                    missing.append((index, tile))
                    continue
            if tile is not None:
                painting.draw(tile, index)
        for index, tile in missing:
            stand_in = tile or self._coarser(picture, index)
            if stand_in is not None:
                painting.draw(stand_in, index)
            elif not picture.has_alpha:
                painting.fill(index, ground)
        self.missed = len(missing)
        self.wanted = [index for index, _ in missing]
        # The coarsest tile stands in for all others: made early, never pushed out while the picture is shown.
        top = TileIndex(picture.pyramid.levels - 1, 0, 0)
        for index in (top, *painting.around()):
            tile = self._cache.tile(picture, index)
            if (tile is None or tile.revision != picture.tile_revision(index)) and index not in self.wanted:
                self.wanted.append(index)

    def _coarser(self, picture: Picture, index: TileIndex) -> Tile | None:
        """Return the nearest coarser tile that covers `index`."""
        while index.level + 1 < picture.pyramid.levels:
            index = TileIndex(index.level + 1, index.row // 2, index.column // 2)
            tile = self._cache.tile(picture, index)
            if tile is not None:
                return tile
        return None


def tiles_to_come(cache: TileCache, picture: Picture, viewport: Viewport) -> Iterator[TileIndex]:
    """Yield the tiles that showing a picture would miss: for a hidden one that may be shown any moment."""
    for index in visible_tiles(picture, viewport):
        tile = cache.tile(picture, index)
        if tile is None or tile.revision != picture.tile_revision(index):
            yield index


def level_for(picture: Picture, viewport: Viewport) -> int:
    """Return the level that is drawn from: 0 at 1:1 and closer, else one at least as fine as the screen."""
    if viewport.shows_pixels(picture.size):
        return 0
    return picture.pyramid.level_for_zoom(viewport.pixel_size(picture.size))


def visible_tiles(picture: Picture, viewport: Viewport, ring: int = 0) -> Iterator[TileIndex]:
    """Yield the tiles of the level in use that the pane shows, and those up to `ring` beyond its edges."""
    level, seen = level_for(picture, viewport), viewport.visible()
    across, down = picture.size.width, picture.size.height
    beyond = ring * picture.pyramid.tile_side << level
    view = (
        seen.left * across - beyond,
        seen.top * down - beyond,
        seen.right * across + beyond,
        seen.bottom * down + beyond,
    )
    yield from picture.pyramid.visible_tiles(level, view)


class _Painting:
    """One drawing of a picture: where its tiles go, and how they are enlarged or reduced."""

    def __init__(
        self, painter: QPainter, picture: Picture, viewport: Viewport, areas: tuple[QRect, ...]
    ) -> None:
        self._painter, self._picture, self._viewport = painter, picture, viewport
        self._areas = areas  # of the screen that are to be drawn
        image = viewport.image_rect()
        self._across = _Axis(image.left, image.width / picture.size.width)
        self._down = _Axis(image.top, image.height / picture.size.height)
        self._level = level_for(picture, viewport)
        self._nearest = viewport.shows_pixels(picture.size)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, on=True)

    def visible(self) -> Iterator[TileIndex]:
        return visible_tiles(self._picture, self._viewport)

    def around(self) -> Iterator[TileIndex]:
        return visible_tiles(self._picture, self._viewport, _RING)

    def fill(self, index: TileIndex, colour: QColor) -> None:
        """Fill a tile's place: nothing is known of it yet."""
        for place in self._places(index):
            self._painter.fillRect(place, colour)

    def draw(self, tile: Tile, index: TileIndex) -> None:
        """Draw what `tile` (this index's, or a coarser one that covers it) shows at the place of `index`."""
        places = self._places(index)
        if not places:
            return
        unit = 1 << tile.index.level
        side = self._picture.pyramid.tile_side
        first_column, first_row = tile.index.column * side - MARGIN, tile.index.row * side - MARGIN
        if self._nearest and tile.index.level == 0:
            for place in places:
                self._draw_nearest(tile.image, place, QPoint(first_column, first_row))
            return
        across = _Axis(
            self._across.origin + first_column * unit * self._across.scale, self._across.scale * unit
        )
        down = _Axis(self._down.origin + first_row * unit * self._down.scale, self._down.scale * unit)
        for place in places:
            left, top = across.source(place.left()), down.source(place.top())
            right, bottom = across.source(place.right() + 1), down.source(place.bottom() + 1)
            source = QRectF(left, top, right - left, bottom - top)
            self._painter.drawImage(QRectF(place), tile.image, source)

    def _draw_nearest(self, image: QImage, place: QRect, corner: QPoint) -> None:
        """Draw exact blocks: Qt's own enlargement counts in 1/65536 of a pixel and drifts across a pane."""
        size, view = self._picture.size, self._viewport
        pane, reference = view.pane, view.reference
        columns = _pixels_under(
            place.left(),
            place.right() + 1,
            view.centre.x,
            pane.width,
            reference.width * view.zoom,
            size.width,
        )
        rows = _pixels_under(
            place.top(),
            place.bottom() + 1,
            view.centre.y,
            pane.height,
            reference.height * view.zoom,
            size.height,
        )
        columns = np.clip(columns - corner.x(), 0, image.width() - 1)
        rows = np.clip(rows - corner.y(), 0, image.height() - 1)
        if abs(self._across.scale - 1) < _SAME and abs(self._down.scale - 1) < _SAME:
            self._painter.drawImage(
                place.topLeft(), image, QRect(QPoint(int(columns[0]), int(rows[0])), place.size())
            )
            return
        words = words_of(image)[rows[0] : rows[-1] + 1]
        enlarged, target = blank(place.width(), place.height(), has_alpha=image.hasAlphaChannel())
        words.take(columns, axis=1).take(rows - rows[0], axis=0, out=target, mode="clip")
        self._painter.drawImage(place.topLeft(), enlarged)

    def _places(self, index: TileIndex) -> list[QRect]:
        """Return the screen pixels of a tile that are to be drawn; neighbours share their edges exactly."""
        left, top, right, bottom = self._picture.pyramid.tile_in_image(index)
        x, y = self._across, self._down
        whole = snapped_rect(
            Rect(
                x.origin + left * x.scale,
                y.origin + top * y.scale,
                x.origin + right * x.scale,
                y.origin + bottom * y.scale,
            )
        )
        places = (whole.intersected(area) for area in self._areas)
        return [place for place in places if not place.isEmpty()]


def _pixels_under(
    first: int, last: int, centre: float, pane: int, screen: float, length: int
) -> NDArray[np.intp]:
    """Return which of `length` pixels each of the screen's `first`..`last` shows: the one under its centre.

    The arithmetic is `Viewport.pixel_under`'s, step by step: what the pointer is told is what is seen.
    """
    pane_pixels = np.arange(first, last) + 0.5
    pixels: NDArray[np.intp] = np.floor((centre + (pane_pixels - pane / 2) / screen) * length).astype(np.intp)
    return pixels


def _draw_checkerboard(painter: QPainter, area: QRect) -> None:
    """Draw what shows through a transparent picture."""
    light, dark = _CHECKER
    side = _CHECKER_SIDE
    square = QImage(2 * side, 2 * side, QImage.Format.Format_RGB32)
    square.fill(dark)
    mark = QPainter(square)
    mark.fillRect(0, 0, side, side, light)
    mark.fillRect(side, side, side, side, light)
    mark.end()
    painter.setBrushOrigin(0, 0)
    painter.fillRect(area, QBrush(square))
