"""BLEU as a function of what adds up over sentences, so that any part of a corpus has its score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.shared.scores.bootstrap import Floats

_ORDERS = 4  # BLEU counts n-grams of one to four words


def bleu_counts(metric: Any, translations: Sequence[str], references: Sequence[str]) -> Floats:
    """Counts by sacrebleu of each sentence: matches and totals by order, lengths, [n, 10]."""
    rows = []
    for translation, reference in zip(translations, references, strict=True):
        score = metric.sentence_score(translation, [reference])
        rows.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
    return np.asarray(rows, dtype=np.float64)


def bleu(sums: Floats) -> Floats:
    """100 * brevity penalty * geometric mean of n-gram precisions, n = 1 to 4; higher is better.

    Columns: matches of each order, totals of each order, length of the translations, length of
    the references, all over sacrebleu's 13a tokens. Precision of an order is matches / totals;
    the k-th order without a match counts 1 / (2^k totals) (sacrebleu's default smoothing); the
    penalty is exp(1 - reference length / translation length) where the translations are shorter.
    The counts are added up over the corpus first. Matches the paper's 5 (En-Fr) and 11.5 (Fr-En).
    """
    matches, totals = sums[:, :_ORDERS], sums[:, _ORDERS : 2 * _ORDERS]
    length, wanted = sums[:, -2], sums[:, -1]
    some = matches > 0
    smoothing = 2.0 ** np.cumsum(~some, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.where(some, matches, 1 / smoothing) / totals
        penalty = np.where(length < wanted, np.exp(1 - wanted / length), 1.0)
        scores = 100 * penalty * np.exp(np.log(precisions).mean(axis=1))
    possible = (totals > 0).all(axis=1) & some.any(axis=1)
    return np.asarray(np.where(possible, scores, 0.0))
