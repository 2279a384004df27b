"""Networks against test sets: the numbers behind the papers' tables."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from srviewer.analysis.complexity import Complexity, complexity
from srviewer.analysis.metrics import MetricsError, measure
from srviewer.engine.device import choose_device
from srviewer.engine.request import Cancelled, UpscaleError, UpscaleOptions, UpscaleResult
from srviewer.engine.upscale import upscale
from srviewer.imaging.files import ImageFileError
from srviewer.imaging.image import Image
from srviewer.report.datasets import Dataset, DatasetError, Pair, read_pair
from srviewer.report.rows import Benchmark, BenchmarkRow, Failure, ImageScore
from srviewer.report.runtime import Runtime, time_network
from srviewer.zoo.model import LoadedModel

PAPER_OPTIONS = UpscaleOptions(precision="fp32", tile="off")
"""How papers run their networks: single precision, the whole picture at once."""


class BenchmarkError(ValueError):
    """What was asked cannot be compared. The message is one sentence for the user."""


@dataclass(frozen=True)
class BenchmarkProgress:
    """How far a benchmark is, told after every picture of every network.

    Attributes
    ----------
    done, total : pictures, counted once for each network.
    dataset, model, image : what has just been measured.
    elapsed_seconds : since the start.
    eta_seconds : estimate of the time still needed.
    """

    done: int
    total: int
    dataset: str
    model: str
    image: str
    elapsed_seconds: float
    eta_seconds: float


def benchmark(
    models: Sequence[LoadedModel],
    datasets: Sequence[Dataset],
    *,
    options: UpscaleOptions = PAPER_OPTIONS,
    runtime: bool = False,
    baseline: str | None = None,
    progress: Callable[[BenchmarkProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Benchmark:
    """Run every network over every test set and average PSNR and SSIM by the papers' protocol.

    A picture that cannot be read costs its test set, a network that fails costs its own row: both are told in
    `Benchmark.failures`, and the rest is measured.

    Parameters
    ----------
    models : networks of one scale, each id once.
    datasets : test sets of that scale, each name once.
    options : how to run them.
    runtime : also time each network on inputs of 256 x 256 and of 320 x 180.
    baseline : id of the network, among `models`, that the trade-off columns compare with.
    progress : told after each picture.
    cancelled : asked between pictures and tiles.

    Raises
    ------
    BenchmarkError
        Scales differ, a name comes twice, there is nothing to run, or `baseline` is not among the networks.
    UpscaleError
        The device asked for is not there.
    Cancelled
        `cancelled` said so.
    """
    scale = _common_scale(models, datasets)
    base = None if baseline is None else _model_named(models, baseline)
    run = _Run(
        models, options, progress, cancelled, sum(len(dataset.pairs) for dataset in datasets) * len(models)
    )
    device = choose_device(options.device)
    counts = {model.id: complexity(model) for model in models}
    rows: list[BenchmarkRow] = []
    for dataset in datasets:
        for model_id, scores in run.over(dataset).items():
            rows.append(_row(model_id, dataset, scores, counts[model_id]))
    if runtime:
        rows = run.timed(rows)
    if base is not None:
        rows = _compared(rows, base.id)
    return Benchmark(
        rows=tuple(rows),
        scale=scale,
        device=device.name,
        precision=" and ".join(sorted(run.precisions)) or "fp32",
        tiled=run.tiled,
        baseline=None if base is None else base.id,
        notes=(*(f"{dataset.name}: {dataset.note}." for dataset in datasets if dataset.note), *run.notes),
        failures=tuple(run.failures),
    )


class _Run:
    """Takes the networks over one test set after the other, and remembers how it went."""

    def __init__(
        self,
        models: Sequence[LoadedModel],
        options: UpscaleOptions,
        progress: Callable[[BenchmarkProgress], None] | None,
        cancelled: Callable[[], bool] | None,
        total: int,
    ) -> None:
        self._models = models
        self._options = options
        self._progress = progress
        self._cancelled = cancelled
        self._total = total
        self._done = 0
        self._begin = time.perf_counter()
        self.precisions: set[str] = set()
        self.tiled = False
        self.notes: list[str] = []
        self.failures: list[Failure] = []

    def over(self, dataset: Dataset) -> dict[str, list[ImageScore]]:
        """Return the scores of the networks that came through the whole test set, by their ids."""
        scores: dict[str, list[ImageScore]] = {model.id: [] for model in self._models}
        for index, pair in enumerate(dataset.pairs):
            try:
                lr, hr = read_pair(pair, dataset.scale)
            except (DatasetError, ImageFileError) as error:
                self.failures.append(Failure(dataset.name, None, str(error)))
                self._total -= (len(dataset.pairs) - index) * len(scores)
                return {}
            for model in self._models:
                if model.id not in scores:
                    continue
                try:
                    scores[model.id].append(self._score(model, dataset, pair, lr, hr))
                except (MetricsError, UpscaleError) as error:
                    self.failures.append(Failure(dataset.name, model.id, f"{pair.name}: {error}"))
                    self._total -= len(dataset.pairs) - index
                    del scores[model.id]
                    continue
                self._tell(dataset, model, pair)
        return scores

    def timed(self, rows: Sequence[BenchmarkRow]) -> list[BenchmarkRow]:
        """Return the rows with the time and memory of their networks, each of which is timed once."""
        found: dict[str, tuple[Runtime | None, Runtime | None]] = {}
        for model in self._models:
            if all(row.model != model.id for row in rows):
                continue
            square = time_network(model, self._options, width=256, height=256, cancelled=self._cancelled)
            wide = time_network(model, self._options, width=320, height=180, cancelled=self._cancelled)
            if square is None or wide is None:
                self._note(f"{model.id}: the memory does not suffice to time it untiled.")
            found[model.id] = square, wide
        return [_timed(row, *found[row.model]) for row in rows]

    def _score(self, model: LoadedModel, dataset: Dataset, pair: Pair, lr: Image, hr: Image) -> ImageScore:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled
        result = upscale(lr, model, self._options, cancelled=self._cancelled)
        self._remember(result, model)
        measured = measure(result.image.pixels, hr.pixels, scale=dataset.scale)
        return ImageScore(pair.name, measured.psnr_y, measured.ssim_y, measured.psnr_rgb, result.seconds)

    def _remember(self, result: UpscaleResult, model: LoadedModel) -> None:
        if model.spec.family != "bicubic":  # which runs in fp32 whatever is asked for
            self.precisions.add(result.precision)
        self.tiled = self.tiled or result.tiles > 1
        if not result.exact:
            self._note(f"{result.model}: tiles change the result of this network.")
        if result.fp32_tiles:
            self._note(f"{result.model}: some tiles overflowed and ran in fp32.")

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _tell(self, dataset: Dataset, model: LoadedModel, pair: Pair) -> None:
        self._done += 1
        if self._progress is None:
            return
        elapsed = time.perf_counter() - self._begin
        eta = elapsed / self._done * (self._total - self._done)
        self._progress(
            BenchmarkProgress(self._done, self._total, dataset.name, model.id, pair.name, elapsed, eta)
        )


def _common_scale(models: Sequence[LoadedModel], datasets: Sequence[Dataset]) -> int:
    if not models or not datasets:
        raise BenchmarkError("a benchmark needs at least one network and one test set")
    scale = datasets[0].scale
    for dataset in datasets:
        if dataset.scale != scale:
            raise BenchmarkError(f"the test sets {datasets[0].name} and {dataset.name} differ in scale")
    for model in models:
        if model.scale != scale:
            raise BenchmarkError(f"{model.id} upscales by {model.scale}, not by {scale}")
    for kind, names in (
        ("network", [model.id for model in models]),
        ("test set", [set_.name for set_ in datasets]),
    ):
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise BenchmarkError(f"two {kind}s are called {twice}: their rows could not be told apart")
    return scale


def _model_named(models: Sequence[LoadedModel], name: str) -> LoadedModel:
    """Find a network by its id, or by its id without the source of its weights where only one fits."""
    fitting = [model for model in models if model.id == name] or [
        model for model in models if model.id.partition("@")[0] == name
    ]
    if len(fitting) != 1:
        listed = ", ".join(model.id for model in models)
        raise BenchmarkError(f"the base line {name} must be one of the networks that run: {listed}")
    return fitting[0]


def _row(model_id: str, dataset: Dataset, scores: list[ImageScore], counts: Complexity) -> BenchmarkRow:
    ssims = [score.ssim_y for score in scores if score.ssim_y is not None]
    return BenchmarkRow(
        model=model_id,
        dataset=dataset.name,
        scale=dataset.scale,
        images=len(scores),
        psnr_y=math.fsum(score.psnr_y for score in scores) / len(scores),
        # A mean over some of the pictures would pass for one over all.
        ssim_y=math.fsum(ssims) / len(ssims) if len(ssims) == len(scores) else None,
        params=counts.params,
        multi_adds=counts.multi_adds,
        activations=counts.activations,
        convs=counts.convs,
        scores=tuple(scores),
    )


def _timed(row: BenchmarkRow, square: Runtime | None, wide: Runtime | None) -> BenchmarkRow:
    return replace(
        row,
        runtime_ms=None if square is None else square.milliseconds,
        peak_memory_bytes=None if square is None else square.peak_memory_bytes,
        runtime_ms_320x180=None if wide is None else wide.milliseconds,
        peak_memory_bytes_320x180=None if wide is None else wide.peak_memory_bytes,
    )


def _compared(rows: Sequence[BenchmarkRow], baseline: str) -> list[BenchmarkRow]:
    """Fill the trade-off columns of every row that has the base line's row on its test set."""
    bases = {row.dataset: row for row in rows if row.model == baseline}
    return [
        _against(row, bases[row.dataset]) if row.dataset in bases and row.model != baseline else row
        for row in rows
    ]


def _against(row: BenchmarkRow, base: BenchmarkRow) -> BenchmarkRow:
    lost = base.psnr_y - row.psnr_y
    if not math.isfinite(lost):
        return row
    if lost <= 0:
        return replace(row, psnr_lost=lost)
    hundredths = lost / 0.01
    return replace(
        row,
        psnr_lost=lost,
        multi_adds_saved_per_hundredth_db=(base.multi_adds - row.multi_adds) / hundredths,
        params_saved_per_hundredth_db=(base.params - row.params) / hundredths,
    )
