"""How far a score on some examples lies from that on others, with its interval by bootstrap.

Both scores are computed on the same draws. Examples that hang together are drawn together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.shared.scores.bootstrap import Floats, Statistic, draw_sums, interval, sum_by_cluster

Chosen = npt.NDArray[np.bool_]


class Draws(NamedTuple):
    """How intervals are drawn."""

    samples: int
    seed: int


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
    if (metric == "perplexity" or metric.startswith("bits_per_")) and "loss_nats" in scores:
        columns = scores[["loss_nats", "num_units"]].to_numpy(dtype=np.float64)
        return Terms(columns, _perplexity if metric == "perplexity" else _bits)
    if metric == "bleu" and {"translation", "reference"} <= set(scores):
        return Terms(_bleu_counts(scores), _bleu)
    column = metric if metric in scores else metric.replace("accuracy", "correct")
    if column not in scores:
        return None
    values = scores[column].to_numpy(dtype=np.float64)
    return Terms(np.stack([values, np.ones_like(values)], axis=1), _ratio)


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


def _ratio(sums: Floats) -> Floats:
    nothing = np.full(len(sums), np.nan)
    return np.asarray(np.divide(sums[:, 0], sums[:, 1], out=nothing, where=sums[:, 1] > 0))


def _perplexity(sums: Floats) -> Floats:
    return np.asarray(np.exp(_ratio(sums)))


def _bits(sums: Floats) -> Floats:
    return _ratio(sums) / math.log(2)


_ORDERS = 4


def _bleu_counts(scores: pd.DataFrame) -> Floats:
    """Lengths, matches and n-grams by order, of each translation: what BLEU adds up."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU()
    pairs = zip(scores["translation"], scores["reference"], strict=True)
    found = [metric.corpus_score([translation], [[reference]]) for translation, reference in pairs]
    return np.array(
        [[one.sys_len, one.ref_len, *one.counts, *one.totals] for one in found], np.float64
    )


def _bleu(sums: Floats) -> Floats:
    return np.array([_corpus_bleu(row) if row[1] else math.nan for row in sums])


def _corpus_bleu(row: Floats) -> float:
    from sacrebleu.metrics.bleu import BLEU

    score = BLEU.compute_bleu(
        correct=row[2 : 2 + _ORDERS].tolist(),
        total=row[2 + _ORDERS :].tolist(),
        sys_len=int(row[0]),
        ref_len=int(row[1]),
        smooth_method="exp",  # as a reported score has it: sacrebleu's own default
        max_ngram_order=_ORDERS,
    )
    return float(score.score)
