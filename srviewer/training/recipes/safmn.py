"""Recipes of SAFMN (Sun et al., ICCV 2023)."""

from __future__ import annotations

from srviewer.training.recipes.recipe import Recipe, Stage

_SOURCE = "SAFMN, section 4.1: L1 + 0.05 of its FFT, Adam, batches of 64, rate 1e-3 to 1e-5 by a cosine"
_STAGES = (Stage(1.0, 64, 64),)

RECIPES = tuple(
    Recipe(model=f"safmn_x{scale}", source=_SOURCE, loss="l1_fft", rate=1e-3, stages=_STAGES)
    for scale in (2, 3, 4)
)
"""Those of this family."""
