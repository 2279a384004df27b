"""The figures of features: attention blocks side by side, and the channels of one tap."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from srviewer.analysis.features import FeatureRecord, TapFeatures, screen_normalised
from srviewer.analysis.taps import AttentionBlock
from srviewer.report.drawing import FigureError
from srviewer.report.figures import PAGE_WIDTH
from srviewer.report.sheet import LABEL_SIZE, LINE_INKS, Sheet, label_axes, picture_only, plain_lines, thinned

_MARGIN, _GAP, _LINE = 0.05, 0.06, 0.16
_BLOCK_COLUMNS = (5, 4, 6)
_TAP_COLUMNS, _CHANNEL_COLUMNS = 4, 8
_MOST_CHANNELS = 64
_ATTENTION_COLOURS = "viridis"
_SIDE_LABEL = 0.5


def attention_figure(
    record: FeatureRecord, blocks: Sequence[AttentionBlock], *, width: float = PAGE_WIDTH
) -> Figure:
    """Draw average features before each attention block, what they are multiplied by, and those after it.

    Features are stretched to black and white each by itself (FMEN, figure 8); attention maps have colours
    from their own lowest to their highest value, which stand below them. Weights per channel are bars.

    Parameters
    ----------
    record : has the taps of all `blocks`.
    blocks : at least one.
    width : of the figure, in inches; its height follows.

    Raises
    ------
    FigureError
        There is nothing to draw.
    """
    if not blocks:
        raise FigureError(f"{record.model} has no attention to draw")
    # full rows where that is possible
    columns = next((one for one in _BLOCK_COLUMNS if len(blocks) % one == 0), _BLOCK_COLUMNS[0])
    columns = min(len(blocks), columns)
    rows = math.ceil(len(blocks) / columns)
    aspect = min(2.0, record.region[3] / record.region[2])
    left_edge = _MARGIN + _SIDE_LABEL
    cell = (width - left_edge - _MARGIN - (columns - 1) * _GAP) / columns
    cell = min(cell, 2.2)
    height = cell * aspect
    most = max(len(block.attention) for block in blocks)
    row_height = _LINE + (2 + most) * (height + _GAP) + most * _LINE + 0.1
    sheet = Sheet(width, rows * row_height + _MARGIN)
    for index, block in enumerate(blocks):
        row, column = divmod(index, columns)
        left, top = left_edge + column * (cell + _GAP), _MARGIN + row * row_height + _LINE
        sheet.write(block.label, left, top - 0.05, cell)
        _grey(sheet.axes(left, top, cell, height), record.at(block.before).average)
        names = ["before"]
        places = [top]
        top += height + _GAP
        for tap in block.attention:
            found = record.at(tap)
            axes = sheet.axes(left, top, cell, height)
            if tap.kind == "channel_weights":
                _bars(axes, found)
            else:
                axes.imshow(
                    thinned(found.average),
                    cmap=_ATTENTION_COLOURS,
                    aspect="auto",
                    interpolation="antialiased",
                )
                picture_only(axes)
            values = found.channel_mean if tap.kind == "channel_weights" else found.average
            sheet.write(
                f"{float(values.min()):.2f} – {float(values.max()):.2f}",
                left,
                top + height + 0.12,
                cell,
                size=LABEL_SIZE,
            )
            names.append("attention" if len(names) == 1 else "local")
            places.append(top)
            top += height + _LINE + _GAP
        _grey(sheet.axes(left, top, cell, height), record.at(block.after).average)
        if column == 0:
            for name, place in zip([*names, "after"], [*places, top], strict=True):
                sheet.write(name, 0, place + height / 2, left_edge, size=LABEL_SIZE)
    return sheet.figure


def overview_figure(features: Sequence[TapFeatures], *, name: str, width: float = PAGE_WIDTH) -> Figure:
    """Draw the average maps of several taps, each stretched to black and white by itself.

    Parameters
    ----------
    features : at least one.
    name : of the network, for the error.
    width : of the figure, in inches; its height follows.

    Raises
    ------
    FigureError
        There is nothing to draw.
    """
    if not features:
        raise FigureError(f"{name} has no features to draw")
    columns = min(len(features), _TAP_COLUMNS)
    rows = math.ceil(len(features) / columns)
    cell = min((width - 2 * _MARGIN - (columns - 1) * _GAP) / columns, 2.6)
    aspect = min(2.0, max(found.shape[1] / found.shape[2] for found in features))
    row_height = cell * aspect + 2 * _LINE + 0.1
    sheet = Sheet(width, rows * row_height + _MARGIN)
    for index, found in enumerate(features):
        row, column = divmod(index, columns)
        left, top = _MARGIN + column * (cell + _GAP), _MARGIN + row * row_height + _LINE
        sheet.write(found.tap.label, left, top - 0.05, cell)
        axes = sheet.axes(left, top, cell, cell * aspect)
        if found.tap.kind == "channel_weights":
            _bars(axes, found)
        else:
            _grey(axes, found.average)
        sheet.write(_statistics(found), left, top + cell * aspect + 0.12, cell, size=LABEL_SIZE)
    return sheet.figure


def tap_figure(found: TapFeatures, *, name: str, width: float = PAGE_WIDTH) -> Figure:
    """Draw one tap: its average map, the mean of each channel with its standard deviation, and channels.

    At most 64 channels are drawn, each stretched to black and white by itself.

    Parameters
    ----------
    found : the features.
    name : of the network.
    width : of the figure, in inches; its height follows.
    """
    count, height, wide = found.shape
    aspect = min(2.0, height / wide)
    flat = found.tap.kind == "channel_weights"
    head = 2.0
    head_height = min(head * aspect, 3.0)
    shown = [] if flat else list(found.channels)[:_MOST_CHANNELS]
    cell = (width - 2 * _MARGIN - (_CHANNEL_COLUMNS - 1) * _GAP) / _CHANNEL_COLUMNS
    row_height = cell * aspect + _LINE
    channels_top = _LINE + head_height + 0.55
    sheet = Sheet(width, channels_top + math.ceil(len(shown) / _CHANNEL_COLUMNS) * row_height + _MARGIN)
    chart_left = 0.55
    if not flat:
        sheet.write("Average", _MARGIN, _LINE - 0.04, head)
        _grey(sheet.axes(_MARGIN, _LINE, head, head_height), found.average)
        chart_left += head + _MARGIN
    chart_width = width - chart_left - 0.1
    sheet.write(f"{name}, {found.tap.label}: {_statistics(found)}", chart_left, _LINE - 0.04, chart_width)
    chart = sheet.axes(chart_left, _LINE, chart_width, head_height)
    numbers = np.arange(count)
    if flat:
        _bars(chart, found)
    else:
        chart.errorbar(
            numbers,
            found.channel_mean,
            found.channel_std,
            fmt="o",
            markersize=2,
            linewidth=0.6,
            color=LINE_INKS[0],
        )
        plain_lines(chart)
    label_axes(chart, "Channel", "Weight" if flat else "Mean ± standard deviation")
    chart.set_xticks(_round_ticks(count))
    for index, number in enumerate(shown):
        row, column = divmod(index, _CHANNEL_COLUMNS)
        left, top = _MARGIN + column * (cell + _GAP), channels_top + row * row_height
        _grey(sheet.axes(left, top, cell, cell * aspect), found.channels[number])
        sheet.write(str(number), left, top + cell * aspect + 0.1, cell, size=LABEL_SIZE)
    return sheet.figure


def _grey(axes: Axes, plane: NDArray[np.float32]) -> None:
    axes.imshow(
        thinned(screen_normalised(plane)),
        cmap="gray",
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="antialiased",
    )
    picture_only(axes)


def _bars(axes: Axes, found: TapFeatures) -> None:
    axes.bar(np.arange(found.shape[0]), found.channel_mean, width=1.0, color=LINE_INKS[0])
    axes.set_ylim(0, 1)
    axes.set_xlim(-0.5, found.shape[0] - 0.5)
    picture_only(axes)


def _round_ticks(count: int) -> list[int]:
    step = 1 if count <= 10 else 10 * math.ceil(count / 100)
    return list(range(0, count, step))


def _statistics(found: TapFeatures) -> str:
    return f"{found.mean:.3g} ± {found.std:.3g} ({found.minimum:.3g} … {found.maximum:.3g})"
