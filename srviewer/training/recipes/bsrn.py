"""Recipes of BSRN (Li et al., CVPR Workshops 2022) and BSRN-S."""

from __future__ import annotations

from srviewer.training.recipes.recipe import Recipe, Stage

_SOURCE = "BSRN, section 4.1: L1, Adam (0.9, 0.99), learning rate 1e-3 falling by a cosine"
_STAGES = (Stage(1.0, 64, 48),)

RECIPES = tuple(
    Recipe(model=model, source=_SOURCE, rate=1e-3, first_weights="even", stages=_STAGES)
    for model in ("bsrn_s_x4", "bsrn_x2", "bsrn_x3", "bsrn_x4")
)
"""Those of this family."""
