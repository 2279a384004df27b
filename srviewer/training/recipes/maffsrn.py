"""Recipes of MAFFSRN (Muqeet et al., ECCV Workshops 2020) and MAFFSRN-L."""

from __future__ import annotations

from srviewer.training.recipes.recipe import Recipe, Stage

_SOURCE = "MAFFSRN, section 4.1: L1, AdamP; its halved rate made a cosine, which suits short trainings"
_STAGES = (Stage(1.0, 64, 48),)
_CPU_STAGES = (Stage(0.7, 8, 32), Stage(0.3, 8, 48))

RECIPES = tuple(
    Recipe(
        model=f"{name}_x{scale}",
        source=_SOURCE,
        optimiser="adamp",
        betas=(0.9, 0.999),
        rate=1e-3,
        warmup_steps=50,
        first_weights="even",
        stages=_STAGES,
        cpu_stages=_CPU_STAGES,
    )
    for name in ("maffsrn", "maffsrn_l")
    for scale in (2, 3, 4)
)
"""Those of this family."""
