"""The figure of quality against cost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from srviewer.report.drawing import POINTS_PER_INCH, FigureError, font, text_width

Cost = Literal["params", "multi_adds", "activations", "runtime_ms", "peak_memory_bytes"]
"""What a network's quality can be drawn against: the fields of a benchmark's row."""

_AXES: MappingProxyType[Cost, tuple[str, float]] = MappingProxyType(
    {
        "params": ("Parameters [K]", 1e3),
        "multi_adds": ("Multi-Adds [G], 1280×720 output", 1e9),
        "activations": ("Activations [M], 1280×720 output", 1e6),
        "runtime_ms": ("Time [ms], 256×256 input", 1.0),
        "peak_memory_bytes": ("Peak memory [MB], 256×256 input", 1e6),
    }
)
# Okabe and Ito's colours, which the colour-blind can tell apart; yellow is left out, it is too pale on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_STEPS = (1, 2, 2.5, 5, 10)
_LOGARITHMIC_FROM = 8.0
# Points kept free around a name and a marker, so that a name is not read as the neighbour's.
_CLEARANCE = 2.5
_TEXT_SIZE, _LABEL_SIZE = 7.5, 7.0
_MARKER_POINTS = 6.0


@dataclass(frozen=True)
class ScatterPoint:
    """One network in the figure.

    Attributes
    ----------
    label : its name.
    family : networks of one family share marker and colour.
    cost : in the unit of the benchmark's row; 0 (interpolation) is told beside the axes, since it has no
        place on them.
    psnr_y : dB.
    """

    label: str
    family: str
    cost: float
    psnr_y: float


@dataclass(frozen=True)
class _Box:
    """A rectangle in points on the page."""

    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: _Box) -> float:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.top - self.bottom)


def scatter_figure(
    points: Sequence[ScatterPoint],
    cost: Cost,
    *,
    title: str,
    width: float = 3.5,
    height: float = 2.7,
    dark: bool = False,
) -> Figure:
    """Draw PSNR against what it costs, each network with its name.

    Parameters
    ----------
    points : at least one with a cost above 0.
    cost : what the networks cost; its axis is logarithmic where the dearest costs 8 times the cheapest or
        more.
    title : names the test set and the scale.
    width, height : in inches.
    dark : light ink on dark ground, for the window.

    Raises
    ------
    FigureError
        There is no point to draw.
    """
    placed = [point for point in points if point.cost > 0]
    if not placed:
        raise FigureError("there is no network to draw whose cost is known")
    ink, ground, grid = ("#d8dce2", "#1f2329", "#3a4048") if dark else ("#1a1a1a", "white", "#e3e3e3")
    axis_title, unit = _AXES[cost]
    figure = Figure(figsize=(width, height), facecolor=ground)
    axes = figure.add_axes((0.5 / width, 0.42 / height, 1 - 0.6 / width, 1 - 0.66 / height), facecolor=ground)
    families = list(dict.fromkeys(point.family for point in placed))
    colours = dict(zip(families, itertools.cycle(_COLOURS), strict=False))
    markers = dict(zip(families, itertools.cycle(_MARKERS), strict=False))
    for point in placed:
        axes.plot(
            [point.cost / unit],
            [point.psnr_y],
            linestyle="none",
            marker=markers[point.family],
            markersize=_MARKER_POINTS,
            color=colours[point.family],
            markeredgecolor=ground,
            markeredgewidth=0.6,
            zorder=3,
        )
    _set_limits(axes, [point.cost / unit for point in placed], [point.psnr_y for point in placed])
    _style(axes, ink, grid)
    axes.set_xlabel(axis_title, fontproperties=font(_TEXT_SIZE), color=ink, labelpad=2)
    axes.set_ylabel("PSNR [dB]", fontproperties=font(_TEXT_SIZE), color=ink, labelpad=2)
    axes.set_title(
        title, fontproperties=font(_TEXT_SIZE, bold=True), color=ink, loc="left", pad=5, parse_math=False
    )
    free = [point for point in points if point.cost <= 0]
    if free:
        beside = ", ".join(f"{point.label} {point.psnr_y:.2f} dB" for point in free)
        axes.set_title(
            beside, fontproperties=font(_LABEL_SIZE - 0.5), color=ink, loc="right", pad=5, parse_math=False
        )
    _label(axes, placed, unit, ink)
    return figure


def _set_limits(axes: Axes, costs: Sequence[float], psnrs: Sequence[float]) -> None:
    """Leave room around the points for their names."""
    low, high = min(costs), max(costs)
    if high >= _LOGARITHMIC_FROM * low:
        axes.set_xscale("log")
        room = (high / low) ** 0.14
        axes.set_xlim(low / room, high * room)
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        room = 0.16 * (high - low) or 0.5 * high
        axes.set_xlim(max(0.0, low - room), high + room)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    room = max(0.14 * (max(psnrs) - min(psnrs)), 0.02)
    axes.set_ylim(min(psnrs) - room, max(psnrs) + room)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=_STEPS))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2f}"))


def _style(axes: Axes, ink: str, grid: str) -> None:
    axes.grid(visible=True, color=grid, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(colors=ink, length=2.5, width=0.6, pad=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(ink)
        axes.spines[side].set_linewidth(0.6)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontproperties(font(_LABEL_SIZE))


def _label(axes: Axes, points: Sequence[ScatterPoint], unit: float, ink: str) -> None:
    """Put each name beside its point, where it covers the least of markers, other names and the border."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    # Points on the page from pixels of whatever resolution the figure has now.
    per_pixel = POINTS_PER_INCH / figure.dpi
    centres = [
        tuple(axes.transData.transform((point.cost / unit, point.psnr_y)) * per_pixel) for point in points
    ]
    reach = _MARKER_POINTS / 2 + _CLEARANCE / 2
    taken = [_Box(x - reach, y - reach, x + reach, y + reach) for x, y in centres]
    frame = axes.get_window_extent()
    inside = _Box(frame.x0 * per_pixel, frame.y0 * per_pixel, frame.x1 * per_pixel, frame.y1 * per_pixel)
    face = font(_LABEL_SIZE)
    for point, (x, y) in zip(points, centres, strict=True):
        width = text_width(point.label, face)
        best = min(
            _candidates(x, y, width, _LABEL_SIZE),
            key=lambda box: sum(box.overlap(other) for other in taken) + 2 * (box.area - box.overlap(inside)),
        )
        taken.append(_Box(best.left, best.bottom - _CLEARANCE, best.right, best.top + _CLEARANCE))
        axes.annotate(
            point.label,
            (point.cost / unit, point.psnr_y),
            xytext=(best.left - x, best.bottom - y),
            textcoords="offset points",
            fontproperties=face,
            color=ink,
            horizontalalignment="left",
            verticalalignment="bottom",
            parse_math=False,
        )


def _candidates(x: float, y: float, width: float, height: float) -> Iterator[_Box]:
    """Yield places for a name around its point, the best liked first."""
    near, far = _MARKER_POINTS / 2 + 2, _MARKER_POINTS / 2 + 1
    corners = (
        (x + near, y - height / 2),
        (x - width / 2, y + far),
        (x - width / 2, y - far - height),
        (x - near - width, y - height / 2),
        (x + far, y + far),
        (x + far, y - far - height),
        (x - far - width, y + far),
        (x - far - width, y - far - height),
    )
    for left, bottom in corners:
        yield _Box(left, bottom, left + width, bottom + height)
