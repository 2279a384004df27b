"""What the worker does for the jobs that look inside a network, on its own thread."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtGui import QImage

from srviewer.app.file_runs import check_seams
from srviewer.app.heat import attribution_image, density_image, grey_image, pale_image, reduced
from srviewer.engine.request import Progress, UpscaleOptions
from srviewer.imaging.image import Image
from srviewer.session.analyses import (
    AnalysisOrder,
    AttributionOrder,
    FeaturesOrder,
    SeamsOrder,
    SpectraOrder,
)
from srviewer.session.entries import SeamCheck
from srviewer.session.geometry import PixelRect, Size

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from srviewer.analysis.features import FeatureRecord, TapFeatures
    from srviewer.analysis.lam import Attribution
    from srviewer.analysis.spectrum import Spectrum
    from srviewer.analysis.taps import AttentionBlock, Tap
    from srviewer.engine.device import Device
    from srviewer.zoo.model import LoadedModel

AVERAGES_BYTES = 128 << 20
"""Of average maps that one run of a network may keep; more taps are recorded in several runs."""

CHANNELS_BYTES = 128 << 20
"""Of single channels that stay in memory for the dock."""

_THUMBNAIL_SIDE = 128  # pixels: sharp at twice the dock's size
_AVERAGE_SIDE = 640
_SPECTRUM_SIDE = 512
_TELLING_SECONDS = 0.05


@dataclass(frozen=True, eq=False)
class FoundAttribution:
    """An attribution map and its pictures.

    Attributes
    ----------
    order : what was asked.
    attribution : the result.
    size : of the network's input.
    ground, heat, density : the input in pale grey; map and density as colours that let it through.
    """

    order: AttributionOrder
    attribution: Attribution
    size: Size
    ground: QImage
    heat: QImage
    density: QImage


@dataclass(frozen=True, eq=False)
class FoundTap:
    """The features at one tap and their pictures.

    Attributes
    ----------
    features : with as many channels as memory allows.
    average : their mean over the channels, stretched from black to white.
    thumbnails : single channels by number, small, each stretched by itself.
    """

    features: TapFeatures
    average: QImage
    thumbnails: tuple[tuple[int, QImage], ...] = ()


@dataclass(frozen=True, eq=False)
class FoundFeatures:
    """What a job of features recorded.

    Attributes
    ----------
    order : what was asked.
    model, name : the network's id, and its name in its paper.
    region : what was looked at, in the input's pixels.
    taps : the one that was asked for, or those of all `blocks`.
    blocks : attention blocks whose taps were recorded; none where a single tap was asked for.
    record : all of it as the figures take it; averages of blocks may be reduced.
    """

    order: FeaturesOrder
    model: str
    name: str
    region: PixelRect
    taps: tuple[FoundTap, ...]
    blocks: tuple[AttentionBlock, ...]
    record: FeatureRecord

    def at(self, tap: Tap) -> FoundTap:
        """Return what was found at a tap, which must have been recorded."""
        return next(found for found in self.taps if found.features.tap == tap)


@dataclass(frozen=True, eq=False)
class BlockSpectra:
    """Spectra of average features before and after an attention block.

    Attributes
    ----------
    label : the block's name.
    before, after : average features, H x W, any range, reduced to the size of a figure.
    spectrum_before, spectrum_after : of the unreduced averages; their images are reduced.
    """

    label: str
    before: NDArray[np.float32]
    after: NDArray[np.float32]
    spectrum_before: Spectrum
    spectrum_after: Spectrum


@dataclass(frozen=True, eq=False)
class FoundSpectra:
    """The spectra around every attention block of a network.

    Attributes
    ----------
    order : what was asked.
    model : the network's id.
    blocks : from first to last.
    """

    order: SpectraOrder
    model: str
    blocks: tuple[BlockSpectra, ...]


@dataclass(frozen=True, eq=False)
class FoundSeams:
    """How far a tiled result is from the untiled one.

    Attributes
    ----------
    order : what was asked.
    seams : the answer; its region is one of the picture that was given.
    """

    order: SeamsOrder
    seams: SeamCheck


Outcome = FoundAttribution | FoundFeatures | FoundSpectra | FoundSeams
"""What comes of an analysis."""


@dataclass(frozen=True, eq=False)
class Watch:
    """How an analysis tells how far it is, and hears that it has to stop.

    Attributes
    ----------
    told : gets each `Progress`.
    stopping : whether it has to stop.
    paused : whether it has to wait.
    """

    told: Callable[[Progress], None]
    stopping: Callable[[], bool]
    paused: Callable[[], bool]


def analyse(
    order: AnalysisOrder, model: LoadedModel, picture: Image, options: UpscaleOptions, watch: Watch
) -> Outcome:
    """Do what an order asks.

    Raises
    ------
    srviewer.analysis.lam.LamError, srviewer.analysis.features.FeatureError
        If it cannot be done; the message is one sentence.
    srviewer.engine.request.UpscaleError
        If there is no such device.
    srviewer.engine.request.Cancelled
        If `watch` said so.
    """
    from srviewer.engine.device import choose_device

    account = _Account(watch, choose_device(options.device))
    match order:
        case AttributionOrder():
            return _attribution(order, model, picture, options, account)
        case FeaturesOrder():
            return _features(order, model, picture, options, account)
        case SpectraOrder():
            return _spectra(order, model, picture, options, account)
        case SeamsOrder():
            account.progress(0, 1)
            return FoundSeams(order, check_seams(picture, model, options, account.stopping))


def small_spectrum(plane: NDArray[np.floating]) -> Spectrum:
    """Return the spectrum of a map, its image reduced to what a screen shows; its curve is exact."""
    from srviewer.analysis.spectrum import spectrum

    found = spectrum(plane)
    return dataclasses.replace(found, log_power=reduced(found.log_power, _SPECTRUM_SIDE))


class _Account:
    """Counts the steps of an analysis and tells of them."""

    def __init__(self, watch: Watch, device: Device) -> None:
        self.steps = 0
        self._watch = watch
        self._device = device
        self._begun = time.perf_counter()
        self._told = 0.0
        self._done = 0

    def progress(self, done: int, steps: int) -> None:
        """Tell that so many steps are done."""
        from srviewer.engine.telemetry import memory_in_use

        now = time.perf_counter()
        self.steps, self._done = steps, done
        if done not in (0, steps) and now - self._told < _TELLING_SECONDS:
            return
        self._told = now
        spent = now - self._begun
        each = spent / done if done else 0.0
        eta = each * (steps - done) if done else None
        memory = memory_in_use(self._device)
        self._watch.told(Progress(done, steps, spent, eta, each * 1000, 0.0, memory))

    def stopping(self) -> bool:
        """Return whether to stop; while the analysis is paused this waits."""
        begun = time.perf_counter()
        while self._watch.paused() and not self._watch.stopping():
            time.sleep(0.02)
        self._begun += time.perf_counter() - begun
        return self._watch.stopping()

    def passed(self) -> bool:
        """Count one more step, and return whether to stop."""
        self.progress(min(self._done + 1, self.steps), self.steps)
        return self.stopping()


def _attribution(
    order: AttributionOrder, model: LoadedModel, picture: Image, options: UpscaleOptions, account: _Account
) -> FoundAttribution:
    from srviewer.analysis.lam import LamOptions, Window, attribute
    from srviewer.imaging.colour import to_srgb

    box = order.window
    found = attribute(
        picture.pixels,
        model,
        Window(box.y, box.x, box.height, box.width),
        LamOptions(
            order.objective, order.path, order.steps, device=options.device, max_memory=options.max_memory
        ),
        progress=account.progress,
        cancelled=account.stopping,
    )
    return FoundAttribution(
        order,
        found,
        Size(picture.width, picture.height),
        pale_image(to_srgb(picture).pixels),
        attribution_image(found.map),
        density_image(found.density()),
    )


def _features(
    order: FeaturesOrder, model: LoadedModel, picture: Image, options: UpscaleOptions, account: _Account
) -> FoundFeatures:
    from srviewer.analysis.features import FeatureRecord, record
    from srviewer.analysis.taps import attention_blocks, find_taps

    region = order.region or PixelRect(0, 0, picture.width, picture.height)
    if order.tap is not None:
        wanted = tuple(tap for tap in find_taps(model, order.tap) if tap.name == order.tap)
        account.progress(0, len(wanted))
        recorded = record(
            picture.pixels,
            model,
            wanted,
            region=region.as_tuple(),
            channel_memory=CHANNELS_BYTES,
            device=options.device,
            max_memory=options.max_memory,
            cancelled=account.passed,
        )
        taps = tuple(_pictured(found, thumbnails=True) for found in recorded.features)
        return FoundFeatures(order, model.id, model.spec.name, region, taps, (), recorded)
    blocks = attention_blocks(model)
    averages = _averages(
        [tap for block in blocks for tap in (block.before, *block.attention, block.after)],
        model,
        picture,
        region,
        options,
        account,
        lambda one: dataclasses.replace(one, average=reduced(one.average)),
    )
    recorded = FeatureRecord(model.id, region.as_tuple(), averages)
    taps = tuple(_pictured(found, thumbnails=False) for found in averages)
    return FoundFeatures(order, model.id, model.spec.name, region, taps, blocks, recorded)


def _spectra(
    order: SpectraOrder, model: LoadedModel, picture: Image, options: UpscaleOptions, account: _Account
) -> FoundSpectra:
    from srviewer.analysis.taps import attention_blocks

    region = order.region or PixelRect(0, 0, picture.width, picture.height)
    blocks = attention_blocks(model)
    spectra: dict[Tap, tuple[NDArray[np.float32], Spectrum]] = {}

    def take(one: TapFeatures) -> TapFeatures:
        small = reduced(one.average)
        spectra[one.tap] = small, small_spectrum(one.average)
        return dataclasses.replace(one, average=small)

    wanted = [tap for block in blocks for tap in (block.before, block.after)]
    _averages(wanted, model, picture, region, options, account, take)
    found = []
    for block in blocks:
        (before, spectrum_before), (after, spectrum_after) = spectra[block.before], spectra[block.after]
        found.append(BlockSpectra(block.label, before, after, spectrum_before, spectrum_after))
    return FoundSpectra(order, model.id, tuple(found))


def _averages(
    wanted: list[Tap],
    model: LoadedModel,
    picture: Image,
    region: PixelRect,
    options: UpscaleOptions,
    account: _Account,
    keep: Callable[[TapFeatures], TapFeatures],
) -> tuple[TapFeatures, ...]:
    """Record average maps, in as many runs of the network as memory needs; `keep` reduces each."""
    from srviewer.analysis.features import record

    at_once = max(AVERAGES_BYTES // (4 * region.width * region.height), 1)
    wanted = list(dict.fromkeys(wanted))
    account.progress(0, len(wanted))
    kept: list[TapFeatures] = []
    for first in range(0, len(wanted), at_once):
        recorded = record(
            picture.pixels,
            model,
            wanted[first : first + at_once],
            region=region.as_tuple(),
            channels=(),
            device=options.device,
            max_memory=options.max_memory,
            cancelled=account.passed,
        )
        kept.extend(keep(one) for one in recorded.features)
    return tuple(kept)


def _pictured(found: TapFeatures, *, thumbnails: bool) -> FoundTap:
    from srviewer.analysis.features import screen_normalised

    single = tuple(
        (number, grey_image(screen_normalised(plane), _THUMBNAIL_SIDE))
        for number, plane in (found.channels.items() if thumbnails else ())
    )
    return FoundTap(found, grey_image(screen_normalised(found.average), _AVERAGE_SIDE), single)
