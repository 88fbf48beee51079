"""A comparison for a terminal of 100 columns."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import Any

from pipeline.compare.compared import Compared
from pipeline.compare.words import limits, summary

WIDTH = 100


def as_text(compared: Compared) -> str:
    """Figure 4 of every group, each against the first, and what is left open."""
    lines = [
        f"{'study':<16} {'size':<7} {'parameters':>12} {'runs':>4} "
        f"{'train perplexity':>27} {'test perplexity':>27}"
    ]
    for row in compared.tables["compare"].to_dict("records"):
        lines.append(
            f"{_short(row['study']):<16} {row['size']:<7.7} {row['parameters']:>12,} "
            f"{row['replicates']:>4} {_cell(row, 'train'):>27} {_cell(row, 'test'):>27}"
        )
    lines += ["", *_ratios(compared), *_wrapped(summary(compared.groups, compared.figure4))]
    return "\n".join([*lines, "", *_wrapped(limits(compared.groups, compared.figure4))])


def _ratios(compared: Compared) -> list[str]:
    ratios = compared.tables["ratios"]
    shown = ratios[ratios["kind"] == "ratio"].to_dict("records")
    if not shown:
        return []
    first = compared.groups[0].label
    lines = [f"Against {_short(first)}: ratio, below 1 where it is better, with its 95 % interval"]
    for row in shown:
        split = str(row["set"]).removeprefix("webtext_")
        interval = _span(row["value"], row["low"], row["high"], ".4f")
        metric = str(row["metric"]).replace("_", " ")
        lines.append(
            f"{_short(row['study']):<16} {row['size']:<7.7} {split:<6} {metric:<14} {interval}"
        )
    return [*lines, ""]


def _cell(row: Mapping[Any, Any], split: str) -> str:
    value, low, high = (row[f"{split}_perplexity{end}"] for end in ("", "_low", "_high"))
    return _span(value, low, high, ".2f")


def _span(value: float, low: float, high: float, form: str) -> str:
    """A number with its interval, for a terminal.

    >>> _span(1.5, 1.25, 2.0, ".2f"), _span(1.5, math.nan, math.nan, ".1f")
    ('1.50 [1.25, 2.00]', '1.5 [-]')
    >>> _span(math.nan, math.nan, math.nan, ".1f")
    'not run'
    """
    if not math.isfinite(value):
        return "not run"
    return (
        f"{value:{form}} [{low:{form}}, {high:{form}}]"
        if math.isfinite(low)
        else (f"{value:{form}} [-]")
    )


def _wrapped(sentences: list[str]) -> list[str]:
    return [line for sentence in sentences for line in textwrap.wrap(sentence, WIDTH)]


def _short(name: str) -> str:
    """At most 16 characters, the end of a longer name.

    >>> _short("tiny"), _short("experiments/data/tiny")
    ('tiny', '...nts/data/tiny')
    """
    return name if len(name) <= 16 else f"...{name[-13:]}"
