"""A tracking database of its own for each test, in the working folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.shared.params.file import load_params
from pipeline.shared.params.profile import ProfileParams


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables: making them takes seconds, copying them does not."""
    import mlflow

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: Path) -> Path:
    """A project's folder with an empty tracking database, and the working folder."""
    (tmp_path / "mlflow.db").write_bytes(empty_database.read_bytes())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def params(project: Path) -> ProfileParams:
    """The tiny study's."""
    return load_params(project / "params.yaml", "tiny").params
