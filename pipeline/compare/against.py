"""ratios.csv: each group against the first, size by size, on equal draws where they share ids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.compare.measure import Measured, measure
from pipeline.compare.studies import SPLITS, Group
from pipeline.report.tables import TABLE3, TASKS, set_title
from pipeline.shared.scores.bootstrap import Draws
from pipeline.shared.scores.metrics import BITS_PER_BYTE, PERPLEXITY, ratio_metric
from pipeline.shared.scores.scaling import estimate

COLUMNS = (
    *("study", "reference", "size", "set", "title", "metric", "kind", "ours", "theirs"),
    *("value", "low", "high", "num_examples", "interval_covers", "remark"),
)
_NOT_SCORED = "not scored"
_BITS = "bits per byte: the tokenizers differ, so that perplexities per token do not compare"


class _Pair(NamedTuple):
    group: Group
    reference: Group

    @property
    def sizes(self) -> list[str]:
        return [size for size in self.group.sizes if size in self.reference.sizes]

    def row(self, size: str, eval_set: str, metric: str, kind: str) -> dict[str, Any]:
        """What every row begins with."""
        return {
            "study": self.group.label,
            "reference": self.reference.label,
            "size": size,
            "set": eval_set,
            "title": set_title(eval_set),
            "metric": metric,
            "kind": kind,
            "remark": _other_shape(self, size),
        }


def against_first(groups: Sequence[Group], draws: Draws) -> pd.DataFrame:
    """Ratios of Figure 4 and differences of every other main metric, group against reference.

    A ratio is the group's over the reference's, below 1 where the group's perplexity is lower; a
    difference is the group's less the reference's, in the metric's own unit.
    """
    rows: list[dict[str, Any]] = []
    for group in groups[1:]:
        pair = _Pair(group, groups[0])
        for split in SPLITS:
            rows += _ratios(pair, f"webtext_{split}", draws)
        for column in (*TABLE3, *TASKS):
            rows += _differences(pair, column.set, column.metric, draws)
        rows += _differences(pair, "cnn_dm", "rouge_average", draws)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _ratios(pair: _Pair, eval_set: str, draws: Draws) -> list[dict[str, Any]]:
    alike = pair.group.first.tokenizer == pair.reference.first.tokenizer
    name, metric = ("perplexity", PERPLEXITY) if alike else ("bits_per_byte", BITS_PER_BYTE)
    ours, theirs = (measure(group, eval_set, metric, draws) for group in pair)
    rows = []
    for size in pair.sizes:
        row = pair.row(size, eval_set, name, "ratio")
        if ours is None or theirs is None or size not in ours.sizes or size not in theirs.sizes:
            rows += _untold(pair, row)
            continue
        row |= _versus(ours, theirs, size, np.divide)
        if not alike:
            row["remark"] = "; ".join(filter(None, [row["remark"], _BITS]))
        rows.append(row)
    return rows


def _differences(pair: _Pair, eval_set: str, name: str, draws: Draws) -> list[dict[str, Any]]:
    measured: list[Measured | None] = [None, None]
    if all(_is_recomputed(group, eval_set, name) for group in pair):
        measured = [measure(group, eval_set, ratio_metric(name), draws) for group in pair]
    ours, theirs = measured
    rows = []
    for size in pair.sizes:
        values = [_reported(group, size, eval_set, name) for group in pair]
        row = pair.row(size, eval_set, name, "difference")
        if any(math.isnan(value) for value in values):
            rows += _untold(pair, row | dict(zip(("ours", "theirs"), values, strict=True)))
            continue
        if ours and theirs and size in ours.sizes and size in theirs.sizes:
            row |= _versus(ours, theirs, size, np.subtract)
        else:
            row |= {"ours": values[0], "theirs": values[1], "value": values[0] - values[1]}
            row |= {"low": math.nan, "high": math.nan, "interval_covers": ""}
        rows.append(row)
    return rows


def _untold(pair: _Pair, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The row of what one side lacks, with the reason; none where neither scored the set."""
    told = {g.label: _why_not(g, row["size"], row["set"], row["metric"]) for g in pair}
    if all(why == _NOT_SCORED for why in told.values()):
        return []
    reasons = [f"{label}: {why}" for label, why in told.items() if why]
    return [row | {"remark": "; ".join(filter(None, [row["remark"], *reasons]))}]


def _why_not(group: Group, size: str, eval_set: str, metric: str) -> str:
    """Why a group has no such number; empty where it has one."""
    for study in group.studies:
        result = study.sizes[size].results.get(eval_set)
        if result is None:
            return _NOT_SCORED
        if reason := result.not_run or result.no_signal.get(metric):
            return reason
        if metric not in result.metrics:
            return "its scores do not hold it"
    return ""


def _versus(ours: Measured, theirs: Measured, size: str, how: np.ufunc) -> dict[str, Any]:
    """Ratio or difference of one size, with its interval over what both groups' draws hold."""
    places = ours.sizes.index(size), theirs.sizes.index(size)
    both = list(zip((ours, theirs), places, strict=True))
    left, right = (float(m.metric.of_ratio(m.means.mean[p])) for m, p in both)
    drawn = how(*(m.metric.of_ratio(m.means.draws[:, p]) for m, p in both))
    # Losses are what is averaged over replicates, so that this is the ratio of two means.
    value = estimate(float(how(left, right)), drawn)
    paired = bool(ours.ids) and ours.ids == theirs.ids
    return {
        "ours": left,
        "theirs": right,
        "value": value.value,
        "low": value.low,
        "high": value.high,
        "num_examples": ours.num_examples,
        "interval_covers": covers(ours, theirs)
        + (", on the same examples" if paired else ", on examples of their own"),
    }


def covers(ours: Measured, theirs: Measured) -> str:
    """What the interval of a comparison holds; the noise of a single training it cannot."""
    if ours.covers == theirs.covers:
        return ours.covers
    return f"{ours.covers} (ours), {theirs.covers} (theirs)"


def _is_recomputed(group: Group, eval_set: str, name: str) -> bool:
    """Whether per-example scores give the reported number, so that they may be drawn."""
    draws = Draws(samples=2, seed=0)
    measured = measure(group, eval_set, ratio_metric(name), draws)
    if measured is None:
        return False
    for place, study in enumerate(group.studies):
        for number, size in enumerate(measured.sizes):
            reported = study.sizes[size].results[eval_set].metrics.get(name, math.nan)
            again = float(measured.metric.of_ratio(measured.by_replicate[place, number]))
            if math.isnan(reported):
                continue  # a size of which the score says nothing: the others' stand
            if not math.isclose(reported, again, rel_tol=1e-6, abs_tol=1e-9):
                return False
    return True


def _reported(group: Group, size: str, eval_set: str, name: str) -> float:
    """The mean of the replicates' reported numbers; NaN where one has none."""
    found = [study.sizes[size].results.get(eval_set) for study in group.studies]
    values = [r.metrics.get(name, math.nan) if r else math.nan for r in found]
    return float(np.mean(values))


def _other_shape(pair: _Pair, size: str) -> str:
    ours, theirs = (int(group.training(size, "parameters")) for group in pair)
    return "" if ours == theirs else f"{ours:,} parameters against {theirs:,}"
