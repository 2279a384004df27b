"""Making a file of trained weights fit to be shipped: its scores inside, and its entry for the list."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from srviewer.training.errors import TrainingError
from srviewer.zoo import families
from srviewer.zoo.checkpoint import read_checkpoint, read_metadata, write_checkpoint
from srviewer.zoo.download import file_sha256
from srviewer.zoo.manifest import Score
from srviewer.zoo.spec import SPECS

_PROTOCOL = "Y of YCbCr, border shaved by the scale, rounded to 8 bits"


def publish(
    weights: Path, target: Path, scores: Sequence[Score], *, licence: str, data: str | None = None
) -> str:
    """Copy weights with their scores and licence among their metadata.

    Parameters
    ----------
    weights : a file that a training wrote.
    target : the file to write; replaced whole where it exists. Its name is what the entry names.
    scores : as measured with `weights` by ``srviewer benchmark``.
    licence : SPDX name.
    data : what it was trained on, in words; by default what the training wrote.

    Returns
    -------
    The file's entry for ``weights/manifest.toml``.

    Raises
    ------
    TrainingError
        If the file holds none of the networks in ``SPECS``.
    CheckpointError
        If it cannot be read, or the copy cannot be written.
    """
    read = families.recognise(read_checkpoint(weights), weights)
    if read.spec.id not in SPECS:
        raise TrainingError(f"{weights}: holds {read.spec.name}, which is not one of the networks offered")
    told = dict(read_metadata(weights))
    told |= {"family": read.spec.family, "scale": str(read.spec.scale), "licence": licence}
    told |= {"protocol": _PROTOCOL, "data": data or told.get("data", "")}
    told |= {_key(score): f"{score.psnr_y:.3f}/{score.ssim_y:.4f}" for score in scores}
    write_checkpoint(read.state, target, told)
    return entry(target, scores)


def entry(file: Path, scores: Sequence[Score]) -> str:
    """Return the entry of a published file as ``weights/manifest.toml`` has them."""
    told = read_metadata(file)
    spec = families.detect(read_checkpoint(file), file)
    lines = [
        "[[weights]]",
        f'id = "{spec.id}"',
        'source = "shipped"',
        f'file = "{file.name}"',
        f'sha256 = "{file_sha256(file)}"',
        f"bytes = {file.stat().st_size:_}",
        f'family = "{spec.family}"',
        f"scale = {spec.scale}",
        f"licence = {json.dumps(told.get('licence', ''))}",
        f"recipe = {json.dumps(told.get('recipe', ''))}",
        f"data = {json.dumps(told.get('data', ''))}",
        *(
            f"scores.{score.dataset} = {{ psnr_y = {score.psnr_y:.3f}, ssim_y = {score.ssim_y:.4f} }}"
            for score in scores
        ),
    ]
    return "\n".join(lines) + "\n"


def scores_in(file: Path, datasets: Sequence[str]) -> tuple[Score, ...]:
    """Return the scores on these test sets that a published file carries."""
    told = read_metadata(file)
    found = []
    for dataset in datasets:
        psnr, slash, ssim = told.get(f"{dataset.lower()}_psnr_ssim", "").partition("/")
        if slash:
            found.append(Score(dataset, float(psnr), float(ssim)))
    return tuple(found)


def _key(score: Score) -> str:
    return f"{score.dataset.lower()}_psnr_ssim"
