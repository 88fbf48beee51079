"""Figure 5: how much of a completion's 8-grams the training text holds, as a distribution."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipeline.overlap.texts import Completion
from pipeline.overlap.training_side import SeenIndex


def figure5(texts: Sequence[Completion], side: SeenIndex) -> pd.DataFrame:
    """The cumulative distribution of per-document overlap, by kind and size.

    Columns: kind (real, sample), size (empty for real), overlap_percent, cumulative_fraction: the
    fraction of documents with that overlap or less. One row for each overlap that occurs.
    """
    overlaps = pd.DataFrame({
        "kind": [text.kind for text in texts],
        "size": [text.size for text in texts],
        "overlap_percent": [side.shared(text.words).percent for text in texts],
    })
    pieces = []
    for (kind, size), group in overlaps.groupby(["kind", "size"], sort=False):
        counts = group["overlap_percent"].value_counts().sort_index()
        pieces.append(
            pd.DataFrame({
                "kind": kind,
                "size": size,
                "overlap_percent": counts.index,
                "cumulative_fraction": counts.cumsum().to_numpy() / len(group),
            })
        )
    columns = ["kind", "size", "overlap_percent", "cumulative_fraction"]
    return pd.concat(pieces) if pieces else pd.DataFrame(columns=columns)


def summarise(curve: pd.DataFrame) -> dict[str, dict[str, float]]:
    """By kind: the median overlap in percent, and the percentage of documents without any.

    The paper: median 2.6 % for real completions, over 30 % of the samples without overlap.
    """
    summary = {}
    for (kind, size), group in curve.groupby(["kind", "size"], sort=False):
        reached = group[group["cumulative_fraction"] >= 0.5]
        none = group[group["overlap_percent"] == 0]
        summary["_".join(part for part in (str(kind), str(size)) if part)] = {
            "median_percent": round(float(reached["overlap_percent"].iloc[0]), 4),
            "without_overlap_percent": round(100 * float(none["cumulative_fraction"].max()), 4)
            if len(none)
            else 0.0,
        }
    return summary
