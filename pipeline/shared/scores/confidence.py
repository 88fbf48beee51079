"""How sure a model is of its answers, and how often it is right: shared by three stages."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

NUM_BUCKETS = 10
_LEAST_IN_BUCKET = 5
_Z = 1.959964  # two-sided 95 %
CALIBRATION_COLUMNS = (
    *("confidence_low", "confidence_high", "mean_confidence"),
    *("accuracy", "accuracy_low", "accuracy_high", "num_answers"),
)


def by_confidence(confidences: Sequence[float], answers: Sequence[str]) -> list[int]:
    """Places of the answers, the surest first; an empty one, which answers nothing, comes last.

    >>> by_confidence([0.1, 0.9, 0.5], ["a", "", "b"])
    [2, 0, 1]
    """
    empty = np.array([not answer for answer in answers], dtype=bool)
    return [int(n) for n in np.lexsort((-np.asarray(confidences, dtype=float), empty))]


def surest(confidences: Sequence[float], answers: Sequence[str]) -> list[int]:
    """Places of the surest 1 % of all, rounded up: the paper's 63.1 % is their accuracy.

    >>> surest([0.1, 0.9, 0.5], ["a", "b", "c"])
    [1]
    """
    return by_confidence(confidences, answers)[: math.ceil(len(answers) / 100)]


def calibration(
    confidences: Sequence[float], correct: Sequence[float], answers: Sequence[str]
) -> pd.DataFrame:
    """Accuracy by bucket of confidence, the least sure bucket first.

    Buckets hold equal numbers of answers (to within one): ten of them, fewer where that would leave
    one with under five. Empty answers are in none. Columns: the lowest, highest and mean confidence
    of the bucket, its accuracy with Wilson's 95 % interval, and its number of answers.
    """
    order = [n for n in by_confidence(confidences, answers)[::-1] if answers[n]]
    count = min(NUM_BUCKETS, len(order) // _LEAST_IN_BUCKET)
    rows = []
    for places in np.array_split(np.array(order, dtype=int), count) if count else ():
        sure = np.asarray(confidences, dtype=float)[places]
        right = float(np.asarray(correct, dtype=float)[places].sum())
        ends = wilson(right, len(places))
        rows.append((
            *(sure.min(), sure.max(), sure.mean()),
            *(right / len(places), *ends, len(places)),
        ))
    return pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS))


def wilson(right: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a proportion by Wilson's score, which holds near 0 and 1 too.

    >>> [round(end, 3) for end in wilson(0, 10)], [round(end, 3) for end in wilson(5, 10)]
    ([0.0, 0.278], [0.237, 0.763])
    """
    share, z2 = right / count, _Z * _Z
    middle = share + z2 / (2 * count)
    spread = _Z * math.sqrt(share * (1 - share) / count + z2 / (4 * count * count))
    low, high = ((middle + sign * spread) / (1 + z2 / count) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)
