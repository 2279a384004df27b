"""The recipes: how each network is trained, as data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from srviewer.training.recipes import bsrn, fmen, maffsrn, safmn
from srviewer.training.recipes.recipe import FirstWeights, Loss, Optimiser, Recipe, Schedule, Stage

__all__ = ["RECIPES", "FirstWeights", "Loss", "Optimiser", "Recipe", "Schedule", "Stage"]

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {recipe.model: recipe for family in (fmen, bsrn, safmn, maffsrn) for recipe in family.RECIPES}
)
"""Every recipe by its network's id."""
