"""The image formats: how each is recognised, what it can hold, and which known ones are not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

FormatName = Literal["PNG", "JPEG", "WEBP", "TIFF", "BMP", "AVIF"]


@dataclass(frozen=True)
class Format:
    """What a file format can hold.

    Attributes
    ----------
    name : as Pillow spells it.
    suffixes : lower case with the dot; the first is the usual one.
    bits : the most bits per sample that are written.
    alpha : whether transparency can be written.
    grey : whether a single colour channel can be written.
    metadata : whether an ICC profile and EXIF can be written.
    side : the most pixels a side can have, or None.
    """

    name: FormatName
    suffixes: tuple[str, ...]
    bits: Literal[8, 16]
    alpha: bool
    grey: bool
    metadata: bool
    side: int | None


# JPEG's limit is libjpeg's (the format's is 65,535); AVIF's keeps within what libavif's decoder accepts.
FORMATS: Mapping[FormatName, Format] = {
    "PNG": Format("PNG", (".png",), 16, alpha=True, grey=True, metadata=True, side=None),
    "JPEG": Format(
        "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), 8, alpha=False, grey=True, metadata=True, side=65_500
    ),
    "WEBP": Format("WEBP", (".webp",), 8, alpha=True, grey=False, metadata=True, side=16_383),
    "TIFF": Format("TIFF", (".tif", ".tiff"), 16, alpha=True, grey=True, metadata=True, side=None),
    "BMP": Format("BMP", (".bmp", ".dib"), 8, alpha=False, grey=True, metadata=False, side=None),
    "AVIF": Format("AVIF", (".avif",), 8, alpha=True, grey=False, metadata=True, side=16_384),
}

IMAGE_SUFFIXES: frozenset[str] = frozenset(suffix for known in FORMATS.values() for suffix in known.suffixes)
"""The suffixes of files that are read and written, lower case, with the dot."""

_BY_SUFFIX: Mapping[str, FormatName] = {suffix: f.name for f in FORMATS.values() for suffix in f.suffixes}

_RAW = "a camera's RAW file, which is not supported; develop it to a 16-bit TIFF first"
# fmt: off
_RAW_SUFFIXES = frozenset(
    {
        ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff",
        ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef",
        ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f",
    }
)
# fmt: on

FOREIGN_SUFFIXES: frozenset[str] = _RAW_SUFFIXES | {
    *(".gif", ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".jxr", ".psd", ".psb", ".xcf", ".svg", ".pdf"),
    *(".exr", ".hdr", ".tga", ".ico", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".dds", ".apng"),
}
"""The suffixes of images that are neither read nor written, lower case, with the dot."""

# Leading bytes of formats that people do drop on an image program, and what to say about them.
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"GIF87a", "a GIF, which is not supported; save it as PNG"),
    (b"GIF89a", "a GIF, which is not supported; save it as PNG"),
    (b"8BPS", "a Photoshop document (PSD), which is not supported; save it as TIFF or PNG"),
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"IIU\0", _RAW),
    (b"FOVb", _RAW),
    (b"II\xbc\x01", "a JPEG XR image, which is not supported; save it as TIFF or PNG"),
    (b"\xff\x0a", "a JPEG XL image, which is not supported; save it as PNG"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image, which is not supported; save it as PNG"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image, which is not supported; save it as TIFF or PNG"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image, which is not supported; save it as TIFF or PNG"),
    (b"v/1\x01", "an OpenEXR image, which is not supported; save it as a 16-bit TIFF"),
    (b"#?RADIANCE", "a Radiance HDR image, which is not supported; save it as a 16-bit TIFF"),
    (b"\0\0\x01\0", "an icon, which is not supported; save it as PNG"),
    (b"%PDF", "a PDF document, not an image"),
    (b"PK\x03\x04", "an archive, not an image"),
)
_REFUSED_BRANDS: tuple[tuple[frozenset[bytes], str], ...] = (
    (
        frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}),
        "a HEIC image, which is not supported; save it as JPEG, PNG or AVIF",
    ),
    (frozenset({b"crx "}), _RAW),
    (frozenset({b"isom", b"mp41", b"mp42", b"qt  ", b"M4V ", b"iso2"}), "a video, not an image"),
)
_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

HEAD_BYTES = 64
"""How much of a file's beginning `identify` wants to see."""


def is_image_path(path: str | Path) -> bool:
    """Tell by its suffix whether `path` names an image that can be read; the file is not touched."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def format_of_path(path: str | Path) -> FormatName | None:
    """Return the format that a file of this name is written in, or None for a foreign suffix."""
    return _BY_SUFFIX.get(Path(path).suffix.lower())


def usual_suffix(name: FormatName) -> str:
    """Return the suffix that files of a format usually have, with the dot."""
    return FORMATS[name].suffixes[0]


def identify(head: bytes, path: Path) -> tuple[FormatName | None, str]:
    """Recognise a file by its first `HEAD_BYTES` bytes.

    The suffix is asked only where content cannot tell: most RAW files begin as a TIFF does.

    Returns
    -------
    The format and an empty string, or None and the reason why the file is not read.
    """
    if not head:
        return None, "the file is empty"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG", ""
    if head.startswith(b"\xff\xd8\xff"):
        return "JPEG", ""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP", ""
    if head.startswith(b"BM"):
        return "BMP", ""
    if head.startswith(_TIFF_MAGIC):
        if head[8:10] == b"CR" or path.suffix.lower() in _RAW_SUFFIXES:
            return None, f"it is {_RAW}"
        return "TIFF", ""
    if head[4:8] == b"ftyp":
        return _identify_brands(head)
    for magic, what in _REFUSED:
        if head.startswith(magic):
            return None, f"it is {what}"
    if path.suffix.lower() in _RAW_SUFFIXES:
        return None, f"it is {_RAW}"
    if _is_text(head):
        return None, "it is not an image but text"
    return None, "it is not an image in a format that is read (PNG, JPEG, WebP, TIFF, BMP, AVIF)"


def _identify_brands(head: bytes) -> tuple[FormatName | None, str]:
    """Recognise a file of ISO's base media kind by its major brand, then by the compatible ones."""
    end = min(max(int.from_bytes(head[:4], "big"), 12), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    for brand in brands:
        if brand in (b"avif", b"avis"):
            return "AVIF", ""
        for known, what in _REFUSED_BRANDS:
            if brand in known:
                return None, f"it is {what}"
    return None, "it is a media file of a kind that is not supported; save it as JPEG, PNG or AVIF"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        text = head[: error.start].decode() if error.start >= len(head) - 3 else "\0"
    return all(character.isprintable() or character.isspace() for character in text)
