"""Reading rectangles of an image, so that one larger than memory can be shown and upscaled."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging import png_regions, tiff_regions
from srviewer.imaging.faults import UnreadableContentError, decoding
from srviewer.imaging.formats import FormatName
from srviewer.imaging.image import Pixels
from srviewer.imaging.raw_rows import RawRows
from srviewer.imaging.reading import (
    DEFAULT_MAX_PIXELS,
    Limits,
    Opened,
    open_checked,
    orientation_of,
    sound_profile,
    upright_exif,
)
from srviewer.imaging.segments import CACHE_BYTES, Part, SegmentCache, Segments, SharedFile, parts
from srviewer.imaging.stored import SampleKind

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

_BMP_CHANNELS = {"BGR": 3, "L": 1}  # by Pillow's name for how a BMP's samples lie; others are converted


class RegionSource(Protocol):
    """An open image file that is read by rectangles, from any thread; a context manager.

    Pixels, opacity, profile and EXIF are what `read_image` gives for the same file.
    """

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def format(self) -> FormatName:
        """The format's name as Pillow spells it."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def bits(self) -> int:
        """Bits per sample of what is read: 8 or 16."""

    @property
    def grey(self) -> bool:
        """Whether the file holds one colour channel."""

    @property
    def has_alpha(self) -> bool:
        """Whether there is opacity."""

    @property
    def icc(self) -> bytes | None:
        """The ICC profile that the pixels are in, or None."""

    @property
    def exif(self) -> bytes | None:
        """The EXIF block, a bare TIFF structure, or None."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user about what reading changed."""

    @property
    def levels(self) -> tuple[tuple[int, int], ...]:
        """Width and height of each stored level, the full image first."""

    def read(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> Pixels:
        """Read a rectangle of a level, in that level's pixels.

        Returns
        -------
        height x width x 3, uint8 or uint16 as `bits` says, RGB (three equal channels for grey); the
        caller's own.

        Raises
        ------
        ImageFileError
            The file is damaged there, or can no longer be read.
        ValueError
            The rectangle is empty or reaches beyond the level, or the source is closed.
        """

    def read_alpha(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> Pixels | None:
        """Read the straight opacity of a rectangle: height x width, as `read`; None where there is none."""

    def close(self) -> None:
        """Close the file and forget what was decoded."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True, eq=False)
class _StoredImage:
    """A region source over the segments that a file stores."""

    path: Path
    format: FormatName
    bits: int
    grey: bool
    has_alpha: bool
    icc: bytes | None
    exif: bytes | None
    notes: tuple[str, ...]
    _file: SharedFile
    _levels: tuple[Segments, ...]
    _cache: SegmentCache

    @property
    def width(self) -> int:
        return self._levels[0].size[0]

    @property
    def height(self) -> int:
        return self._levels[0].size[1]

    @property
    def levels(self) -> tuple[tuple[int, int], ...]:
        return tuple(level.size for level in self._levels)

    def read(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> Pixels:
        self._check(x, y, width, height, level)
        out: NDArray[Any] = np.empty((height, width, 3), self._dtype)
        for part in parts(self._levels[level].segment, x, y, width, height):
            samples = self._segment(level, part)[part.inner]
            if self.grey:
                for channel in range(3):
                    out[(*part.outer, channel)] = samples[..., 0]
            else:
                out[part.outer] = samples[..., :3]
        return out

    def read_alpha(self, x: int, y: int, width: int, height: int, *, level: int = 0) -> Pixels | None:
        self._check(x, y, width, height, level)
        if not self.has_alpha:
            return None
        out: NDArray[Any] = np.empty((height, width), self._dtype)
        for part in parts(self._levels[level].segment, x, y, width, height):
            out[part.outer] = self._segment(level, part)[part.inner][..., -1]
        return out

    def close(self) -> None:
        self._file.close()
        self._cache.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    def _check(self, x: int, y: int, width: int, height: int, level: int) -> None:
        if self._file.closed:
            raise ValueError(f"{self.path} is closed")
        if not 0 <= level < len(self._levels):
            raise ValueError(f"there is no level {level}, only 0 to {len(self._levels) - 1}")
        across, down = self._levels[level].size
        if not (0 <= x < x + width <= across and 0 <= y < y + height <= down):
            raise ValueError(f"{width} x {height} pixels at {x}, {y} are not within {across} x {down}")

    def _segment(self, level: int, part: Part) -> Pixels:
        def load() -> Pixels:
            with decoding(self.path):
                return self._levels[level].load(part.row, part.column)

        return self._cache.get((level, part.row, part.column), load)


def open_regions(
    path: str | Path, *, max_pixels: int = DEFAULT_MAX_PIXELS, cache_bytes: int = CACHE_BYTES
) -> RegionSource | None:
    """Open an image file to read rectangles of it, with memory for some of its segments only.

    Read by region are TIFF and BigTIFF (tiles, strips of a bearable size, uncompressed) with their
    reduced levels, PNG without interlacing (by bands of rows: fast from top to bottom, see
    `png_regions.PngBands`) and plain BMP. JPEG, WebP and AVIF decode as a whole; CMYK, L*a*b* and files that
    have to be turned upright are converted as a whole.

    Parameters
    ----------
    max_pixels : refuse a file whose header states more.
    cache_bytes : how much of what was decoded is kept.

    Returns
    -------
    None where the file must be read by `read_image`.

    Raises
    ------
    ImageFileError
        The file cannot be read, is not an image in a supported format, is damaged, or is over the limit.
    """
    path = Path(path)
    with open_checked(path, Limits(max_pixels, None)) as opened:
        header = opened.header
        if orientation_of(header) != 1:
            return None
        with ExitStack() as undo:
            file = SharedFile(path.open("rb"))
            undo.callback(file.close)
            found = _levels(opened, file)
            if found is None:
                return None
            levels, kind = found
            if kind not in ("grey", "rgb"):
                return None
            notes = list(header.notes)
            image = _StoredImage(
                path=path,
                format=header.format,
                bits=header.bits,
                grey=kind == "grey",
                has_alpha=header.channels > (1 if kind == "grey" else 3),
                icc=sound_profile(header.icc, kind, notes),
                exif=upright_exif(header.exif, notes),
                notes=tuple(notes),
                _file=file,
                _levels=tuple(levels),
                _cache=SegmentCache(cache_bytes),
            )
            undo.pop_all()
            return image


def _levels(opened: Opened, file: SharedFile) -> tuple[list[Segments], SampleKind] | None:
    """Return a file's levels and what their samples are; None where it cannot be read by region."""
    if opened.header.format == "TIFF":
        return tiff_regions.levels(opened.stream, file)
    if opened.header.format == "PNG":
        bands = png_regions.bands(opened.stream, file)
        return None if bands is None else ([bands], "grey" if opened.header.channels <= 2 else "rgb")
    if opened.header.format == "BMP" and opened.picture is not None:
        rows = _bmp_rows(opened.picture, file)
        return None if rows is None else ([rows], "grey" if rows.channels == 1 else "rgb")
    return None


def _bmp_rows(picture: ImageFile, file: SharedFile) -> RawRows | None:
    """Return an uncompressed BMP's rows as Pillow found them to lie."""
    codec, _, offset, arguments = picture.tile[0]
    if codec != "raw" or not isinstance(arguments, tuple) or arguments[0] not in _BMP_CHANNELS:
        return None
    layout, stride, direction = arguments
    channels = _BMP_CHANNELS[layout]
    if picture.mode != ("L" if channels == 1 else "RGB"):
        return None
    if file.size < offset + stride * picture.height:
        raise UnreadableContentError("the file is truncated: its last part is missing")
    return RawRows(
        file,
        offset=offset,
        stride=stride,
        size=picture.size,
        channels=channels,
        dtype=np.dtype(np.uint8),
        convert=lambda values: values[..., ::-1],
        upwards=direction < 0,
    )
