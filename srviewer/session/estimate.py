"""What a run will cost, said before it: output size, time and memory."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from srviewer.engine.request import UpscaleOptions
from srviewer.session.entries import ResultFacts
from srviewer.session.geometry import Size
from srviewer.session.wording import bytes_text
from srviewer.zoo.spec import SPECS

_OUTPUT_PIXELS_720P = 1280 * 720  # what ModelSpec.multi_adds_720p counts for
_ENSEMBLE_RUNS = 8  # flips and rotations of a self-ensemble
_REMEMBERED = 200
_SHORTEST_SECONDS = 0.02  # below it a run measures the clock and the first call, not the network

Basis = Literal["measured", "derived"]
"""Whether a time comes from runs of this very network, or from another's by their Multi-Adds."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What is known of a network before it runs.

    Attributes
    ----------
    model : its reference.
    scale : its factor.
    multi_adds_720p : multiplications and additions for 1280 x 720 output pixels; 0 for interpolation, None if
        unknown.
    """

    model: str
    scale: int
    multi_adds_720p: float | None


def workload_of(reference: str, scale: int) -> Workload:
    """Return what is known of a network by its id (with any source); nothing but its scale for a
    checkpoint.
    """
    spec = SPECS.get(reference.partition("@")[0])
    return Workload(reference, scale, None if spec is None else spec.multi_adds_720p)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One finished run, as estimates learn from it.

    Attributes
    ----------
    workload : the network.
    device : the device that was asked for (``"auto"``, ``"cpu"``, ``"cuda:0"``).
    precision : the precision that was asked for.
    tile : the tile that was asked for.
    ensemble : whether it was a self-ensemble.
    output_pixels : of the result.
    seconds : time spent.
    peak_memory_bytes : during the run.
    in_memory : whether the result was kept in memory; else it was written to a file as it was made.
    """

    workload: Workload
    device: str
    precision: str
    tile: int | str
    ensemble: bool
    output_pixels: int
    seconds: float
    peak_memory_bytes: int
    in_memory: bool = True

    @classmethod
    def of(
        cls, workload: Workload, options: UpscaleOptions, facts: ResultFacts, *, in_memory: bool = True
    ) -> Measurement:
        """Return what a result, asked for with `options`, teaches."""
        return cls(
            workload,
            options.device,
            options.precision,
            options.tile,
            options.self_ensemble,
            facts.size.pixels,
            facts.seconds,
            facts.peak_memory_bytes,
            in_memory,
        )

    @property
    def seconds_per_pixel(self) -> float:
        """Seconds for an output pixel of one pass (a self-ensemble takes eight)."""
        return self.seconds / self.output_pixels / (_ENSEMBLE_RUNS if self.ensemble else 1)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will give and cost.

    Attributes
    ----------
    output : size of the result in pixels.
    result_bytes : memory of the result's pixels: exact.
    seconds : rough time; None where nothing comparable ran yet.
    basis : where `seconds` comes from; None without it.
    memory_bytes : rough peak, as such runs had it (resident set on a CPU, allocated on CUDA); None where none
        ran.
    file_memory_bytes : the same, if the result is written to a file as it is made.
    """

    output: Size
    result_bytes: int
    seconds: float | None = None
    basis: Basis | None = None
    memory_bytes: int | None = None
    file_memory_bytes: int | None = None


class History:
    """The runs that estimates learn from, the latest of them."""

    def __init__(self, measurements: Iterable[Measurement] = ()) -> None:
        self._measurements = list(measurements)[-_REMEMBERED:]

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All that is remembered, the oldest first."""
        return tuple(self._measurements)

    def add(self, measurement: Measurement) -> None:
        """Remember a run; the oldest is forgotten beyond 200. One too short to teach anything is not
        remembered.
        """
        if measurement.seconds >= _SHORTEST_SECONDS and measurement.output_pixels > 0:
            self._measurements = [*self._measurements, measurement][-_REMEMBERED:]

    def estimate(self, workload: Workload, lr: Size, bits: int, options: UpscaleOptions) -> Estimate:
        """Return what running a network on an image of size `lr` will give and cost.

        Only runs on the same device and in the same precision count. Time comes from this network's runs (the
        median of the latest five), else from other networks' in proportion to their Multi-Adds.
        Memory comes from this network's runs alone: its part that grows with the image is the pictures', the
        rest is the tiles' and stays. Of runs to files none grows: the most that one took is told.
        """
        output = lr.times(workload.scale)
        result_bytes = output.pixels * 3 * (bits // 8)
        comparable = [
            run
            for run in self._measurements
            if (run.device, run.precision) == (options.device, options.precision)
        ]
        passes = _ENSEMBLE_RUNS if options.self_ensemble else 1
        own = [run for run in comparable if run.workload == workload]
        alike = [run for run in own if run.tile == options.tile]
        rate, basis = _rate(workload, own, comparable)
        return Estimate(
            output=output,
            result_bytes=result_bytes,
            seconds=None if rate is None else rate * output.pixels * passes,
            basis=basis,
            memory_bytes=_memory([run for run in alike if run.in_memory], output, bits),
            file_memory_bytes=_file_memory([run for run in alike if not run.in_memory], output),
        )


def _rate(
    workload: Workload, own: list[Measurement], comparable: list[Measurement]
) -> tuple[float | None, Basis | None]:
    """Return seconds per output pixel of one pass, and where that comes from."""
    if own:
        return statistics.median(run.seconds_per_pixel for run in own[-5:]), "measured"
    if not workload.multi_adds_720p:
        return None, None  # unknown, or interpolation: Multi-Adds say nothing about it
    rates = [
        run.seconds_per_pixel / (run.workload.multi_adds_720p / _OUTPUT_PIXELS_720P)
        for run in comparable
        if run.workload.multi_adds_720p
    ]
    if not rates:
        return None, None
    return statistics.median(rates[-10:]) * workload.multi_adds_720p / _OUTPUT_PIXELS_720P, "derived"


def _file_memory(runs: list[Measurement], output: Size) -> int | None:
    """Return the largest peak of runs to files; what much smaller ones took says nothing."""
    peaks = [run.peak_memory_bytes for run in runs if 4 * run.output_pixels >= output.pixels]
    return max(peaks, default=None)


def _memory(runs: list[Measurement], output: Size, bits: int) -> int | None:
    """Return the peak of the run nearest in size, with the difference of the two results' pixels added."""
    if not runs:
        return None
    nearest = min(runs, key=lambda run: abs(run.output_pixels - output.pixels))
    if not 0.25 <= output.pixels / nearest.output_pixels <= 64:
        return None  # too far away: the tiles of a tiny image say nothing about a large one's
    grown = (output.pixels - nearest.output_pixels) * 3 * (bits // 8)
    return max(nearest.peak_memory_bytes + grown, 0)


def duration_text(seconds: float) -> str:
    """Return a time as users read it: ``"0.4 s"``, ``"0:41"``, ``"1:02:05"``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def estimate_text(estimate: Estimate) -> str:
    """Return an estimate as one line: ``"16000 × 24000 · about 0:41 · needs about 1.30 GB"``."""
    parts = [str(estimate.output)]
    if estimate.seconds is not None:
        parts.append(f"about {duration_text(estimate.seconds)}")
    if estimate.memory_bytes is not None:
        parts.append(f"needs about {bytes_text(estimate.memory_bytes)}")
    else:
        parts.append(f"at least {bytes_text(estimate.result_bytes)} for the result")
    return " · ".join(parts)
