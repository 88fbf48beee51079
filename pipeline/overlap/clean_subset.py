"""Scores without the examples that overlap: is the gain memory?

Each metric is computed again from per-example scores, so `all` is the evaluation's own number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.overlap.difference import (
    NO_DIFFERENCE,
    Chosen,
    Difference,
    Terms,
    cluster_numbers,
    difference,
    terms_of,
)
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.scores.bootstrap import Draws
from pipeline.shared.scores.confidence import surest
from pipeline.shared.scores.results import read_results, read_scores

MUCH_OVERLAP_PERCENT = 15.0  # the paper's bucket for LAMBADA, section 4
Score = Callable[[Chosen], float]
COLUMNS = (
    "size",
    "set",
    "metric",
    "all",
    "clean",
    "num_all",
    "num_clean",
    "over_15_percent",
    "num_over_15_percent",
    "difference",
    "low",
    "high",
)
_MORE_METRICS = {"lambada": ("accuracy@stop_word_filter",)}
"""What the paper's section 4 holds against the clean subset besides the reported metrics."""


def clean_subset(
    results: Mapping[str, Path], overlaps: dict[str, pd.DataFrame], draws: Draws
) -> tuple[pd.DataFrame, int]:
    """One row a size of `results`, set and metric; and how many metrics have no per-example form.

    Columns: size, set, metric, all, clean (examples without a shared n-gram), num_all, num_clean,
    over_15_percent, num_over_15_percent, and difference: all minus clean, with its 95 % interval
    low to high. What there is none of is an empty cell: the score of an empty subset, the interval
    of a difference that cannot vary or is no function of sums.
    """
    rows: list[dict[str, Any]] = []
    left_out = 0
    for size, folder in results.items():
        for name, result in read_results(folder).items():
            if name not in overlaps or result.not_run:
                continue
            joined = _join(read_scores(folder, name), overlaps[name], size, name)
            for metric in (*EVAL_SETS[name].metrics, *_more(name, result.metrics)):
                if metric in result.no_signal:
                    continue
                terms = terms_of(metric, joined)
                score = _score_of(metric, terms, joined)
                if score is None:
                    left_out += 1
                    continue
                head = {"size": size, "set": name, "metric": metric}
                change = _difference(terms, joined, draws)
                rows.append(head | _compare(joined, score) | change._asdict())
    return pd.DataFrame(rows, columns=list(COLUMNS)), left_out


def _more(name: str, measured: Collection[str]) -> list[str]:
    return [metric for metric in _MORE_METRICS.get(name, ()) if metric in measured]


def _difference(terms: Terms | None, joined: pd.DataFrame, draws: Draws) -> Difference:
    if terms is None:
        return NO_DIFFERENCE
    clean = (joined["num_overlapping"] == 0).to_numpy(dtype=np.bool_)
    return difference(terms, np.ones_like(clean), clean, cluster_numbers(joined), draws)


def _join(scores: pd.DataFrame, overlap: pd.DataFrame, size: str, name: str) -> pd.DataFrame:
    joined = scores.merge(overlap, on="id", how="inner", validate="one_to_one")
    if len(joined) != len(scores):
        raise CorruptDataError(
            f"evaluate/{size}/{name}.examples.parquet: {len(scores) - len(joined)} of "
            f"{len(scores)} examples are not in the evaluation set; run dvc repro evaluate@{size}"
        )
    return joined


def _compare(joined: pd.DataFrame, score: Score) -> dict[str, Any]:
    clean = (joined["num_overlapping"] == 0).to_numpy(dtype=np.bool_)
    much = (joined["overlap_percent"] > MUCH_OVERLAP_PERCENT).to_numpy(dtype=np.bool_)
    return {
        "all": score(np.ones_like(clean)),
        "clean": score(clean) if clean.any() else math.nan,
        "num_all": len(joined),
        "num_clean": int(clean.sum()),
        "over_15_percent": score(much) if much.any() else math.nan,
        "num_over_15_percent": int(much.sum()),
    }


def _score_of(metric: str, terms: Terms | None, scores: pd.DataFrame) -> Score | None:
    """How `metric` follows from per-example columns, or None where it does not."""
    if terms is not None:
        return terms.of
    if metric == "accuracy_top_1_percent" and {"confidence", "correct", "answer"} <= set(scores):
        return lambda chosen: _accuracy_of_surest(scores[chosen])
    return None


def _accuracy_of_surest(rows: pd.DataFrame) -> float:
    """Accuracy on the surest 1 % of the rows, as evaluate has it of all."""
    places = surest(rows["confidence"].tolist(), rows["answer"].tolist())
    return float(rows["correct"].to_numpy(dtype=float)[places].mean())
