"""The command as a user starts it: files, page, terminal and MLflow."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from made_studies import change_training, copy_study, write_params

from pipeline.compare.command import Named, name_of
from pipeline.compare.page import _steps


def _command(tmp_path: Path, project: Path, *arguments: str, uri: str = "off") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.compare", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(project), "MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_label_stands_before_the_first_equals_sign() -> None:
    assert name_of("kept=tiny@main") == Named("tiny@main", "kept")
    assert name_of("runs/lr=1/data/tiny") == Named("runs/lr=1/data/tiny")


def test_a_step_of_a_split_that_was_not_scored_is_a_dash() -> None:
    ends = ("", "_low", "_high")
    table = pd.DataFrame({
        **{f"train_step{end}": [math.nan, math.nan, 1.2] for end in ends},
        **{f"test_step{end}": [math.nan, 1.1, 1.3] for end in ends},
        "train_step_falls_in": [None, None, 2],
        "test_step_falls_in": [None, 3, 1],
    }).assign(study="a", size=["small", "medium", "large"], replicates=3)
    shown = _steps(table)
    assert shown["train falls in"].tolist() == ["-", "2 of 3"]
    assert shown["test falls in"].tolist() == ["3 of 3", "1 of 3"]


def test_help_teaches_by_examples(tmp_path: Path, project: Path) -> None:
    code, said = _command(tmp_path, project, "--help")
    assert code == 0
    assert "python -m pipeline.compare tiny seed-2 seed-3" in said
    assert max(map(len, said.splitlines())) <= 100


@pytest.fixture
def out(three_seeds: list[Path], made: Path, project: Path, tmp_path: Path) -> Path:
    """Three seeds against one study, recorded in an MLflow database."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    names = [str(folder) for folder in three_seeds]
    names += [f"half={copy_study(made, tmp_path / 'half', seed=9)}"]
    write_params(tmp_path / "half", 9, tokens=750_000)
    change_training(tmp_path / "half" / "data" / "tiny", tokens=750_000, epochs=0.5)
    code, said = _command(tmp_path, project, *names, "--out", "out", uri=uri)
    assert code == 0, said
    (tmp_path / "said").write_text(said)
    return tmp_path / "out"


@pytest.mark.slow
def test_a_comparison_is_a_figure_tables_and_a_page_that_asks_no_other_host(out: Path) -> None:
    names = {path.name for path in out.iterdir()}
    csvs = {"compare.csv", "ratios.csv", "slopes.csv"}
    assert names == csvs | {"compare.png", "compare.svg", "fit.json", "index.html"}
    assert (out / "compare.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "index.html").read_text()
    assert page.count("<svg") == 1
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)
    assert "3 replicates. The intervals hold documents and seeds." in page
    assert "4.3 standard errors" in page
    assert "half: one training a size." in page
    assert "train.tokens" in page  # what differs
    told = json.loads((out / "fit.json").read_text())
    assert "there are 4 sizes, 2 budgets and 8 runs" in told["all"]["cannot_tell"]

    said = (out.parent / "said").read_text()
    table = [line for line in said.splitlines() if " compare: " not in line]
    assert max(map(len, (line for line in table if not line.startswith("Figure, ")))) <= 100
    rows = pd.read_csv(out / "compare.csv")
    assert f"{rows.iloc[0]['test_perplexity']:.2f}" in said

    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{out.parent / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("figure4-compare")
    (run,) = client.search_runs([experiment.experiment_id])
    label = rows.iloc[0]["study"]
    kept = {name: value for name, value in run.data.metrics.items() if "xl" in name}
    assert len(kept) == 4, label
    assert rows.iloc[3]["test_perplexity"] == pytest.approx(
        max(
            value
            for name, value in kept.items()
            if name.endswith("/xl/test_perplexity") and "half" not in name
        )
    )
    assert {file.path for file in client.list_artifacts(run.info.run_id)} == names


def test_a_study_that_is_not_there_is_one_line(tmp_path: Path, project: Path) -> None:
    code, said = _command(tmp_path, project, "tinny")
    assert code == 1
    assert "Traceback" not in said
    assert said.count("\n") == 1
    assert "tinny: no profile with artefacts in data/" in said
