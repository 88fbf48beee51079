"""A study's folder as all see it who read one: report, MLflow, comparison, plan, the command line.

Nothing is read before it is asked for, so that a study half made can be asked too. pandas comes
with the tables alone.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.shared.errors import REMAKE, CorruptDataError
from pipeline.shared.files import read_json
from pipeline.shared.formats.loss_curve import CurvePoint, read_curve
from pipeline.shared.running.listing import METRICS
from pipeline.shared.study import places
from pipeline.shared.study.training import Training, read_training

if TYPE_CHECKING:
    import pandas as pd

    from pipeline.shared.scores.results import Result

_GAPS = ("", "nan")  # in a table; pandas' own list has NA, which may be a size's name


@dataclass(frozen=True)
class StudyFolder:
    """data/<profile>/, whole or half made."""

    folder: Path
    unpublished: Path | None = None
    """Where the report's files are until they are published."""

    def path(self, place: str, **names: str) -> Path:
        """Where an artefact of `places` lies, or would."""
        return self.folder / place.format(**names)

    def metrics(self, stage: str, size: str = "") -> dict[str, Any]:
        """What a stage counted.

        Raises:
            CorruptDataError: it is not done, or its metrics.json is damaged.
        """
        found: dict[str, Any] = read_json(self._metrics_of(stage, size))
        return found

    def is_done(self, stage: str, size: str = "") -> bool:
        """Whether a stage has published, which it ends with its metrics.json."""
        return self._metrics_of(stage, size).is_file()

    def _metrics_of(self, stage: str, size: str) -> Path:
        place = places.SIZED_COUNTS if size else places.COUNTS
        return self.path(place, stage=stage, size=size)

    def trained_sizes(self) -> list[str]:
        """Names of the sizes whose training is here, in alphabetical order."""
        found = self.folder.glob(places.every(places.SIZED_COUNTS, stage="train"))
        return sorted(path.parent.name for path in found)

    def training(self, size: str) -> Training:
        """What a size's training says of itself."""
        return read_training(self._metrics_of("train", size))

    def curve(self, size: str) -> list[CurvePoint]:
        """A size's loss curve, oldest point first."""
        return read_curve(self.path(places.MODEL, size=size))

    def sweep(self, size: str) -> pd.DataFrame:
        """Learning rates that were tried for a size: `learning_rate`, `tokens`, `valid_loss`."""
        return read_table(self.path(places.SWEEP, size=size))

    def results(self, size: str) -> dict[str, Result]:
        """A size's results by evaluation set."""
        from pipeline.shared.scores.results import read_results

        return read_results(self.path(places.RESULTS, size=size))

    def scores(self, size: str, eval_set: str) -> pd.DataFrame:
        """A size's score of each example of a set."""
        from pipeline.shared.scores.results import read_scores

        return read_scores(self.path(places.RESULTS, size=size), eval_set)

    def has_samples(self, size: str) -> bool:
        """Whether a size has continued texts."""
        return self.path(places.SAMPLES, size=size).is_file()

    def samples(self, size: str) -> pd.DataFrame:
        """What a size wrote: `id`, `context`, `completion` (the real one) and `sample`.

        Raises:
            CorruptDataError: there are none, or they are damaged.
        """
        from pipeline.shared.arrow_memory import read_frame

        path = self.path(places.SAMPLES, size=size)
        try:
            return read_frame(path, columns=["id", "context", "completion", "sample"])
        except (OSError, ValueError) as error:
            raise CorruptDataError(f"{path}: no samples ({error}); {REMAKE}") from None

    def overlap_table(self, name: str) -> pd.DataFrame:
        """One of `places.OVERLAP_TABLES`."""
        return read_table(self.path(places.OVERLAP_TABLE, table=name))

    def split(self, name: str) -> dict[str, Any]:
        """The manifest of a token split; empty where there is none yet."""
        path = self.path(places.SPLIT_MANIFEST, split=name)
        found: dict[str, Any] = read_json(path) if path.is_file() else {}
        return found

    @property
    def report(self) -> Path:
        """The report's folder."""
        return self.unpublished or self.path(places.REPORT)

    def reported(self) -> dict[str, Any]:
        """What the report found; empty where it is not made yet."""
        path = self.report / METRICS
        found: dict[str, Any] = read_json(path) if path.is_file() else {}
        return found

    def report_table(self, name: str) -> Path:
        """Where a table of the report lies, or would."""
        return self.report / places.TABLE.format(table=name)

    def report_rows(self, name: str) -> list[dict[str, str]]:
        """A table of the report as it stands in the file; empty where it is not made yet."""
        path = self.report_table(name)
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


def read_table(path: Path) -> pd.DataFrame:
    """A table of a study, with sizes as text: one may be called 9 or NA.

    Raises:
        CorruptDataError: it is missing or no table.
    """
    import pandas as pd

    try:
        return pd.read_csv(path, dtype={"size": str}, keep_default_na=False, na_values=_GAPS)
    except FileNotFoundError:
        raise CorruptDataError(f"{path}: no such file; run dvc repro") from None
    except ValueError as error:
        raise CorruptDataError(f"{path}: not a table ({error}); {REMAKE}") from None
