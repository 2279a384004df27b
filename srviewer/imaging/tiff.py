"""TIFF files: 8-bit and 16-bit pixels through tifffile, with their EXIF directories."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging import exif as exif_block
from srviewer.imaging.alpha import straight
from srviewer.imaging.depth import from_bits
from srviewer.imaging.faults import UnreadableContentError
from srviewer.imaging.image import Pixels
from srviewer.imaging.stored import Header, SampleKind, Samples

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR, _CIELAB, _ICCLAB = 0, 1, 2, 3, 5, 6, 8, 9
_COLOURS: dict[
    int, tuple[SampleKind, int]
] = {  # photometric interpretation: what the samples are, and how many
    _WHITE_IS_ZERO: ("grey", 1),
    _BLACK_IS_ZERO: ("grey", 1),
    _RGB: ("rgb", 3),
    _PALETTE: ("rgb", 1),
    _SEPARATED: ("cmyk", 4),
    _YCBCR: ("rgb", 3),
    _CIELAB: ("lab", 3),
    _ICCLAB: ("lab", 3),
}
_COLOUR_FILTER_ARRAY, _LINEAR_RAW, _DNG_VERSION, _ICC_PROFILE = 32803, 34892, 50706, 34675
_ASSOCIATED, _UNASSOCIATED = 1, 2  # tag ExtraSamples
_CLASSIC_LIMIT = (1 << 32) - (1 << 26)  # above this a file needs BigTIFF; 64 MB are left for tags


def tiff_file(stream: BinaryIO) -> TiffFile:
    """Parse an open file's directories; ValueError where they make no sense."""
    import tifffile

    stream.seek(0)
    try:
        return tifffile.TiffFile(stream)
    except tifffile.TiffFileError as error:
        raise ValueError(str(error)) from error


def first_page(file: TiffFile) -> TiffPage:
    """Return the page that is read; UnreadableContentError where there is none."""
    from tifffile import TiffPage

    page = file.pages[0] if len(file.pages) else None
    if not isinstance(page, TiffPage):
        raise UnreadableContentError("the file is damaged: it holds no picture")
    return page


def _photometric(page: TiffPage) -> int:
    return int(page.photometric if page.photometric is not None else _BLACK_IS_ZERO)


def _bits(page: TiffPage) -> int:
    """Return the bits per sample, the same for all; UnreadableContentError otherwise."""
    stated = page.bitspersample
    per_sample = {stated} if isinstance(stated, int) else set(stated)
    formats = {page.sampleformat} if isinstance(page.sampleformat, int) else set(page.sampleformat or ())
    bits = per_sample.pop()
    if per_sample:
        raise UnreadableContentError("its channels differ in bits per sample, which is not supported")
    if 3 in formats:
        raise UnreadableContentError(
            f"its samples are {bits}-bit floating-point numbers, which are not supported; "
            "save it as a 16-bit TIFF"
        )
    if bits > 16:
        raise UnreadableContentError(
            f"its samples have {bits} bits, which are not supported; save it as a 16-bit TIFF"
        )
    if formats - {1, 4} and int(page.photometric or 0) not in (_CIELAB, _ICCLAB):
        raise UnreadableContentError("its samples are signed numbers, which are not supported")
    return bits


def _alpha(page: TiffPage) -> int | None:
    """Return which kind of opacity follows the colours (the tag's value), or None."""
    _, colours = _COLOURS[_photometric(page)]
    extra = [int(value) for value in page.extrasamples or ()]
    if page.samplesperpixel > colours and extra and extra[0] in (_ASSOCIATED, _UNASSOCIATED):
        return extra[0]
    return None


