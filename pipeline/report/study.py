"""A finished study as the report sees it: what each stage wrote, and nothing computed yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.params import SIZES, ProfileParams
from pipeline.results import Result, read_results
from pipeline.stage import read_metrics

STAGES = ("sample_web", "eval_sets", "crawl", "dedup", "tokenize")
SIZED_STAGES = ("tune", "train", "evaluate")


@dataclass(frozen=True)
class Study:
    """The artefacts of data/<profile>/."""

    profile: str
    params: ProfileParams
    folder: Path
    stages: dict[str, dict[str, Any]]
    """metrics.json by the stage's DVC name, in the order of the chain."""
    results: dict[str, dict[str, Result]]
    """Evaluation results by size and set."""
    curves: dict[str, pd.DataFrame]
    """Loss curve by size."""
    sweeps: dict[str, pd.DataFrame]
    """Learning rates tried, by size."""
    overlap: dict[str, pd.DataFrame]
    """table6, figure5, clean_subset."""

    def parameters(self, size: str) -> int:
        """True number of parameters of a size, the tied embedding once."""
        return int(self.stages[f"train@{size}"]["parameters"])

    def label(self, size: str) -> str:
        """A size as the study's figures call it."""
        return self.params.models.of(size).label

    @property
    def is_sample(self) -> bool:
        """Whether the evaluation sets are samples that no number of the paper compares with."""
        return self.params.eval_sets.source == "sample_web"

    def metric(self, size: str, eval_set: str, name: str) -> float | None:
        """One number, or None where it was not run."""
        result = self.results[size].get(eval_set)
        return None if result is None else result.metrics.get(name)


def read_study(profile: str, params: ProfileParams, folder: Path) -> Study:
    """Read every artefact the report shows.

    Raises:
        CorruptDataError: one is missing or damaged, naming it.
    """
    places = {name: folder / name for name in STAGES}
    places |= {f"{name}@{size}": folder / name / size for name in SIZED_STAGES for size in SIZES}
    places["overlap"] = folder / "overlap"
    return Study(
        profile=profile,
        params=params,
        folder=folder,
        stages={name: read_metrics(place) for name, place in places.items()},
        results={size: read_results(folder / "evaluate" / size) for size in SIZES},
        curves={size: pd.read_csv(folder / "train" / size / "loss_curve.csv") for size in SIZES},
        sweeps={size: pd.read_csv(folder / "tune" / size / "sweep.csv") for size in SIZES},
        overlap={
            name: pd.read_csv(folder / "overlap" / f"{name}.csv")
            for name in ("table6", "figure5", "clean_subset")
        },
    )
