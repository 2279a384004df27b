"""The public face of image files: what other rooms read, write and recognise them with."""

from __future__ import annotations

from srviewer.imaging.faults import ImageFileError
from srviewer.imaging.formats import (
    FOREIGN_SUFFIXES,
    IMAGE_SUFFIXES,
    FormatName,
    format_of_path,
    is_image_path,
    usual_suffix,
)
from srviewer.imaging.reading import ImageInfo, probe, read_image, read_thumbnail
from srviewer.imaging.writing import WriteOptions, write_image

__all__ = [
    "FOREIGN_SUFFIXES",
    "IMAGE_SUFFIXES",
    "FormatName",
    "ImageFileError",
    "ImageInfo",
    "WriteOptions",
    "format_of_path",
    "is_image_path",
    "probe",
    "read_image",
    "read_thumbnail",
    "usual_suffix",
    "write_image",
]
