"""How far a score on some examples lies from that on others, with its interval by bootstrap.

Both scores are computed on the same draws. Examples that hang together are drawn together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.shared.scores.bleu import bleu, bleu_counts
from pipeline.shared.scores.bootstrap import (
    Draws,
    Floats,
    Statistic,
    draw_sums,
    interval,
    sum_by_cluster,
)
from pipeline.shared.scores.metrics import mean, ratio_metric

Chosen = npt.NDArray[np.bool_]


class Terms(NamedTuple):
    """A metric as a function of sums over examples."""

    columns: Floats
    """What is added up: [examples, columns]."""
    score: Statistic

    def of(self, chosen: Chosen) -> float:
        """The score of some of the examples; not a number where there are none."""
        return float(self.score(self.columns[chosen].sum(axis=0, keepdims=True))[0])


class Difference(NamedTuple):
    """A difference of two scores and its 95 % interval; not a number where there is none.

    A difference that is the same in every draw has no interval: nothing tells how far it may vary.
    """

    difference: float
    low: float
    high: float


NO_DIFFERENCE = Difference(math.nan, math.nan, math.nan)


def terms_of(metric: str, scores: pd.DataFrame) -> Terms | None:
    """The sums that `metric` follows from, or None where it follows from none."""
    if metric == "bleu" and {"translation", "reference"} <= set(scores):
        return _bleu_terms(scores)
    found = ratio_metric(metric)
    names = [name for name in (found.numerator, found.denominator) if name]
    if not set(names) <= set(scores):
        return None
    columns = scores[names].to_numpy(dtype=np.float64)
    if not found.denominator:
        columns = np.hstack([columns, np.ones_like(columns)])
    return Terms(columns, lambda sums: found.of_ratio(mean(sums)))


def difference(
    terms: Terms, left: Chosen, right: Chosen, clusters: npt.NDArray[np.int64], draws: Draws
) -> Difference:
    """The score of the `left` examples minus that of the `right` ones (either may hold both).

    `clusters` numbers from 0 what each example is drawn with. Draws that leave one side empty do
    not count; a side of one cluster is the same in every draw that has it, so that there is no
    interval.
    """
    if not left.any() or not right.any():
        return NO_DIFFERENCE
    width = terms.columns.shape[1]
    both = np.concatenate([terms.columns * left[:, None], terms.columns * right[:, None]], axis=1)
    sums = sum_by_cluster(both, clusters.tolist())

    def subtract(rows: Floats) -> Floats:
        return terms.score(rows[:, :width]) - terms.score(rows[:, width:])

    value = float(subtract(both.sum(axis=0, keepdims=True))[0])
    if (left == right).all() or min(len(np.unique(clusters[side])) for side in (left, right)) < 2:
        return Difference(value, math.nan, math.nan)
    drawn = subtract(draw_sums(sums, samples=draws.samples, seed=draws.seed))
    return Difference(value, *(interval(drawn) or (math.nan, math.nan)))


def cluster_numbers(scores: pd.DataFrame) -> npt.NDArray[np.int64]:
    """What each example is drawn with: evaluate's clusters, else itself alone; [examples]."""
    if "cluster" not in scores:
        return np.arange(len(scores))
    return np.asarray(pd.factorize(scores["cluster"])[0], np.int64)


def _bleu_terms(scores: pd.DataFrame) -> Terms:
    from sacrebleu.metrics.bleu import BLEU

    columns = bleu_counts(BLEU(), list(scores["translation"]), list(scores["reference"]))
    return Terms(columns, lambda sums: np.where(sums[:, -1] > 0, bleu(sums), np.nan))
