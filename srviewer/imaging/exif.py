"""EXIF blocks and the directories of TIFF files that hold the same fields."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

ByteOrder = Literal["<", ">"]

ORIENTATION = 274
EXIF_DIRECTORY = 34665
GPS_DIRECTORY = 34853
_INTEROPERABILITY_DIRECTORY = 40965
_DIRECTORIES = (EXIF_DIRECTORY, GPS_DIRECTORY, _INTEROPERABILITY_DIRECTORY)
_WIDTH_TAGS, _HEIGHT_TAGS = (
    (256, 40962),
    (257, 40963),
)  # ImageWidth/ImageLength, PixelXDimension/PixelYDimension
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_THUMBNAIL_OFFSET, _THUMBNAIL_LENGTH = 513, 514
_SHORT, _LONG, _RATIONAL = 3, 4, 5
LONG8, IFD8 = 16, 18  # BigTIFF's kinds of integers
_KIND_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_TURNED_BYTES = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}  # what a byte order turns round
_BIG_KIND_BYTES = _KIND_BYTES | {LONG8: 8, 17: 8, IFD8: 8}
_PREFIX = b"Exif\0\0"
_MOST_ENTRIES = 4096  # far more than any camera writes; a damaged count must not cost time

# Fields of a TIFF file's first directory that describe the picture, not how its pixels are stored.
_DESCRIPTIVE = frozenset(
    {
        269,
        270,
        271,
        272,
        ORIENTATION,
        _X_RESOLUTION,
        _Y_RESOLUTION,
        _RESOLUTION_UNIT,
        285,
        305,
        306,
        315,
        316,
        33432,
    }
    | {EXIF_DIRECTORY, GPS_DIRECTORY, 18246, 18249, 40091, 40092, 40093, 40094, 40095}
)
_WRITTEN_ELSEWHERE = frozenset({ORIENTATION, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, *_DIRECTORIES})


@dataclass(frozen=True)
class Layout:
    """How wide the numbers of a directory are.

    Attributes
    ----------
    total, number : struct's codes for how many fields there are, and for a count or an offset.
    inline : the most bytes that a field's value has within the field.
    kinds : bytes of one value by kind.
    pointer : the kind of a pointer to another directory, as it is written.
    """

    total: Literal["H", "Q"]
    number: Literal["I", "Q"]
    inline: Literal[4, 8]
    kinds: Mapping[int, int]
    pointer: int

    @property
    def entry_bytes(self) -> int:
        """The size of one field."""
        return 4 + 2 * self.inline

    @property
    def total_bytes(self) -> int:
        """The size of the number of fields that leads a directory."""
        return struct.calcsize(f"<{self.total}")


CLASSIC = Layout("H", "I", 4, _KIND_BYTES, _LONG)
BIG = Layout("Q", "Q", 8, _BIG_KIND_BYTES, LONG8)


@dataclass(frozen=True)
class Entry:
    """One field of a directory: where it stands, and where its `size` bytes of value are."""

    tag: int
    kind: int
    count: int
    at: int
    value_at: int
    size: int


@dataclass(frozen=True)
class Field:
    """One field taken out of its file; `raw` holds `count` values in the file's byte order."""

    kind: int
    count: int
    raw: bytes


Tree = dict[int, "Field | Tree"]
"""A directory by tag; sub-directories (EXIF, GPS, interoperability) are trees of their own."""


def byte_order(data: bytes | bytearray | mmap.mmap) -> ByteOrder:
    """Return the byte order of a classic TIFF structure; ValueError where it is none."""
    head = bytes(data[:4])
    if head == b"II*\0":
        return "<"
    if head == b"MM\0*":
        return ">"
    raise ValueError("no TIFF structure")


