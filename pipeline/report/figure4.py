"""Figure 4 as numbers: perplexity on train and test documents against model size, and what it says.

The same documents for every size; intervals are bootstrapped over documents by evaluate. Steps
from one size to the next are compared on equal draws of documents, which is far sharper than
comparing two intervals.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.report.losses import SPLITS, SizedLosses, gaps, split_losses
from pipeline.report.scale_law import ScaleLaw, scale_law
from pipeline.report.study import Study
from pipeline.report.underfit import CurveEnd, Verdict, curve_end, judge
from pipeline.shared.scores.scaling import of_size, step_ratio

Floats = npt.NDArray[np.float64]
COLUMNS = (
    *("size", "parameters", "train_perplexity", "test_perplexity"),
    *("test_perplexity_low", "test_perplexity_high"),
    *("train_perplexity_low", "train_perplexity_high"),
    *("gap_nats", "gap_nats_low", "gap_nats_high", "non_embedding_parameters"),
    *("epochs", "tokens_per_parameter"),
    *("train_bits_per_byte", "train_bits_per_byte_low", "train_bits_per_byte_high"),
    *("test_bits_per_byte", "test_bits_per_byte_low", "test_bits_per_byte_high"),
    *("gap_bits_per_byte", "gap_bits_per_byte_low", "gap_bits_per_byte_high"),
)
_METRICS = ("perplexity", "bits_per_byte")


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


class Headline(NamedTuple):
    """What Figure 4 says, computed from its table."""

    falls: dict[str, bool | None]
    """By split: whether perplexity was measured for all sizes and falls at every step.

    None of one size, which has no step.
    """
    ratio: dict[str, float]
    """By split: perplexity of the smallest size over that of the largest; NaN of one size."""
    sentence: str
    """The finding in one sentence."""


class Figure4(NamedTuple):
    """Figure 4 and all that is read from it."""

    table: pd.DataFrame
    finding: Headline
    steps: list[Step]
    law: ScaleLaw
    ends: dict[str, CurveEnd | None]
    """How each size's held-out loss moved at the end of its training."""
    verdict: Verdict


def read_figure4(study: Study) -> Figure4:
    """Figure 4 of a study.

    Raises:
        CorruptDataError: sizes were scored on different documents.
    """
    splits = split_losses(study)
    gap = gaps(splits)
    gap_by_byte = gaps(split_losses(study, "byte"))
    table = figure4_table(study, gap, gap_by_byte)
    ends = {size: curve_end(study.curves[size]) for size in study.sizes}
    return Figure4(
        table=table,
        finding=find(table, study.labels),
        steps=compare_steps(splits, study.sizes),
        law=scale_law(study, splits),
        ends=ends,
        verdict=judge(splits, gap, gap_by_byte, ends, study.labels),
    )


def figure4_table(study: Study, gap: SizedLosses, gap_by_byte: SizedLosses) -> pd.DataFrame:
    """One row a size: parameters, perplexity per token, bits per byte, the gap, epochs.

    `gap_nats` is test loss minus train loss per token, i.e. the logarithm of the ratio of the two
    perplexities; `gap_bits_per_byte` is the same by byte of text, which does not depend on how long
    the tokens of either sample are. What evaluate could not measure is NaN, an empty cell of
    figure4.csv.
    """
    rows = []
    for size in study.sizes:
        trained = study.trained[size]
        row: dict[str, object] = {
            "size": size,
            "parameters": study.parameters(size),
            "non_embedding_parameters": study.non_embedding_parameters(size),
            "epochs": trained.epochs,
            "tokens_per_parameter": trained.tokens_per_parameter,
        }
        for split in SPLITS:
            for metric in _METRICS:
                row |= _with_interval(study, size, split, metric)
        row |= _gap(gap, size, "gap_nats") | _gap(gap_by_byte, size, "gap_bits_per_byte")
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _gap(gap: SizedLosses, size: str, name: str) -> dict[str, object]:
    if size not in gap.sizes:
        return {}
    found = of_size(gap.losses, gap.place(size))
    scale = 1.0 if name.endswith("nats") else 1 / math.log(2)
    return {f"{name}{end}": scale * x for end, x in zip(("", "_low", "_high"), found, strict=True)}


def _with_interval(study: Study, size: str, split: str, metric: str) -> dict[str, object]:
    value = study.metric(size, f"webtext_{split}", metric)
    result = study.results[size].get(f"webtext_{split}")
    interval = result.intervals.get(metric) if result else None
    low, high = interval or (math.nan, math.nan)
    name = f"{split}_{metric}"
    return {name: math.nan if value is None else value, f"{name}_low": low, f"{name}_high": high}


