"""What the worker is asked for: frozen records that cross from the GUI thread to its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from srviewer.engine.request import UpscaleOptions
from srviewer.imaging.image import Image
from srviewer.session.analyses import AnalysisOrder
from srviewer.session.events import JobId


@dataclass(frozen=True, eq=False)
class UpscaleRequest:
    """One run of a network, as the worker gets it.

    Attributes
    ----------
    job : the queue's name for it.
    model : the network's reference.
    options : how to run it.
    picture : the network's input.
    focus : part in view, left, top, right, bottom in 0..1: its tiles come first.
    """

    job: JobId
    model: str
    options: UpscaleOptions
    picture: Image
    focus: tuple[float, float, float, float] | None


@dataclass(frozen=True, eq=False)
class AnalysisRequest:
    """One look inside a network, as the worker gets it.

    Attributes
    ----------
    job : the queue's name for it.
    model : the network's reference.
    options : whose device and memory limit count; analyses run in fp32.
    picture : the network's input.
    order : what to do.
    """

    job: JobId
    model: str
    options: UpscaleOptions
    picture: Image
    order: AnalysisOrder


@dataclass(frozen=True, eq=False)
class FileRequest:
    """One run of a network from file to file, as the worker gets it.

    Attributes
    ----------
    job : the queue's name for it.
    model : the network's reference.
    options : how to run it.
    input, output : the files.
    """

    job: JobId
    model: str
    options: UpscaleOptions
    input: Path
    output: Path
