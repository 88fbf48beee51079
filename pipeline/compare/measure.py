"""A metric of a group by size, with draws that hold documents and, with replicates, seeds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.compare.studies import ComparedStudy, Group
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.scores.bootstrap import Draws, sum_by_cluster
from pipeline.shared.scores.metrics import RatioMetric
from pipeline.shared.scores.scaling import Estimate, Floats, Losses, draw_losses, estimate

BOTH, DOCUMENTS, SEEDS = "documents and seeds", "documents", "seeds, each with own documents"
"""What an interval covers."""


class Measured(NamedTuple):
    """One metric of one group."""

    metric: RatioMetric
    sizes: list[str]
    ids: list[str]
    """Of the documents, or of the first example of each cluster; empty where each replicate has
    its own."""
    num_examples: int | None
    """None where each replicate has its own."""
    means: Losses
    """The ratio of the two sums, of the mean replicate and by draw: perplexity's logarithm, say."""
    by_replicate: Floats
    """The same [replicates, sizes]."""
    covers: str

    def at(self, size: str) -> Estimate:
        """The metric of a size with its 95 % interval."""
        place = self.sizes.index(size)
        return self.estimate(self.means.mean[place], self.means.draws[:, place])

    def estimate(self, mean: float, draws: Floats) -> Estimate:
        """The metric at a mean, with the interval of its draws."""
        return estimate(float(self.metric.of_ratio(np.asarray(mean))), self.metric.of_ratio(draws))

    def spread(self, size: str) -> float:
        """Standard deviation of the metric over replicates; NaN for one alone."""
        values = self.metric.of_ratio(self.by_replicate[:, self.sizes.index(size)])
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def measure(group: Group, eval_set: str, metric: RatioMetric, draws: Draws) -> Measured | None:
    """A metric of every size that all replicates were scored on; None where there is none.

    What evaluate says hangs together (the questions about one story) is drawn together.
    Replicates that share their documents are drawn crossed with them: one draw takes the same
    documents everywhere. Where each has documents of its own, what documents do is in the spread
    of the replicates already, and only that is drawn.

    Raises:
        CorruptDataError: sizes of one study were scored on different documents.
    """
    sizes = [size for size in group.sizes if _has(group, size, eval_set, metric)]
    if not sizes:
        return None
    columns = [_columns(study, sizes, eval_set, metric) for study in group.studies]
    ids = [of_study.ids for of_study in columns]
    sums = np.stack([c.numerators.sum(axis=0) / c.denominators.sum() for c in columns])
    seed = _seed(draws.seed, eval_set, ids)
    if _are_crossed(columns):
        cube = np.stack([c.numerators for c in columns])
        means = draw_losses(cube, columns[0].denominators, samples=draws.samples, seed=seed)
        covers = BOTH if len(columns) > 1 else DOCUMENTS
        return Measured(metric, sizes, ids[0], columns[0].num_examples, means, sums, covers)
    alone = np.ones(1)
    means = draw_losses(sums[:, np.newaxis], alone, samples=draws.samples, seed=seed)
    return Measured(metric, sizes, [], None, means, sums, SEEDS)


class _Columns(NamedTuple):
    ids: list[str]
    """Of the first example of each cluster."""
    num_examples: int
    numerators: Floats
    """[clusters, sizes]"""
    denominators: Floats
    """[clusters]"""


def _has(group: Group, size: str, eval_set: str, metric: RatioMetric) -> bool:
    for study in group.studies:
        result = study.sizes[size].results.get(eval_set)
        if result is None or result.not_run:
            return False
        if {metric.numerator, metric.denominator or "id"} - set(study.sizes[size].scores(eval_set)):
            return False
    return True


def _columns(
    study: ComparedStudy, sizes: Sequence[str], eval_set: str, metric: RatioMetric
) -> _Columns:
    tables = [study.sizes[size].scores(eval_set) for size in sizes]
    ids = tables[0]["id"].astype(str).tolist()
    ones = np.ones(len(ids))
    below = [t[metric.denominator].to_numpy(float) if metric.denominator else ones for t in tables]
    for size, table, denominators in zip(sizes, tables, below, strict=True):
        if table["id"].astype(str).tolist() != ids or not np.array_equal(denominators, below[0]):
            raise CorruptDataError(
                f"{study.place.folder}/evaluate: {sizes[0]} and {size} were scored on different "
                f"examples of {eval_set}; run dvc repro there"
            )
    above = np.stack([table[metric.numerator].to_numpy(float) for table in tables], axis=1)
    return _by_cluster(tables[0], above, below[0])


def _by_cluster(table: pd.DataFrame, above: Floats, below: Floats) -> _Columns:
    """Sums over what evaluate says hangs together; each example alone where it says nothing."""
    ids = table["id"].astype(str).tolist()
    if "cluster" not in table:
        return _Columns(ids, len(ids), above, below)
    clusters, _ = pd.factorize(table["cluster"])
    sums = sum_by_cluster(np.column_stack([above, below]), clusters.tolist())
    _, first = np.unique(clusters, return_index=True)
    return _Columns([ids[n] for n in first], len(ids), sums[:, :-1], sums[:, -1])


def _are_crossed(columns: Sequence[_Columns]) -> bool:
    first = columns[0]
    return all(
        c.ids == first.ids and np.array_equal(c.denominators, first.denominators) for c in columns
    )


def _seed(seed: int, eval_set: str, ids: Sequence[Sequence[str]]) -> int:
    """One seed for the same documents: groups that share them are compared on equal draws."""
    distinct = sorted({"\n".join(of_study) for of_study in ids})
    digest = hashlib.sha256("\n\n".join([str(seed), eval_set, *distinct]).encode())
    return int.from_bytes(digest.digest()[:8], "big")
