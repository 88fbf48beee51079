"""Bootstrap intervals: examples drawn with replacement, the metric computed anew each time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from pipeline.results import Interval

Floats = npt.NDArray[np.float64]
Statistic = Callable[[Floats], Floats]
"""Column sums [draws, columns] -> the metric of each draw [draws]."""

_DRAWS_AT_ONCE = 64


def draw_sums(columns: Floats, *, samples: int, seed: int) -> Floats:
    """Column sums over examples drawn with replacement, [samples, columns].

    `columns` [examples, columns] holds what adds up over examples (losses and units, counts of
    n-grams): every metric here is a function of such sums. The same seed draws the same examples,
    so metrics and sizes are compared on equal draws.
    """
    generator = np.random.default_rng(seed)
    num_examples = len(columns)
    even = np.full(num_examples, 1 / num_examples)
    sums: list[Floats] = []
    for done in range(0, samples, _DRAWS_AT_ONCE):
        draws = generator.multinomial(num_examples, even, min(_DRAWS_AT_ONCE, samples - done))
        sums.append(draws @ columns)
    return np.concatenate(sums)


def interval(values: Floats) -> Interval:
    """The 2.5 and 97.5 percentiles of a metric's values over the draws.

    One example gives no interval but the metric itself, twice. Draws for which the metric is not
    defined do not count.
    """
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return Interval(float(low), float(high))
