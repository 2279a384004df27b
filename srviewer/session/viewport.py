"""The part of the image that all panes show: one centre, one zoom, and the arithmetic between the two and the
screen.

Three kinds of coordinates meet here:

- *pane pixels*: physical pixels of the screen from a pane's top-left corner (on a HiDPI screen the widget
  multiplies its logical ones by the device pixel ratio), real-valued: pixel i spans i..i+1;
- *whole-image coordinates*: 0..1 on both axes, so that LR, every result and HR line up whatever their sizes;
- *image pixels* of an image of a given size.

The zoom is screen pixels per pixel of the *reference*: the largest image that the panes compare (the ground
truth, or the result of the largest scale). At 100 % one such pixel is one screen pixel, and the LR image of a
x4 network then stands at four screen pixels per pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from srviewer.session.geometry import IMAGE_CENTRE, WHOLE, PixelRect, Point, Rect, Size, covering, pixel_at

WheelStep = Literal["normal", "fine", "coarse"]
"""How far one notch of the wheel zooms: plain, with Shift, with Ctrl."""

_WHEEL_OCTAVES: dict[WheelStep, float] = {"normal": 1 / 8, "fine": 1 / 32, "coarse": 1 / 2}

ZOOM_STOPS = (
    *(1 / 64, 1 / 48, 1 / 32, 1 / 24, 1 / 16, 1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3),
    *(1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 192.0, 256.0),
)
"""The zooms that the zoom keys step through."""

LARGEST_ZOOM = 256.0
"""Beyond it a handful of pixels would fill the pane; a tiny image may still go as far as fitting asks."""

VALUES_FROM = 48.0
"""Screen pixels that an image's pixel needs before its grid and its values can be read."""

_SAME = 1e-9  # relative; two zooms closer than this differ by rounding only


def wheel_factor(notches: float, step: WheelStep = "normal") -> float:
    """Return the factor of zoom for `notches` of the wheel (positive: closer; parts of a notch count)."""
    return math.exp2(notches * _WHEEL_OCTAVES[step])


def zoom_text(zoom: float) -> str:
    """Return a zoom as users read it: ``"250 %"``, with one digit more below 10 %."""
    percent = zoom * 100
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.1f} %"


def reference_size(lr: Size, scales: tuple[int, ...] = (), truth: Size | None = None) -> Size:
    """Return the size that zooms refer to: the largest of the image, its results at `scales` and the ground
    truth.
    """
    sizes = [lr, *(lr.times(scale) for scale in scales)]
    if truth is not None:
        sizes.append(truth)
    return max(sizes, key=lambda size: size.pixels)


