"""Layers whose output depends on the whole image, evaluated on one part of it after another.

Their plain `forward` sees the whole image at once. `gather`, `join` and `spread` compute the same from parts:
every part hands in its share of a small tensor, that is finished once, and every part takes what it needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Span:
    """Pixels `start` up to `stop`, not included, along an axis of the whole image of `length` pixels."""

    start: int
    stop: int
    length: int

    @property
    def size(self) -> int:
        """How many pixels it has."""
        return self.stop - self.start

    def grown(self, margin: int, limit: Span) -> Span:
        """Return it with `margin` more pixels at either end, as far as `limit` goes."""
        return Span(max(limit.start, self.start - margin), min(limit.stop, self.stop + margin), self.length)


@dataclass(frozen=True)
class Area:
    """A rectangle of pixels of the whole image."""

    rows: Span
    columns: Span

    def grown(self, margin: int, limit: Area) -> Area:
        """Return it with `margin` more pixels on each side, as far as `limit` goes."""
        return Area(self.rows.grown(margin, limit.rows), self.columns.grown(margin, limit.columns))

    def cut(self, features: Tensor, part: Area, scale: int = 1) -> Tensor:
        """Return `part` of features (N x C x scale height x scale width) that lie on this area, as a view."""
        top, left = part.rows.start - self.rows.start, part.columns.start - self.columns.start
        return features[
            :,
            :,
            top * scale : (top + part.rows.size) * scale,
            left * scale : (left + part.columns.size) * scale,
        ]


class WholeImageLayer(nn.Module, ABC):
    """A layer that looks at the whole image.

    A `region` is what stands for the whole: the image itself, or a window of it that is wide enough for what
    lies outside not to be felt. Positions always count in the whole image.

    Attributes
    ----------
    margin : pixels around its part that `gather` must see.
    """

    margin: int = 0

    @abstractmethod
    def begin(self, region: Area, like: Tensor) -> Tensor:
        """Return what parts of `region` add their shares to; `like` (N x C x any) tells dtype and device."""

    @abstractmethod
    def gather(self, shared: Tensor, features: Tensor, crop: Area, core: Area, region: Area) -> None:
        """Add the share of the pixels of `core` to `shared`.

        Parameters
        ----------
        shared : from `begin`, changed in place.
        features : the layer's input on `crop`, N x C x crop height x crop width.
        crop : `core` and `margin` more on each side, as far as `region` goes.
        core : the part; the parts of a region cover each of its pixels once.
        region : as given to `begin`.
        """

    @abstractmethod
    def join(self, shared: Tensor, region: Area) -> Tensor:
        """Finish the small tensor when all parts have handed in their shares."""

    @abstractmethod
    def spread(self, joined: Tensor, crop: Area, region: Area) -> Tensor:
        """Return the layer's output on `crop`, N x C x crop height x crop width (or 1 x 1, if constant)."""


