"""Small valid ICC profiles (version 2), built by hand for the tests."""

from __future__ import annotations

import itertools
import struct

_D50 = (0.9642, 1.0, 0.8249)


def _xyz(x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in (x, y, z)))


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def _text(kind: bytes, words: str) -> bytes:
    ascii_words = words.encode() + b"\0"
    if kind == b"text":
        return b"text\0\0\0\0" + ascii_words
    return b"desc\0\0\0\0" + struct.pack(">I", len(ascii_words)) + ascii_words + bytes(4 + 4 + 2 + 1 + 67)


def _profile(space: bytes, device: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": _text(b"desc", "a test profile"), b"cprt": _text(b"text", "no copyright"), **tags}
    tags[b"wtpt"] = _xyz(*_D50)
    table, body = struct.pack(">I", len(tags)), b""
    first = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, first + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", first + len(body), b"lcms", 0x02100000, device, space, connection)
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", *(round(value * 65536) for value in _D50))
    return head.ljust(128, b"\0") + table + body


def display_p3() -> bytes:
    """Return P3's primaries under D65, adapted to D50, with gamma 2.2."""
    return _profile(
        b"RGB ",
        b"mntr",
        b"XYZ ",
        {
            b"rXYZ": _xyz(0.51512, 0.24120, -0.00105),
            b"gXYZ": _xyz(0.29198, 0.69225, 0.04189),
            b"bXYZ": _xyz(0.15710, 0.06657, 0.78407),
            b"rTRC": _gamma(2.2),
            b"gTRC": _gamma(2.2),
            b"bTRC": _gamma(2.2),
        },
    )


def linear_grey() -> bytes:
    return _profile(b"GRAY", b"mntr", b"XYZ ", {b"kTRC": _gamma(1.0)})


def inks() -> bytes:
    """Return a CMYK profile in which paper is white, black ink makes L* 10, and cyan a strong blue."""
    entries = bytearray()
    for cyan, magenta, yellow, black in itertools.product((0, 1), repeat=4):
        light = 10 if black else 100 - 40 * cyan - 45 * magenta - 10 * yellow
        a, b = (0, 0) if black else (-40 * cyan + 70 * magenta, -40 * cyan + 85 * yellow)
        entries += bytes((max(0, round(light * 2.55)), a + 128, max(0, min(255, b + 128))))
    ramp = bytes(range(256))
    identity = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1\0\0\0\0" + struct.pack(">4B", 4, 3, 2, 0) + identity + ramp * 4 + bytes(entries) + ramp * 3
    return _profile(b"CMYK", b"prtr", b"Lab ", {b"A2B0": lut})
