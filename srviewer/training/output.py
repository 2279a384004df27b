"""What a training leaves on the disk: weights, checkpoint, log."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from srviewer.training.errors import TrainingError

_COLUMNS = ("step", "loss", "learning_rate", "minutes", "validation_psnr_y")


@dataclass(frozen=True)
class OutputFiles:
    """Where the results of a training lie.

    Attributes
    ----------
    folder : that holds all of them.
    weights : the best weights so far, as safetensors.
    checkpoint : all that is needed to go on.
    log : comma-separated values, a row for every few steps and for every validation.
    """

    folder: Path
    weights: Path
    checkpoint: Path
    log: Path


def output_files(output: Path, recipe: str) -> OutputFiles:
    """Return the names of a training's files: in a folder, or beside and at a ``.safetensors`` file."""
    if output.suffix.lower() == ".safetensors":
        folder, weights = output.parent, output
        return OutputFiles(
            folder, weights, folder / f"{output.stem}.last.ckpt", folder / f"{output.stem}.log.csv"
        )
    return OutputFiles(output, output / f"{recipe}.safetensors", output / "last.ckpt", output / "log.csv")


def prepare(files: OutputFiles, *, resume: bool) -> None:
    """Make the folder, and see that nothing is lost and nothing is missing.

    Raises
    ------
    TrainingError
        If there is a training already that is not to be gone on with, none that is, or no place to write.
    """
    if resume and not files.checkpoint.is_file():
        raise TrainingError(f"{files.checkpoint}: no checkpoint to go on from")
    if not resume and (there := next((p for p in (files.checkpoint, files.weights) if p.exists()), None)):
        raise TrainingError(
            f"{there}: a training is there already; go on with it by --resume, or choose another output"
        )
    try:
        files.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"{files.folder}: cannot be made ({error.strerror or error})") from error
    if not os.access(files.folder, os.W_OK):
        raise TrainingError(f"{files.folder}: may not be written to")


class LossLog:
    """The log of one training, as a table that is whole after every row."""

    def __init__(self, path: Path, *, after_step: int | None) -> None:
        """Begin a log, or go on with one: rows after `after_step` belong to steps that will be done again."""
        self._path = path
        kept: list[dict[str, str]] = []
        if after_step is not None and path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= after_step]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, _COLUMNS)
            writer.writeheader()
            writer.writerows(kept)

    def add(self, step: int, *, rate: float, minutes: float, loss: float | None, psnr: float | None) -> None:
        """Append a row; what is None stays empty."""
        row: Mapping[str, object] = {
            "step": step,
            "loss": "" if loss is None else f"{loss:.9g}",
            "learning_rate": f"{rate:.6g}",
            "minutes": f"{minutes:.3f}",
            "validation_psnr_y": "" if psnr is None else f"{psnr:.4f}",
        }
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, _COLUMNS).writerow(row)