def structure(data: bytes | mmap.mmap) -> tuple[ByteOrder, Layout, int]:
    """Return byte order, layout and the first directory's offset of a TIFF or BigTIFF; else ValueError."""
    head = bytes(data[:8])
    if head in (b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"):
        order: ByteOrder = "<" if head.startswith(b"I") else ">"
        return order, BIG, _number(data, order, 8, 8)
    order = byte_order(head)
    return order, CLASSIC, _number(data, order, 4, 4)


def first_directory(data: bytes | bytearray | mmap.mmap) -> tuple[list[Entry], int]:
    """Return the fields of the first directory, and where its pointer to the next one stands."""
    order = byte_order(data)
    return _directory(data, order, _number(data, order, 4, 4))


def _number(data: bytes | bytearray | mmap.mmap, order: ByteOrder, at: int, size: int) -> int:
    raw = bytes(data[at : at + size])
    if len(raw) != size:
        raise ValueError("the EXIF structure ends early")
    return int.from_bytes(raw, "little" if order == "<" else "big")


def _directory(
    data: bytes | bytearray | mmap.mmap, order: ByteOrder, offset: int, layout: Layout = CLASSIC
) -> tuple[list[Entry], int]:
    """Walk the directory at `offset`; a field whose value lies outside the data is left out."""
    count = _number(data, order, offset, layout.total_bytes)
    first = offset + layout.total_bytes
    end = first + layout.entry_bytes * count
    if offset < 8 or count > _MOST_ENTRIES or end > len(data):
        raise ValueError("an EXIF directory lies outside its block")
    entries: list[Entry] = []
    fields = f"{order}HH{layout.number}{layout.number}"
    for at in range(first, end, layout.entry_bytes):
        tag, kind, number, value = struct.unpack(fields, data[at : at + layout.entry_bytes])
        size = layout.kinds.get(kind, 0) * number
        value_at = at + 4 + layout.inline if size <= layout.inline else value
        if size and value_at + size <= len(data):
            entries.append(Entry(tag, kind, number, at, value_at, size))
    return entries, end


def _value(data: bytes | bytearray | mmap.mmap, order: ByteOrder, entry: Entry) -> int | None:
    """Return an entry's single unsigned integer, or None where it holds something else."""
    if entry.count != 1 or entry.kind not in (_SHORT, _LONG, 13, LONG8, IFD8):
        return None
    return _number(data, order, entry.value_at, entry.size)


def _all_entries(data: bytes | bytearray | mmap.mmap, order: ByteOrder) -> Iterator[Entry]:
    """Yield the fields of the first directory and of the sub-directories below it, each directory once."""
    waiting, seen = [_number(data, order, 4, 4)], set[int]()
    while waiting:
        offset = waiting.pop(0)
        if offset in seen:
            continue
        seen.add(offset)
        try:
            entries, _ = _directory(data, order, offset)
        except ValueError:
            if len(seen) == 1:
                raise
            continue  # a damaged sub-directory does not cost the rest
        for entry in entries:
            pointer = _value(data, order, entry) if entry.tag in _DIRECTORIES else None
            if pointer is not None:
                waiting.append(pointer)
            yield entry


def orientation(block: bytes) -> int:
    """Return how the stored rows and columns lie (EXIF 2.32, 4.6.4), 1 where nothing valid is said."""
    order = byte_order(block)
    for entry in first_directory(block)[0]:
        if entry.tag == ORIENTATION:
            value = _value(block, order, entry)
            return value if value is not None and 1 <= value <= 8 else 1
    return 1


def without_prefix(block: bytes) -> bytes:
    """Return the block as a bare TIFF structure, without the ``Exif`` mark that may lead it."""
    return block.removeprefix(_PREFIX)


def with_prefix(block: bytes) -> bytes:
    """Return the block as JPEG's APP1 segment holds it, led by the ``Exif`` mark."""
    return _PREFIX + block


def upright(block: bytes) -> bytes:
    """Return the block for pixels that have been turned upright: orientation 1, no thumbnail.

    The block is changed in place wherever possible, never laid out anew: makers' notes hold offsets
    that only fit as long as everything stays where the camera put it.

    Raises
    ------
    ValueError
        The block is no readable EXIF.
    """
    order = byte_order(block)
    changed = bytearray(block)
    entries, next_at = first_directory(block)
    for entry in entries:
        if entry.tag == ORIENTATION and _value(block, order, entry) is not None:
            _put(changed, order, entry, 1)
    used = [(entry.at, entry.at + 12) for entry in _all_entries(block, order)]
    used += [(e.value_at, e.value_at + e.size) for e in _all_entries(block, order)]
    pointer_ends = next_at + 4
    if pointer_ends <= len(block):
        thumbnail = _number(block, order, next_at, 4)
        changed[next_at:pointer_ends] = bytes(4)
        if thumbnail:
            _erase_thumbnail(changed, order, thumbnail, [*used, (0, pointer_ends)])
    return bytes(changed)


def _erase_thumbnail(block: bytearray, order: ByteOrder, directory: int, used: list[tuple[int, int]]) -> None:
    """Blank the thumbnail's bytes, and cut them off where nothing else follows."""
    try:
        entries, _ = _directory(block, order, directory)
    except ValueError:
        return
    found = {entry.tag: _value(block, order, entry) for entry in entries}
    start, length = found.get(_THUMBNAIL_OFFSET), found.get(_THUMBNAIL_LENGTH)
    if start is None or length is None or start + length > len(block):
        return
    end = start + length
    if any(low < end and start < high for low, high in used):
        return
    block[start:end] = bytes(length)
    if all(high <= start for _, high in used):
        del block[start:]


def _put(block: bytearray, order: ByteOrder, entry: Entry, value: int) -> None:
    """Set a single integer in place; a SHORT becomes a LONG where the value needs it (both stand inline)."""
    kind = _LONG if entry.kind == _SHORT and value > 0xFFFF else entry.kind
    code = "HH" if kind == _SHORT else "I"
    raw = struct.pack(f"{order}{code}", *((value, 0) if kind == _SHORT else (value,)))
    struct.pack_into(f"{order}H", block, entry.at + 2, kind)
    block[entry.at + 8 : entry.at + 12] = raw


def resized(block: bytes, width: int, height: int) -> bytes:
    """Return the block with every field that states the picture's size saying `width` x `height`.

    Raises
    ------
    ValueError
        The block is no readable EXIF.
    """
    order = byte_order(block)
    changed = bytearray(block)
    for entry in _all_entries(block, order):
        if entry.tag in _WIDTH_TAGS + _HEIGHT_TAGS and _value(block, order, entry) is not None:
            _put(changed, order, entry, width if entry.tag in _WIDTH_TAGS else height)
    return bytes(changed)


def resolution(block: bytes) -> tuple[float, float] | None:
    """Return the horizontal and vertical pixels per inch that the block states, or None."""
    try:
        order = byte_order(block)
        entries = {entry.tag: entry for entry in first_directory(block)[0]}
    except ValueError:
        return None
    unit = _value(block, order, entries[_RESOLUTION_UNIT]) if _RESOLUTION_UNIT in entries else 2
    found: list[float] = []
    for tag in (_X_RESOLUTION, _Y_RESOLUTION):
        entry = entries.get(tag)
        if entry is None or entry.kind != _RATIONAL or entry.count != 1:
            return None
        numerator, denominator = struct.unpack(f"{order}II", block[entry.value_at : entry.value_at + 8])
        found.append(numerator / denominator if denominator else 0.0)
    if unit not in (2, 3) or not all(0 < value < 1e6 for value in found):
        return None
    factor = 2.54 if unit == 3 else 1.0
    return found[0] * factor, found[1] * factor


def tree(data: bytes | mmap.mmap) -> Tree:
    """Take the descriptive fields out of an EXIF block or a TIFF file (also a BigTIFF); else ValueError."""
    order, layout, first = structure(data)

    def collect(offset: int, above: tuple[int, ...]) -> Tree:
        found: Tree = {}
        for entry in _directory(data, order, offset, layout)[0]:
            pointer = _value(data, order, entry) if entry.tag in _DIRECTORIES else None
            if not above and entry.tag not in _DESCRIPTIVE:
                continue
            if pointer is None:
                if entry.kind not in CLASSIC.kinds:
                    continue  # BigTIFF's own kinds describe no picture, and no EXIF block may hold them
                raw = bytes(data[entry.value_at : entry.value_at + entry.size])
                found[entry.tag] = Field(entry.kind, entry.count, raw)
            elif pointer not in above and len(above) < 2:
                try:
                    found[entry.tag] = collect(pointer, (*above, pointer))
                except ValueError:
                    continue  # a damaged sub-directory does not cost the rest
        return found

    return collect(first, ())


def reordered(directory: Tree, order: ByteOrder, wanted: ByteOrder) -> Tree:
    """Return a tree read in one byte order for writing in another; makers' private bytes stay as they are."""
    if order == wanted:
        return directory
    turned: Tree = {}
    for tag, field in directory.items():
        if isinstance(field, dict):
            turned[tag] = reordered(field, order, wanted)
            continue
        size = _TURNED_BYTES.get(field.kind, 1)
        raw = b"".join(field.raw[at : at + size][::-1] for at in range(0, len(field.raw), size))
        turned[tag] = Field(field.kind, field.count, raw)
    return turned


def packed(directory: Tree, order: ByteOrder, base: int, layout: Layout = CLASSIC) -> bytes:
    """Lay a directory out as it stands at offset `base` (even) of a file: fields, values, sub-directories."""
    tags = sorted(directory)
    out = bytearray(struct.pack(f"{order}{layout.total}", len(tags)))
    tail = bytearray()
    tail_at = base + layout.total_bytes + layout.entry_bytes * len(tags) + layout.inline
    head, number = f"{order}HH{layout.number}", f"{order}{layout.number}"
    for tag in tags:
        field = directory[tag]
        if isinstance(field, dict):
            below = packed(field, order, tail_at + len(tail), layout)
            out += struct.pack(head, tag, layout.pointer, 1) + struct.pack(number, tail_at + len(tail))
            tail += below
        elif len(field.raw) <= layout.inline:
            out += struct.pack(head, tag, field.kind, field.count) + field.raw.ljust(layout.inline, b"\0")
        else:
            out += struct.pack(head, tag, field.kind, field.count) + struct.pack(number, tail_at + len(tail))
            tail += field.raw + b"\0" * (len(field.raw) % 2)
    return bytes(out) + bytes(layout.inline) + bytes(tail)


def block_of(directory: Tree, order: ByteOrder) -> bytes:
    """Make an EXIF block (a bare TIFF structure) of a tree."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(f"{order}I", 8) + packed(directory, order, 8)


def descriptive_fields(directory: Tree) -> Mapping[int, Field]:
    """Return what a TIFF's first directory takes over unchanged: no sub-directory or resolution."""
    return {
        tag: field
        for tag, field in directory.items()
        if isinstance(field, Field) and tag in _DESCRIPTIVE and tag not in _WRITTEN_ELSEWHERE
    }
