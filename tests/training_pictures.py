"""Small pictures and short recipes that the tests of training share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from srviewer.training import loop
from srviewer.training.recipes import RECIPES, Recipe, Stage

TINY = (Stage(0.5, 2, 16), Stage(0.5, 1, 24))
"""Stages that take milliseconds a step."""


def picture(seed: int, height: int = 112, width: int = 96) -> NDArray[np.uint8]:
    """Smooth colours with some noise: something to learn."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 5, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    noisy: NDArray[np.uint8] = np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
    return noisy


def folder_of(folder: Path, names: Mapping[str, int] | None = None) -> Path:
    """Write pictures by name and seed; by default ten."""
    for name, seed in (names or {f"p{number:03d}.png": number for number in range(10)}).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(file), picture(seed))
    return folder


def shorten(monkeypatch: pytest.MonkeyPatch, *models: str) -> dict[str, Recipe]:
    """Give recipes tiny stages."""
    short = {model: dataclasses.replace(RECIPES[model], cpu_stages=TINY, warmup_steps=2) for model in models}
    monkeypatch.setattr(loop, "RECIPES", {**RECIPES, **short})
    return short
