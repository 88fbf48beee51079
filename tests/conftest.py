"""Fixtures for the whole suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import own_process  # noqa: F401 - as it says
import pytest
from hostile_server import HostileServer
from started_stage import MadeStage

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's folder: params.yaml, dvc.yaml and the packages."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets beside the checkout; their licences forbid a copy in the project."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the real data sets in {folder}, which are not here")
    return folder


@pytest.fixture(autouse=True)
def no_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training in a test leaves nothing in the project's own MLflow database."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "off")


@pytest.fixture
def made_stage(tmp_path: Path, project: Path) -> Iterator[MadeStage]:
    """A stage made for the tests; what it started ends with the test."""
    stage = MadeStage(tmp_path, project)
    yield stage
    stage.close()


@pytest.fixture
def server() -> Iterator[HostileServer]:
    """A hostile server on loopback."""
    with HostileServer().running() as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: begun last, they would end long after all others."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
