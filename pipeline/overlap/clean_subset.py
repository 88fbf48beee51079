"""Scores without the examples that overlap: is the gain memory?

Each metric is recomputed from per-example scores, so `all` equals the evaluation's own number up
to rounding. A metric of the whole corpus (BLEU) has no per-example form and is left out, counted.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import CorruptDataError
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.params import SIZES
from pipeline.results import read_results, read_scores

MUCH_OVERLAP_PERCENT = 15.0  # the paper's bucket for LAMBADA, section 4


def clean_subset(results: Path, overlaps: dict[str, pd.DataFrame]) -> tuple[pd.DataFrame, int]:
    """One row a size, set and metric; and how many metrics have no per-example form.

    Columns: size, set, metric, all, clean (no shared n-gram), num_all, num_clean,
    over_15_percent, num_over_15_percent. An empty subset has no score (NaN).
    """
    rows: list[dict[str, Any]] = []
    left_out = 0
    for size in SIZES:
        for name, result in read_results(results / size).items():
            if name not in overlaps or result.not_run:
                continue
            joined = _join(read_scores(results / size, name), overlaps[name], size, name)
            for metric in EVAL_SETS[name].metrics:
                score = _score_of(metric, joined)
                if score is None:
                    left_out += 1
                else:
                    rows.append(
                        {"size": size, "set": name, "metric": metric} | _compare(joined, score)
                    )
    return pd.DataFrame(rows), left_out


def _join(scores: pd.DataFrame, overlap: pd.DataFrame, size: str, name: str) -> pd.DataFrame:
    joined = scores.merge(overlap, on="id", how="inner", validate="one_to_one")
    if len(joined) != len(scores):
        raise CorruptDataError(
            f"evaluate/{size}/{name}.examples.parquet: {len(scores) - len(joined)} of "
            f"{len(scores)} examples are not in the evaluation set; run dvc repro evaluate@{size}"
        )
    return joined


def _compare(joined: pd.DataFrame, score: Callable[[pd.DataFrame], float]) -> dict[str, Any]:
    clean = joined[joined["num_overlapping"] == 0]
    much = joined[joined["overlap_percent"] > MUCH_OVERLAP_PERCENT]
    return {
        "all": score(joined),
        "clean": score(clean),
        "num_all": len(joined),
        "num_clean": len(clean),
        "over_15_percent": score(much),
        "num_over_15_percent": len(much),
    }


def _score_of(metric: str, joined: pd.DataFrame) -> Callable[[pd.DataFrame], float] | None:
    """How `metric` follows from per-example columns, or None where it does not."""
    if metric == "perplexity" and "loss_nats" in joined:
        return lambda rows: float(np.exp(_loss_per_unit(rows)))
    if metric.startswith("bits_per_") and "loss_nats" in joined:
        return lambda rows: _loss_per_unit(rows) / float(np.log(2))
    column = metric if metric in joined else metric.replace("accuracy", "correct")
    if column not in joined:
        return None
    return lambda rows: float(rows[column].mean()) if len(rows) else float("nan")


def _loss_per_unit(rows: pd.DataFrame) -> float:
    """Nats per canonical unit over the rows together; NaN where there are none."""
    units = float(rows["num_units"].sum())
    return float(rows["loss_nats"].sum()) / units if units else float("nan")
