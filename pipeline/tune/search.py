"""Successive halving over learning rates: which trainings go on, and which one wins.

A trial is the training itself, on its full schedule, stopped early: so the winner's is never made
again, and no rate is judged on a schedule of another length than its own. A rate on its way has
not fallen yet, and the higher it is, the more of its loss will still go as it falls: on the way low
rates look better than they end. So the best trial goes on together with those of the next higher
rates. A best rate at an end of what was tried says only that the optimum lies there or beyond, so
the first comparison widens the grid at that end, by its own ratio. A trial that diverges makes room
for the next one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

Edge = Literal["low", "high"]


class Trial(NamedTuple):
    """One rate at one comparison."""

    learning_rate: float
    tokens: int
    """Trained so far, or until it diverged."""
    valid_loss: float
    """Nats per held-out token; infinite when it diverged."""


class Comparison(NamedTuple):
    """When trials are compared."""

    step: int
    """Of the training's steps, counted from 1."""
    compared: int
    """Trials that reach it: the best of the comparison before, then those of the next higher rates,
    then the best of the others. At the first comparison, all that there are."""


class Search(NamedTuple):
    """What was tried, and what is to be trained to the end."""

    trials: list[Trial]
    """In the order in which they were run."""
    ranking: list[Trial]
    """Each rate that did not diverge, once: those that came farthest, by held-out loss, and then
    the others in the order in which they would have gone on. The first is the winner."""
    edge: Edge | None
    """The end of the rates tried at which the winner lies, or None where it has neighbours."""


def search(
    rates: Sequence[float],
    comparisons: Sequence[Comparison],
    run_to: Callable[[float, int], Trial],
    *,
    max_extensions: int,
) -> Search:
    """Find the best rate; `run_to(rate, step)` goes on with a trial up to a step.

    An empty ranking says that every rate diverged.
    """
    tried: list[Trial] = []

    def run(rate: float, step: int) -> Trial:
        tried.append(run_to(rate, step))
        return tried[-1]

    first, *later = comparisons
    for rate in rates:
        run(rate, first.step)
    for _ in range(max_extensions):
        if edge := edge_of_grid(tried):
            run(rate_beyond([trial.learning_rate for trial in tried], edge), first.step)
    ranking = _healthy(tried)
    for comparison in later:
        reached: list[Trial] = []
        waiting = _in_turn(ranking)
        while waiting and len(_healthy(reached)) < comparison.compared:
            reached.append(run(waiting.pop(0).learning_rate, comparison.step))
        ranking = _healthy(reached) + waiting
    edge = _edge(ranking[0].learning_rate, tried) if ranking else None
    return Search(tried, ranking, edge)


def _in_turn(ranking: Sequence[Trial]) -> list[Trial]:
    """The best, then the next higher rates from below, then the others, best first."""
    higher = [trial for trial in ranking if trial.learning_rate > ranking[0].learning_rate]
    higher.sort(key=lambda trial: trial.learning_rate)
    return [*ranking[:1], *higher, *(trial for trial in ranking[1:] if trial not in higher)]


def _healthy(trials: Sequence[Trial]) -> list[Trial]:
    """Those that did not diverge, best first; of equals, the lowest rate, which is the safer."""
    healthy = [trial for trial in trials if not is_divergence(trial.valid_loss)]
    return sorted(healthy, key=lambda trial: (trial.valid_loss, trial.learning_rate))


def edge_of_grid(trials: Sequence[Trial]) -> Edge | None:
    """The end of the grid at which the best rate lies, or None where it has neighbours."""
    healthy = _healthy(trials)
    best = healthy[0].learning_rate if healthy else min(trial.learning_rate for trial in trials)
    return _edge(best, trials)


def _edge(rate: float, trials: Sequence[Trial]) -> Edge | None:
    rates = sorted(trial.learning_rate for trial in trials)
    if rate == rates[0]:
        return "low"  # of a single rate, too: a lower one never diverges
    return "high" if rate == rates[-1] else None


def rate_beyond(rates: Sequence[float], edge: Edge) -> float:
    """One rate more at that end, by the ratio of the two nearest (by 3 for a single rate).

    Rounded to three digits, so that it reads as it was meant.

    >>> rate_beyond([0.001, 0.003, 0.01], "high"), rate_beyond([0.001, 0.003, 0.01], "low")
    (0.0333, 0.000333)
    """
    ordered = sorted(rates)
    if len(ordered) == 1:
        ratio = 3.0
    elif edge == "high":
        ratio = ordered[-1] / ordered[-2]
    else:
        ratio = ordered[1] / ordered[0]
    rate = ordered[-1] * ratio if edge == "high" else ordered[0] / ratio
    return float(f"{rate:.3g}")


def is_divergence(loss: float) -> bool:
    """Whether a trial's loss says that it diverged.

    >>> is_divergence(math.inf), is_divergence(6.5)
    (True, False)
    """
    return not math.isfinite(loss)
