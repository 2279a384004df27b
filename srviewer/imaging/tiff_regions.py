"""Reading TIFF files by region: only the tiles or strips that a rectangle touches are decoded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging.faults import UnreadableContentError
from srviewer.imaging.image import Pixels
from srviewer.imaging.raw_rows import RawRows
from srviewer.imaging.segments import LARGEST_SEGMENT, Segments, SharedFile
from srviewer.imaging.stored import SampleKind
from srviewer.imaging.tiff import first_page, require_pixel_data, samples_of, tiff_file

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_UNCOMPRESSED, _NO_PREDICTOR, _MOST_SIGNIFICANT_FIRST, _SEPARATE_PLANES = 1, 1, 1, 2
_REDUCED = 1  # bit of NewSubfileType


class _Encoded:
    """A page's tiles or strips as a level (see `segments.Segments`)."""

    def __init__(self, file: SharedFile, page: TiffPage) -> None:
        self._file, self._page = file, page
        self.size = (page.imagewidth, page.imagelength)
        self.segment = _segment(page)
        self._across = -(-self.size[0] // self.segment[0])
        self._count = self._across * -(-self.size[1] // self.segment[1])
        self._planes = page.samplesperpixel if page.planarconfig == _SEPARATE_PLANES else 1
        # Asked for now, since tifffile reads some fields on demand, from a file that is shared later.
        self._decode, self._tables, self._header = page.decode, page.jpegtables, page.jpegheader
        self._places = list(zip(page.dataoffsets, page.databytecounts, strict=True))

    def load(self, row: int, column: int) -> Pixels:
        """Decode one segment: H x W x C, full range, opacity straight and last."""
        import tifffile

        index = row * self._across + column
        try:
            planes = [self._decoded(plane * self._count + index) for plane in range(self._planes)]
        except tifffile.TiffFileError as error:
            raise ValueError(str(error)) from error
        values = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
        return np.ascontiguousarray(samples_of(values, self._page).values)

    def _decoded(self, index: int) -> NDArray[Any]:
        content = self._file.read(*self._places[index])
        values, _, _ = self._decode(content, index, jpegtables=self._tables, jpegheader=self._header)
        if values is None:
            raise ValueError("its pixels are missing")
        found: NDArray[Any] = values[0]  # of one, the depth
        return found


def _segment(page: TiffPage) -> tuple[int, int]:
    if page.is_tiled:
        return page.tilewidth, page.tilelength
    return page.imagewidth, min(page.rowsperstrip, page.imagelength)


def levels(stream: BinaryIO, file: SharedFile) -> tuple[list[Segments], SampleKind] | None:
    """Return the levels of a TIFF file, the full image first, and what their samples are.

    Reduced levels are SubIFDs or further pages that call themselves so, of the same kind and proportions.

    Parameters
    ----------
    stream : the open file; read here only.
    file : where segments will be read from.

    Returns
    -------
    None where the first page cannot be read by region: it is stored in one piece.

    Raises
    ------
    UnreadableContentError
        Pixels are missing.
    """
    with tiff_file(stream) as content:
        page = first_page(content)
        file_bytes = os.fstat(stream.fileno()).st_size
        require_pixel_data(page, file_bytes)
        full = _level(page, file)
        if full is None:
            return None
        # One pixel tells what kind all are, and makes tifffile read what the conversion needs.
        kind = samples_of(_one_pixel(page), page).kind
        found = [full]
        for reduced in sorted(
            _reduced(content, page), key=lambda other: -other.imagewidth * other.imagelength
        ):
            if not _smaller(reduced, found[-1].size, page):
                continue
            try:
                require_pixel_data(reduced, file_bytes)
            except UnreadableContentError:
                continue  # the full image is still there
            level = _level(reduced, file)
            if level is not None:
                samples_of(_one_pixel(reduced), reduced)
                found.append(level)
        return found, kind


def _one_pixel(page: TiffPage) -> NDArray[Any]:
    return np.zeros((1, 1, page.samplesperpixel), page.dtype)


def _level(page: TiffPage, file: SharedFile) -> Segments | None:
    """Return a page as a level, or None where a part of it would take as long as all of it."""
    stored_as_read = (
        page.is_contiguous
        and page.compression == _UNCOMPRESSED
        and page.predictor == _NO_PREDICTOR
        and page.fillorder == _MOST_SIGNIFICANT_FIRST
        and page.bitspersample in (8, 16)
        and (page.planarconfig != _SEPARATE_PLANES or page.samplesperpixel == 1)
        and not page.is_tiled
    )
    if stored_as_read:
        dtype = np.dtype(np.uint8 if page.bitspersample == 8 else f"{page.parent.byteorder}u2")
        return RawRows(
            file,
            offset=page.dataoffsets[0],
            stride=page.imagewidth * page.samplesperpixel * dtype.itemsize,
            size=(page.imagewidth, page.imagelength),
            channels=page.samplesperpixel,
            dtype=dtype,
            convert=lambda values: samples_of(values, page).values,
        )
    width, height = _segment(page)
    if width * height * page.samplesperpixel * (2 if page.bitspersample > 8 else 1) > LARGEST_SEGMENT:
        return None
    return _Encoded(file, page)


def _reduced(content: TiffFile, page: TiffPage) -> list[TiffPage]:
    """Return the SubIFDs and further pages that say they are reduced, the largest first."""
    from tifffile import TiffPage

    below = list(page.pages) if page.pages is not None else []
    pages = [other for other in [*below, *content.pages[1:]] if isinstance(other, TiffPage)]
    found = [other for other in pages if int(other.subfiletype or 0) == _REDUCED]
    return sorted(found, key=lambda other: -other.imagewidth * other.imagelength)


def _smaller(page: TiffPage, above: tuple[int, int], full: TiffPage) -> bool:
    """Tell whether a page shows the whole of `full` with fewer pixels than the level above it."""
    kinds = {
        (p.photometric, p.samplesperpixel, p.bitspersample, tuple(p.extrasamples or ()), p.sampleformat)
        for p in (page, full)
    }
    width, height = page.imagewidth, page.imagelength
    # Each side may have been rounded up or down.
    skew = abs(width * full.imagelength - height * full.imagewidth)
    fits = skew <= full.imagewidth + full.imagelength
    smaller = (width, height) != above and width <= above[0] and height <= above[1]
    return len(kinds) == 1 and fits and smaller and page.imagedepth == 1
