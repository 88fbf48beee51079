"""Figure 4 as numbers: perplexity on train and test documents against model size, and what it says.

The same documents for every size; intervals are bootstrapped over documents by evaluate.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.errors import CorruptDataError
from pipeline.params import SIZES
from pipeline.report.study import Study

Floats = npt.NDArray[np.float64]
SPLITS = ("train", "test")


def figure4_table(study: Study) -> pd.DataFrame:
    """One row a size: true parameters, perplexity per token and its 95 % interval, by split.

    Raises:
        CorruptDataError: a size has no perplexity on one of the splits.
    """
    return pd.DataFrame([_row(study, size) for size in SIZES])


def _row(study: Study, size: str) -> dict[str, object]:
    row: dict[str, object] = {"size": size, "parameters": study.parameters(size)}
    for split in SPLITS:
        result = study.results[size].get(f"webtext_{split}")
        if result is None or "perplexity" not in result.metrics:
            raise CorruptDataError(
                f"{study.folder}/evaluate/{size}: no perplexity on the {split} split; "
                f"run dvc repro evaluate@{size}"
            )
        row[f"{split}_perplexity"] = result.metrics["perplexity"]
        interval = result.intervals["perplexity"]
        row[f"{split}_perplexity_low"], row[f"{split}_perplexity_high"] = interval
    head = ["size", "parameters", "train_perplexity", "test_perplexity"]
    order = [*head, "test_perplexity_low", "test_perplexity_high"]
    order += ["train_perplexity_low", "train_perplexity_high"]
    return {name: row[name] for name in order}


class Finding(NamedTuple):
    """What Figure 4 says, computed from its table."""

    falls: dict[str, bool]
    """By split: whether perplexity falls at every step from one size to the next."""
    ratio: dict[str, float]
    """By split: perplexity of the smallest size over that of the largest."""
    exponent: dict[str, float]
    """By split: slope of log perplexity over log parameters, by least squares on four points."""

    @property
    def sentence(self) -> str:
        """The finding in one sentence."""
        if all(self.falls.values()):
            return (
                "Perplexity falls at every step from the smallest model to the largest, on train "
                f"and on test alike: {self.ratio['train']:.2f} times lower on train, "
                f"{self.ratio['test']:.2f} times on test."
            )
        not_falling = " and ".join(split for split, falls in self.falls.items() if not falls)
        return f"Perplexity does not fall at every step from size to size on {not_falling}."


def find(table: pd.DataFrame) -> Finding:
    """What the table of `figure4_table` says.

    >>> table = pd.DataFrame({"parameters": [1, 10], "train_perplexity": [20.0, 2.0],
    ...                       "test_perplexity": [20.0, 30.0]})
    >>> find(table).falls, round(find(table).exponent["train"], 3)
    ({'train': True, 'test': False}, -1.0)
    """
    falls, ratio, exponent = {}, {}, {}
    for split in SPLITS:
        values = table[f"{split}_perplexity"].to_numpy(dtype=float)
        falls[split] = bool(np.all(np.diff(values) < 0))
        ratio[split] = float(values[0] / values[-1])
        exponent[split] = _slope(table["parameters"].to_numpy(dtype=float), values)
    return Finding(falls, ratio, exponent)


def _slope(parameters: Floats, perplexities: Floats) -> float:
    slope = np.polyfit(np.log(parameters), np.log(perplexities), 1)[0]
    return float(slope) if math.isfinite(slope) else math.nan


def as_text(table: pd.DataFrame) -> str:
    """Figure 4's table for a terminal."""
    lines = [f"{'size':<8} {'parameters':>14}   {'train perplexity':>16}   {'test perplexity':>15}"]
    for row in table.itertuples():
        test = f"{row.test_perplexity:.2f}"
        interval = f"[{row.test_perplexity_low:.2f}, {row.test_perplexity_high:.2f}]"
        lines.append(
            f"{row.size:<8} {row.parameters:>14,}   {row.train_perplexity:>16.2f}   {test:>15}  "
            f"{interval}"
        )
    return "\n".join(lines)
