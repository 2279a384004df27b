"""How numbers read, in the window and on the command line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a type only: numbers read alike wherever they come from
    from srviewer.session.entries import SeamCheck

NOTHING = "–"
"""Stands where there is no value."""

_BYTE_UNITS = ("B", "KB", "MB", "GB", "TB")
_COUNT_UNITS = ("", " K", " M", " G", " T")


def bytes_text(count: float | None) -> str:
    """Return an amount of memory in powers of 1024, three digits of it: ``"210 MB"``, ``"1.21 GB"``."""
    if count is None:
        return NOTHING
    unit = 0
    while unit + 1 < len(_BYTE_UNITS) and count >= 999.5:
        count /= 1024
        unit += 1
    digits = 0 if unit < 3 or count >= 99.95 else 1 if count >= 9.995 else 2
    if 0 < unit < 3 and count < 9.95:
        digits = 1
    return f"{count:.{digits}f} {_BYTE_UNITS[unit]}"


def count_text(count: float | None) -> str:
    """Return a large count as papers print it: ``"352 K"``, ``"1.01 M"``, ``"19.2 G"``."""
    if count is None:
        return NOTHING
    unit = 0
    while unit + 1 < len(_COUNT_UNITS) and count >= 999.5:
        count /= 1000
        unit += 1
    digits = 0 if unit < 2 or count >= 99.95 else 1 if unit == 3 or count >= 9.995 else 2
    return f"{count:.{digits}f}{_COUNT_UNITS[unit]}"


def duration_text(seconds: float | None) -> str:
    """Return how long something took, three digits of it: ``"55 ms"``, ``"1.84 s"``, ``"3:05 min"``."""
    if seconds is None:
        return NOTHING
    if seconds < 0.9995:
        milliseconds = seconds * 1000
        return f"{milliseconds:.1f} ms" if milliseconds < 9.95 else f"{milliseconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.2f} s" if seconds < 9.995 else f"{seconds:.1f} s"
    return f"{clock_text(seconds)} {'h' if round(seconds) >= 3600 else 'min'}"


def clock_text(seconds: float) -> str:
    """Return a time to wait: ``"0:14"``, ``"12:05"``, ``"1:02:09"``; never 0:00 while something is left."""
    whole = max(math.ceil(seconds - 0.5), 1) if seconds > 0 else 0
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def decibels_text(decibels: float | None) -> str:
    """Return a PSNR without its unit, as tables print it: ``"22.09"``; ``"∞"`` where nothing differs."""
    if decibels is None:
        return NOTHING
    return "∞" if math.isinf(decibels) else f"{decibels:.2f}"


def similarity_text(ssim: float | None) -> str:
    """Return an SSIM as tables print it: ``"0.8161"``."""
    return NOTHING if ssim is None else f"{ssim:.4f}"


def difference_text(decibels: float | None) -> str:
    """Return a difference of two PSNRs with its sign: ``"+3.05"``, ``"−0.12"``, ``"0.00"``."""
    if decibels is None:
        return NOTHING
    text = f"{abs(decibels):.2f}"
    if float(text) == 0:
        return text
    return f"{'+' if decibels > 0 else '−'}{text}"


def throughput_text(megapixels_per_second: float) -> str:
    """Return a throughput: ``"9.8 MP/s"``, ``"0.42 MP/s"``, ``"118 MP/s"``."""
    rate = megapixels_per_second
    digits = 2 if rate < 0.995 else 1 if rate < 99.95 else 0
    return f"{rate:.{digits}f} MP/s"


def size_text(width: int, height: int) -> str:
    """Return a size in pixels: ``"256 × 170"``."""
    return f"{width} × {height}"


def seams_text(seams: SeamCheck) -> str:
    """Return how far a tiled result is from the untiled one: ``"seams 0.4/255 · 94.2 dB"``."""
    if seams.largest_difference == 0:
        return "no seams: equals the untiled result"
    psnr = "∞" if math.isinf(seams.psnr) else f"{seams.psnr:.1f}"
    return f"seams at most {seams.largest_difference:.2g}/255 · {psnr} dB to untiled"


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun: ``"1 image"``, ``"4 images"``."""
    return f"{count} {one if count == 1 else many or one + 's'}"
