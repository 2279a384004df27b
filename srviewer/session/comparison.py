"""How the panes are compared: which panes there are, the mode, its divider, flip and difference."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from srviewer.session.geometry import Point, Size


class Mode(enum.Enum):
    """The ways of comparing."""

    GRID = "grid"
    WIPE = "wipe"
    FLIP = "flip"
    DIFFERENCE = "difference"
    CROPS = "crops"


class PaneKind(enum.Enum):
    """What a pane shows."""

    INPUT = "input"
    RESULT = "result"
    TRUTH = "truth"
    MAP = "map"


@dataclass(frozen=True, slots=True)
class Pane:
    """One pane: the input, one network's result (by the network's reference), the ground truth, or a map.

    A map (a network's features) is named by `model` as well, in whatever words it was sent to the canvas.
    """

    kind: PaneKind
    model: str = ""


INPUT_PANE = Pane(PaneKind.INPUT)
TRUTH_PANE = Pane(PaneKind.TRUTH)

Orientation = Literal["vertical", "horizontal"]
"""Which way the wipe's divider stands."""

ColourMap = Literal["grey", "inferno", "viridis", "turbo"]
"""How a difference is coloured."""

SMALLEST_GAIN, LARGEST_GAIN = 1.0, 64.0


def comparison_panes(ticked: Sequence[str], *, has_truth: bool, maps: Sequence[str] = ()) -> tuple[Pane, ...]:
    """Return the panes from left to right: the ticked networks, then the ground truth, then maps; the input
    if none is ticked.
    """
    panes = [Pane(PaneKind.RESULT, model) for model in ticked] or [INPUT_PANE]
    if has_truth:
        panes.append(TRUTH_PANE)
    panes.extend(Pane(PaneKind.MAP, name) for name in maps)
    return tuple(panes)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The mode and what belongs to it; every change gives a new one.

    Attributes
    ----------
    mode : how the panes are compared.
    a, b : the two panes that wipe, flip and difference compare; None where there is no such pane.
    divider : where the wipe's divider stands: 0 (left or top edge of the pane) to 1.
    orientation : whether the divider is a vertical line (A left, B right) or a horizontal one (A above B).
    flipped : whether flip mode shows B.
    gain : what a difference is multiplied by.
    colour_map : how a difference is coloured.
    """

    mode: Mode = Mode.GRID
    a: Pane | None = None
    b: Pane | None = None
    divider: float = 0.5
    orientation: Orientation = "vertical"
    flipped: bool = False
    gain: float = 4.0
    colour_map: ColourMap = "inferno"

    def __post_init__(self) -> None:
        if not 0 <= self.divider <= 1:
            raise ValueError(f"a divider at {self.divider} is not within its pane")
        if not SMALLEST_GAIN <= self.gain <= LARGEST_GAIN:
            raise ValueError(f"a gain of {self.gain} is not within {SMALLEST_GAIN:g}..{LARGEST_GAIN:g}")

    def settled(self, panes: Sequence[Pane]) -> Comparison:
        """Keep A and B where those panes still exist; choose others where not.

        A falls back on the last network's pane (the base line usually comes first), B on the ground truth if
        there is one, else on the first pane that is not A. With a single pane there is no B.
        """
        networks = [pane for pane in panes if pane.kind not in (PaneKind.TRUTH, PaneKind.MAP)]
        candidates = networks or panes
        fallback = candidates[-1] if candidates else None
        a = self.a if self.a in panes else fallback
        others = [pane for pane in panes if pane != a]
        if self.b in others:
            b = self.b
        elif not others:
            b = None
        else:
            b = TRUTH_PANE if TRUTH_PANE in others else others[0]
        return replace(self, a=a, b=b)

    def with_mode(self, mode: Mode) -> Comparison:
        """Change the mode; flip starts with A."""
        return replace(self, mode=mode, flipped=False)

    def with_a(self, pane: Pane) -> Comparison:
        """Choose pane A; if it was B, the two swap."""
        return replace(self, a=pane, b=self.a if pane == self.b else self.b)

    def with_b(self, pane: Pane) -> Comparison:
        """Choose pane B; if it was A, the two swap."""
        return replace(self, b=pane, a=self.b if pane == self.a else self.a)

    def swapped(self) -> Comparison:
        """Swap A and B."""
        return replace(self, a=self.b, b=self.a)

    def with_flip(self, flipped: bool | None = None) -> Comparison:
        """Show B (True) or A (False) in flip mode; None toggles."""
        return replace(self, flipped=not self.flipped if flipped is None else flipped)

    @property
    def shown(self) -> Pane | None:
        """The pane that flip mode shows now."""
        return self.b if self.flipped and self.b is not None else self.a

    def with_divider_at(self, point: Point, pane: Size) -> Comparison:
        """Drag the wipe's divider to `point` (pane pixels) of a pane of that size; it stays within the
        pane.
        """
        share = point.x / pane.width if self.orientation == "vertical" else point.y / pane.height
        return replace(self, divider=min(max(share, 0.0), 1.0))

    def divider_pixel(self, pane: Size) -> float:
        """Return where the divider stands, in pane pixels from the left (vertical) or from the top
        (horizontal).
        """
        return self.divider * (pane.width if self.orientation == "vertical" else pane.height)

    def near_divider(self, point: Point, pane: Size, reach: float = 6.0) -> bool:
        """Return whether `point` (pane pixels) is close enough to the divider to take hold of it."""
        along = point.x if self.orientation == "vertical" else point.y
        return self.mode is Mode.WIPE and abs(along - self.divider_pixel(pane)) <= reach

    def turned(self) -> Comparison:
        """Turn the divider from vertical to horizontal or back."""
        return replace(self, orientation="horizontal" if self.orientation == "vertical" else "vertical")

    def with_gain(self, gain: float) -> Comparison:
        """Multiply the difference by `gain`, kept within the limits."""
        return replace(self, gain=min(max(gain, SMALLEST_GAIN), LARGEST_GAIN))

    def with_colour_map(self, colour_map: ColourMap) -> Comparison:
        """Colour the difference otherwise."""
        return replace(self, colour_map=colour_map)
