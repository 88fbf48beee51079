"""Which trials go on, which rate wins, and when it lies at the end of the grid."""

from __future__ import annotations

import math

import pytest

from pipeline.tune.search import Comparison, Edge, Search, Trial, edge_of_grid, rate_beyond, search


def trials(losses: dict[float, float]) -> list[Trial]:
    return [Trial(rate, 100, loss) for rate, loss in losses.items()]


def run_search(
    curves: dict[float, list[float]], compared: list[int], *, max_extensions: int = 0
) -> Search:
    """A search whose trial of a rate has its curve's n-th loss at step n."""

    def run_to(rate: float, step: int) -> Trial:
        return Trial(rate, 10 * step, curves[rate][step - 1])

    grid = list(curves)[: compared[0]]
    comparisons = [Comparison(step, count) for step, count in enumerate(compared, start=1)]
    return search(grid, comparisons, run_to, max_extensions=max_extensions)


def test_the_best_goes_on_with_the_next_higher_rates_and_the_end_decides() -> None:
    # The higher the rate, the more of the loss goes at the end.
    curves = {
        1.0: [2.4, 2.3, 2.2],
        2.0: [2.0, 1.9, 1.8],
        4.0: [2.5, 2.0, 1.6],
        8.0: [4.0, 3.9, 3.8],
    }
    found = run_search(curves, [4, 3, 2])
    assert [(t.learning_rate, t.tokens) for t in found.trials] == [
        *((rate, 10) for rate in (1.0, 2.0, 4.0, 8.0)),
        *((rate, 20) for rate in (2.0, 4.0, 8.0)),
        *((rate, 30) for rate in (2.0, 4.0)),
    ]
    assert [trial.learning_rate for trial in found.ranking] == [4.0, 2.0, 8.0, 1.0]
    assert found.edge is None


def test_where_no_higher_rate_is_left_the_best_of_the_lower_go_on() -> None:
    found = run_search({1.0: [3.0] * 2, 2.0: [2.5] * 2, 4.0: [2.0] * 2}, [3, 2])
    assert [trial.learning_rate for trial in found.trials[3:]] == [4.0, 2.0]


def test_of_equal_losses_the_lower_rate_wins() -> None:
    assert run_search({1.0: [2.0], 2.0: [2.0], 4.0: [3.0]}, [3]).ranking[0].learning_rate == 1.0


def test_a_trial_that_diverges_makes_room_for_the_next() -> None:
    curves = {1.0: [3.0, 2.5], 2.0: [2.0, math.inf], 4.0: [2.2, 2.1], 8.0: [math.inf] * 2}
    found = run_search(curves, [4, 2])
    assert [trial.learning_rate for trial in found.ranking] == [4.0, 1.0]
    assert [trial.learning_rate for trial in found.trials[4:]] == [2.0, 4.0, 1.0]


def test_when_all_that_went_on_diverge_an_earlier_one_is_gone_on_with() -> None:
    curves = {1.0: [3.0, 2.9], 2.0: [2.0, math.inf], 4.0: [2.2, math.inf]}
    assert run_search(curves, [3, 1]).ranking == [Trial(1.0, 20, 2.9)]


def test_when_all_diverge_nothing_is_left() -> None:
    assert run_search({1.0: [math.inf] * 2, 2.0: [math.inf] * 2}, [2, 1]).ranking == []


def test_a_best_rate_at_the_end_widens_the_grid_while_it_is_there() -> None:
    curves = {1.0: [5.0, 5.0], 2.0: [4.0, 4.0], 4.0: [3.0, 3.0], 8.0: [3.5, 2.0]}
    found = run_search(curves, [2, 2], max_extensions=3)
    assert [trial.learning_rate for trial in found.trials] == [1.0, 2.0, 4.0, 8.0, 4.0, 8.0]
    assert found.ranking[0].learning_rate == 8.0
    assert found.edge == "high"  # what the end of the training says is said, not what the start did


@pytest.mark.parametrize(
    ("losses", "edge"),
    [
        ({1.0: 3.0, 2.0: 2.0, 4.0: 3.0}, None),
        ({1.0: 3.0, 2.0: 2.0, 4.0: 1.0}, "high"),
        ({4.0: 3.0, 2.0: 2.0, 1.0: 1.0}, "low"),
        ({1.0: 3.0, 2.0: 2.0, 4.0: math.inf}, None),
        ({1.0: math.inf, 2.0: math.inf}, "low"),
        ({1.0: 3.0}, "low"),
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
