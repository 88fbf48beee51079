"""A made study, and three seeds of it in checkouts of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_studies import copy_study, move_losses
from made_study import make_study


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """The folder of a study with bytes beside tokens."""
    folder = make_study(
        tmp_path_factory.mktemp("made") / "data" / "tiny", project / "params.yaml"
    ).folder
    move_losses(folder, 1)
    return folder


@pytest.fixture
def three_seeds(made: Path, tmp_path: Path) -> list[Path]:
    """Studies that differ in the seeds of order and initialisation alone."""
    return [copy_study(made, tmp_path / f"seed{seed}", seed=seed) for seed in (1, 2, 3)]
