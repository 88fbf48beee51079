"""A sweep over learning rates: which is best, and is it at an end of what was tried?

A best rate at an end of the grid says only that the optimum lies there or beyond, so the sweep
goes on beyond that end, by the grid's own ratio, a few times at most.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

Edge = Literal["low", "high"]


class Trial(NamedTuple):
    """One short training."""

    learning_rate: float
    tokens: int
    """Trained; 0 when it diverged."""
    valid_loss: float
    """Nats per held-out token at its end; infinite when it diverged."""


def best_trial(trials: Sequence[Trial]) -> Trial:
    """The trial of least loss; of equals, the lowest rate, which is the safer."""
    return min(trials, key=lambda trial: (trial.valid_loss, trial.learning_rate))


def edge_of_grid(trials: Sequence[Trial]) -> Edge | None:
    """The end of the grid at which the best rate lies, or None where it has neighbours."""
    rates = sorted(trial.learning_rate for trial in trials)
    best = best_trial(trials).learning_rate
    if best == rates[-1]:
        return "high"
    return "low" if best == rates[0] else None


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
