"""Scores without the examples that overlap: is the gain memory?

Each metric is computed again from per-example scores, so `all` is the evaluation's own number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.confidence import surest
from pipeline.errors import CorruptDataError
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.overlap.difference import (
    NO_DIFFERENCE,
    Difference,
    Draws,
    cluster_numbers,
    difference,
    terms_of,
)
from pipeline.params import SIZES
from pipeline.results import read_results, read_scores

MUCH_OVERLAP_PERCENT = 15.0  # the paper's bucket for LAMBADA, section 4
Score = Callable[[pd.DataFrame], float]
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
    results: Path, overlaps: dict[str, pd.DataFrame], draws: Draws
) -> tuple[pd.DataFrame, int]:
    """One row a size, set and metric; and how many metrics have no per-example form.

    Columns: size, set, metric, all, clean (examples without a shared n-gram), num_all, num_clean,
    over_15_percent, num_over_15_percent, and difference: all minus clean, with its 95 % interval
    low to high. What there is none of is an empty cell: the score of an empty subset, the interval
    of a difference that cannot vary or is no function of sums.
    """
    rows: list[dict[str, Any]] = []
    left_out = 0
    for size in SIZES:
        for name, result in read_results(results / size).items():
            if name not in overlaps or result.not_run:
                continue
            joined = _join(read_scores(results / size, name), overlaps[name], size, name)
            for metric in (*EVAL_SETS[name].metrics, *_more(name, result.metrics)):
                if metric in result.no_signal:
                    continue
                score = score_of(metric, joined)
                if score is None:
                    left_out += 1
                    continue
                head = {"size": size, "set": name, "metric": metric}
                change = _difference(metric, name, joined, draws)
                rows.append(head | _compare(joined, score) | change._asdict())
    return pd.DataFrame(rows, columns=list(COLUMNS)), left_out


def _more(name: str, measured: Collection[str]) -> list[str]:
    return [metric for metric in _MORE_METRICS.get(name, ()) if metric in measured]


def _difference(metric: str, name: str, joined: pd.DataFrame, draws: Draws) -> Difference:
    terms = terms_of(metric, joined)
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
    clean = joined[joined["num_overlapping"] == 0]
    much = joined[joined["overlap_percent"] > MUCH_OVERLAP_PERCENT]
    return {
        "all": score(joined),
        "clean": score(clean) if len(clean) else math.nan,
        "num_all": len(joined),
        "num_clean": len(clean),
        "over_15_percent": score(much) if len(much) else math.nan,
        "num_over_15_percent": len(much),
    }


def score_of(metric: str, scores: pd.DataFrame) -> Score | None:
    """How `metric` follows from per-example columns, or None where it does not."""
    if metric == "perplexity" and "loss_nats" in scores:
        return lambda rows: float(np.exp(_loss_per_unit(rows)))
    if metric.startswith("bits_per_") and "loss_nats" in scores:
        return lambda rows: _loss_per_unit(rows) / math.log(2)
    if metric == "bleu" and {"translation", "reference"} <= set(scores):
        return _bleu
    if metric == "accuracy_top_1_percent" and {"confidence", "correct", "answer"} <= set(scores):
        return _accuracy_of_surest
    column = metric if metric in scores else metric.replace("accuracy", "correct")
    return (lambda rows: float(rows[column].mean())) if column in scores else None


def _loss_per_unit(rows: pd.DataFrame) -> float:
    """Nats per canonical unit over the rows together."""
    units = float(rows["num_units"].sum())
    return float(rows["loss_nats"].sum()) / units if units else math.nan


def _bleu(rows: pd.DataFrame) -> float:
    """Corpus BLEU by sacrebleu; the rows' counts are added up first, so it is no mean."""
    from sacrebleu.metrics.bleu import BLEU

    references = [rows["reference"].tolist()]
    return float(BLEU().corpus_score(rows["translation"].tolist(), references).score)


def _accuracy_of_surest(rows: pd.DataFrame) -> float:
    """Accuracy on the surest 1 % of the rows, as evaluate has it of all."""
    places = surest(rows["confidence"].tolist(), rows["answer"].tolist())
    return float(rows["correct"].to_numpy(dtype=float)[places].mean())
