"""Running a network over an image."""

from __future__ import annotations

import dataclasses
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from srviewer.engine.backends import Backend, EagerTorch, Runner, is_out_of_memory
from srviewer.engine.device import Device, choose_device, choose_precision, free_memory
from srviewer.engine.footprint import Footprint, Surroundings, auto_side, footprint_of, memory_budget
from srviewer.engine.request import (
    SMALLEST_TILE,
    Cancelled,
    FinishedTile,
    Precision,
    Progress,
    UpscaleError,
    UpscaleOptions,
    UpscaleResult,
)
from srviewer.engine.telemetry import PeakMeter, Stopwatch, memory_in_use, release_memory
from srviewer.engine.tiles import Box, Tile, in_view_first, largest_first, plan, refined
from srviewer.imaging.alpha import bleed_colours
from srviewer.imaging.image import Image, Pixels
from srviewer.imaging.resize import imresize
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.tensors import to_pixels, to_tensor

Focus = tuple[float, float, float, float]
"""Left, top, right, bottom of the part in view, in 0..1 of the whole image."""

# Shared by all runs, since it keeps networks ready.
_EAGER = EagerTorch()
# Seconds between two looks at `paused`: cancelling a paused run must answer within 200 ms.
_PAUSE_POLL = 0.02
# Bytes: giving less back to the system costs more time, in getting it again, than it does good.
_WORTH_RELEASING = 256 << 20
# Output pixels that are rounded at a time.
_STRIP_PIXELS = 1 << 16
# Rows of the result's alpha that are made at a time, so that no whole plane exists in floating point.
_ALPHA_ROWS = 256
# Bicubic interpolation reads two pixels on either side.
_ALPHA_HALO = 4
# Networks that pool over a grid meet the grid of the whole image if tiles begin on multiples of it: SAFMN's
# coarsest level pools windows of 8 pixels.
_GRID = 8
# ITU-R BT.601, what Y of the papers is made of: a grey result keeps the Y that the colours would have had.
_LUMA = (65.481 / 219, 128.553 / 219, 24.966 / 219)


