"""Figure 4 as numbers: perplexity on train and test documents against model size, and what it says.

The same documents for every size; intervals are bootstrapped over documents by evaluate. Steps
from one size to the next are compared on equal draws of documents, which is far sharper than
comparing two intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import CorruptDataError
from pipeline.params import SIZES
from pipeline.report.study import Study
from pipeline.results import read_scores

Floats = npt.NDArray[np.float64]
SPLITS = ("train", "test")
COLUMNS = (
    *("size", "parameters", "train_perplexity", "test_perplexity"),
    *("test_perplexity_low", "test_perplexity_high"),
    *("train_perplexity_low", "train_perplexity_high"),
)


def figure4_table(study: Study) -> pd.DataFrame:
    """One row a size: true parameters, perplexity per token and its 95 % interval, by split.

    What evaluate could not measure is NaN, an empty cell of figure4.csv.
    """
    rows = []
    for size in SIZES:
        row: dict[str, object] = {"size": size, "parameters": study.parameters(size)}
        for split in SPLITS:
            value = study.metric(size, f"webtext_{split}", "perplexity")
            row[f"{split}_perplexity"] = math.nan if value is None else value
            low, high = _interval(study, size, split)
            row |= {f"{split}_perplexity_low": low, f"{split}_perplexity_high": high}
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _interval(study: Study, size: str, split: str) -> tuple[float, float]:
    result = study.results[size].get(f"webtext_{split}")
    interval = result.intervals.get("perplexity") if result else None
    return (interval.low, interval.high) if interval else (math.nan, math.nan)


class Step(NamedTuple):
    """From one size to the next, on the same documents."""

    split: str
    smaller: str
    larger: str
    ratio: float
    """Perplexity of the smaller over that of the larger; above 1 it falls."""
    low: float
    high: float
    """95 % interval of `ratio`, by bootstrap over documents drawn alike for both sizes."""


def compare_steps(study: Study) -> list[Step]:
    """Every step of every split that both sizes were scored on.

    Raises:
        CorruptDataError: they were scored on different documents.
    """
    steps = []
    for split in SPLITS:
        for smaller, larger in pairwise(SIZES):
            sizes = (smaller, larger)
            if all(study.metric(s, f"webtext_{split}", "perplexity") is not None for s in sizes):
                steps.append(_compare(study, split, smaller, larger))
    return steps


def _compare(study: Study, split: str, smaller: str, larger: str) -> Step:
    left, right = (
        read_scores(study.folder / "evaluate" / size, f"webtext_{split}")
        for size in (smaller, larger)
    )
    if left["id"].tolist() != right["id"].tolist():
        raise CorruptDataError(
            f"{study.folder}/evaluate: {smaller} and {larger} were scored on different documents "
            f"of the {split} split; run dvc repro"
        )
    fall = (left["loss_nats"] - right["loss_nats"]).to_numpy(dtype=float)
    tokens = left["num_units"].to_numpy(dtype=float)
    generator = np.random.default_rng(study.params.seeds.sampling)
    even = np.full(len(left), 1 / len(left))
    draws = generator.multinomial(len(left), even, study.params.evaluate.bootstrap_samples)
    ratios = np.exp((draws @ fall) / (draws @ tokens))
    low, high = np.percentile(ratios, [2.5, 97.5])
    ratio = math.exp(fall.sum() / tokens.sum())
    return Step(split, smaller, larger, ratio, float(low), float(high))


class Finding(NamedTuple):
    """What Figure 4 says, computed from its table."""

    falls: dict[str, bool]
    """By split: whether perplexity was measured for all sizes and falls at every step."""
    ratio: dict[str, float]
    """By split: perplexity of the smallest size over that of the largest."""
    exponent: dict[str, float]
    """By split: slope of log perplexity over log parameters, by least squares on the sizes."""
    sentence: str
    """The finding in one sentence."""


def find(table: pd.DataFrame) -> Finding:
    """What the table of `figure4_table` says.

    >>> table = pd.DataFrame({"size": ["small", "xl"], "parameters": [1, 10],
    ...     "train_perplexity": [20.0, 2.0], "test_perplexity": [20.0, 30.0]})
    >>> find(table).falls, round(find(table).exponent["train"], 3)
    ({'train': True, 'test': False}, -1.0)
    >>> find(table).sentence
    'Perplexity does not fall at every step: on test it does not from small to xl.'
    """
    values = {split: table[f"{split}_perplexity"].to_numpy(dtype=float) for split in SPLITS}
    falls = {split: bool(np.all(np.diff(v) < 0)) for split, v in values.items()}  # NaN: no fall
    ratio = {split: float(v[0] / v[-1]) for split, v in values.items()}
    parameters = table["parameters"].to_numpy(dtype=float)
    exponent = {split: fit_power_law(parameters, v)[0] for split, v in values.items()}
    return Finding(falls, ratio, exponent, _say(table, values, falls))


def fit_power_law(parameters: Floats, perplexities: Floats) -> tuple[float, float]:
    """Slope and intercept of ln(perplexity) over ln(parameters); NaN for fewer than two points."""
    known = np.isfinite(perplexities)
    if known.sum() < 2:
        return math.nan, math.nan
    slope, intercept = np.polyfit(np.log(parameters[known]), np.log(perplexities[known]), 1)
    return float(slope), float(intercept)


def _say(table: pd.DataFrame, values: dict[str, Floats], falls: dict[str, bool]) -> str:
    if all(falls.values()):
        train, test = values["train"], values["test"]
        return (
            "Perplexity falls at every step from the smallest model to the largest, on train and "
            f"on test documents alike: from {train[0]:.1f} to {train[-1]:.1f} on train, from "
            f"{test[0]:.1f} to {test[-1]:.1f} on test."
        )
    sizes = table["size"].tolist()
    clauses = []
    for split in SPLITS:
        missing = [s for s, v in zip(sizes, values[split], strict=True) if not math.isfinite(v)]
        if missing:
            clauses.append(f"on {split} it was not measured for {', '.join(missing)}")
        steps = zip(pairwise(sizes), np.diff(values[split]), strict=True)
        rises = [f"from {a} to {b}" for (a, b), change in steps if change >= 0]
        if rises:
            clauses.append(f"on {split} it does not {' nor '.join(rises)}")
    return f"Perplexity does not fall at every step: {'; '.join(clauses)}."


def as_text(table: pd.DataFrame) -> str:
    """Figure 4's table for a terminal."""
    lines = [f"{'size':<8} {'parameters':>14}   {'train perplexity':>26}   {'test perplexity':>26}"]
    for row in table.to_dict("records"):
        cells = [_cell(row, split) for split in SPLITS]
        lines.append(f"{row['size']:<8} {row['parameters']:>14,}   {cells[0]:>26}   {cells[1]:>26}")
    return "\n".join(lines)


def _cell(row: Mapping[Any, Any], split: str) -> str:
    value = row[f"{split}_perplexity"]
    if not math.isfinite(value):
        return "not run"
    low, high = row[f"{split}_perplexity_low"], row[f"{split}_perplexity_high"]
    return f"{value:.2f}  [{low:.2f}, {high:.2f}]"
