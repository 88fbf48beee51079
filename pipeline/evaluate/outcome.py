"""What a scoring method hands back, and how metrics are put into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.bootstrap import Floats, Statistic, draw_sums, interval
from pipeline.eval_sets.eval_set import EvalSet, Pair
from pipeline.evaluate.metrics import mean
from pipeline.evaluate.session import Session
from pipeline.examples import Example
from pipeline.results import Interval


class CannotRun(Exception):
    """A set cannot be scored here; the message says why and what would help."""


@dataclass(frozen=True)
class Task:
    """One set to score."""

    eval_set: EvalSet
    examples: Sequence[Example]
    pairs: Sequence[Pair] = ()


@dataclass
class Outcome:
    """Numbers of one set, gathered metric by metric."""

    session: Session
    ids: Sequence[str]
    protocol: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    columns: dict[str, Sequence[Any]] = field(default_factory=dict)
    """Per-example scores by column, in the order of `ids`."""

    def add(self, name: str, columns: Floats, statistic: Statistic) -> None:
        """A metric of column sums over the examples [examples, columns], with its interval."""
        self.add_together(columns, {name: statistic})

    def add_together(self, columns: Floats, statistics: Mapping[str, Statistic]) -> None:
        """Several metrics of the same columns, over the same draws of the examples."""
        whole = columns.sum(axis=0, keepdims=True)
        samples, seed = self.session.params.bootstrap_samples, self.session.seed
        drawn = draw_sums(columns, samples=samples, seed=seed)
        for name, statistic in statistics.items():
            self.metrics[name] = float(statistic(whole)[0])
            self.intervals[name] = interval(statistic(drawn))

    def add_mean(self, name: str, scores: npt.ArrayLike) -> None:
        """The mean of a score over the examples, with its interval."""
        column = np.asarray(scores, dtype=np.float64)
        self.add(name, np.stack([column, np.ones_like(column)], axis=1), mean)

    def rows(self) -> list[Mapping[str, Any]]:
        """Per-example scores, one row an example."""
        names = list(self.columns)
        columns = zip(*(self.columns[name] for name in names), strict=True)
        return [
            {"id": id_} | dict(zip(names, values, strict=True))
            for id_, values in zip(self.ids, columns, strict=True)
        ]
