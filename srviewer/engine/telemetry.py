"""What a run costs: its time, its speed and its memory, measured while it goes on."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import torch

from srviewer.engine.device import Device
from srviewer.engine.request import Progress

_SAMPLING_SECONDS = 0.002  # a convolution that sets the peak of a small tile lasts some milliseconds
# Bytes of the largest recording (`count_replayed`) that has run since the last meter began.
_replayed = 0
_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def memory_in_use(device: Device) -> int:
    """Return the bytes in use now: allocated by torch (CUDA, MPS), or the process's resident set (CPU)."""
    if device.kind == "cuda":
        return int(torch.cuda.memory_allocated(device.torch))
    if device.kind == "mps":
        return int(torch.mps.current_allocated_memory())
    return int(psutil.Process().memory_info().rss)


def release_memory(device: Device) -> None:
    """Give back memory that was freed but is still held, so that a measurement starts from the ground."""
    if device.kind == "cuda":
        torch.cuda.empty_cache()
    elif device.kind == "mps":
        torch.mps.empty_cache()
    elif sys.platform.startswith("linux"):
        # glibc keeps freed blocks: a measurement could take place wholly inside them and show nothing.
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def count_replayed(size: int) -> None:
    """Count the memory of a CUDA graph that runs: it is its own, and torch's count leaves it out."""
    global _replayed
    _replayed = max(_replayed, size)


class PeakMeter:
    """Watches the most memory that is in use between entering and leaving a ``with`` block.

    On CUDA torch counts it, and what CUDA graphs hold is added. On a CPU the kernel does where it lets us
    reset its count (Linux); elsewhere, and on MPS, a thread looks every 2 ms. The thread has ended when the
    block is left.

    Attributes
    ----------
    device : whose memory is watched.
    before : bytes in use on entering.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.before = 0
        self._seen = 0
        self._kernel_counts = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        device = self.device
        if device.kind == "cuda":
            torch.cuda.synchronize(device.torch)
            torch.cuda.reset_peak_memory_stats(device.torch)
            global _replayed
            _replayed = 0
        elif device.kind == "cpu":
            self._kernel_counts = _reset_resident_peak()
        self.before = self._seen = memory_in_use(device)
        if device.kind != "cuda" and not self._kernel_counts:
            self._thread = threading.Thread(target=self._sample, name="memory-meter", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.peak()
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def peak(self) -> int:
        """Return the most bytes in use since entering, in the sense of `memory_in_use`."""
        if self.device.kind == "cuda":
            now = max(
                int(torch.cuda.max_memory_allocated(self.device.torch)),
                memory_in_use(self.device) + _replayed,
            )
        elif self._kernel_counts:
            now = _resident_peak()
        else:
            now = memory_in_use(self.device)
        self._seen = max(self._seen, now)
        return self._seen

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLING_SECONDS):
            self._seen = max(self._seen, memory_in_use(self.device))


class Stopwatch:
    """Keeps the time of a run and foretells its end.

    Work is counted in pixels that the network sees, overlap included: tiles at the border are smaller, so
    counting tiles would foretell wrongly.

    Parameters
    ----------
    clock : seconds that only grow; replaced in tests.

    Attributes
    ----------
    tiles : finished so far; a fraction where a tile takes several steps.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._begin = clock()
        self._paused = 0.0
        self._first_seconds = 0.0
        self._first_work = 0.0
        self._work = 0.0
        self._pixels = 0.0
        self._steps = 0
        self.tiles = 0.0

    def seconds(self) -> float:
        """Return the seconds since the start, pauses left out."""
        return self._clock() - self._begin - self._paused

    def now(self) -> float:
        """Return the clock, to be given to `pause_ended`."""
        return self._clock()

    def pause_ended(self, begin: float) -> None:
        """Leave the time since `begin` (from `now`) out of the account."""
        self._paused += self._clock() - begin

    def tile_done(self, *, work: float, pixels: float, share: float = 1.0) -> None:
        """Count a finished tile, or a step on the way to it.

        Parameters
        ----------
        work : input pixels that the network saw for it, or any other measure of what it took.
        pixels : output pixels that were gained by it.
        share : of a tile.
        """
        self.tiles += share
        self._steps += 1
        self._work += work
        self._pixels += pixels
        if self._steps == 1:
            self._first_seconds, self._first_work = self.seconds(), work

    def megapixels_per_second(self) -> float:
        """Return millions of output pixels per second since the start."""
        return self._pixels / 1e6 / max(self.seconds(), 1e-9)

    def progress(self, *, work_left: float, tiles_left: float, memory_bytes: int) -> Progress:
        """Return the account so far.

        Parameters
        ----------
        work_left : what is still to do, in the measure of `tile_done`.
        tiles_left : tiles still to do.
        memory_bytes : in use now.
        """
        seconds = self.seconds()
        eta: float | None = None
        if self._steps:
            # The first tile pays for warming up (kernels chosen, memory got): the later ones foretell better.
            later = self._work > self._first_work
            spent = seconds - self._first_seconds if later else seconds
            work = self._work - self._first_work if later else self._work
            eta = spent / work * work_left
        return Progress(
            tiles_done=int(self.tiles + 1e-6),  # many shares may add up to just below a whole
            tiles=round(self.tiles + tiles_left),
            elapsed_seconds=seconds,
            eta_seconds=eta,
            milliseconds_per_tile=1000 * seconds / self.tiles if self.tiles else 0.0,
            megapixels_per_second=self.megapixels_per_second(),
            memory_bytes=memory_bytes,
        )


def _reset_resident_peak() -> bool:
    """Make the kernel count this process's resident peak from now on; False where it will not."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        _CLEAR_REFS.write_text("5")
    except OSError:
        return False
    # Some sandboxes take the write and keep the old peak.
    return 0 < _resident_peak() <= memory_in_use(Device("cpu", "cpu", "")) + (8 << 20)


def _resident_peak() -> int:
    """Return the kernel's count of the resident peak in bytes, 0 if it keeps none."""
    try:
        text = _STATUS.read_text()
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