def upscale(
    image: Image,
    model: LoadedModel,
    options: UpscaleOptions | None = None,
    *,
    progress: Callable[[Progress], None] | None = None,
    on_tile: Callable[[FinishedTile], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    paused: Callable[[], bool] | None = None,
    focus: Focus | None = None,
    backend: Backend | None = None,
) -> UpscaleResult:
    """Upscale an image.

    Transparent images: colours are bled under transparent pixels first, and alpha is enlarged by bicubic
    interpolation. Grey images stay grey (the luma of the network's colours). Profile and EXIF are kept.

    Parameters
    ----------
    image : what to upscale, 8 or 16 bits.
    model : the network; it is left as it is.
    options : how to run it; None means all defaults.
    progress : told before the first tile and after each.
    on_tile : gets each finished tile, as pixels of its own.
    cancelled : asked between tiles; True ends the run.
    paused : asked between tiles; while True nothing is done, and `cancelled` is still asked.
    focus : the part in view; tiles there are made first.
    backend : how the network is executed; None means eager torch.

    Returns
    -------
    The result, of the input's dtype, values clipped and rounded to the nearest level.

    Raises
    ------
    UpscaleError
        If there is no such device, or the memory does not suffice even for the smallest tile, or the network
        gives NaN or infinity in fp32 as well.
    Cancelled
        If `cancelled` said so.
    """
    options = options or UpscaleOptions()
    backend = backend or _EAGER
    device = choose_device(options.device)
    precision = choose_precision(
        "fp32" if model.spec.family == "bicubic" else options.precision,
        device,
        bits=image.bits,
        value_range=model.spec.value_range,
    )
    with torch.inference_mode(), true_fp32(device):
        run = _Run(image, model, device, precision, options, backend)
        run.progress = progress or run.progress
        run.on_tile = on_tile or run.on_tile
        run.cancelled = cancelled or run.cancelled
        run.paused = paused or run.paused
        return run.finish(focus)


class _Run:
    """One run, from plan to result."""

    def __init__(
        self,
        image: Image,
        model: LoadedModel,
        device: Device,
        precision: Precision,
        options: UpscaleOptions,
        backend: Backend,
    ) -> None:
        self.image = image
        self.model = model
        self.device = device
        self.precision = precision
        self.options = options
        self.backend = backend
        self.progress: Callable[[Progress], None] = lambda _: None
        self.on_tile: Callable[[FinishedTile], None] = lambda _: None
        self.cancelled: Callable[[], bool] = lambda: False
        self.paused: Callable[[], bool] = lambda: False

        self._stopwatch = Stopwatch()
        self._local = model.spec.reach is not None
        self._overlap = _overlap(model, precision)
        self._align = 1 if self._local else _GRID
        self._whole = Box(0, 0, image.width, image.height)
        self._runners: dict[Precision, Runner] = {}
        self._fp32_tiles = 0

    def finish(self, focus: Focus | None) -> UpscaleResult:
        """Make all tiles and put the result together."""
        image, scale = self.image, self.model.scale
        self._wait()
        canvas = _canvas(image, scale)
        side = self._side(held=canvas.nbytes)
        with PeakMeter(self.device) as meter:
            source = image.pixels if image.alpha is None else bleed_colours(image.pixels, image.alpha)
            overlap, align = self._overlap, self._align
            pending = plan(image.width, image.height, side=side, overlap=overlap, align=align)
            pending = (
                largest_first(pending)
                if focus is None
                else in_view_first(pending, image.width, image.height, focus)
            )
            done = 0
            self._tell(pending)
            while pending:
                self._wait()
                tile = pending[0]
                pixels = self._attempt(tile, source)
                if pixels is None:
                    gc.collect()  # the error's traceback may hold features
                    release_memory(self.device)
                    side = self._smaller(tile)
                    pending = refined(
                        pending, self._whole, side=side, overlap=self._overlap, align=self._align
                    )
                    continue
                pending = pending[1:]
                done += 1
                self._keep(tile, pixels, canvas)
                self._tell(pending)
            alpha = None if image.alpha is None else _enlarged_alpha(image.alpha, scale)
            seconds = self._stopwatch.seconds()
        if meter.peak() - meter.before > _WORTH_RELEASING:
            release_memory(self.device)
        return UpscaleResult(
            image=dataclasses.replace(image, pixels=canvas, alpha=alpha, path=None),
            model=self.model.id,
            scale=scale,
            device=self.device.name,
            precision=self.precision,
            tile=side if done > 1 else None,
            tiles=done,
            exact=done == 1 or self._local,
            seconds=seconds,
            megapixels_per_second=self._stopwatch.megapixels_per_second(),
            peak_memory_bytes=meter.peak(),
            fp32_tiles=self._fp32_tiles,
        )

    def _side(self, *, held: int) -> int | None:
        """Return the side of the tiles' cores, None for the whole image; `held` bytes are spoken for."""
        image, choice = self.image, self.options.tile
        if choice == "off":
            return None
        if choice != "auto":
            return None if choice >= max(image.width, image.height) else choice
        free = free_memory(self.device) - (held if self.device.kind == "cpu" else 0)
        place = Surroundings(
            width=image.width,
            height=image.height,
            overlap=self._overlap,
            align=self._align,
            local=self._local,
            device=self.device,
            budget=memory_budget(self.options.max_memory, free),
            limited=self.options.max_memory is not None,
        )
        return auto_side(place, self._footprint)

    def _footprint(self) -> Footprint:
        """Return the memory that the network takes here, with the sums that a self-ensemble keeps."""
        measured = footprint_of(
            self.model.spec,
            self.device,
            self.precision,
            self.backend.name,
            lambda: self._runner(self.precision),
        )
        if not self.options.self_ensemble:
            return measured
        sums = 2 * 3 * 4 * self.model.scale**2
        return Footprint(measured.fixed, measured.per_pixel + sums)

    def _smaller(self, tile: Tile) -> int:
        """Return the side to go on with after `tile` found no memory."""
        side = max(tile.core.width, tile.core.height) // 2
        if side < SMALLEST_TILE:
            raise UpscaleError(
                f"{self.device.name} has too little memory for {self.model.id}, even for a tile of "
                f"{tile.core.width} x {tile.core.height} pixels"
            )
        return side

    def _attempt(self, tile: Tile, source: Pixels) -> Pixels | None:
        """Return the output pixels of a tile's core, or None if the memory did not suffice."""
        try:
            return self._make(tile, source)
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                return None
            reason = str(error).strip().partition("\n")[0]
            raise UpscaleError(f"{self.model.id} failed on {self.device.name}: {reason}") from error

    def _make(self, tile: Tile, source: Pixels) -> Pixels:
        """Return the output pixels of a tile's core: height x width x 3, of the source's dtype."""
        crop = tile.crop
        batch = to_tensor(source[crop.y : crop.bottom, crop.x : crop.right])
        core = tile.core.within(crop).times(self.model.scale)
        result = self._enlarged(self.precision, batch)[:, :, core.y : core.bottom, core.x : core.right]
        if not _all_finite(result):
            if self.precision != "fp32":
                result = self._enlarged("fp32", batch)[:, :, core.y : core.bottom, core.x : core.right]
                if _all_finite(result):
                    self._fp32_tiles += 1
            if not _all_finite(result):
                raise UpscaleError(
                    f"{self.model.id} gives values that are no numbers: its weights are unusable"
                )
        height, width = result.shape[2:]
        # In strips: several copies in fp32 of a large result would be the peak of the whole run.
        step = max(1, _STRIP_PIXELS // width)
        if height <= step:
            return self._rounded(result)
        pixels: Pixels = np.empty((height, width, 3), source.dtype)
        for top in range(0, height, step):
            pixels[top : top + step] = self._rounded(result[:, :, top : top + step])
        return pixels

    def _rounded(self, result: Tensor) -> Pixels:
        """Turn 1 x 3 x H x W of 0..1 into pixels of the image's dtype, grey ones if it is grey."""
        if self.image.grey:
            weights = torch.tensor(_LUMA, device=result.device)[None, :, None, None]
            result = (result.float() * weights).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        return to_pixels(result, self.image.pixels.dtype)

    def _enlarged(self, precision: Precision, batch: Tensor) -> Tensor:
        """Return the network's answer to a 1 x 3 x H x W batch, or the mean of eight if asked for."""
        runner = self._runner(precision)
        if not self.options.self_ensemble:
            return runner(batch)
        total: Tensor | None = None
        for turns in range(4):
            for mirrored in (False, True):
                self._wait()
                turned = batch.rot90(turns, (2, 3))
                answer = runner(turned.flip(3) if mirrored else turned).float()
                answer = (answer.flip(3) if mirrored else answer).rot90(-turns, (2, 3))
                total = answer if total is None else total + answer
        assert total is not None
        return total / 8

    def _runner(self, precision: Precision) -> Runner:
        """Return the network made ready in a precision."""
        if precision not in self._runners:
            self._runners[precision] = self.backend.prepare(self.model, self.device, precision)
        return self._runners[precision]

    def _keep(self, tile: Tile, pixels: Pixels, canvas: Pixels) -> None:
        """Put a tile's pixels into the result and hand them on."""
        place = tile.core.times(self.model.scale)
        canvas[place.y : place.bottom, place.x : place.right] = pixels
        pixels.flags.writeable = False
        self._stopwatch.tile_done(work=tile.crop.pixels, pixels=place.pixels)
        self.on_tile(FinishedTile(place.x, place.y, place.width, place.height, pixels))

    def _tell(self, pending: tuple[Tile, ...]) -> None:
        """Report how far the run is."""
        self.progress(
            self._stopwatch.progress(
                work_left=sum(tile.crop.pixels for tile in pending),
                tiles_left=len(pending),
                memory_bytes=memory_in_use(self.device),
            )
        )

    def _wait(self) -> None:
        """Stop if the run is cancelled; hold on while it is paused."""
        if self.cancelled():
            raise Cancelled("cancelled")
        if not self.paused():
            return
        begin = self._stopwatch.now()
        idle = threading.Event()
        while self.paused():
            if self.cancelled():
                raise Cancelled("cancelled")
            idle.wait(_PAUSE_POLL)
        self._stopwatch.pause_ended(begin)


def _overlap(model: LoadedModel, precision: Precision) -> int:
    """Return the pixels around each tile that the network must see.

    In fp32 influence fades long before a local network's reach ends, and the measured overlap suffices. In
    16 bits a faint influence may tip a rounding: tiles that do not see all there is come out up to six levels
    off, and those that do are equal to the bit.
    """
    reach = model.spec.reach
    return model.spec.overlap if reach is None or precision == "fp32" else max(reach, model.spec.overlap)


def _all_finite(batch: Tensor) -> bool:
    # A sum that is finite has finite terms, and is had three times as fast as looking at each of them.
    return bool(batch.sum(dtype=torch.float32).isfinite()) or bool(batch.isfinite().all())


def _canvas(image: Image, scale: int) -> Pixels:
    """Return room for the result.

    Raises
    ------
    UpscaleError
        If the machine has less memory free: better told now than the process killed later.
    """
    height, width = image.height * scale, image.width * scale
    channels = 3 if image.alpha is None else 4
    needed = height * width * channels * image.pixels.itemsize
    free = free_memory(Device("cpu", "cpu", "memory"))
    too_large = UpscaleError(
        f"the result of {width} x {height} pixels needs {needed / 1e9:.1f} GB of memory, "
        f"and {free / 1e9:.1f} GB are free"
    )
    if needed > free:
        raise too_large
    try:
        return np.empty((height, width, 3), image.pixels.dtype)
    except MemoryError:
        raise too_large from None


def _enlarged_alpha(alpha: Pixels, scale: int) -> Pixels:
    """Enlarge opacity by bicubic interpolation, a strip of rows at a time.

    Takes H x W, uint8 or uint16; gives scale H x scale W of the same dtype, the same as all at once.
    """
    height, width = alpha.shape
    result = np.empty((height * scale, width * scale), alpha.dtype)
    step = max(1, _ALPHA_ROWS // scale)
    for top in range(0, height, step):
        bottom = min(height, top + step)
        begin, end = max(0, top - _ALPHA_HALO), min(height, bottom + _ALPHA_HALO)
        strip = imresize(alpha[begin:end], scale)
        result[top * scale : bottom * scale] = strip[(top - begin) * scale : (bottom - begin) * scale]
    return result


@contextmanager
def true_fp32(device: Device) -> Iterator[None]:
    """Keep CUDA from rounding fp32 to TF32 (10 bits of mantissa), unlike what a CPU calls fp32."""
    if device.kind != "cuda":
        yield
        return
    # torch 2.9 renamed the switches, warns where the old names are used, and fails where both are.
    conv, matmul = getattr(torch.backends.cudnn, "conv", None), torch.backends.cuda.matmul
    if conv is not None and hasattr(conv, "fp32_precision"):
        before = conv.fp32_precision, matmul.fp32_precision
        conv.fp32_precision = matmul.fp32_precision = "ieee"
        try:
            yield
        finally:
            conv.fp32_precision, matmul.fp32_precision = before
        return
    allowed = torch.backends.cudnn.allow_tf32, matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, matmul.allow_tf32 = allowed
