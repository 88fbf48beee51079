"""The recipe: learning rates by hand, decay on matrices only."""

from __future__ import annotations

import dataclasses

import pytest

from models.gpt2 import GPT2, GPT2Config
from models.recipe import Recipe
from models.training import parameter_groups

RECIPE = Recipe(
    order_seed=1,
    initialisation_seed=1,
    learning_rate=2.0,
    tokens=1_090,
    batch_tokens=100,
    warmup_tokens=200,
    min_learning_rate_fraction=0.1,
    weight_decay=0.1,
    adam_betas=(0.9, 0.95),
    gradient_clip_norm=1.0,
    residual_init="layers",
)


def test_the_budget_is_never_exceeded() -> None:
    assert RECIPE.num_steps == 10


def test_learning_rates_rise_to_the_peak_then_fall_along_a_cosine_to_the_floor() -> None:
    rates = [RECIPE.learning_rate_at(step) for step in range(10)]
    assert rates[:2] == [1.0, 2.0]
    assert rates[5] == pytest.approx(2.0 * (0.1 + 0.9 * 0.5))  # half of the way from 200 to 1000
    assert rates[9] == pytest.approx(0.2)
    assert rates[1:] == sorted(rates[1:], reverse=True)


def test_without_warm_up_the_first_step_is_nearly_at_the_peak() -> None:
    rate = dataclasses.replace(RECIPE, warmup_tokens=0).learning_rate_at(0)
    assert 1.9 < rate < 2.0


def test_matrices_decay_and_nothing_else_does() -> None:
    model = GPT2(GPT2Config(101, 16, 8, 2, 2))
    decayed, plain = parameter_groups(model, 0.3)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    assert {names[id(p)].rsplit(".", 1)[1] for p in decayed["params"]} == {"weight"}
    assert not any(".ln_" in names[id(p)] for p in decayed["params"])
    assert len(decayed["params"]) == 2 + 4 * 2  # two embeddings, four matrices a block
    assert len(decayed["params"]) + len(plain["params"]) == len(names)
