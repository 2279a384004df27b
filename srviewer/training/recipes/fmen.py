"""Recipes of FMEN (Du et al., CVPR Workshops 2022) and FMEN-S."""

from __future__ import annotations

from srviewer.training.recipes.recipe import Recipe, Stage

_SOURCE = "FMEN, section 4.1: L1, Adam; its halved rate made a cosine, which suits short trainings"
_STAGES = (Stage(0.6, 64, 48), Stage(0.4, 64, 64))

RECIPES = tuple(
    Recipe(model=model, source=_SOURCE, rate=1.5e-3, stages=_STAGES)
    for model in ("fmen_s_x4", "fmen_x2", "fmen_x3", "fmen_x4")
)
"""Those of this family."""
