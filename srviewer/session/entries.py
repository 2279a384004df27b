"""The rows of the session: images, their references and the results that networks made of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NewType

from srviewer.engine.request import Precision, UpscaleOptions, UpscaleResult
from srviewer.session.geometry import PixelRect, Size

ImageId = NewType("ImageId", int)
"""Names an image for as long as the session lasts; never given twice."""

EntryState = Literal["listed", "loading", "ready", "failed"]
"""Whether an image's pixels are not asked for yet, on their way, were read (they may be dropped again), or
cannot be.
"""


@dataclass(frozen=True, slots=True)
class MadeReference:
    """The image itself is the ground truth: the networks get its MATLAB-style bicubic reduction.

    Attributes
    ----------
    scale : how many times smaller the networks' input is; the ground truth is cut to a multiple of it.
    """

    scale: int


@dataclass(frozen=True, slots=True)
class GivenReference:
    """Another file is the ground truth of this image.

    Attributes
    ----------
    path : the HR image's file.
    scale : how many times larger than this image it is.
    """

    path: Path
    scale: int


Reference = MadeReference | GivenReference
"""Where an image's ground truth comes from."""


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One image of the session, as its row shows it.

    Attributes
    ----------
    id : its name within the session.
    path : its file; None for one from the clipboard.
    name : what the row is called.
    size : of the file's picture in pixels, upright; None until its header was read.
    bits : per sample; None until its header was read.
    notes : sentences about what reading changed.
    state : how far reading its pixels is.
    error : one sentence why it cannot be read; None unless `state` is ``"failed"``.
    reference : where its ground truth comes from; None if it has none.
    by_region : whether its pixels stay in its file, of which parts are read: the whole is too large.
    """

    id: ImageId
    path: Path | None
    name: str
    size: Size | None = None
    bits: int | None = None
    notes: tuple[str, ...] = ()
    state: EntryState = "listed"
    error: str | None = None
    reference: Reference | None = None
    by_region: bool = False

    @property
    def stem(self) -> str:
        """What results of it are named after."""
        return self.path.stem if self.path is not None else self.name

    @property
    def input_size(self) -> Size | None:
        """Size of what the networks get: the file's own, or the reduction of it; None until the header was
        read.

        None as well for a ground truth of less than one LR pixel.
        """
        if self.size is None or not isinstance(self.reference, MadeReference):
            return self.size
        scale = self.reference.scale
        if min(self.size.width, self.size.height) < scale:
            return None
        return Size(self.size.width // scale, self.size.height // scale)

    @property
    def truth_size(self) -> Size | None:
        """Size of the ground truth as results are compared with it: a multiple of the input's; None without
        one.
        """
        size = self.input_size
        return None if self.reference is None or size is None else size.times(self.reference.scale)


@dataclass(frozen=True, slots=True)
class ResultFacts:
    """How a result came about: an `UpscaleResult` without its pixels, so that it can outlive them.

    Attributes
    ----------
    model : the id that the network itself gave, as files are named after it.
    size, bits : of the result.
    scale, device, precision, tile, tiles, exact, seconds, megapixels_per_second, peak_memory_bytes,
        fp32_tiles : as in `srviewer.engine.request.UpscaleResult`.
    """

    model: str
    size: Size
    bits: int
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

    @classmethod
    def of(cls, result: UpscaleResult) -> ResultFacts:
        """Return the facts about `result`."""
        return cls(
            model=result.model,
            size=Size(result.image.width, result.image.height),
            bits=result.image.bits,
            scale=result.scale,
            device=result.device,
            precision=result.precision,
            tile=result.tile,
            tiles=result.tiles,
            exact=result.exact,
            seconds=result.seconds,
            megapixels_per_second=result.megapixels_per_second,
            peak_memory_bytes=result.peak_memory_bytes,
            fp32_tiles=result.fp32_tiles,
        )


@dataclass(frozen=True, slots=True)
class SeamCheck:
    """How far a tiled result is from the untiled one, where that was tried.

    Attributes
    ----------
    largest_difference : of any sample, in steps of 255.
    psnr : of the two unrounded, dB; infinite where nothing differs.
    region : where, in pixels of the networks' input.
    """

    largest_difference: float
    psnr: float
    region: PixelRect


@dataclass(frozen=True, slots=True)
class ResultEntry:
    """A finished result, as its pane's caption shows it.

    Attributes
    ----------
    image, model : whose result by which network (the reference that was ticked).
    facts : how it came about.
    revision : grows each time the session finishes a result: numbers measured on an older one do not fit this
        one.
    saved : the file that holds it; None if it was never saved.
    lossless : whether `saved` holds exactly these pixels, so that they can be read back from there.
    streamed : whether they were never in memory as a whole: parts of `saved` are read.
    options : it was asked for with these; None where that is not known.
    seams : what comparing it with the untiled result gave; None before that was done.
    """

    image: ImageId
    model: str
    facts: ResultFacts
    revision: int
    saved: Path | None = None
    lossless: bool = False
    streamed: bool = False
    options: UpscaleOptions | None = None
    seams: SeamCheck | None = None
