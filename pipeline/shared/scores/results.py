"""Evaluation results: `<set>.json` and per-example scores beside it. The sole owner of both.

A result that could not be had is written too, with `not_run` saying why: never a zero, never a
silent gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from pipeline.shared.arrow_memory import read_frame
from pipeline.shared.errors import REMAKE, CorruptDataError
from pipeline.shared.files import open_atomic, read_json, write_json


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float


class Result(BaseModel):
    """What one model got on one evaluation set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    set: str
    """Name of the set in the registry `pipeline.eval_sets`."""
    protocol: dict[str, Any] = Field(default_factory=dict)
    """Every option that decides the numbers, by name."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """By name; each name's definition is its function's docstring in `pipeline.evaluate`."""
    intervals: dict[str, Interval] = Field(default_factory=dict)
    """95 % bootstrap interval of a metric, where it has one."""
    no_signal: dict[str, str] = Field(default_factory=dict)
    """Metrics that are not among `metrics` although the set was scored: they would say nothing of
    the model (every answer is empty, say), which is the reason that stands here."""
    num_examples: int = 0
    seconds: float = 0.0
    not_run: str = ""
    """Why there are no metrics, and how to get them; empty when there are."""

    @property
    def departures(self) -> list[str]:
        """How the set was scored otherwise than in the paper, in words; empty where it was not."""
        return [str(departure) for departure in self.protocol.get("departures", [])]


def write_result(
    folder: Path, result: Result, scores: Sequence[Mapping[str, Any]] | None = None
) -> None:
    """Write `<set>.json`, after the per-example scores `<set>.examples.parquet` if there are any.

    Each row of `scores` has an `id`, that of its example or document.
    """
    if scores:
        with open_atomic(folder / f"{result.set}.examples.parquet") as file:
            pd.DataFrame(list(scores)).to_parquet(file, compression="zstd", index=False)
    write_json(folder / f"{result.set}.json", result.model_dump(mode="json"))


def read_result(path: Path) -> Result:
    """One set's result.

    Raises:
        CorruptDataError: the file is missing or damaged.
    """
    try:
        return Result.model_validate(read_json(path))
    except ValueError as error:
        raise CorruptDataError(f"{path}: not an evaluation result ({error}); {REMAKE}") from None


def read_results(folder: Path) -> dict[str, Result]:
    """All results of one model, by set."""
    paths = sorted(path for path in folder.glob("*.json") if path.name != "metrics.json")
    return {path.stem: read_result(path) for path in paths}


def read_scores(folder: Path, set_name: str) -> pd.DataFrame:
    """Per-example scores of one set; raises `CorruptDataError` where there are none."""
    path = folder / f"{set_name}.examples.parquet"
    try:
        return read_frame(path)
    except (OSError, ValueError) as error:
        raise CorruptDataError(f"{path}: no per-example scores ({error}); {REMAKE}") from None
