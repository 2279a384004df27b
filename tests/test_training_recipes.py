"""Recipes, losses, schedules and budgets: what they say, held against arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srviewer.training.budget import Budget
from srviewer.training.losses import FFT_WEIGHT, loss_of
from srviewer.training.recipes import RECIPES, Recipe, Stage
from srviewer.training.request import TrainingProgress
from srviewer.training.telling import LineTeller
from srviewer.zoo.spec import SPECS


def test_every_network_that_learns_has_its_recipe() -> None:
    assert set(RECIPES) == {model for model, spec in SPECS.items() if spec.family != "bicubic"}
    assert all(name == recipe.model for name, recipe in RECIPES.items())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.model)
def test_recipes_make_sense(recipe: Recipe) -> None:
    for stages in (recipe.stages, recipe.cpu_stages):
        assert math.fsum(stage.share for stage in stages) == pytest.approx(1)
        # Validation's crops and the smallest sides of these networks bound the patches.
        assert all(15 <= stage.patch <= 96 and stage.patch % 8 == 0 and stage.batch > 0 for stage in stages)
    assert 0 < recipe.last_rate < recipe.rate <= 5e-3
    assert 0.9 < recipe.average < 1
    assert SPECS[recipe.model].name.partition("-")[0] in recipe.source
    assert (recipe.loss == "l1_fft") == recipe.model.startswith("safmn")
    assert (recipe.optimiser == "adamp") == recipe.model.startswith("maffsrn")


def test_a_cosine_falls_from_the_first_rate_to_the_last() -> None:
    recipe = Recipe(model="x", source="", rate=1e-3, last_rate=1e-5, warmup_steps=0)
    assert recipe.rate_at(0, 0) == 1e-3
    assert recipe.rate_at(0.5, 9) == pytest.approx((1e-3 + 1e-5) / 2)
    assert recipe.rate_at(1, 9) == recipe.rate_at(1.3, 9) == pytest.approx(1e-5)


def test_halvings_are_spread_evenly() -> None:
    recipe = Recipe(model="x", source="", rate=8e-4, last_rate=1e-4, schedule="halving", warmup_steps=0)
    rates = [recipe.rate_at(progress / 8, 0) for progress in range(9)]
    assert rates == pytest.approx([8e-4, 8e-4, 4e-4, 4e-4, 2e-4, 2e-4, 1e-4, 1e-4, 1e-4])


@given(st.floats(0, 1), st.integers(0, 300))
def test_the_rate_rises_at_first_and_is_never_more_than_planned(progress: float, step: int) -> None:
    recipe = Recipe(model="x", source="", warmup_steps=100)
    steady = Recipe(model="x", source="", warmup_steps=0).rate_at(progress, step)
    assert recipe.rate_at(progress, step) == pytest.approx(steady * min(1, (step + 1) / 100))


def test_stages_follow_each_other() -> None:
    recipe = Recipe(
        model="x", source="", stages=(Stage(1.0, 64, 48),), cpu_stages=(Stage(0.3, 16, 32), Stage(0.7, 8, 48))
    )
    assert recipe.stage_at(0.9, cpu=False).batch == 64
    assert [recipe.stage_at(done, cpu=True).patch for done in (0, 0.29, 0.3, 0.99, 1.0, 1.2)] == [
        *(32, 32),
        *(48, 48, 48, 48),
    ]


def test_l1_is_the_mean_of_absolute_differences() -> None:
    result, truth = torch.rand(2, 3, 8, 10), torch.rand(2, 3, 8, 10)
    assert float(loss_of("l1", result, truth)) == pytest.approx(float((result - truth).abs().mean()))


def test_the_frequency_term_is_the_mean_modulus_of_the_transforms_difference() -> None:
    generator = torch.Generator().manual_seed(0)
    result, truth = (torch.rand(2, 3, 8, 10, generator=generator) for _ in range(2))
    between = torch.fft.rfft2(result) - torch.fft.rfft2(truth)
    moduli = (between.real.square() + between.imag.square()).sqrt()
    expected = (result - truth).abs().mean() + FFT_WEIGHT * moduli.mean()
    assert float(loss_of("l1_fft", result, truth)) == pytest.approx(float(expected), rel=1e-5)


def test_the_frequency_term_has_gradients_where_nothing_differs() -> None:
    result = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss_of("l1_fft", result, torch.full((1, 3, 8, 8), 0.5)), result)
    assert bool(gradient.isfinite().all())


def test_budgets_count_steps_or_seconds_with_earlier_parts() -> None:
    now = [100.0]
    timed = Budget(60.0, None, spent=15.0, clock=lambda: now[0])
    assert timed.used(5) == 0.25
    timed.begin()
    now[0] += 15
    assert (timed.elapsed, timed.used(9)) == (30.0, 0.5)
    counted = Budget(None, 40)
    counted.begin()
    assert (counted.used(0), counted.used(30), counted.used(40)) == (0, 0.75, 1)


def test_lines_come_now_and_then_and_at_validations() -> None:
    written: list[str] = []
    now = [0.0]
    tell = LineTeller(written.append, every=10, clock=lambda: now[0])
    for step in range(1, 31):
        now[0] += 1
        validated = step == 25
        psnr = 26.5 if step >= 25 else None
        loss = 0.25 if step % 10 == 1 else None
        tell(TrainingProgress(step, step / 30, loss, 1e-3, 2.0, 30 - step, psnr, psnr, validated))
    assert [line.partition(",")[0] for line in written] == ["step 1", "step 11", "step 21", "step 25"]
    assert written[0] == "step 1, 3%, loss 0.25000, rate 1.00e-03, 2.00 steps/s, 0:29 left"
    assert "validation 26.500 dB, the best so far" in written[-1]
