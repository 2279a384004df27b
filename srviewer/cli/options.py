"""The options that commands share, and how their values are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Tile = int | Literal["auto", "off"]

_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def parse_path(text: str) -> Path:
    """Read a path; a usage error where it is empty, as an unset variable of a shell makes it.

    Whether something can be read there is not asked: opening it tells, and that is a failed input, not wrong
    usage.
    """
    if not text:
        raise typer.BadParameter("the path is empty")
    return Path(text)


def parse_tile(text: str) -> str:
    """Check a tile side: ``auto``, ``off`` or a number of input pixels of at least 16."""
    if text in ("auto", "off"):
        return text
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) < 16:
        raise typer.BadParameter(f"{text!r} is neither auto, off nor a whole number of pixels of at least 16")
    return text


def tile_of(text: str) -> Tile:
    """Turn a checked tile side into what the engine takes."""
    match text:
        case "auto":
            return "auto"
        case "off":
            return "off"
    return int(text)


def parse_bytes(text: str) -> int:
    """Read a size in bytes: ``2G``, ``500M``, ``1.5GiB``, ``800000000`` (units are powers of 1024)."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    size = 0 if match is None else int(float(match[1]) * _UNITS[match[2]])
    if size < 1:
        raise typer.BadParameter(f"{text!r} is no size; write for example 2G or 500M")
    return size


def parse_count(text: str) -> int:
    """Read a positive count, with an optional K, M or G in powers of 1000: ``1G`` is a thousand million."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)", text.strip().lower())
    count = (
        0 if match is None else int(float(match[1]) * {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}[match[2]])
    )
    if count < 1:
        raise typer.BadParameter(f"{text!r} is no number; write for example 500M or 2G")
    return count


def parse_size(text: str) -> tuple[int, int]:
    """Read ``WIDTHxHEIGHT`` in pixels; a usage error where it is none."""
    match = re.fullmatch(r"(\d+)[x×](\d+)", text.strip().lower())
    if match is None or int(match[1]) == 0 or int(match[2]) == 0:
        raise typer.BadParameter(f"{text!r} is no size; write for example 1280x720")
    return int(match[1]), int(match[2])


def parse_region(text: str) -> tuple[int, int, int, int]:
    """Read ``X,Y,W,H`` in pixels of the larger image."""
    match = re.fullmatch(r"(\d+),(\d+),(\d+),(\d+)", text.replace(" ", ""))
    if match is None or int(match[3]) == 0 or int(match[4]) == 0:
        raise typer.BadParameter(f"{text!r} is no region; write X,Y,W,H, for example 100,80,64,64")
    return int(match[1]), int(match[2]), int(match[3]), int(match[4])


Models = Annotated[
    list[str],
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Network: an id (see `srviewer models`), an id with its weights' source (bsrn_x4@official), "
        "or a checkpoint file. Repeat for several.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda:0, mps", rich_help_panel="Engine")
]
PrecisionOption = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="Arithmetic of the network; auto is the fastest that costs next to nothing.",
        rich_help_panel="Engine",
    ),
]
TileOption = Annotated[
    str,
    typer.Option(
        "--tile",
        metavar="auto|off|N",
        callback=parse_tile,
        help="Side of a tile in input pixels; auto measures.",
        rich_help_panel="Engine",
    ),
]
MaxMemory = Annotated[
    int | None,
    typer.Option(
        "--max-memory",
        metavar="SIZE",
        parser=parse_bytes,
        help="Memory the network may use, as 2G or 500M.",
        rich_help_panel="Engine",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on standard output.")]