def read_header(stream: BinaryIO) -> Header:
    """Read the first page's size, kind, profile and EXIF.

    Raises
    ------
    UnreadableContentError
        The file is a RAW file, or holds samples of a kind that is not read.
    """
    with tiff_file(stream) as file:
        page = first_page(file)
        photometric = _photometric(page)
        if photometric in (_COLOUR_FILTER_ARRAY, _LINEAR_RAW) or _DNG_VERSION in page.tags:
            raise UnreadableContentError(
                "it is a camera's RAW file, which is not supported; develop it to a 16-bit TIFF first"
            )
        if photometric not in _COLOURS or page.imagedepth > 1:
            raise UnreadableContentError("it is a TIFF of a kind that is not supported; save it as RGB")
        kind, colours = _COLOURS[photometric]
        if page.samplesperpixel < colours:
            raise UnreadableContentError("the file is damaged: colour channels are missing")
        bits = _bits(page)
        if kind == "lab" and bits != 8:
            raise UnreadableContentError("16-bit L*a*b* is not supported; save it as RGB")
        palette = photometric == _PALETTE
        notes = []
        pages = sum(1 for other in file.pages if not int(getattr(other, "subfiletype", 0) or 0) & 1)
        if pages > 1:
            notes.append(f"only the first of its {pages} pages was read")
        others = page.samplesperpixel - colours - (_alpha(page) is not None)
        if others == 1:
            notes.append("one channel that is neither colour nor opacity was left out")
        elif others > 1:
            notes.append(f"{others} channels that are neither colour nor opacity were left out")
        icc = page.tags.valueof(_ICC_PROFILE)
        stated = page.tags.valueof(exif_block.ORIENTATION)
        return Header(
            format="TIFF",
            width=page.imagewidth,
            height=page.imagelength,
            bits=8 if bits <= 8 or palette else 16,
            channels=(3 if palette else colours) + (_alpha(page) is not None),
            exif=_exif_of(stream),
            icc=bytes(icc) if isinstance(icc, bytes) else None,
            orientation=int(stated) if isinstance(stated, int) and 1 <= stated <= 8 else 1,
            notes=tuple(notes),
        )


def require_pixel_data(page: TiffPage, file_bytes: int) -> None:
    """Refuse a file whose strips or tiles are missing or incomplete: they would be filled with zeros."""
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    wanted = int(np.prod(page.chunked)) if page.chunked else 1
    if len(segments) < wanted or any(
        count <= 0 or offset <= 0 or offset + count > file_bytes for offset, count in segments
    ):
        raise UnreadableContentError("the file is truncated or damaged: pixels are missing")


def _exif_of(stream: BinaryIO) -> bytes | None:
    """Gather the descriptive fields as an EXIF block; None where there are none."""
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            fields = exif_block.tree(content)
            order = exif_block.structure(content)[0]
        except ValueError:
            return None
        if set(fields) <= {exif_block.ORIENTATION}:
            return None
        return exif_block.block_of(fields, order)


def decode(stream: BinaryIO) -> Samples:
    """Decode the first page; opacity comes out straight, palettes and fewer bits spread out.

    Raises
    ------
    UnreadableContentError
        Pixels are missing.
    Exception
        One of `faults.DECODER_FAULTS`: the data is damaged or compressed in an unknown way.
    """
    import tifffile

    with tiff_file(stream) as file:
        page = first_page(file)
        require_pixel_data(page, os.fstat(stream.fileno()).st_size)
        try:
            values = page.asarray()
        except tifffile.TiffFileError as error:
            raise ValueError(str(error)) from error
        values = _rows_columns_channels(values, page)
        return samples_of(values, page)


def samples_of(values: NDArray[Any], page: TiffPage) -> Samples:
    """Bring stored samples (H x W x C, a whole page or any part of it) to full range and straight opacity."""
    photometric = _photometric(page)
    kind, colours = _COLOURS[photometric]
    opacity = _alpha(page)
    bits = _bits(page)
    if values.dtype == np.bool_:
        values = values.view(np.uint8)
    if photometric == _PALETTE:
        return Samples(_palette_colours(values[..., 0], page), "rgb", alpha=False)
    if kind == "lab":
        return Samples(_lab_values(values[..., :3], photometric), "lab", alpha=False)
    values = values[..., : colours + (opacity is not None)]
    values = from_bits(values, bits)
    if opacity == _ASSOCIATED:
        alpha = values[..., colours]
        values = np.concatenate([straight(values[..., :colours], alpha), alpha[..., None]], axis=2)
    if photometric == _WHITE_IS_ZERO:
        values = values.copy()
        values[..., 0] = np.iinfo(values.dtype).max - values[..., 0]
    return Samples(values, kind, alpha=opacity is not None)


