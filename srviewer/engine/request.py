"""What is asked of the engine, and what it answers: frozen records that need no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from srviewer.imaging.image import Image, Pixels

# Errors
#   Exception
#   ├── UpscaleError   the picture cannot be upscaled as asked; str() is one sentence for the user
#   └── Cancelled      somebody asked the run to stop: no fault, so not caught with the errors

Precision = Literal["fp32", "bf16", "fp16"]
"""The number format a network's convolutions run in."""

PrecisionChoice = Literal["auto", "fp32", "bf16", "fp16"]
"""What a user may ask for as precision."""

TileChoice = int | Literal["auto", "off"]
"""What a user may ask for as tile: a side in input pixels, the engine's choice, or no tiles."""

SMALLEST_TILE = 16
"""The smallest tile side, in input pixels: below it the overlap is nearly all of the work."""


class UpscaleError(Exception):
    """A picture cannot be upscaled as asked. The message is one sentence for the user."""


class Cancelled(Exception):  # noqa: N818 -- not an error: the user's own wish, never reported as a fault
    """The run was stopped because its caller asked for it."""


@dataclass(frozen=True)
class UpscaleOptions:
    """How to run a network over an image.

    Attributes
    ----------
    device : ``"auto"``, or a name from `srviewer.engine.device.devices`: ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    precision : ``"auto"`` takes the fastest that costs no visible quality. 16-bit images always run in fp32.
    tile : largest side of a tile in input pixels without its overlap. ``"off"`` runs the whole image at once.
    max_memory : bytes that the network may take beside the pictures. None means 80 % of what is free.
    self_ensemble : average the results of all eight flips and rotations (about 8 times slower).

    Raises
    ------
    UpscaleError
        If a value is none of these.
    """

    device: str = "auto"
    precision: PrecisionChoice = "auto"
    tile: TileChoice = "auto"
    max_memory: int | None = None
    self_ensemble: bool = False

    def __post_init__(self) -> None:
        if self.precision not in get_args(PrecisionChoice):
            raise UpscaleError(
                f"no precision {self.precision!r}: choose one of {', '.join(get_args(PrecisionChoice))}"
            )
        if isinstance(self.tile, str):
            if self.tile not in ("auto", "off"):
                raise UpscaleError(f"no tile {self.tile!r}: choose auto, off or a number of pixels")
        elif self.tile < SMALLEST_TILE:
            raise UpscaleError(f"a tile of {self.tile} px is too small: {SMALLEST_TILE} px is the least")
        if self.max_memory is not None and self.max_memory <= 0:
            raise UpscaleError(f"a memory limit of {self.max_memory} bytes leaves nothing to work with")


@dataclass(frozen=True)
class Progress:
    """How far a run is, told after every tile (and once before the first).

    Attributes
    ----------
    tiles_done, tiles : tiles finished, and in all (more after memory ran out and tiles became smaller).
    elapsed_seconds : time spent since the start, pauses left out.
    eta_seconds : estimate of the time still needed; None before the first tile is done.
    milliseconds_per_tile : mean over the finished tiles; 0 before the first.
    megapixels_per_second : millions of *output* pixels per second so far.
    memory_bytes : now; allocated by torch (CUDA, MPS) or the process's resident set (CPU).
    """

    tiles_done: int
    tiles: int
    elapsed_seconds: float
    eta_seconds: float | None
    milliseconds_per_tile: float
    megapixels_per_second: float
    memory_bytes: int


@dataclass(frozen=True, eq=False)
class FinishedTile:
    """One finished part of the result.

    Attributes
    ----------
    x, y, width, height : where it lies in the result, in output pixels.
    pixels : height x width x 3, uint8 or uint16 as the input, R, G, B; owned by the receiver and read-only.
    """

    x: int
    y: int
    width: int
    height: int
    pixels: Pixels


@dataclass(frozen=True, eq=False)
class UpscaleResult:
    """An upscaled image and how it came about.

    Attributes
    ----------
    image : the result, with the input's depth, alpha, profile and EXIF.
    model, scale : the network's id and its factor.
    device : the device by name (``"AMD EPYC 9554, 64 threads"``).
    precision : what the network ran in.
    tile : largest tile side in input pixels without overlap; None if the whole image ran at once.
    tiles : how many tiles the result was made of.
    exact : whether the result equals the untiled one (within 1/255).
    seconds : time spent, pauses left out.
    megapixels_per_second : millions of *output* pixels per second.
    peak_memory_bytes : during the run; allocated by torch (CUDA, MPS) or the process's resident set (CPU).
    fp32_tiles : tiles that ran again in fp32 because low precision gave NaN or infinity.
    """

    image: Image
    model: str
    scale: int
    device: str
    precision: Precision
    tile: int | None
    tiles: int
    exact: bool
    seconds: float
    megapixels_per_second: float
    peak_memory_bytes: int
    fp32_tiles: int
