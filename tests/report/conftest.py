"""A finished study, made once: the tests of this room read it and change copies of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_study import MadeStudy, make_study
from stage_runs import StageRuns


@pytest.fixture(scope="session", autouse=True)
def untracked() -> Iterator[None]:
    """No run of these tests goes into an MLflow database."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    os.environ["MLFLOW_TRACKING_URI"] = "off"
    yield
    if before is None:
        del os.environ["MLFLOW_TRACKING_URI"]
    else:
        os.environ["MLFLOW_TRACKING_URI"] = before


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, project: Path) -> MadeStudy:
    """A study whose overlap stage has run on it."""
    made = make_study(tmp_path_factory.mktemp("made") / "data" / "tiny", project / "params.yaml")
    inputs = {
        "documents": made.folder / "dedup" / "kept",
        "trained": made.folder / "train",
        "eval_sets": made.folder / "eval_sets",
        "results": made.folder / "evaluate",
    }
    runs = StageRuns("overlap", project, tmp_path_factory.mktemp("overlap"), inputs)
    runs.set_params()
    shutil.copytree(runs.run(), made.folder / "overlap")
    return made


@pytest.fixture(scope="session")
def runs(made: MadeStudy, project: Path, tmp_path_factory: pytest.TempPathFactory) -> StageRuns:
    """The report stage on that study, each run a process."""
    runs = StageRuns("report", project, tmp_path_factory.mktemp("runs"), {"study": made.folder})
    runs.set_params()
    return runs


@pytest.fixture(scope="session")
def out(runs: StageRuns) -> Path:
    """The published report."""
    return runs.run()


@pytest.fixture
def copy(made: MadeStudy, tmp_path: Path) -> Path:
    """The study's folder, to be damaged."""
    return Path(shutil.copytree(made.folder, tmp_path / "copy"))
