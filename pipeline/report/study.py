"""A finished study as the report sees it: what each stage wrote, and nothing computed yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.shared.errors import REMAKE, CorruptDataError
from pipeline.shared.formats.loss_curve import LOSS_CURVE, read_curve
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.listing import METRICS
from pipeline.shared.running.stage import read_metrics
from pipeline.shared.scores.results import Result, read_results

STAGES = ("sample_web", "eval_sets", "links", "crawl", "extract", "dedup", "tokenize")
SIZED_STAGES = ("tune", "train", "evaluate")
OVERLAP_TABLES = (
    "table6",
    "figure5",
    "clean_subset",
    "coqa_domains",
    "copied_spans",
    "highest_overlap",
)
READS = (
    *(f"{stage}/{METRICS}" for stage in (*STAGES, "overlap")),
    *(f"{stage}/*/{METRICS}" for stage in SIZED_STAGES),
    *("tune/*/sweep.csv", f"train/*/{LOSS_CURVE}"),
    *("evaluate/*/*.json", "evaluate/*/*.examples.parquet", "evaluate/*/samples.parquet"),
    "eval_sets/test/*.parquet",
    *(f"overlap/{name}.csv" for name in OVERLAP_TABLES),
)
"""Every file of data/<profile>/ that the report reads."""

_GAPS = ("", "nan")  # in a table; pandas' own list has NA, which may be a size's name


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
    """The tables of the overlap stage, by name."""

    @property
    def sizes(self) -> tuple[str, ...]:
        """Names of the rungs, smallest first."""
        return self.params.sizes

    def parameters(self, size: str) -> int:
        """True number of parameters of a size, the tied embedding once."""
        return int(self.stages[f"train@{size}"]["parameters"])

    def non_embedding_parameters(self, size: str) -> int:
        """Those of a size without the embeddings of tokens and positions."""
        return int(self.stages[f"train@{size}"]["non_embedding_parameters"])

    def flops_per_token(self, size: str) -> float:
        """Operations of forward and backward a trained token, by train's convention."""
        return float(self.stages[f"train@{size}"]["flops_per_token"])

    def training_flops(self, size: str) -> float:
        """Operations of a size's whole training."""
        return self.flops_per_token(size) * float(self.curves[size]["tokens"].iloc[-1])

    def label(self, size: str) -> str:
        """A size as figures and tables call it.

        By the paper's label where its numbers may stand beside; by the rung's name in a study of
        the sample web, whose models have nothing of the paper's but the shape of the ladder.
        """
        return size if self.is_sample else self.params.models[size].label

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
    sizes = params.sizes
    places = {name: folder / name for name in STAGES}
    places |= {f"{name}@{size}": folder / name / size for name in SIZED_STAGES for size in sizes}
    places["overlap"] = folder / "overlap"
    return Study(
        profile=profile,
        params=params,
        folder=folder,
        stages={name: read_metrics(place) for name, place in places.items()},
        results={size: read_results(folder / "evaluate" / size) for size in sizes},
        curves={size: pd.DataFrame(read_curve(folder / "train" / size)) for size in sizes},
        sweeps={size: read_csv(folder / "tune" / size / "sweep.csv") for size in sizes},
        overlap={name: read_csv(folder / "overlap" / f"{name}.csv") for name in OVERLAP_TABLES},
    )


def read_csv(path: Path) -> pd.DataFrame:
    """A table of a study, with sizes as text: one may be called 9 or NA.

    Raises:
        CorruptDataError: it is missing or no table.
    """
    try:
        frame = pd.read_csv(path, dtype={"size": str}, keep_default_na=False, na_values=_GAPS)
    except FileNotFoundError:
        raise CorruptDataError(f"{path}: no such file; run dvc repro") from None
    except ValueError as error:
        raise CorruptDataError(f"{path}: not a table ({error}); {REMAKE}") from None
    return frame
