"""compare.csv and slopes.csv: every group by size, and its power laws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from pipeline.compare.measure import Measured, measure
from pipeline.compare.studies import SPLITS, Group
from pipeline.shared.scores.bootstrap import Draws
from pipeline.shared.scores.metrics import BITS_PER_BYTE, PERPLEXITY
from pipeline.shared.scores.scaling import Estimate, Floats, fit_floors, slope, step_ratio

COUNTS = {"all": "parameters", "without embeddings": "non_embedding_parameters"}
"""Ways to count parameters -> their name in a training's metrics.json."""
_TRAINING = ("parameters", "non_embedding_parameters", "tokens", "epochs")
_NONE = Estimate(math.nan, math.nan, math.nan)

Figure4 = Mapping[str, Mapping[str, Measured]]
"""Group's label -> split -> log perplexity by size."""


def measure_figure4(groups: Sequence[Group], draws: Draws) -> dict[str, dict[str, Measured]]:
    """Perplexity on both splits of every group; a split that was not scored is left out."""
    found: dict[str, dict[str, Measured]] = {}
    for group in groups:
        splits = {s: measure(group, f"webtext_{s}", PERPLEXITY, draws) for s in SPLITS}
        found[group.label] = {split: m for split, m in splits.items() if m is not None}
    return found


def comparison(groups: Sequence[Group], figure4: Figure4, draws: Draws) -> pd.DataFrame:
    """One row a group and size.

    `learning_rate` lists the replicates' where they differ: each seed searches for its own. A
    perplexity is exp of the mean loss of the replicates, `_sd` the standard deviation of theirs.
    `_step` is the perplexity of the next smaller size over this one's: above 1 it falls;
    `_falls_in` counts the replicates in which it does. What was not measured is an empty cell.
    """
    rows: list[dict[str, Any]] = []
    for group in groups:
        bits = {s: measure(group, f"webtext_{s}", BITS_PER_BYTE, draws) for s in SPLITS}
        for size in group.sizes:
            row: dict[str, Any] = {"study": group.label, "size": size}
            row["replicates"] = len(group.studies)
            row |= {key: group.training(size, key) for key in _TRAINING}
            row["learning_rate"] = _rates(group, size)
            for split in SPLITS:
                measured = figure4[group.label].get(split)
                row |= _cells(f"{split}_perplexity", measured, size)
                row |= _cells(f"{split}_bits_per_byte", bits[split], size)
                row |= _step(f"{split}_step", measured, group.ladder, size)
                row[f"{split}_interval_covers"] = measured.covers if measured else ""
            rows.append(row)
    return pd.DataFrame(rows)


def _rates(group: Group, size: str) -> object:
    rates = [study.sizes[size].training.learning_rate for study in group.studies]
    return rates[0] if len(set(rates)) == 1 else " ".join(map(str, rates))


def _cells(name: str, measured: Measured | None, size: str) -> dict[str, float]:
    there = measured is not None and size in measured.sizes
    value = measured.at(size) if measured and there else _NONE
    spread = measured.spread(size) if measured and there else math.nan
    return {
        name: value.value,
        f"{name}_sd": spread,
        f"{name}_low": value.low,
        f"{name}_high": value.high,
    }


def _step(name: str, measured: Measured | None, ladder: list[str], size: str) -> dict[str, Any]:
    smaller = ladder[ladder.index(size) - 1] if size != ladder[0] else ""
    if measured is None or not {smaller, size} <= set(measured.sizes):
        return {name: math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan} | {
            f"{name}_falls_in": None
        }
    place = measured.sizes.index(size)
    ratio = step_ratio(measured.means, place - 1, place)
    falls = measured.by_replicate[:, place] < measured.by_replicate[:, place - 1]
    return {
        name: ratio.value,
        f"{name}_low": ratio.low,
        f"{name}_high": ratio.high,
        f"{name}_falls_in": int(falls.sum()),
    }


def slopes(groups: Sequence[Group], figure4: Figure4, draws: Draws) -> pd.DataFrame:
    """One row a group, split and way to count parameters: the exponent of perplexity, the floor.

    `floor` has a number only where `fit_floors` can tell one; else `floor_told` says why not.
    """
    rows = []
    for group in groups:
        for split, measured in figure4[group.label].items():
            parameters = _parameters(group, measured)
            floors = fit_floors(
                parameters, measured.means, trainings=len(group.studies), seed=draws.seed
            )
            for count, n in parameters.items():
                exponent, floor = slope(n, measured.means), floors[count]
                told = _NONE if isinstance(floor, str) else floor.floor
                rows.append({
                    "study": group.label,
                    "split": split,
                    "parameters_counted": count,
                    "exponent": exponent.value,
                    "exponent_low": exponent.low,
                    "exponent_high": exponent.high,
                    "interval_covers": measured.covers,
                    "floor_nats": told.value,
                    "floor_low": told.low,
                    "floor_high": told.high,
                    "floor_told": floor if isinstance(floor, str) else "yes",
                })
    return pd.DataFrame(rows)


def _parameters(group: Group, measured: Measured) -> dict[str, Floats]:
    """By the way to count; without those that an old study lacks, and none for one size alone."""
    found = {
        count: [group.training(size, key) for size in measured.sizes]
        for count, key in COUNTS.items()
    }
    return {
        count: np.array(values, dtype=np.float64)
        for count, values in found.items()
        if len(values) > 1 and None not in values
    }


def falls_everywhere(group: Group, measured: Measured) -> int:
    """Replicates whose perplexity falls at every step."""
    steps = [
        measured.by_replicate[:, larger] < measured.by_replicate[:, smaller]
        for smaller, larger in pairwise(range(len(measured.sizes)))
    ]
    return int(np.all(steps, axis=0).sum()) if steps else 0
