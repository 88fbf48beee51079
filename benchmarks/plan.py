"""The plan of a study held against what the study recorded: `python benchmarks/plan.py DATA`.

DATA is the study's folder, such as data/tiny, made from today's params.yaml. The plan knows none of
its stages: the corpus is reckoned or sampled as before a first run. Speeds of the trainings are
timed now or, by `--recorded`, those that the study's own trainings had: that parts what the plan's
arithmetic is worth from how busy the machine was then.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import pipeline.shared.running.before_torch  # noqa: F401 - speeds are timed as in a stage
from pipeline.plan.corpus import find_corpus
from pipeline.plan.rungs import plan_rungs
from pipeline.plan.speed import measure_speeds, recorded_speeds
from pipeline.plan.stages import StageCost, plan_stages
from pipeline.shared.params.file import load_params
from pipeline.shared.study.folder import StudyFolder


class Compared(NamedTuple):
    """One stage, or all."""

    name: str
    planned_s: float
    recorded_s: float
    planned_bytes: float
    recorded_bytes: float

    def line(self) -> str:
        """As a row of the table."""
        return (
            f"{self.name:<18}{self.planned_s:>10,.1f}{self.recorded_s:>10,.1f}"
            f"{self.planned_s / max(self.recorded_s, 1e-9):>8.2f}"
            f"{self.planned_bytes / 1e6:>10,.1f}{self.recorded_bytes / 1e6:>10,.1f}"
            f"{self.planned_bytes / max(self.recorded_bytes, 1):>8.2f}"
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("study", type=Path)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--corpus", help="the ready corpus, if not where params.yaml has it")
    parser.add_argument("--recorded", action="store_true", help="take the study's own speeds")
    options = parser.parse_args()
    params = load_params(options.params, options.study.name).params
    if options.corpus:
        extract = params.extract.model_copy(update={"location": options.corpus})
        params = params.model_copy(update={"extract": extract})
    rungs = plan_rungs(params)
    speeds = (
        recorded_speeds(options.study, rungs) if options.recorded else measure_speeds(params, rungs)
    )
    costs = plan_stages(params, rungs, find_corpus(params), speeds)
    rows = [compare(cost, options.study) for cost in costs]
    print(f"{'stage':<18}{'planned s':>10}{'took s':>10}{'ratio':>8}"
          f"{'plan MB':>10}{'has MB':>10}{'ratio':>8}")  # fmt: skip
    for row in [
        *rows,
        Compared("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])),
    ]:
        print(row.line())


def compare(cost: StageCost, study: Path) -> Compared:
    """A planned stage beside what it recorded."""
    folder = study / cost.name / cost.size
    places = [folder]
    if cost.name == "crawl":  # its pages lie in the archive
        places.append(study.parent.parent / "archive" / study.name)
    files = [path.stat() for place in places for path in place.rglob("*") if path.is_file()]
    size = sum({found.st_ino: found.st_size for found in files}.values())  # links once
    name = f"{cost.name}@{cost.size}" if cost.size else cost.name
    seconds = StudyFolder(study).metrics(cost.name, cost.size)["seconds"]
    return Compared(name, cost.seconds or 0.0, seconds, cost.disk_bytes, size)


if __name__ == "__main__":
    main()
