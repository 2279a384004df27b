"""Ways to do the same thing, each in a process of its own, timed by turns.

So noise of the machine meets all of them alike, and none disturbs another: threads that wait by spinning, and
a heap as the other left it, make a third of the time of a small network's run.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

Way = Callable[[], Callable[[], Any]]
"""Makes all ready and returns what is timed. Both happen in the way's own process: it can be pickled."""


@dataclass(frozen=True)
class Timed:
    """What one way took.

    Attributes
    ----------
    seconds : the median.
    result : what it returned.
    """

    seconds: float
    result: Any


def by_turns(ways: Mapping[str, Way], *, rounds: int = 5, runs: int = 3) -> dict[str, Timed]:
    """Time all ways.

    Parameters
    ----------
    ways : by name.
    rounds : how often each has its turn, after one run for its result.
    runs : how many times in a turn, after one that does not count.
    """
    context = multiprocessing.get_context("spawn")
    lines, processes = {}, []
    for name, way in ways.items():
        ours, theirs = context.Pipe()
        lines[name] = ours
        processes.append((context.Process(target=_serve, args=(way, theirs), daemon=True), theirs))
    try:
        for process, theirs in processes:
            process.start()
            theirs.close()
        results = {name: line.recv() for name, line in lines.items()}
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, line in lines.items():
                line.send(runs)
                seconds[name] += line.recv()
    except (EOFError, OSError):
        raise SystemExit("a process ended early; see above") from None
    finally:
        for process, _ in processes:
            if process.pid is not None:
                process.terminate()
                process.join()
    return {name: Timed(statistics.median(taken), results[name]) for name, taken in seconds.items()}


def _serve(way: Way, line: Connection) -> None:
    """Make ready, send one result, then time as often as asked."""
    run = way()
    line.send(run())
    while True:
        count = line.recv()
        run()
        taken = []
        for _ in range(count):
            begin = time.perf_counter()
            run()
            taken.append(time.perf_counter() - begin)
        line.send(taken)
