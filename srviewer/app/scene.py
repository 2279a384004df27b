"""What the canvas shows where, in each mode: the arithmetic between the session's state and the painters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from srviewer.app.picture import Picture
from srviewer.session.comparison import Comparison, Mode, Pane
from srviewer.session.geometry import PixelRect, Point, Rect, Size
from srviewer.session.layout import crops_layout, grid_layout
from srviewer.session.selection import Selection
from srviewer.session.viewport import Viewport

PANE_GAP = 2  # physical pixels between panes, as in `grid_layout`

Role = Literal["pane", "difference", "overview", "crop"]
"""What a part of the canvas is for."""


@dataclass(frozen=True, slots=True, eq=False)
class PaneContent:
    """What a pane shows and says.

    Attributes
    ----------
    pane : which one.
    title : the caption's first line.
    lines : what follows: scores, time, memory; an error's sentence if `is_error`.
    picture : its picture; None while there is none.
    busy : share of the work done (0..1) while it is being made; None otherwise.
    is_error : whether `lines` say what went wrong.
    """

    pane: Pane
    title: str
    lines: tuple[str, ...] = ()
    picture: Picture | None = None
    busy: float | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One picture on the canvas.

    Attributes
    ----------
    role : what it is for.
    content : the pane's; of the difference, A's.
    rect : its pane, physical pixels of the canvas; `viewport` is relative to its corner.
    clip : the part of `rect` that it shows: all but in wipe mode.
    viewport : the part of the image.
    badge : "A" or "B" where it stands for that pane.
    number : the key that chooses it (1..9).
    caption_below : pixels below `rect` kept for its caption; 0 has it lie on the picture.
    """

    role: Role
    content: PaneContent
    rect: PixelRect
    clip: PixelRect
    viewport: Viewport
    badge: Literal["A", "B"] | None = None
    number: int | None = None
    caption_below: int = 0

    @property
    def key(self) -> tuple[Role, Pane]:
        """Names this part from one scene to the next."""
        return self.role, self.content.pane

    def local(self, point: Point) -> Point:
        """Return a point of the canvas in this pane's pixels."""
        return Point(point.x - self.rect.x, point.y - self.rect.y)

    def contains(self, point: Point) -> bool:
        """Return whether a point of the canvas lies on what this part shows."""
        clip = self.clip
        return clip.x <= point.x < clip.right and clip.y <= point.y < clip.bottom


@dataclass(frozen=True, slots=True)
class Scene:
    """All that the canvas shows.

    Attributes
    ----------
    parts : the pictures, in reading order.
    divider : pane whose divider is to be drawn, in wipe mode with two panes.
    """

    parts: tuple[Part, ...] = ()
    divider: PixelRect | None = None

    def at(self, point: Point) -> Part | None:
        """Return the part under a point of the canvas."""
        return next((part for part in self.parts if part.contains(point)), None)


def pane_size(comparison: Comparison, count: int, canvas: Size, picture: Size) -> Size:
    """Return the size of each pane: a cell of the grid, or in the other modes the canvas."""
    if comparison.mode is Mode.GRID and count:
        cell = grid_layout(count, canvas, picture, PANE_GAP)[0]
        return Size(cell.width, cell.height)
    return canvas


