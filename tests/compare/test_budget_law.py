"""L(N, D): a known law is found again, and what cannot be told is not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipeline.compare.budget_law import BudgetLaw, fit_budgets, why_not
from pipeline.shared.scores.scaling import Losses

# Chinchilla's own numbers.
E, A, ALPHA, B, BETA = 1.69, 406.4, 0.34, 410.7, 0.28


def _law(parameters: float, tokens: float) -> float:
    return E + A / parameters**ALPHA + B / tokens**BETA


def _runs(sizes: int, budgets: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    grid = [
        (n, d, _law(n, d))
        for n in np.geomspace(1e7, 1e9, sizes)
        for d in np.geomspace(1e9, 1e11, budgets)
    ]
    parameters, tokens, losses = np.array(grid).T
    return parameters, tokens, losses


def _drawn(losses: np.ndarray, noise: float, samples: int = 24) -> Losses:
    chance = np.random.default_rng(1)
    shared = noise * chance.normal(size=(samples, len(losses)))
    return Losses(losses, losses * np.exp(shared))


def test_the_law_that_made_the_losses_is_found() -> None:
    parameters, tokens, losses = _runs(4, 3)
    law = fit_budgets(parameters, tokens, _drawn(losses, 0.001))
    assert isinstance(law, BudgetLaw)
    assert law.floor.value == pytest.approx(E, rel=0.01)
    assert law.alpha.value == pytest.approx(ALPHA, rel=0.02)
    assert law.beta.value == pytest.approx(BETA, rel=0.02)
    assert law.scale_of_size == pytest.approx(A, rel=0.3)
    assert law.loss(3e8, 2e10) == pytest.approx(_law(3e8, 2e10), rel=0.001)
    assert law.optimal_share.value == pytest.approx(BETA / (ALPHA + BETA), rel=0.02)
    assert law.largest_error < 0.001


def test_noisier_losses_give_wider_intervals() -> None:
    parameters, tokens, losses = _runs(4, 3)
    widths = []
    for noise in (0.0005, 0.005):
        law = fit_budgets(parameters, tokens, _drawn(losses, noise))
        assert isinstance(law, BudgetLaw)
        assert law.floor.low <= E <= law.floor.high
        widths.append(law.floor.high - law.floor.low)
    assert widths[1] > 2 * widths[0]


@pytest.mark.parametrize(("sizes", "budgets"), [(4, 1), (4, 2), (2, 4), (1, 1)])
def test_too_few_sizes_or_budgets_tell_nothing(sizes: int, budgets: int) -> None:
    parameters, tokens, losses = _runs(sizes, budgets)
    told = fit_budgets(parameters, tokens, _drawn(losses, 0.001))
    assert isinstance(told, str)
    assert f"there are {sizes} sizes, {budgets} budgets and {sizes * budgets} runs" in told


def test_two_budgets_leave_the_law_of_tokens_open() -> None:
    """Why three are asked for: quite another E, B and beta give the very same losses of two."""
    parameters, tokens, losses = _runs(4, 2)
    other_e, few, many = 1.0, tokens.min(), tokens.max()
    above = [B / d**BETA + E - other_e for d in (few, many)]
    beta = math.log(above[0] / above[1]) / math.log(many / few)
    scale = above[0] * few**beta
    again = other_e + A / parameters**ALPHA + scale / tokens**beta
    assert again == pytest.approx(losses, rel=1e-9)
    assert why_not(parameters, tokens)


def test_losses_without_an_end_give_the_reason_in_place_of_a_law() -> None:
    parameters, tokens, losses = _runs(4, 3)
    told = fit_budgets(parameters, tokens, _drawn(losses - E, 0.02))
    assert isinstance(told, str)
    assert "E is anything from 0 to" in told


def test_an_exponent_at_the_end_of_the_search_is_not_told() -> None:
    """All budgets give the same loss: beta is whatever the search begins with."""
    parameters, tokens, _ = _runs(4, 3)
    told = fit_budgets(parameters, tokens, _drawn(E + A / parameters**ALPHA, 0.002))
    assert isinstance(told, str)
    assert "E is anything" in told or "beta is anything" in told
