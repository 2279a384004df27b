"""Features of a network at its taps: their average map, single channels and statistics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from srviewer.analysis.metrics import Region
from srviewer.analysis.taps import Tap, taps
from srviewer.engine.backends import EagerTorch, is_out_of_memory
from srviewer.engine.device import choose_device, free_memory
from srviewer.engine.footprint import footprint_of, memory_budget
from srviewer.engine.request import Cancelled
from srviewer.engine.upscale import true_fp32
from srviewer.imaging.image import Pixels
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.tensors import to_tensor

Plane = NDArray[np.float32]
"""H x W, float32."""

CHANNEL_MEMORY = 256 * 1024**2
"""Bytes of single channels that are kept unless told otherwise."""

# No network of the zoo takes more for its features: what fits at this rate is run without being measured.
_GENEROUS_BYTES_PER_PIXEL = 32 * 1024


class FeatureError(ValueError):
    """Features cannot be taken as asked. The message is one sentence for the user."""


@dataclass(frozen=True, eq=False)
class TapFeatures:
    """The features at one tap.

    Attributes
    ----------
    tap : where they come from.
    shape : channels, height, width; 1 x 1 for weights per channel.
    mean, std, minimum, maximum : over all channels (the standard deviation is the biased one).
    channel_mean, channel_std, channel_minimum, channel_maximum : C values each, float32.
    average : height x width, the mean over the channels, in the network's own range.
    channels : single channels, height x width each, by number; only as many as were asked for and fit.
    """

    tap: Tap
    shape: tuple[int, int, int]
    mean: float
    std: float
    minimum: float
    maximum: float
    channel_mean: NDArray[np.float32]
    channel_std: NDArray[np.float32]
    channel_minimum: NDArray[np.float32]
    channel_maximum: NDArray[np.float32]
    average: Plane
    channels: Mapping[int, Plane]

    @property
    def complete(self) -> bool:
        """Whether every channel was kept."""
        return len(self.channels) == self.shape[0]


@dataclass(frozen=True, eq=False)
class FeatureRecord:
    """The features of one network for one picture.

    Attributes
    ----------
    model : the network's id.
    region : the part of the picture that was looked at: x, y, width, height in its pixels.
    features : one entry per tap, in the order of `srviewer.analysis.taps.taps`.
    """

    model: str
    region: Region
    features: tuple[TapFeatures, ...]

    def at(self, tap: Tap) -> TapFeatures:
        """Return the features at one tap.

        Raises
        ------
        KeyError
            If it was not recorded.
        """
        for found in self.features:
            if found.tap == tap:
                return found
        raise KeyError(tap.name)


class Recorder:
    """What `recording` yields: it fills while the network runs.

    Attributes
    ----------
    channel_memory : bytes of single channels that may still be kept.
    """

    def __init__(
        self,
        *,
        channels: Sequence[int] | None,
        channel_memory: int,
        window: Region | None,
        cancelled: Callable[[], bool],
    ) -> None:
        self.channel_memory = channel_memory
        self._channels = channels
        self._window = window
        self._cancelled = cancelled
        self._found: dict[Tap, TapFeatures] = {}

    def features(self, order: Sequence[Tap]) -> tuple[TapFeatures, ...]:
        """Return what was recorded at `order`, leaving out taps that the network did not pass."""
        return tuple(self._found[tap] for tap in order if tap in self._found)

    def take(self, tap: Tap, value: Tensor) -> None:
        """Keep what is wanted of the first picture's features at once, for they may be overwritten."""
        if self._cancelled():
            raise Cancelled
        with torch.no_grad():
            self._found[tap] = self._kept(tap, value.detach()[0])

    def _kept(self, tap: Tap, features: Tensor) -> TapFeatures:
        if self._window is not None and tap.kind != "channel_weights":
            x, y, width, height = self._window
            features = features[:, y : y + height, x : x + width]
        wide = features if features.dtype == torch.float64 else features.float()
        count, height, width = wide.shape
        means = wide.mean(dim=(1, 2))
        variances = (wide - means[:, None, None]).square().mean(dim=(1, 2))
        lowest, highest = wide.amin(dim=(1, 2)), wide.amax(dim=(1, 2))
        mean = float(means.double().mean())
        # The variance over all is the mean of the channels' own plus that of their means.
        variance = float(variances.double().mean() + (means.double() - mean).square().mean())
        return TapFeatures(
            tap=tap,
            shape=(count, height, width),
            mean=mean,
            std=math.sqrt(variance),
            minimum=float(lowest.min()),
            maximum=float(highest.max()),
            channel_mean=_array(means),
            channel_std=_array(variances.sqrt()),
            channel_minimum=_array(lowest),
            channel_maximum=_array(highest),
            average=_array(wide.mean(dim=0)),
            channels=MappingProxyType(self._single(wide)),
        )

    def _single(self, features: Tensor) -> dict[int, Plane]:
        count, height, width = features.shape
        each = 4 * height * width
        wanted = (
            range(count)
            if self._channels is None
            else [number for number in dict.fromkeys(self._channels) if 0 <= number < count]
        )
        kept: dict[int, Plane] = {}
        for number in wanted:
            if each > self.channel_memory:
                break
            self.channel_memory -= each
            kept[number] = _array(features[number])
        return kept


