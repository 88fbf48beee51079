"""Metrics that are sums over examples. Each docstring is the metric's definition.

Every metric is a function of column sums [draws, columns], so that one expression serves the
value itself and its bootstrap interval. Each but BLEU is a function of the ratio of two sums, and
`ratio_metric` says of which columns of the per-example scores.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pipeline.shared.scores.bootstrap import Floats

_GREATEST_EXPONENT = 700.0  # exp(710) is more than a double holds, and JSON has no infinity


def perplexity(sums: Floats) -> Floats:
    """exp(sum of losses in nats / number of canonical units); lower is better.

    Columns: loss_nats, num_units. The losses of all tokens are added up and divided by the words
    of the original text (one end of sentence a line counted as a word) before the exponential,
    so neither tokenizer nor de-tokenizer changes the unit. Matches the paper's Table 3 columns
    LAMBADA (unit: the last word), WikiText2, PTB, WikiText103, 1BW; per token in Figure 4. Not a
    number where there is no unit; at most exp(700), which a file can hold.
    """
    return _exp(mean(sums))


def bits_per_unit(sums: Floats) -> Floats:
    """Sum of losses in nats / ln 2 / number of bytes or characters; lower is better.

    Columns: loss_nats, num_units. Matches Table 3's enwik8 (bits per UTF-8 byte) and text8 (bits
    per character).
    """
    return _per_bit(mean(sums))


def mean(sums: Floats) -> Floats:
    """Sum of scores / number of examples, between 0 and 1; higher is better.

    Columns: score, one. Accuracy where the score of an example is 0 or 1 (Table 3's LAMBADA and
    CBT, Figure 3's Winograd, exact match); also the mean of F1 (CoQA) and of ROUGE's F1 (Table 4).
    """
    nothing = np.full(len(sums), np.nan)
    return np.asarray(np.divide(sums[:, 0], sums[:, 1], out=nothing, where=sums[:, 1] > 0))


class RatioMetric(NamedTuple):
    """A metric as a function of the ratio of two sums over examples."""

    numerator: str
    denominator: str
    """A column of the per-example scores; empty where each example counts as one."""
    of_ratio: Callable[[Floats], Floats]


def _exp(nats: Floats) -> Floats:
    return np.asarray(np.exp(np.minimum(nats, _GREATEST_EXPONENT)))


def _per_bit(nats: Floats) -> Floats:
    return np.asarray(nats / np.log(2))


def _same(ratio: Floats) -> Floats:
    return ratio


PERPLEXITY = RatioMetric("loss_nats", "num_units", _exp)
BITS_PER_UNIT = RatioMetric("loss_nats", "num_units", _per_bit)
BITS_PER_BYTE = RatioMetric("loss_nats", "num_bytes", _per_bit)
"""Of running text whose units are others, tokens: what studies with other tokenizers compare by."""


def ratio_metric(name: str) -> RatioMetric:
    """What a metric of a result is of its per-example scores, whether or not they have the columns.

    >>> ratio_metric("accuracy_partial").numerator
    'correct_partial'
    """
    if name == "perplexity":
        return PERPLEXITY
    if name.startswith("bits_per_"):
        return BITS_PER_UNIT
    return RatioMetric(name.replace("accuracy", "correct"), "", _same)
