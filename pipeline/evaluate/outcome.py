"""What a scoring method hands back, and how metrics are put into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.eval_sets.eval_set import EvalSet, Pair
from pipeline.evaluate.clusters import EACH, Clusters, cluster
from pipeline.evaluate.session import Session
from pipeline.shared.formats.examples import Example
from pipeline.shared.scores.bootstrap import Floats, Statistic, draw_sums, interval, sum_by_cluster
from pipeline.shared.scores.metrics import mean
from pipeline.shared.scores.results import Interval


def why_no_signal(said: Sequence[str], metrics: Sequence[float]) -> str:
    """Why metrics of generated texts tell nothing of a model; empty where they tell something.

    A model that says nothing at all, or one and the same thing to whatever it is asked and never
    scores, has a zero of structure: another set of questions could not have shown anything else. A
    zero of many different wrong answers is a measurement.

    >>> why_no_signal(["", ""], [0.0]), why_no_signal(["np", "np"], [0.0])
    ('every answer is empty', "every answer is the same, 'np', and none scores")
    >>> why_no_signal(["np", "pd"], [0.0]), why_no_signal(["yes", "yes"], [0.5])
    ('', '')
    """
    if not any(said):
        return "every answer is empty"
    if len(set(said)) == 1 and not any(metrics):
        return f"every answer is the same, {said[0]!r}, and none scores"
    return ""


class CannotRun(Exception):
    """A set cannot be scored here; the message says why and what would help."""


class LacksPackage(CannotRun):
    """What a set is scored with is not installed here; the same command scores it once it is."""

    def __init__(self, metric: str, package: str) -> None:
        super().__init__(f"{metric} needs {package}; pip install -c constraints.txt {package}")
        self.package = package


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
    clusters: Clusters | None = None
    """Which examples hang together and are drawn together; None draws each by itself."""
    protocol: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    no_signal: dict[str, str] = field(default_factory=dict)
    """Metrics that are left out because they would say nothing of the model, with the reason."""
    columns: dict[str, Sequence[Any]] = field(default_factory=dict)
    """Per-example scores by column, in the order of `ids`."""

    @classmethod
    def of(cls, session: Session, task: Task, examples: Sequence[Example]) -> Outcome:
        """An outcome of these examples, drawn together as their set's declaration says."""
        ids = [example.id for example in examples]
        return cls(session, ids, cluster(examples, task.eval_set.together))

    @property
    def interval_draws(self) -> str:
        """What an interval draws, for the protocol."""
        return self.clusters.what if self.clusters else EACH

    def add(self, name: str, columns: Floats, statistic: Statistic) -> None:
        """A metric of column sums over the examples [examples, columns], with its interval."""
        self.add_together(columns, {name: statistic})

    def add_together(self, columns: Floats, statistics: Mapping[str, Statistic]) -> None:
        """Several metrics of the same columns, over the same draws of the examples."""
        whole = columns.sum(axis=0, keepdims=True)
        samples, seed = self.session.params.bootstrap_samples, self.session.seed
        rows = sum_by_cluster(columns, self.clusters.numbers) if self.clusters else columns
        counted = int((rows != 0).any(axis=1).sum())  # a row of zeros is none of the metric's
        drawn = draw_sums(rows, samples=samples, seed=seed) if counted > 1 else None
        for name, statistic in statistics.items():
            self.metrics[name] = float(statistic(whole)[0])
            found = interval(statistic(drawn)) if drawn is not None else None
            if found is not None:
                self.intervals[name] = found

    def add_mean(self, name: str, scores: npt.ArrayLike) -> None:
        """The mean of a score over the examples, with its interval."""
        column = np.asarray(scores, dtype=np.float64)
        self.add(name, np.stack([column, np.ones_like(column)], axis=1), mean)

    def drop_without_signal(self, names: Sequence[str], said: Sequence[str]) -> None:
        """Leave out these metrics of generated texts `said` where they would say nothing."""
        why = why_no_signal(said, [self.metrics[name] for name in names])
        for name in names if why else ():
            self.no_signal[name] = why
            del self.metrics[name]
            self.intervals.pop(name, None)

    def rows(self) -> list[Mapping[str, Any]]:
        """Per-example scores, one row an example; `cluster` numbers those drawn together."""
        scores = dict(self.columns)
        if self.clusters is not None and self.clusters.what != EACH:
            scores["cluster"] = self.clusters.numbers
        names = list(scores)
        columns = zip(*(scores[name] for name in names), strict=True)
        return [
            {"id": id_} | dict(zip(names, values, strict=True))
            for id_, values in zip(self.ids, columns, strict=True)
        ]
