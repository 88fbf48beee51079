"""Whole studies of three and of five rungs with other names, by `dvc repro` and one chain."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import yaml
from made_study import name_sizes
from small_study import Checkout, small_checkout

pytestmark = [pytest.mark.study, pytest.mark.timeout(900)]

SIZED = ("tune", "train", "evaluate")
RUNGS = [("low", "Mid-1", "high_2"), ("9M", "21M", "30M", "40M", "98M")]


def _rename(study: Checkout, sizes: tuple[str, ...]) -> None:
    path = study.folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    name_sizes(params, sizes)
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def _sizes_of_figure4(study: Checkout) -> list[str]:
    path = study.folder / "data" / "tiny" / "report" / "figure4.csv"
    return [row["size"] for row in csv.DictReader(path.read_text().splitlines())]


@pytest.mark.parametrize("sizes", RUNGS, ids=["three", "five"])
def test_a_study_of_other_rungs_runs_to_the_end_once_and_loses_a_rung_without_a_training(
    sizes: tuple[str, ...], project: Path, tmp_path: Path
) -> None:
    study = small_checkout(project, tmp_path)
    _rename(study, sizes)
    ran = study.repro()
    sized = [f"{stage}@{size}" for stage in SIZED for size in sizes]
    assert sorted(stage for stage in ran if "@" in stage) == sorted(sized)
    # Nothing names a size to these two: DVC must know by the folders that they come last.
    assert ran[-2:] == ["overlap", "report"]
    assert study.repro() == ["watch"]
    changed = json.loads(study.run("dvc", "status", "--json").stdout)
    assert set(changed) <= {"watch"}
    assert _sizes_of_figure4(study) == list(sizes)
    told = json.loads(study.run("dvc", "metrics", "show", "--json").stdout)
    shown = next(iter(told.values()))["data"]
    for size in sizes:
        assert shown[f"data/tiny/report/sizes/{size}.json"]["data"]["test_ppl"] > 1

    lines = (study.folder / "params.yaml").read_text().replace(f"- {sizes[-1]}\n", "", 1)
    (study.folder / "params.yaml").write_text(lines)
    assert study.repro() == ["watch", "overlap", "report"]
    assert _sizes_of_figure4(study) == list(sizes[:-1])
