"""CoQA by domain: the F1 of stories that the training text holds beside that of the others.

The paper: about 15 % of the news stories are in WebText, and F1 is about 3 points higher on these.
It does not say when a story counts as held, so two measures are shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.overlap.difference import (
    cluster_numbers,
    difference,
    terms_of,
)
from pipeline.shared.scores.bootstrap import Draws
from pipeline.shared.scores.results import read_results, read_scores

HELD = {"any 8-gram": 0.0, "over half": 50.0}
"""Percentage of a story's n-grams above which the training text holds it."""
COLUMNS = [
    "size",
    "domain",
    "held",
    "num_stories",
    "num_held",
    "num_questions",
    "num_questions_held",
    "f1_held",
    "f1_others",
    "difference",
    "low",
    "high",
]


def coqa_domains(
    results: Mapping[str, Path], overlaps: Mapping[str, pd.DataFrame], draws: Draws
) -> pd.DataFrame:
    """One row a size of `results`, domain (and all together) and measure of what is held.

    The overlap of a story is that of the texts of its questions together, each the story, the
    question and its answer. f1_held and f1_others are means over questions; the difference has a
    95 % interval over stories. Without the sizes that CoQA was not scored for, or whose F1 says
    nothing of the model.
    """
    rows: list[dict[str, Any]] = []
    for size, folder in results.items():
        result = read_results(folder).get("coqa")
        if result is None or result.not_run or "coqa" not in overlaps:
            continue
        if "f1" in result.no_signal:
            continue  # every answer empty, say: means of nothing
        scores = read_scores(folder, "coqa").merge(overlaps["coqa"], on="id")
        if "group" in scores:
            for held, percent in HELD.items():
                rows += [
                    {"size": size, "held": held} | row for row in _domains(scores, percent, draws)
                ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _domains(scores: pd.DataFrame, percent: float, draws: Draws) -> list[dict[str, Any]]:
    scores = scores.assign(story=cluster_numbers(scores))
    sums = scores.groupby("story")[["num_overlapping", "num_ngrams"]].transform("sum")
    scores["held"] = 100 * sums["num_overlapping"] > percent * sums["num_ngrams"]
    domains = [(str(name), own) for name, own in scores.groupby("group", sort=True)]
    return [
        {"domain": name} | _compare(own.reset_index(drop=True), draws)
        for name, own in [*domains, ("all", scores)]
    ]


def _compare(scores: pd.DataFrame, draws: Draws) -> dict[str, Any]:
    held = scores["held"].to_numpy(dtype=np.bool_)
    terms = terms_of("f1", scores)
    assert terms is not None
    clusters = pd.factorize(scores["story"])[0]
    stories = scores.drop_duplicates("story")
    return {
        "num_stories": len(stories),
        "num_held": int(stories["held"].sum()),
        "num_questions": len(scores),
        "num_questions_held": int(held.sum()),
        "f1_held": scores.loc[held, "f1"].mean(),
        "f1_others": scores.loc[~held, "f1"].mean(),
        **difference(terms, held, ~held, np.asarray(clusters, np.int64), draws)._asdict(),
    }
