"""Writing images row by row, so that a result larger than memory can be saved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from srviewer.imaging import bigtiff, png_rows
from srviewer.imaging import exif as exif_block
from srviewer.imaging.atomic import whole_file
from srviewer.imaging.colour import profile_space, single_channel
from srviewer.imaging.faults import ImageFileError, encoding, os_reason
from srviewer.imaging.formats import FORMATS, Format, FormatName
from srviewer.imaging.image import Image, Pixels
from srviewer.imaging.writing import (
    DEFAULT_OPTIONS,
    WriteOptions,
    check_size,
    encode_into,
    format_for,
    sized_exif,
    with_alpha,
)

STREAMED_FORMATS: frozenset[FormatName] = frozenset({"TIFF", "PNG"})
"""The formats that are written row by row; the others wait in memory until the last row is there."""

GATHERED_MEMORY = 1 << 30
"""Bytes that an image may take which is to be written in a format that can only be encoded whole."""

# Bytes of file for each byte of samples at most: noise of black and white at the highest quality takes 1.58.
_WORST_SHARE: Mapping[FormatName, float] = {"JPEG": 1.75, "AVIF": 1.75, "WEBP": 1.05, "BMP": 1.0}
_METADATA_BYTES = 1 << 16  # headers, a profile and EXIF of a usual size


class _RowEncoder(Protocol):
    def add(self, rows: Pixels) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


class _AbandonedError(Exception):
    """Tells the file under its temporary name that it will not be finished."""


class StreamWriter:
    """Takes an image's rows from top to bottom, and puts the file in place once the last one is there.

    Made by `open_stream` and used in a ``with`` block: a block that is left without `finish` leaves no
    file behind. It may be called from any thread, by one at a time.

    Attributes
    ----------
    path : the final name; nothing changes there before `finish`.
    format : the format that is written.
    width, height : of the image in pixels.
    bits : per sample, of the rows that are taken.
    rows : how many rows have been taken.
    """

    def __init__(
        self,
        path: Path,
        file: AbstractContextManager[BinaryIO],
        encoder: _RowEncoder,
        picture: _Picture,
        notes: list[str],
    ) -> None:
        self.path, self.format = path, picture.target.name
        self.width, self.height, self.bits = picture.width, picture.height, picture.bits
        self.rows = 0
        self._file, self._encoder, self._picture, self._notes = file, encoder, picture, notes
        self._closed = False

    def write_rows(self, pixels: Pixels, alpha: Pixels | None = None) -> None:
        """Take the next rows.

        Parameters
        ----------
        pixels : n x W x 3 (or n x W where the image is grey), uint8 or uint16 as `bits` says, RGB.
            They are copied, or compressed, before the call returns.
        alpha : n x W, same dtype, straight opacity; given if, and only if, the image has it.

        Raises
        ------
        ImageFileError
            The file cannot be written; what was written is gone.
        ValueError
            The rows do not fit the image, or the writer is closed.
        """
        self._require_open()
        rows = self._picture.joined(pixels, alpha)
        if self.rows + len(rows) > self.height:
            raise ValueError(f"row {self.rows + len(rows)} of an image with {self.height} rows")
        try:
            with encoding(self.path, self.format):
                self._encoder.add(rows)
        except BaseException:
            self.close()
            raise
        self.rows += len(rows)

    def finish(self) -> tuple[str, ...]:
        """Write the rest, sync it to the disk and give the file its final name.

        Returns
        -------
        Sentences about what the format made necessary, often none.

        Raises
        ------
        ImageFileError
            The file cannot be written, or its name has been taken meanwhile; what was written is gone.
        ValueError
            Rows are missing, or the writer is closed.
        """
        self._require_open()
        if self.rows < self.height:
            raise ValueError(f"only {self.rows} of {self.height} rows were written")
        try:
            with encoding(self.path, self.format):
                self._encoder.finish()
        except BaseException:
            self.close()
            raise
        self._closed = True
        self._encoder.close()
        self._file.__exit__(None, None, None)
        return tuple(self._notes)

    def close(self) -> None:
        """Give up, unless finished: remove what was written."""
        if self._closed:
            return
        self._closed = True
        self._encoder.close()
        with suppress(ImageFileError):  # a full disk, said once more while the file is closed
            self._file.__exit__(_AbandonedError, _AbandonedError(), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _require_open(self) -> None:
        if self._closed:
            raise ValueError("the writer is closed")


class _Picture:
    """What rows must look like, and how they are handed to an encoder."""

    def __init__(
        self, width: int, height: int, bits: Literal[8, 16], *, grey: bool, alpha: bool, target: Format
    ) -> None:
        self.width, self.height, self.bits = width, height, bits
        self.grey, self.alpha, self.target = grey, alpha, target
        self.dtype = np.dtype(np.uint8 if bits == 8 else np.uint16)
        self.channels = (1 if grey else 3) + int(alpha)

    def joined(self, pixels: Pixels, alpha: Pixels | None) -> Pixels:
        """Check rows; return them as n x W x C with opacity last."""
        flat = self.grey and pixels.ndim == 2
        shape = (len(pixels), self.width) if flat else (len(pixels), self.width, 3)
        if pixels.shape != shape or pixels.dtype != self.dtype:
            raise ValueError(f"rows must be {shape} of {self.dtype}, not {pixels.shape} of {pixels.dtype}")
        if (alpha is not None) != self.alpha:
            raise ValueError(f"opacity is {'missing' if self.alpha else 'given for an opaque image'}")
        if alpha is not None and (alpha.shape != shape[:2] or alpha.dtype != self.dtype):
            raise ValueError(
                f"opacity must be {shape[:2]} of {self.dtype}, not {alpha.shape} of {alpha.dtype}"
            )
        colours = single_channel(pixels) if self.grey and not flat else pixels
        return with_alpha(colours, alpha).reshape(len(pixels), self.width, self.channels)


class _Gathered:
    """Keeps all rows until the end, for formats whose encoders want the whole image."""

    def __init__(
        self,
        stream: BinaryIO,
        picture: _Picture,
        icc: bytes | None,
        exif: bytes | None,
        options: WriteOptions,
        notes: list[str],
    ) -> None:
        self._stream, self._picture, self._icc, self._exif = stream, picture, icc, exif
        self._options, self._notes = options, notes
        shape = (picture.height, picture.width, picture.channels)
        self._samples: NDArray[Any] = np.empty(shape, picture.dtype)
        self._rows = 0

    def add(self, rows: Pixels) -> None:
        self._samples[self._rows : self._rows + len(rows)] = rows
        self._rows += len(rows)

    def finish(self) -> None:
        picture = self._picture
        alpha: Pixels | None = np.ascontiguousarray(self._samples[..., -1]) if picture.alpha else None
        if picture.grey:
            pixels: Pixels = np.repeat(self._samples[..., :1], 3, axis=2)
        else:
            pixels = np.ascontiguousarray(self._samples[..., :3])
        image = Image(pixels, alpha=alpha, grey=picture.grey, icc=self._icc, exif=self._exif)
        self._notes += encode_into(self._stream, image, picture.target, self._options)

    def close(self) -> None:
        self._samples = np.empty((0, 0, 0), self._picture.dtype)


def open_stream(
    path: str | Path,
    *,
    width: int,
    height: int,
    bits: Literal[8, 16],
    grey: bool = False,
    alpha: bool = False,
    icc: bytes | None = None,
    exif: bytes | None = None,
    format: FormatName | None = None,  # noqa: A002 - the word users know, and Pillow's
    overwrite: bool = False,
    options: WriteOptions = DEFAULT_OPTIONS,
    compress: bool = True,
    max_memory: int = GATHERED_MEMORY,
) -> StreamWriter:
    """Begin an image file whose rows will be written from top to bottom.

    TIFF becomes a tiled BigTIFF, losslessly compressed, with reduced levels that are made as the rows
    arrive; PNG is compressed by bands of rows. Both keep 8 and 16 bits, grey, opacity, profile and EXIF,
    and take memory for some bands of rows, whatever the image's height. Any other format gathers the rows
    and changes the image as `write_image` does. EXIF fields that state the size are set to the image's.

    Parameters
    ----------
    width, height : of the image in pixels.
    bits : per sample of the rows.
    grey : whether the rows hold one colour channel.
    alpha : whether straight opacity comes with the rows.
    icc : the profile that the rows are in; one for grey only where `grey` is set.
    exif : a bare TIFF structure.
    format : None takes it from the path's suffix.
    overwrite : whether an existing file is replaced, when all is written.
    compress : whether a TIFF is compressed.
    max_memory : the most bytes that a format may take which can only be encoded whole.

    Raises
    ------
    ImageFileError
        The format is unknown or cannot hold such an image, the file exists or cannot be created, or
        the disk or `max_memory` is too small for it. Nothing has been written then.
    """
    path = Path(path)
    target = format_for(path, format)
    check_size(path, width, height, bits, target)
    if target.name == "PNG" and max(width, height) > png_rows.MOST_SIDE:
        raise ImageFileError(
            path, f"readers of PNG accept at most {png_rows.MOST_SIDE:,} pixels a side; choose TIFF"
        )
    if icc is not None and not grey and profile_space(icc) == "GRAY":
        raise ValueError("a profile for grey does not describe RGB rows")
    picture = _Picture(width, height, bits, grey=grey, alpha=alpha, target=target)
    if target.name not in STREAMED_FORMATS:
        _require_memory(path, picture, max_memory)
    notes: list[str] = []
    file = whole_file(path, overwrite=overwrite)
    stream = file.__enter__()
    try:
        needed = estimated_bytes(width, height, bits, picture.channels, target.name)
        require_space(path, needed + len(icc or b"") + len(exif or b""))
        with encoding(path, target.name):
            encoder = _encoder(stream, picture, icc, exif, options, compress, notes)
    except BaseException as error:
        file.__exit__(type(error), error, error.__traceback__)
        raise
    return StreamWriter(path, file, encoder, picture, notes)


def _encoder(
    stream: BinaryIO,
    picture: _Picture,
    icc: bytes | None,
    exif: bytes | None,
    options: WriteOptions,
    compress: bool,
    notes: list[str],
) -> _RowEncoder:
    target = picture.target
    if target.name not in STREAMED_FORMATS:
        return _Gathered(stream, picture, icc, exif, options, notes)
    exif = sized_exif(exif, picture.width, picture.height, target, notes)
    resolution = exif_block.resolution(exif) if exif is not None else None
    if target.name == "PNG":
        return png_rows.PngRows(
            stream,
            width=picture.width,
            height=picture.height,
            channels=picture.channels,
            bits=picture.bits,
            level=options.png_level,
            icc=icc,
            exif=exif,
            resolution=resolution,
        )
    return bigtiff.TiledTiff(
        stream,
        width=picture.width,
        height=picture.height,
        channels=picture.channels,
        alpha=picture.alpha,
        bits=picture.bits,
        icc=icc,
        exif=exif,
        resolution=resolution,
        compress=compress,
    )


def _require_memory(path: Path, picture: _Picture, limit: int) -> None:
    """Refuse what would not fit while it is encoded whole."""
    sample = picture.bits // 8
    # The rows, three channels of them, a copy in 8 bits, and what Pillow and the encoder make of it.
    needed = picture.width * picture.height * (picture.channels * sample + 3 * sample + 10)
    if needed > limit:
        raise ImageFileError(
            path,
            f"{picture.target.name} can only be written whole, which for {picture.width:,} × "
            f"{picture.height:,} pixels takes about {_amount(needed)} of memory, more than the "
            f"{_amount(limit)} allowed; choose .tif or .png, which are written row by row",
        )


def estimated_bytes(
    width: int,
    height: int,
    bits: Literal[8, 16],
    channels: int,
    format: FormatName,  # noqa: A002 - the word users know, and Pillow's
) -> int:
    """Return the most bytes that such an image takes on the disk, as if nothing in it could be compressed.

    Photographs take about half of it as TIFF and PNG.

    Parameters
    ----------
    channels : colour channels and opacity together, 1 to 4.
    format : what it is written in; TIFF counts the reduced levels, a third on top.
    """
    sample = min(bits, FORMATS[format].bits) // 8
    if format == "TIFF":
        return bigtiff.worst_bytes(width, height, channels * sample) + _METADATA_BYTES
    if format == "PNG":
        return png_rows.worst_bytes(width, height, channels * sample) + _METADATA_BYTES
    stored = width * channels * sample if FORMATS[format].grey else width * max(3, channels) * sample
    rows = -(-stored // 4) * 4  # BMP's rows end on four bytes
    return int(rows * height * _WORST_SHARE[format]) + _METADATA_BYTES


def require_space(path: str | Path, needed: int) -> None:
    """Raise ImageFileError, naming both numbers, where the disk has less than `needed` bytes free.

    Parameters
    ----------
    path : of a file that may not exist yet, in a folder that does.
    """
    path = Path(path)
    folder = Path(os.path.realpath(path)).parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ImageFileError(path, f"it cannot be created: {os_reason(error)}") from error
    if free < needed:
        raise ImageFileError(
            path, f"it may take up to {_amount(needed)}, and the disk has {_amount(free)} free"
        )


def _amount(count: int) -> str:
    """Write a number of bytes for people, rounded to a tenth."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
