"""Measuring a selected region of a result that stays in its file."""

from __future__ import annotations

from srviewer.app.looked_at import COUNTED_SIDE, is_reading_fault
from srviewer.session.geometry import PixelRect, Size
from srviewer.session.regions import Readable, RegionFile, part_of, size_of
from srviewer.session.scores import Consistency, NotMeasured, Score, ScoreOrder

_REACH = 2
"""Input pixels beside a region that count: reduced by bicubic with antialiasing, a pixel is made of those of
the result up to two input pixels from its middle.
"""


def region_consistency(order: ScoreOrder, result: RegionFile, lr: Readable) -> Score:
    """Return the LR consistency of a region, of the pixels that the reduction of the whole has there.

    Parameters
    ----------
    order : whose region is meant.
    result : read by region; `order.scale` times as large as `lr`.
    lr : the networks' input.
    """
    from srviewer.analysis.metrics import MetricsError, lr_consistency
    from srviewer.imaging.resize import downscale

    region, scale = order.key.region, order.scale
    most = COUNTED_SIDE // scale
    if region is None or region.width > most or region.height > most:
        return NotMeasured(f"select a region of at most {most} × {most} px of the input to measure it")
    grown = _grown(region, size_of(lr))
    x, y = region.x - grown.x, region.y - grown.y
    inner = slice(y, y + region.height), slice(x, x + region.width)
    try:
        back = downscale(part_of(result, grown.times(scale)), scale)
        return Consistency(lr_consistency(part_of(lr, region), back[inner], 1))
    except MetricsError as error:
        return NotMeasured(str(error))
    except Exception as error:
        if not is_reading_fault(error):
            raise
        return NotMeasured(str(error) or "there is not enough memory for this region")


def _grown(region: PixelRect, size: Size) -> PixelRect:
    """Return a region with what counts beside it, as far as the image goes."""
    x, y = max(region.x - _REACH, 0), max(region.y - _REACH, 0)
    right, bottom = min(region.right + _REACH, size.width), min(region.bottom + _REACH, size.height)
    return PixelRect(x, y, right - x, bottom - y)
