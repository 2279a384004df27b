"""The figures of power spectra: of pictures, and of features before and after attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatterMathtext, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from srviewer.analysis.features import screen_normalised
from srviewer.analysis.spectrum import CUT_OFF, Spectrum, ratio
from srviewer.report.drawing import FigureError, font
from srviewer.report.figures import PAGE_WIDTH
from srviewer.report.sheet import (
    INK,
    LABEL_SIZE,
    LINE_INKS,
    LINE_STYLES,
    Sheet,
    label_axes,
    picture_only,
    plain_lines,
    thinned,
)

_MOST_COLUMNS = 6
_LEFT, _RIGHT, _GAP, _LINE = 0.45, 0.08, 0.1, 0.16
_BAR = 0.08
_CHART_HEIGHT = 2.2
_COLOUR_MAP = "viridis"  # even steps of lightness, and readable for the colour-blind
_RANGE = 100.0  # dB below the highest that the colours span at most
_DARKEST = 0.01  # of the emptiest spectrum may share the darkest colour
_BLOCK_COLUMNS = 5
_SHORT_TITLE = 22  # characters, of which three stand side by side in a legend


@dataclass(frozen=True, eq=False)
class SpectrumCurve:
    """One spectrum of a figure.

    Attributes
    ----------
    title : ``"HR"``, a network's name.
    spectrum : of its picture.
    """

    title: str
    spectrum: Spectrum


@dataclass(frozen=True, eq=False)
class AttentionSpectra:
    """Features before and after one attention block.

    Attributes
    ----------
    title : the block's name.
    before, after : average feature maps, H x W of any range.
    spectrum_before, spectrum_after : theirs.
    """

    title: str
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    spectrum_before: Spectrum
    spectrum_after: Spectrum


def spectrum_figure(
    curves: Sequence[SpectrumCurve], *, cut_off: float = CUT_OFF, width: float = PAGE_WIDTH
) -> Figure:
    """Draw each spectrum in two dimensions, all in the same colours, and their densities in one chart.

    Parameters
    ----------
    curves : at least one.
    cut_off : cycles per pixel; the legend tells the share above it.
    width : of the figure, in inches; its height follows.

    Raises
    ------
    FigureError
        There is nothing to draw.
    """
    if not curves:
        raise FigureError("there is no spectrum to draw")
    columns = min(len(curves), _MOST_COLUMNS)
    rows = math.ceil(len(curves) / columns)
    inner = width - _LEFT - _RIGHT - 0.5  # the colour bar and its numbers
    side = min((inner - (columns - 1) * _GAP) / columns, 1.8)
    row_height = side + _LINE + 0.06
    chart_top = rows * row_height + 0.45
    legend_columns = 3 if max(len(curve.title) for curve in curves) <= _SHORT_TITLE else 2
    legend_rows = 1 + math.ceil(len(curves) / legend_columns)
    sheet = Sheet(width, chart_top + _CHART_HEIGHT + 0.45 + legend_rows * 0.155)
    highest = max(float(curve.spectrum.log_power.max()) for curve in curves)
    lowest = min(float(np.quantile(thinned(curve.spectrum.log_power), _DARKEST)) for curve in curves)
    lowest = max(min(lowest, highest - 1), highest - _RANGE)
    for index, curve in enumerate(curves):
        row, column = divmod(index, columns)
        left, top = _LEFT + column * (side + _GAP), 0.05 + row * row_height + _LINE
        sheet.write(curve.title, left, top - 0.04, side)
        axes = sheet.axes(left, top, side, side)
        image = axes.imshow(
            thinned(curve.spectrum.log_power),
            extent=(-0.5, 0.5, 0.5, -0.5),
            aspect="auto",
            cmap=_COLOUR_MAP,
            vmin=lowest,
            vmax=highest,
            interpolation="antialiased",
        )
        axes.set_xticks([-0.5, 0, 0.5])
        axes.set_yticks([-0.5, 0, 0.5])
        last = index + columns >= len(curves)
        axes.tick_params(labelbottom=last, labelleft=column == 0)
        # the outer numbers would run into the neighbour's
        for label in axes.get_xticklabels()[:1]:
            label.set_horizontalalignment("left")
        for label in axes.get_xticklabels()[2:]:
            label.set_horizontalalignment("right")
        label_axes(axes, "x [cycles/px]" if last else "", "y [cycles/px]" if column == 0 else "")
        if index == columns - 1:
            bar = sheet.axes(left + side + _GAP, top, _BAR, side)
            sheet.figure.colorbar(image, cax=bar)
            label_axes(bar, "", "Power [dB]")
    chart = sheet.axes(_LEFT + 0.1, chart_top, width - _LEFT - _RIGHT - 0.1, _CHART_HEIGHT)
    inks, styles = cycle(LINE_INKS), cycle(LINE_STYLES)
    for curve in curves:
        share = curve.spectrum.high_frequency_share(cut_off)
        _line(chart, curve.spectrum, f"{curve.title}: {share:.3g} %", next(inks), next(styles))
    _mark(chart, cut_off)
    label_axes(chart, "Frequency [cycles/px]", "Density [%]")
    legend = chart.legend(
        prop=font(LABEL_SIZE),
        title=f"Share above {cut_off:g} cycles/px",
        frameon=False,
        handlelength=2.6,
        ncols=legend_columns,
        loc="upper left",
        bbox_to_anchor=(0, -0.38 / _CHART_HEIGHT),
        borderaxespad=0,
        alignment="left",
    )
    legend.get_title().set_fontproperties(font(LABEL_SIZE))
    return sheet.figure


def attention_spectrum_figure(
    blocks: Sequence[AttentionSpectra], *, cut_off: float = CUT_OFF, width: float = PAGE_WIDTH
) -> Figure:
    """Draw average features before and after each attention block, their densities and the ratio of these.

    Each map is stretched to black and white by itself (FMEN, figure 8).

    Parameters
    ----------
    blocks : at least one.
    cut_off : cycles per pixel; below each chart stands the share above it.
    width : of the figure, in inches; its height follows.

    Raises
    ------
    FigureError
        There is nothing to draw.
    """
    if not blocks:
        raise FigureError("there is no attention block to draw")
    columns = min(len(blocks), _BLOCK_COLUMNS)
    rows = math.ceil(len(blocks) / columns)
    gap = 0.3
    cell = min((width - _LEFT - _RIGHT - (columns - 1) * gap) / columns, 2.4)
    picture_width = (cell - 0.04) / 2
    shape = blocks[0].before.shape
    picture_height = min(picture_width * shape[0] / shape[1], 2 * picture_width)
    chart_height, ratio_height = 0.62 * cell, 0.4 * cell
    row_height = _LINE + picture_height + _LINE + chart_height + 0.08 + ratio_height + 0.5
    sheet = Sheet(width, rows * row_height + 0.05)
    for index, block in enumerate(blocks):
        row, column = divmod(index, columns)
        left, top = _LEFT + column * (cell + gap), 0.05 + row * row_height
        sheet.write(block.title, left, top + 0.1, cell)
        top += _LINE
        for place, (name, plane) in enumerate((("before", block.before), ("after", block.after))):
            start = left + place * (picture_width + 0.04)
            axes = sheet.axes(start, top, picture_width, picture_height)
            axes.imshow(
                thinned(screen_normalised(plane)), cmap="gray", aspect="auto", interpolation="antialiased"
            )
            picture_only(axes)
            sheet.write(name, start, top + picture_height + 0.1, picture_width, size=LABEL_SIZE)
        top += picture_height + _LINE
        chart = sheet.axes(left, top, cell, chart_height)
        _line(chart, block.spectrum_before, "before", LINE_INKS[0], "--")
        _line(chart, block.spectrum_after, "after", LINE_INKS[1], "-")
        _mark(chart, cut_off)
        chart.tick_params(labelbottom=False)
        label_axes(chart, "", "Density [%]" if column == 0 else "")
        if index == 0:
            chart.legend(prop=font(6), frameon=False, handlelength=1.6, borderaxespad=0.1)
        top += chart_height + 0.08
        below = sheet.axes(left, top, cell, ratio_height)
        below.plot(
            block.spectrum_after.frequency,
            ratio(block.spectrum_after, block.spectrum_before),
            color=INK,
            linewidth=0.7,
        )
        below.axhline(1, color=INK, linewidth=0.4, linestyle=":")
        below.set_yscale("log")
        _number(below)
        _mark(below, cut_off)
        label_axes(below, "Frequency [cycles/px]", "Ratio" if column == 0 else "")
        shares = (one.high_frequency_share(cut_off) for one in (block.spectrum_before, block.spectrum_after))
        sheet.write(
            "> {:g}: {:.2g} → {:.2g} %".format(cut_off, *shares),
            left,
            top + ratio_height + 0.38,
            cell,
            size=LABEL_SIZE,
        )
    return sheet.figure


def _line(axes: Axes, spectrum: Spectrum, label: str, ink: str, style: str) -> None:
    there = spectrum.density > 0  # a logarithm has no place for nothing
    axes.plot(
        spectrum.frequency[there],
        spectrum.density[there],
        color=ink,
        linestyle=style,
        linewidth=0.9,
        # a single point has no line
        marker="o" if there.sum() == 1 else None,
        markersize=3,
        label=label.replace("$", r"\$"),
    )
    if there.any():
        axes.set_yscale("log")
        _number(axes)


def _mark(axes: Axes, cut_off: float) -> None:
    plain_lines(axes)
    axes.set_xlim(0, 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.axvline(cut_off, color=INK, linewidth=0.5, linestyle="--")
    axes.minorticks_off()


def _number(axes: Axes) -> None:
    """Give a logarithmic axis numbers between powers of ten where it has few of these."""
    lowest, highest = axes.get_ylim()
    axes.yaxis.set_minor_formatter(NullFormatter())
    if highest < 50 * lowest:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
    else:
        axes.yaxis.set_major_locator(LogLocator(numticks=6))
        axes.yaxis.set_major_formatter(LogFormatterMathtext())