@contextmanager
def recording(
    model: LoadedModel,
    wanted: Sequence[Tap] | None = None,
    *,
    channels: Sequence[int] | None = None,
    channel_memory: int = CHANNEL_MEMORY,
    window: Region | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Recorder]:
    """Look at a network's taps while it runs inside this block; its results stay the same to the last bit.

    The hooks are gone when the block is left, whatever happens.

    Parameters
    ----------
    model : its network is watched, not copied. Of a batch only the first picture is recorded.
    wanted : taps; None for all.
    channels : numbers of single channels to keep; None for as many as fit, empty for none.
    channel_memory : bytes that all single channels together may take; statistics and average maps (4 bytes
        per pixel and tap) are always kept.
    window : the part of the features to look at: x, y, width, height in input pixels.
    cancelled : asked at every tap; True ends the run.

    Raises
    ------
    Cancelled
        If `cancelled` said so (out of the network's call).
    """
    recorder = Recorder(
        channels=channels,
        channel_memory=channel_memory,
        window=window,
        cancelled=cancelled or (lambda: False),
    )
    handles = []
    try:
        for tap in taps(model) if wanted is None else wanted:
            module = model.network.get_submodule(tap.module)
            if tap.side == "input":
                handles.append(module.register_forward_pre_hook(_input_hook(recorder, tap)))
            else:
                handles.append(module.register_forward_hook(_output_hook(recorder, tap)))
        yield recorder
    finally:
        for handle in handles:
            handle.remove()


def record(
    pixels: Pixels,
    model: LoadedModel,
    wanted: Sequence[Tap] | None = None,
    *,
    region: Region | None = None,
    channels: Sequence[int] | None = None,
    channel_memory: int = CHANNEL_MEMORY,
    device: str = "cpu",
    max_memory: int | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FeatureRecord:
    """Run a network over a picture, or a part of it, in fp32 and record its features.

    A part is run with its surroundings: all that can influence it where the network sees only so far, and
    otherwise as much as tiles get. So its features are those of the whole picture, exactly or nearly.

    Parameters
    ----------
    pixels : H x W x 3, uint8 or uint16, R, G, B.
    model : it stays as it is.
    wanted : taps of `srviewer.analysis.taps.taps`; None for all.
    region : x, y, width, height in pixels of `pixels`; None for the whole.
    channels : numbers of single channels to keep; None for as many as fit, empty for none.
    channel_memory : bytes that all single channels together may take.
    device : as `srviewer.engine.device.choose_device` takes it.
    max_memory : bytes that the network may take; None for 80 % of what is free.
    cancelled : asked at every tap; True ends the run.

    Raises
    ------
    FeatureError
        If the region does not lie in the picture, or the network would take more memory than it may.
    UpscaleError
        If there is no such device.
    Cancelled
        If `cancelled` said so.
    """
    height, width = pixels.shape[:2]
    chosen = (0, 0, width, height) if region is None else region
    x, y, w, h = chosen
    if min(x, y) < 0 or min(w, h) < 1 or x + w > width or y + h > height:
        raise FeatureError(
            f"the region {w} × {h} at {x}, {y} does not lie in the picture of {width} × {height} px"
        )
    order = taps(model) if wanted is None else tuple(wanted)
    if not order:
        return FeatureRecord(model.id, chosen, ())
    spec = model.spec
    # A network that looks at the whole picture meets its own grid where a part begins on a multiple of 8.
    margin, grid = (spec.reach, 1) if spec.reach is not None else (spec.overlap, 8)
    left, top = max(0, x - margin) // grid * grid, max(0, y - margin) // grid * grid
    right, bottom = min(width, x + w + margin), min(height, y + h + margin)
    place = choose_device(device)
    budget = memory_budget(max_memory, free_memory(place))
    backend = EagerTorch()
    area = (right - left) * (bottom - top)
    with torch.inference_mode(), true_fp32(place):
        if area * _GENEROUS_BYTES_PER_PIXEL > budget:
            footprint = footprint_of(
                spec, place, "fp32", backend.name, lambda: backend.prepare(model, place, "fp32")
            )
            if footprint.at(area) > budget:
                raise FeatureError(
                    f"{model.id} would take about {footprint.at(area) / 1e9:.1f} GB for "
                    f"{right - left} × {bottom - top} px, and may take {budget / 1e9:.1f} GB: "
                    "choose a smaller part"
                )
        ready = model.to(device=place.torch, memory_format=torch.channels_last)
        batch = to_tensor(pixels[top:bottom, left:right])
        batch = batch.to(device=place.torch, memory_format=torch.channels_last)
        try:
            with recording(
                ready,
                order,
                channels=channels,
                channel_memory=channel_memory,
                window=(x - left, y - top, w, h),
                cancelled=cancelled,
            ) as recorder:
                ready(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise FeatureError(
                f"{model.id} ran out of memory on {place.name}: choose a smaller part"
            ) from None
    return FeatureRecord(model.id, chosen, recorder.features(order))


def screen_normalised(plane: NDArray[np.floating]) -> Plane:
    """Stretch one map to 0..1 for the screen, by its own lowest and highest value (FMEN, figure 8).

    Parameters
    ----------
    plane : H x W, any range.

    Returns
    -------
    H x W, float32, 0..1; all 0 where the map is constant. Values that are no finite numbers become 0.
    """
    finite = np.isfinite(plane)
    if not finite.any():
        return np.zeros(plane.shape, np.float32)
    lowest, highest = float(plane[finite].min()), float(plane[finite].max())
    if highest <= lowest:
        return np.zeros(plane.shape, np.float32)
    stretched = (np.where(finite, plane, lowest).astype(np.float64) - lowest) / (highest - lowest)
    return stretched.astype(np.float32)


def _input_hook(recorder: Recorder, tap: Tap) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        recorder.take(tap, arguments[0])

    return hook


def _output_hook(recorder: Recorder, tap: Tap) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def hook(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        recorder.take(tap, output)

    return hook


def _array(values: Tensor) -> NDArray[np.float32]:
    """Return a read-only float32 copy that shares no memory with the network."""
    copied: NDArray[np.float32] = np.array(values.cpu().numpy(), np.float32, order="C", copy=True)
    copied.flags.writeable = False
    return copied