@dataclass(frozen=True, slots=True)
class Viewport:
    """What all panes show; every change gives a new one.

    Attributes
    ----------
    reference : size of the image that `zoom` refers to, pixels.
    pane : size of each pane, physical screen pixels.
    centre : whole-image coordinate in the middle of each pane.
    zoom : screen pixels per pixel of the reference; 1.0 reads 100 %.
    fitted : whether the image was asked to fit; it then keeps fitting when the pane or the image changes.
    """

    reference: Size
    pane: Size
    centre: Point = IMAGE_CENTRE
    zoom: float = 1.0
    fitted: bool = False

    @classmethod
    def fitting(cls, reference: Size, pane: Size) -> Viewport:
        """Return the viewport that shows the whole image as large as the pane allows."""
        return cls(reference, pane).fit()

    # Limits

    @property
    def fit_zoom(self) -> float:
        """The zoom at which the whole image just fits its pane."""
        return min(self.pane.width / self.reference.width, self.pane.height / self.reference.height)

    @property
    def smallest_zoom(self) -> float:
        """A quarter of what fits (or of 1:1 where the image is smaller than the pane)."""
        return min(self.fit_zoom, 1.0) / 4

    @property
    def largest_zoom(self) -> float:
        """`LARGEST_ZOOM`, or what fits an image of a few pixels to its pane."""
        return max(LARGEST_ZOOM, self.fit_zoom)

    # Changes

    def fit(self) -> Viewport:
        """Show the whole image, centred, as large as the pane allows."""
        return replace(self, centre=IMAGE_CENTRE, zoom=self.fit_zoom, fitted=True)

    def one_to_one(self, point: Point | None = None) -> Viewport:
        """Show one pixel of the reference on one screen pixel; `point` (pane pixels) stays, else the centre
        does.
        """
        return self.zoomed_to(1.0, point)

    def zoomed_to(self, zoom: float, point: Point | None = None) -> Viewport:
        """Zoom to `zoom` as far as the limits allow; what is under `point` (pane pixels) stays under it.

        An image that shrinks until all of it fits the pane is centred instead: there is nothing to look for
        then, and it must not end up in a corner. Beside the image, the nearest point of the image stays.

        Raises
        ------
        ValueError
            If `zoom` is not a positive number.
        """
        if not (zoom > 0 and math.isfinite(zoom)):
            raise ValueError(f"a zoom of {zoom} shows nothing")
        zoom = min(max(zoom, self.smallest_zoom), self.largest_zoom)
        if zoom == self.zoom:
            return self
        if zoom < self.zoom and zoom <= self.fit_zoom * (1 + _SAME):
            return replace(
                self, centre=IMAGE_CENTRE, zoom=zoom, fitted=math.isclose(zoom, self.fit_zoom, rel_tol=_SAME)
            )
        asked = self.to_image(self._inside(point) if point is not None else self._middle)
        anchor = Point(min(max(asked.x, 0.0), 1.0), min(max(asked.y, 0.0), 1.0))
        kept = self.zoom / zoom  # the anchor's distance from the centre shrinks in whole-image coordinates
        centre = Point(
            anchor.x + (self.centre.x - anchor.x) * kept, anchor.y + (self.centre.y - anchor.y) * kept
        )
        return replace(self, centre=centre, zoom=zoom, fitted=False)

    def zoomed(self, factor: float, point: Point | None = None) -> Viewport:
        """Zoom by `factor`; what is under `point` (pane pixels; default: the middle) stays under it."""
        return self.zoomed_to(self.zoom * factor, point)

    def wheeled(self, notches: float, point: Point, step: WheelStep = "normal") -> Viewport:
        """Zoom at the cursor by `notches` of the wheel: 2^(1/8) each, finer or coarser by `step`."""
        return self.zoomed(wheel_factor(notches, step), point)

    def stepped(self, direction: Literal[-1, 1]) -> Viewport:
        """Zoom about the middle to the next of `ZOOM_STOPS`, closer (1) or further (-1)."""
        if direction > 0:
            closer = [stop for stop in ZOOM_STOPS if stop > self.zoom * (1 + 1e-6)]
            return self.zoomed_to(closer[0] if closer else self.zoom * 2)
        further = [stop for stop in ZOOM_STOPS if stop < self.zoom * (1 - 1e-6)]
        return self.zoomed_to(further[-1] if further else self.zoom / 2)

    def panned(self, dx: float, dy: float) -> Viewport:
        """Drag the image by (`dx`, `dy`) screen pixels, never further off the pane than it already is."""
        moved = Point(
            _held(
                self.centre.x - dx / self._screen_width, self.centre.x, self.pane.width / self._screen_width
            ),
            _held(
                self.centre.y - dy / self._screen_height,
                self.centre.y,
                self.pane.height / self._screen_height,
            ),
        )
        return self if moved == self.centre else replace(self, centre=moved, fitted=False)

    def centred_on(self, point: Point) -> Viewport:
        """Bring a whole-image `point` to the middle, as far as the image's edges allow."""
        return replace(self, centre=point, fitted=False)._clamped()

    def framed(self, area: Rect, share: float = 0.5) -> Viewport:
        """Bring a whole-image `area` to the middle, where it takes `share` of the pane along its tighter
        axis.
        """
        zoom = share * min(
            self.pane.width / max(area.width * self.reference.width, 1.0),
            self.pane.height / max(area.height * self.reference.height, 1.0),
        )
        limited = min(max(zoom, self.smallest_zoom), self.largest_zoom)
        return replace(self, centre=area.centre, zoom=limited, fitted=False)._clamped()

    def with_pane(self, pane: Size) -> Viewport:
        """Take another pane size: a fitted image still fits, any other keeps its centre and zoom."""
        changed = replace(self, pane=pane)
        return changed.fit() if self.fitted else changed._clamped()

    def with_reference(self, reference: Size) -> Viewport:
        """Let the zoom refer to another size of the *same* picture: what the screen shows stays where it
        is.
        """
        changed = replace(self, reference=reference)
        if self.fitted:
            return changed.fit()
        return replace(changed, zoom=self.zoom * self.reference.width / reference.width)._clamped()

    def for_image(self, reference: Size) -> Viewport:
        """Show *another* picture: fitted if this one was, else at the same zoom about the same relative
        centre.
        """
        changed = replace(self, reference=reference)
        return changed.fit() if self.fitted else changed._clamped()

    # Conversions

    def to_image(self, point: Point) -> Point:
        """Return the whole-image coordinate under a point in pane pixels; outside 0..1 it is beside the
        image.
        """
        middle = self._middle
        return Point(
            self.centre.x + (point.x - middle.x) / self._screen_width,
            self.centre.y + (point.y - middle.y) / self._screen_height,
        )

    def to_pane(self, point: Point) -> Point:
        """Return where a whole-image coordinate stands, in pane pixels."""
        middle = self._middle
        return Point(
            middle.x + (point.x - self.centre.x) * self._screen_width,
            middle.y + (point.y - self.centre.y) * self._screen_height,
        )

    def rect_to_pane(self, area: Rect) -> Rect:
        """Return where a whole-image rectangle stands, in pane pixels."""
        first, last = self.to_pane(Point(area.left, area.top)), self.to_pane(Point(area.right, area.bottom))
        return Rect(first.x, first.y, last.x, last.y)

    def image_rect(self) -> Rect:
        """Return where the whole image stands, in pane pixels (it may reach far beyond the pane)."""
        return self.rect_to_pane(WHOLE)

    def pixel_under(self, point: Point, size: Size) -> tuple[int, int] | None:
        """Return (column, row) in an image of `size` under a point in pane pixels; None beside the image."""
        return pixel_at(self.to_image(point), size)

    def pixel_to_pane(self, column: int, row: int, size: Size) -> Rect:
        """Return where one pixel of an image of `size` stands, in pane pixels."""
        return self.rect_to_pane(PixelRect(column, row, 1, 1).whole_image(size))

    def pixel_size(self, size: Size) -> float:
        """Return how many screen pixels wide a pixel of an image of `size` is."""
        return self._screen_width / size.width

    def shows_pixels(self, size: Size) -> bool:
        """Return whether an image of `size` is drawn with its nearest pixel (at 1:1 and closer), not
        smoothly.
        """
        return self.pixel_size(size) >= 1 - 1e-6

    def shows_values(self, size: Size) -> bool:
        """Return whether the pixels of an image of `size` are large enough for a grid and their values."""
        return self.pixel_size(size) >= VALUES_FROM

    def visible(self) -> Rect:
        """Return what the pane shows of the image in whole-image coordinates, cut to the image."""
        first, last = self.to_image(Point(0, 0)), self.to_image(Point(self.pane.width, self.pane.height))
        left, top = min(max(first.x, 0.0), 1.0), min(max(first.y, 0.0), 1.0)
        return Rect(left, top, max(min(last.x, 1.0), left), max(min(last.y, 1.0), top))

    def visible_pixels(self, size: Size) -> PixelRect | None:
        """Return the pixels of an image of `size` that the pane shows; None if it shows none."""
        return covering(self.visible(), size)

    # Inside

    @property
    def _screen_width(self) -> float:
        """Width of the whole image on the screen."""
        return self.reference.width * self.zoom

    @property
    def _screen_height(self) -> float:
        """Height of the whole image on the screen."""
        return self.reference.height * self.zoom

    @property
    def _middle(self) -> Point:
        """Middle of the pane in pane pixels."""
        return Point(self.pane.width / 2, self.pane.height / 2)

    def _inside(self, point: Point) -> Point:
        """Return the point of the pane nearest to `point`: a drag may leave the pane, a zoom must not follow
        it.
        """
        return Point(min(max(point.x, 0.0), self.pane.width), min(max(point.y, 0.0), self.pane.height))

    def _clamped(self) -> Viewport:
        """Bring the centre to where no edge of a large image is inside the pane and a small one is
        centred.
        """
        zoom = min(max(self.zoom, self.smallest_zoom), self.largest_zoom)
        zoomed = replace(self, zoom=zoom)
        return replace(
            zoomed,
            centre=Point(
                _allowed(self.centre.x, self.pane.width / zoomed._screen_width),
                _allowed(self.centre.y, self.pane.height / zoomed._screen_height),
            ),
        )


def _limits(span: float) -> tuple[float, float]:
    """Return the least and largest centre along one axis for a pane that spans `span` of the image."""
    return (0.5, 0.5) if span >= 1 else (span / 2, 1 - span / 2)


def _allowed(centre: float, span: float) -> float:
    """Return the allowed centre nearest to `centre`."""
    low, high = _limits(span)
    return min(max(centre, low), high)


def _held(wanted: float, now: float, span: float) -> float:
    """Return `wanted` as far as it is allowed, where a centre that is already outside may stay or come back.

    Zooming at a point keeps that point exactly and may leave a strip beside the image: the drag that follows
    must not jump.
    """
    low, high = _limits(span)
    return min(max(wanted, min(low, now)), max(high, now))
