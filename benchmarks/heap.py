"""What it gains that freed memory is kept while networks run (`srviewer.engine.heap`).

    python benchmarks/heap.py [--weights MODEL...] [--write FILE]

Eager torch on one photograph of 320 x 180 pixels, with glibc's own thresholds and with ours, each in a
process of its own, by turns (`turns.py`); the times are medians, the page faults those of one run.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from speed import TARGETS, model_of, photograph
from turns import by_turns

from srviewer.engine import backends
from srviewer.engine.device import choose_device, native_bf16
from srviewer.engine.request import Precision
from srviewer.imaging.image import Pixels
from srviewer.paths import resources_folder
from srviewer.zoo.tensors import to_tensor

SAMPLE = resources_folder() / "samples" / "rocket.jpg"


def eager(
    model_id: str, references: list[str], pixels: Pixels, precision: Precision, *, keep: bool
) -> Callable[[], int]:
    """Return a network run by eager torch, made ready; it returns its page faults."""
    if not keep:
        setattr(backends, "keep_freed_memory", lambda: False)  # noqa: B010  # the type checker forbids the other form
    model, _ = model_of(model_id, references)
    runner = backends.EagerTorch().prepare(model, choose_device("cpu"), precision)
    batch = to_tensor(pixels)

    def run() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        with torch.inference_mode():
            runner(batch)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    run()
    return run


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", nargs="+", default=[], metavar="MODEL", help="ids or checkpoint files")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table there as Markdown")
    arguments = parser.parse_args()
    pixels = photograph(SAMPLE, 320, 180)
    lines = [
        "| network | precision | by default ms | page faults | kept ms | page faults | of default |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    print("\n".join(lines))
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if native_bf16() else ("fp32",)
    for model_id in TARGETS:
        for precision in precisions:
            ways = {
                name: partial(eager, model_id, arguments.weights, pixels, precision, keep=name == "kept")
                for name in ("default", "kept")
            }
            found = by_turns(ways)
            default, kept = found["default"], found["kept"]
            lines.append(
                f"| {model_id} | {precision} | {1000 * default.seconds:.0f} | {default.result} "
                f"| {1000 * kept.seconds:.0f} | {kept.result} | {kept.seconds / default.seconds:.2f} |"
            )
            print(lines[-1], flush=True)
    if arguments.write:
        about = f"{choose_device('cpu').name}, torch {torch.__version__}"
        heading = (
            f"# Freed memory that is kept\n\n`python benchmarks/heap.py`: 320 x 180 pixels; {about}.\n\n"
        )
        arguments.write.write_text(heading + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