def _rows_columns_channels(values: NDArray[Any], page: TiffPage) -> NDArray[Any]:
    """Bring a page's array to H x W x C whichever way its planes are stored."""
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    if values.size != int(np.prod(shape)):
        raise ValueError("its pixels do not fit its header")
    if page.samplesperpixel > 1 and page.planarconfig == 2:
        return np.moveaxis(values.reshape(shape[2], shape[0], shape[1]), 0, -1)
    return values.reshape(shape)


def _palette_colours(indices: NDArray[Any], page: TiffPage) -> Pixels:
    table = page.colormap
    if table is None:
        raise ValueError("its palette is missing")
    # 16-bit by the specification; writers that put 8-bit values there are common enough
    entries = table if table.max() < 256 else table >> 8
    colours: Pixels = np.take(entries.T.astype(np.uint8), indices, axis=0)
    return colours


def _lab_values(values: NDArray[Any], photometric: int) -> Pixels:
    """Bring a* and b* to 128 for neutral: photometric 8 stores them signed, 9 (ICC) with the offset."""
    lab = np.ascontiguousarray(values).view(np.uint8)
    if photometric == _CIELAB:
        lab = lab.copy()
        lab[..., 1:] ^= 0x80
    return lab


def encode(
    stream: BinaryIO,
    samples: Pixels,
    *,
    alpha: bool,
    icc: bytes | None,
    exif: bytes | None,
    resolution: tuple[float, float] | None,
) -> None:
    """Write a TIFF file: deflate with horizontal predictor, BigTIFF where 4 GB are not enough.

    Parameters
    ----------
    stream : open for reading and writing, at its beginning.
    samples : H x W (grey) or H x W x C with C = 2 (grey, alpha), 3 or 4; uint8 or uint16.
    alpha : whether the last channel is straight opacity.
    exif : a bare TIFF structure; its descriptive fields go into the file's own directories.
    resolution : pixels per inch across and down.
    """
    import tifffile

    fields = exif_block.tree(exif) if exif is not None else {}
    order: Literal["<", ">"] = exif_block.byte_order(exif) if exif is not None else "<"
    big = samples.nbytes > _CLASSIC_LIMIT
    colours = (samples.shape[2] if samples.ndim == 3 else 1) - int(alpha)
    below = {tag: sub for tag, sub in fields.items() if isinstance(sub, dict)} if not big else {}
    own_tags: list[tuple[int, int, int, bytes | int, bool]] = [
        (tag, field.kind, field.count, field.raw, True)
        for tag, field in exif_block.descriptive_fields(fields).items()
    ]
    # Pointers to sub-directories, filled in once their place is known. tifffile writes no such tag, so
    # each goes out under the unused number before its own, which keeps the directory sorted.
    own_tags += [(tag - 1, 4, 1, 0, True) for tag in below]
    own_tags.append((exif_block.ORIENTATION, 3, 1, 1, True))
    tifffile.imwrite(
        stream,
        samples,
        bigtiff=big,
        byteorder=order,
        photometric="rgb" if colours == 3 else "minisblack",
        planarconfig="contig" if samples.ndim == 3 else None,
        extrasamples=["unassalpha"] if alpha else None,
        compression="adobe_deflate",
        predictor=True,
        rowsperstrip=_rows_per_strip(samples),
        iccprofile=icc,
        metadata=None,
        software=False,
        resolution=resolution,
        resolutionunit="inch" if resolution is not None else None,
        extratags=own_tags,
    )
    for tag, directory in below.items():
        _append_directory(stream, tag, directory, order)


def _rows_per_strip(samples: Pixels) -> int:
    """Return strips of about a quarter megabyte: small enough to read by region, large enough to compress."""
    return int(max(1, (1 << 18) // max(1, samples.nbytes // samples.shape[0])))


def _append_directory(
    stream: BinaryIO, tag: int, directory: exif_block.Tree, order: exif_block.ByteOrder
) -> None:
    """Put a sub-directory at the file's end and turn its placeholder into field `tag` pointing there."""
    base = stream.seek(0, os.SEEK_END)
    if base % 2:
        base += stream.write(b"\0")
    stream.write(exif_block.packed(directory, order, base))
    stream.flush()
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        entries: Sequence[exif_block.Entry] = exif_block.first_directory(content)[0]
    for entry in entries:
        if entry.tag == tag - 1:
            stream.seek(entry.at)
            stream.write(struct.pack(f"{order}HHII", tag, entry.kind, 1, base))