def compose(
    contents: Sequence[PaneContent],
    comparison: Comparison,
    viewport: Viewport,
    canvas: Size,
    *,
    region: Selection,
    pixel_ratio: float,
) -> Scene:
    """Lay out what a mode shows.

    Parameters
    ----------
    contents : of the panes, in order.
    comparison : mode, A and B, divider.
    viewport : the shared one; it is given the size that the panes have.
    canvas : physical pixels.
    region : what the crops show.
    pixel_ratio : physical per logical pixel, for margins and captions.
    """
    if not contents:
        return Scene()
    pane = pane_size(comparison, len(contents), canvas, viewport.reference)
    # Fitted only until the session hears of a new size: a zoom at a point may leave a strip beside the image.
    shared = viewport if viewport.pane == pane else viewport.with_pane(pane)
    if comparison.mode is Mode.CROPS:
        return _crops(contents, comparison, viewport.reference, canvas, region, pixel_ratio)
    whole = PixelRect(0, 0, canvas.width, canvas.height)
    if comparison.mode is Mode.GRID:
        cells = grid_layout(len(contents), canvas, viewport.reference, PANE_GAP)
        return Scene(
            tuple(
                _pane(content, cell, shared, comparison, contents)
                for content, cell in zip(contents, cells, strict=True)
            )
        )
    a, b = _content(contents, comparison.a), _content(contents, comparison.b)
    if comparison.mode is Mode.FLIP:
        shown = _content(contents, comparison.shown) or contents[0]
        return Scene((_pane(shown, whole, shared, comparison, contents),))
    first = _pane(a or contents[0], whole, shared, comparison, contents)
    if a is None or b is None:
        return Scene((first,))
    if comparison.mode is Mode.DIFFERENCE:
        return Scene((Part("difference", a, whole, whole, shared),))
    second = _pane(b, whole, shared, comparison, contents)
    at = round(comparison.divider_pixel(canvas))
    if comparison.orientation == "vertical":
        clips = replace(whole, width=at), PixelRect(at, 0, canvas.width - at, canvas.height)
    else:
        clips = replace(whole, height=at), PixelRect(0, at, canvas.width, canvas.height - at)
    return Scene((replace(first, clip=clips[0]), replace(second, clip=clips[1])), whole)


def central_region(lr: Size) -> Selection:
    """Return what the crops show while nothing is selected: a sixth of the width, in the middle, 4 : 3."""
    width = min(max(lr.width // 6, 1), lr.width)
    height = min(max(width * 3 // 4, 1), lr.height)
    return Selection(lr, PixelRect((lr.width - width) // 2, (lr.height - height) // 2, width, height))


def showing(reference: Size, pane: Size, area: Rect) -> Viewport:
    """Return the viewport that fills a pane with a whole-image `area` of its proportions (to a pixel)."""
    zoom = min(pane.width / (area.width * reference.width), pane.height / (area.height * reference.height))
    return Viewport(reference, pane, area.centre, zoom)


def _crops(
    contents: Sequence[PaneContent],
    comparison: Comparison,
    reference: Size,
    canvas: Size,
    region: Selection,
    pixel_ratio: float,
) -> Scene:
    """Lay out the figure: the overview, and the region from every pane."""
    margin, caption, gap = round(16 * pixel_ratio), round(44 * pixel_ratio), round(12 * pixel_ratio)
    room = Size(max(canvas.width - 2 * margin, 1), max(canvas.height - 2 * margin, 1))
    crop = region.in_size(reference)
    layout = crops_layout(len(contents), room, reference, Size(crop.width, crop.height), gap, caption)
    boxes = (layout.overview, *layout.crops)
    # Centred as one: what the proportions leave over lies around the figure.
    left = (canvas.width - max(box.right for box in boxes)) // 2
    top = (canvas.height - max(box.bottom + caption for box in boxes)) // 2
    placed = [replace(box, x=box.x + left, y=box.y + top) for box in boxes]
    overview = _content(contents, comparison.a) or contents[0]
    whole = Viewport.fitting(reference, Size(placed[0].width, placed[0].height))
    parts = [Part("overview", overview, placed[0], placed[0], whole, caption_below=caption)]
    for content, box in zip(contents, placed[1:], strict=True):
        close = showing(reference, Size(box.width, box.height), region.area)
        pane = _pane(content, box, close, comparison, contents)
        parts.append(replace(pane, role="crop", caption_below=caption))
    return Scene(tuple(parts))


def _pane(
    content: PaneContent,
    rect: PixelRect,
    viewport: Viewport,
    comparison: Comparison,
    contents: Sequence[PaneContent],
) -> Part:
    number = next(index for index, one in enumerate(contents, 1) if one is content)
    badge: Literal["A", "B"] | None = None
    if len(contents) > 1:
        badge = "A" if content.pane == comparison.a else "B" if content.pane == comparison.b else None
    return Part(
        "pane",
        content,
        rect,
        rect,
        viewport,
        badge,
        number if number <= 9 and len(contents) > 1 else None,
    )


def _content(contents: Sequence[PaneContent], pane: Pane | None) -> PaneContent | None:
    return next((content for content in contents if content.pane == pane), None)