@dataclass(frozen=True)
class Windows:
    """The pooling windows along one axis: cell j takes the maximum over positions `low[j]` to `high[j]`.

    Attributes
    ----------
    low, high : int64, one for each cell, both growing; `high` is not included.
    """

    low: Tensor
    high: Tensor

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.low)

    def touched(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first cell that overlaps positions `start` to `stop`, and the first behind the last."""
        first = int(torch.searchsorted(self.high, start, right=True))
        return first, max(first, int(torch.searchsorted(self.low, stop)))


@cache
def even_windows(length: int, divisor: int) -> Windows:
    """Return the windows of adaptive pooling from `length` to length // divisor cells."""
    cells = length // divisor
    number = torch.arange(cells)
    return Windows(number * length // cells, -(-(number + 1) * length // cells))


@cache
def sliding_windows(length: int, size: int, stride: int) -> Windows:
    """Return the windows of unpadded pooling of `length` positions."""
    low = torch.arange(max(0, (length - size) // stride + 1)) * stride
    return Windows(low, low + size)


@cache
def nearest_cells(cells: int, length: int) -> Tensor:
    """Return which of `cells` each of `length` pixels takes when torch enlarges by the nearest neighbour."""
    # Asking torch itself is exact: its rounding decides where sides are no multiples of the cells.
    number = torch.arange(cells, dtype=torch.float64)[None, None, :, None]
    return F.interpolate(number, size=(length, 1), mode="nearest").flatten().long()


class PooledGrid(WholeImageLayer):
    """A layer that pools maxima over a grid on the whole image, works on them, and enlarges the outcome."""

    @abstractmethod
    def windows(self, length: int) -> Windows:
        """Return the windows along an axis of the whole image of `length` pixels."""

    @abstractmethod
    def work(self, pooled: Tensor) -> Tensor:
        """Map the pooled cells, N x C x h x w, to what is enlarged, of the same size."""

    @abstractmethod
    def positions(self, features: Tensor, crop: Area, core: Area) -> tuple[Tensor, int, int]:
        """Return what the windows look at, for the pixels of `core`, with its first row and column."""

    @abstractmethod
    def positions_of(self, span: Span) -> tuple[int, int]:
        """Return the first position, and the first behind the last, that belong to the pixels of `span`."""

    def begin(self, region: Area, like: Tensor) -> Tensor:
        """Return cells that hold no maximum yet."""
        (top, bottom), (left, right) = self._cells(region.rows), self._cells(region.columns)
        shape = like.shape[0], like.shape[1], bottom - top, right - left
        empty = torch.full(shape, float("-inf"), dtype=like.dtype, device=like.device)
        return empty.contiguous(memory_format=torch.channels_last)

    def gather(self, shared: Tensor, features: Tensor, crop: Area, core: Area, region: Area) -> None:
        """Raise the cells to the maxima over the positions of `core`."""
        values, top, left = self.positions(features, crop, core)
        if 0 in values.shape:
            return
        rows, columns = self.windows(core.rows.length), self.windows(core.columns.length)
        j, bottom = rows.touched(top, top + values.shape[2])
        i, right = columns.touched(left, left + values.shape[3])
        if j == bottom or i == right:
            return
        if not _aligned(values, top, left, rows, columns, (j, bottom), (i, right)):
            values = _maxima(values, 2, top, rows, j, bottom)
            values = _maxima(values, 3, left, columns, i, right)
        else:
            values = F.max_pool2d(values, int(rows.high[j] - rows.low[j]))
        j -= self._cells(region.rows)[0]
        i -= self._cells(region.columns)[0]
        place = shared[:, :, j : j + values.shape[2], i : i + values.shape[3]]
        torch.maximum(place, values, out=place)

    def join(self, shared: Tensor, region: Area) -> Tensor:
        """Work on the cells. Those that no position of the region reached take the nearest one's value."""
        return self.work(shared)

    def _cells(self, span: Span) -> tuple[int, int]:
        """Return the first cell, and the first behind the last, that `span` of a region has."""
        windows = self.windows(span.length)
        if span.size == span.length:
            return 0, windows.cells
        return windows.touched(*self.positions_of(span))

    def _nearest(self, axis: Span, region: Span, device: torch.device) -> Tensor:
        """Return which cell of the region each pixel of `axis` takes, as torch's "nearest" chooses it."""
        chosen = nearest_cells(self.windows(axis.length).cells, axis.length)
        first, last = self._cells(region)
        return (chosen[axis.start : axis.stop].clamp(first, last - 1) - first).to(device)

    def _between(self, axis: Span, region: Span, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the two cells that each pixel of `axis` lies between, and the share of the second.

        As torch's "bilinear" without `align_corners`: pixel areas are aligned.
        """
        cells = self.windows(axis.length).cells
        wide = torch.float64 if like.dtype == torch.float64 else torch.float32
        pixel = torch.arange(axis.start, axis.stop, dtype=wide)
        place = ((pixel + 0.5) * (cells / axis.length) - 0.5).clamp_min(0)
        lower = place.long().clamp_max(cells - 1)
        upper = (lower + 1).clamp_max(cells - 1)
        first, last = self._cells(region)
        share = (place - lower).to(like.device)
        lower, upper = (one.clamp(first, last - 1).sub(first).to(like.device) for one in (lower, upper))
        return lower, upper, share

    def nearest(self, joined: Tensor, crop: Area, region: Area) -> Tensor:
        """Enlarge cells to `crop` by the nearest neighbour."""
        rows = self._nearest(crop.rows, region.rows, joined.device)
        columns = self._nearest(crop.columns, region.columns, joined.device)
        # Columns while there are few rows: with the channels last, whole rows are copied much faster.
        return joined.index_select(3, columns).index_select(2, rows)

    def bilinear(self, joined: Tensor, crop: Area, region: Area) -> Tensor:
        """Enlarge cells to `crop` by bilinear interpolation."""
        lower, upper, share = self._between(crop.columns, region.columns, joined)
        wide = joined.to(share.dtype)
        wide = torch.lerp(wide.index_select(3, lower), wide.index_select(3, upper), share)
        lower, upper, share = self._between(crop.rows, region.rows, joined)
        wide = torch.lerp(wide.index_select(2, lower), wide.index_select(2, upper), share[:, None])
        return wide.to(joined.dtype)


def strided_positions(span: Span, before: int, after: int, crop: Span) -> tuple[int, int]:
    """Return which outputs of a convolution of stride 2 belong to `span`: those whose pixel 2 i lies in it.

    Left out are those whose window, pixels 2 i - `before` to 2 i + `after`, is neither inside `crop` nor, as
    zeros, beyond the image's border, if `before` says that the convolution is padded.
    """
    first, stop = -(-span.start // 2), -(-span.stop // 2)
    if crop.start > 0:
        first = max(first, -(-(crop.start + before) // 2))
    beyond = before  # rows of zeros behind the last
    end = crop.stop if crop.stop < span.length else span.length + beyond
    return first, max(first, min(stop, (end - 1 - after) // 2 + 1))


def _aligned(
    values: Tensor,
    top: int,
    left: int,
    rows: Windows,
    columns: Windows,
    touched_rows: tuple[int, int],
    touched_columns: tuple[int, int],
) -> bool:
    """Tell whether the cells' windows are equal squares that tile exactly these positions."""
    (j, bottom), (i, right) = touched_rows, touched_columns
    side = int(rows.high[j] - rows.low[j])
    height, width = values.shape[2:]
    return (
        int(rows.low[j]) == top
        and int(columns.low[i]) == left
        and height == side * (bottom - j)
        and width == side * (right - i)
        and int(rows.high[bottom - 1]) == top + height
        and int(columns.high[right - 1]) == left + width
        and rows.low[j + 1 : bottom].equal(rows.high[j : bottom - 1])
        and columns.low[i + 1 : right].equal(columns.high[i : right - 1])
        and bool((rows.high[j:bottom] - rows.low[j:bottom] == side).all())
        and bool((columns.high[i:right] - columns.low[i:right] == side).all())
    )


def _maxima(values: Tensor, axis: int, start: int, windows: Windows, first: int, stop: int) -> Tensor:
    """Return, for cells `first` to `stop`, the maxima over the positions of their windows that are here."""
    low, high = windows.low[first:stop], windows.high[first:stop]
    low, high = low.clamp_min(start), high.clamp_max(start + values.shape[axis])
    most = int((high - low).max())
    index = torch.minimum(low[:, None] + torch.arange(most), high[:, None] - 1) - start
    index = index.to(values.device)
    result = values.index_select(axis, index[:, 0])
    for k in range(1, most):
        result = torch.maximum(result, values.index_select(axis, index[:, k]))
    return result
