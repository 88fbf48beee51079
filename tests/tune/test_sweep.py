"""Which rate is best, and when it lies at the end of the grid."""

from __future__ import annotations

import math

import pytest

from pipeline.tune.sweep import Edge, Trial, best_trial, edge_of_grid, rate_beyond


def trials(losses: dict[float, float]) -> list[Trial]:
    return [Trial(rate, 100, loss) for rate, loss in losses.items()]


def test_the_least_loss_wins_and_of_equals_the_lower_rate() -> None:
    assert best_trial(trials({3.0: 2.0, 1.0: 2.0, 2.0: 2.5})).learning_rate == 1.0


def test_a_diverged_trial_never_wins() -> None:
    assert best_trial(trials({1.0: 9.0, 2.0: math.inf})).learning_rate == 1.0


@pytest.mark.parametrize(
    ("losses", "edge"),
    [
        ({1.0: 3.0, 2.0: 2.0, 4.0: 3.0}, None),
        ({1.0: 3.0, 2.0: 2.0, 4.0: 1.0}, "high"),
        ({4.0: 3.0, 2.0: 2.0, 1.0: 1.0}, "low"),
        ({1.0: 3.0, 2.0: 2.0, 4.0: math.inf}, None),
        ({1.0: 3.0}, "high"),
    ],
)
def test_a_best_rate_without_a_neighbour_on_both_sides_is_at_an_edge(
    losses: dict[float, float], edge: Edge | None
) -> None:
    assert edge_of_grid(trials(losses)) == edge


def test_the_grid_goes_on_by_its_own_ratio_at_that_end() -> None:
    assert rate_beyond([0.001, 0.002, 0.008], "high") == pytest.approx(0.032)
    assert rate_beyond([0.008, 0.002, 0.001], "low") == pytest.approx(0.0005)
    assert rate_beyond([0.001], "high") == pytest.approx(0.003)