def compare_steps(splits: Mapping[str, SizedLosses], sizes: Sequence[str]) -> list[Step]:
    """Every step of every split, from one of `sizes` to the next, that both were scored on."""
    steps = []
    for split, sized in splits.items():
        for smaller, larger in pairwise(sizes):
            if smaller in sized.sizes and larger in sized.sizes:
                places = sized.place(smaller), sized.place(larger)
                steps.append(Step(split, smaller, larger, *step_ratio(sized.losses, *places)))
    return steps


def find(table: pd.DataFrame, labels: Mapping[str, str]) -> Headline:
    """What the table of `figure4_table` says, of sizes by their `labels`.

    >>> table = pd.DataFrame({"size": ["small", "xl"], "parameters": [1, 10],
    ...     "train_perplexity": [20.0, 2.0], "test_perplexity": [20.0, 30.0]})
    >>> finding = find(table, {"small": "1M", "xl": "10M"})
    >>> finding.falls, round(finding.ratio["train"], 3)
    ({'train': True, 'test': False}, 10.0)
    >>> finding.sentence
    'Perplexity does not fall at every step: on test it does not from 1M to 10M.'
    """
    values = {split: table[f"{split}_perplexity"].to_numpy(dtype=float) for split in SPLITS}
    names = [labels[size] for size in table["size"]]
    if len(names) == 1:
        sentence = f"{_say_one(names[0], values)}; whether it falls takes a second size to say."
        return Headline(dict.fromkeys(SPLITS), dict.fromkeys(SPLITS, math.nan), sentence)
    falls: dict[str, bool | None] = {
        split: bool(np.all(np.diff(v) < 0))
        for split, v in values.items()  # NaN: no fall
    }
    ratio = {split: float(v[0] / v[-1]) for split, v in values.items()}
    return Headline(falls, ratio, _say(names, values, fell=all(falls.values())))


def _say_one(name: str, values: dict[str, Floats]) -> str:
    found = [f"{v[0]:.1f} on {split}" for split, v in values.items() if math.isfinite(v[0])]
    return f"Perplexity of {name} alone: {', '.join(found) or 'not measured'}"


def _say(names: list[str], values: dict[str, Floats], *, fell: bool) -> str:
    if fell:
        train, test = values["train"], values["test"]
        return (
            "Perplexity falls at every step from the smallest model to the largest, on train and "
            f"on test documents alike: from {train[0]:.1f} to {train[-1]:.1f} on train, from "
            f"{test[0]:.1f} to {test[-1]:.1f} on test."
        )
    clauses = []
    for split in SPLITS:
        missing = [s for s, v in zip(names, values[split], strict=True) if not math.isfinite(v)]
        if missing:
            clauses.append(f"on {split} it was not measured for {', '.join(missing)}")
        steps = zip(pairwise(names), np.diff(values[split]), strict=True)
        rises = [f"from {a} to {b}" for (a, b), change in steps if change >= 0]
        if rises:
            clauses.append(f"on {split} it does not {' nor '.join(rises)}")
    return f"Perplexity does not fall at every step: {'; '.join(clauses)}."


def as_text(table: pd.DataFrame, labels: Mapping[str, str]) -> str:
    """Figure 4's table for a terminal, with sizes by their `labels`."""
    width = max(8, *(len(labels[size]) for size in table["size"]))
    head = (
        f"{'size':<{width}} {'parameters':>14}   {'train perplexity':>26}   {'test perplexity':>26}"
    )
    lines = [f"{head}   {'test - train loss, nats':>26}"]
    for row in table.to_dict("records"):
        cells = [_cell(row, f"{split}_perplexity", ".2f") for split in SPLITS]
        cells.append(_cell(row, "gap_nats", "+.3f"))
        shown = "   ".join(f"{cell:>26}" for cell in cells)
        lines.append(f"{labels[row['size']]:<{width}} {row['parameters']:>14,}   {shown}")
    return "\n".join(lines)


def _cell(row: Mapping[Any, Any], name: str, form: str) -> str:
    value, low, high = (float(row.get(name + end, math.nan)) for end in ("", "_low", "_high"))
    if not math.isfinite(value):
        return "not run"
    ends = f"[{low:{form}}, {high:{form}}]" if math.isfinite(low) else "[-]"
    return f"{value:{form}}  {ends}"
