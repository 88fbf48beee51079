"""A finished study as the report sees it: what each stage wrote, and nothing computed yet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.scores.results import Result
from pipeline.shared.study import places
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.study.places import OVERLAP_TABLES, SIZED_STAGES, STAGES, every
from pipeline.shared.study.size_labels import size_labels
from pipeline.shared.study.training import Training

READS = (
    *(every(places.COUNTS, stage=stage) for stage in (*STAGES, "overlap")),
    *(every(places.SIZED_COUNTS, stage=stage) for stage in SIZED_STAGES),
    *(every(place) for place in (places.SWEEP, places.CURVE)),
    *(every(place) for place in (places.RESULT, places.SCORES, places.SAMPLES, places.QUESTIONS)),
    *(every(places.OVERLAP_TABLE, table=name) for name in OVERLAP_TABLES),
)
"""Every file of data/<profile>/ that the report reads."""


@dataclass(frozen=True)
class Study:
    """The artefacts of data/<profile>/."""

    profile: str
    params: ProfileParams
    artefacts: StudyFolder
    stages: dict[str, dict[str, Any]]
    """metrics.json by the stage's DVC name, in the order of the chain."""
    trained: dict[str, Training]
    """What each size's training says of itself."""
    results: dict[str, dict[str, Result]]
    """Evaluation results by size and set."""
    curves: dict[str, pd.DataFrame]
    """Loss curve by size."""
    sweeps: dict[str, pd.DataFrame]
    """Learning rates tried, by size."""
    overlap: dict[str, pd.DataFrame]
    """The tables of the overlap stage, by name."""

    @property
    def sizes(self) -> tuple[str, ...]:
        """Names of the rungs, smallest first."""
        return self.params.sizes

    def parameters(self, size: str) -> int:
        """True number of parameters of a size, the tied embedding once."""
        return self.trained[size].parameters

    def non_embedding_parameters(self, size: str) -> int:
        """Those of a size without the embeddings of tokens and positions."""
        return int(self._said(size, "non_embedding_parameters"))

    def flops_per_token(self, size: str) -> float:
        """Operations of forward and backward a trained token, by train's convention."""
        return float(self._said(size, "flops_per_token"))

    def training_flops(self, size: str) -> float:
        """Operations of a size's whole training."""
        return self.flops_per_token(size) * float(self.curves[size]["tokens"].iloc[-1])

    def learning_rate(self, size: str) -> float:
        """The peak that a size was trained with."""
        return float(self._said(size, "learning_rate"))

    def _said(self, size: str, name: str) -> float:
        value: float | None = getattr(self.trained[size], name)
        if value is None:
            raise CorruptDataError(
                f"{self.artefacts.path(places.MODEL, size=size)}: its metrics.json says no {name}; "
                f"run dvc repro train@{size}"
            )
        return value

    @cached_property
    def labels(self) -> dict[str, str]:
        """What a reader meets each size as."""
        return size_labels(self.params)

    def label(self, size: str) -> str:
        """A size as figures, tables and sentences call it."""
        return self.labels[size]

    def labelled(self, table: pd.DataFrame) -> pd.DataFrame:
        """A table for reading: its column `size` says what each size is called."""
        return table.assign(size=table["size"].map(self.labels))

    @property
    def is_sample(self) -> bool:
        """Whether the evaluation sets are samples that no number of the paper compares with."""
        return self.params.eval_sets.source == "sample_web"

    def metric(self, size: str, eval_set: str, name: str) -> float | None:
        """One number, or None where it was not run."""
        result = self.results[size].get(eval_set)
        return None if result is None else result.metrics.get(name)

    def interval(
        self, size: str, eval_set: str, name: str, scale: float
    ) -> tuple[float, float] | None:
        """The 95 % interval of `metric`, times `scale`; None where it has none."""
        result = self.results[size].get(eval_set)
        found = result.intervals.get(name) if result is not None else None
        return None if found is None else (scale * found.low, scale * found.high)

    def why_not(self, size: str, eval_set: str, name: str) -> str:
        """Why `metric` has no number; empty where it has one."""
        result = self.results[size].get(eval_set)
        if result is None:
            return f"no result in evaluate/{size}; run dvc repro evaluate@{size}"
        if result.not_run:
            return result.not_run
        if name in result.metrics:
            return ""
        return result.no_signal.get(name, f"{name} is not among the set's metrics")

    def gap(self, size: str, eval_set: str, name: str) -> str:
        """What a metric without a number is called: it was not run, or there was no signal."""
        result = self.results[size].get(eval_set)
        no_signal = result is not None and name in result.no_signal
        return "no signal at this size" if no_signal else "not run"


def read_study(profile: str, params: ProfileParams, folder: Path) -> Study:
    """Read every artefact the report shows.

    Raises:
        CorruptDataError: one is missing or damaged, naming it.
    """
    sizes, found = params.sizes, StudyFolder(folder)
    stages = {name: found.metrics(name) for name in STAGES}
    for name in SIZED_STAGES:
        stages |= {f"{name}@{size}": found.metrics(name, size) for size in sizes}
    stages["overlap"] = found.metrics("overlap")
    return Study(
        profile=profile,
        params=params,
        artefacts=found,
        stages=stages,
        trained={size: found.training(size) for size in sizes},
        results={size: found.results(size) for size in sizes},
        curves={size: pd.DataFrame(found.curve(size)) for size in sizes},
        sweeps={size: found.sweep(size) for size in sizes},
        overlap={name: found.overlap_table(name) for name in OVERLAP_TABLES},
    )
