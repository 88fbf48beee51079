"""Bootstrap intervals: clusters drawn with replacement, the metric computed anew each time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.shared.scores.results import Interval

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Column sums [draws, columns] -> the metric of each draw [draws]."""

_DRAWS_AT_ONCE = 64


class Draws(NamedTuple):
    """How intervals are drawn."""

    samples: int
    seed: int


def sum_by_cluster(columns: Floats, clusters: Sequence[int]) -> Floats:
    """Column sums of each cluster, [clusters, columns]; `clusters` numbers each example's."""
    sums = np.zeros((max(clusters) + 1, columns.shape[1]))
    np.add.at(sums, np.asarray(clusters), columns)
    return sums


def draw_sums(columns: Floats, *, samples: int, seed: int) -> Floats:
    """Column sums over rows drawn with replacement, [samples, columns].

    `columns` [rows, columns] holds what adds up over examples (losses and units, counts of
    n-grams), a row an example or a cluster: every metric here is a function of such sums. The same
    seed draws the same rows, so metrics and sizes are compared on equal draws.
    """
    generator = np.random.default_rng(seed)
    num_rows = len(columns)
    even = np.full(num_rows, 1 / num_rows)
    sums: list[Floats] = []
    for done in range(0, samples, _DRAWS_AT_ONCE):
        draws = generator.multinomial(num_rows, even, min(_DRAWS_AT_ONCE, samples - done))
        sums.append(draws @ columns)
    return np.concatenate(sums)


def interval(values: Floats) -> Interval | None:
    """The 2.5 and 97.5 percentiles of a metric's values over the draws.

    None where they are all the same: one example, or one cluster, or a score that no example
    varies (0 of 64 right) tells nothing of how far another sample would lie. Draws for
    which the metric is not defined do not count.
    """
    low, high = np.nanpercentile(values, [2.5, 97.5])
    same = np.nanmin(values) == np.nanmax(values)
    return None if same else Interval(float(low), float(high))
