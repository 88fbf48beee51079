"""The tune stage: the best rate, honest about the grid's end, resumable trial by trial."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from training_runs import TrainingRuns, make_tokens

from pipeline.errors import EXIT_DONE, EXIT_FATAL


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenize")
    make_tokens(folder)
    return folder


@pytest.fixture
def runs(project: Path, tmp_path: Path, tokens: Path) -> TrainingRuns:
    (tmp_path / "tokens").symlink_to(tokens)
    return TrainingRuns("tune", project, tmp_path)


def set_grid(runs: TrainingRuns, rates: list[float], *, max_extensions: int = 0) -> None:
    runs.set_params(
        tune={
            "learning_rates": rates,
            "tokens": 8_192,
            "valid_tokens": 1_500,
            "max_extensions": max_extensions,
        }
    )


def choice_of(runs: TrainingRuns, out: str = "out") -> dict[str, Any]:
    choice: dict[str, Any] = json.loads((runs.folder / out / "learning_rate.json").read_text())
    return choice


def test_it_picks_the_rate_with_the_least_held_out_loss(runs: TrainingRuns) -> None:
    set_grid(runs, [1e-5, 1e-2, 1e30])
    assert runs.run() == EXIT_DONE, runs.log()
    sweep = pd.read_csv(runs.folder / "out" / "sweep.csv")
    assert list(sweep) == ["learning_rate", "tokens", "valid_loss"]
    assert sweep["learning_rate"].tolist() == [1e-5, 1e-2, 1e30]
    assert sweep["tokens"].tolist() == [8192, 8192, 0]
    assert sweep["valid_loss"].iloc[2] == float("inf")  # diverged, and the sweep went on
    choice = choice_of(runs)
    assert choice["learning_rate"] == 1e-2
    assert choice["at_grid_edge"] is None
    assert choice["valid_loss"] == sweep["valid_loss"].min()


def test_a_best_rate_at_the_end_of_the_grid_extends_it(runs: TrainingRuns) -> None:
    set_grid(runs, [1e-5, 1e-4], max_extensions=2)
    assert runs.run() == EXIT_DONE, runs.log()
    choice = choice_of(runs)
    assert choice["extended_by"] == [1e-3, 1e-2]
    assert choice["learning_rate"] == 1e-2
    assert choice["at_grid_edge"] == "high"
    assert "learning rate 0.01 is the highest tried" in runs.log()


def test_when_every_rate_diverges_the_error_names_them(runs: TrainingRuns) -> None:
    set_grid(runs, [1e29, 1e30])
    assert runs.run() == EXIT_FATAL
    assert "every rate tried (1e+29, 1e+30) diverged; lower them" in runs.log()


def test_killed_between_and_within_trials_it_ends_the_same(runs: TrainingRuns) -> None:
    set_grid(runs, [1e-3, 1e-2])
    assert runs.run("undisturbed") == EXIT_DONE, runs.log("undisturbed")
    for path in runs.work.iterdir():
        if path.is_dir():
            path.rename(runs.folder / "aside")
    for done in (0, 1):

        def in_trial(done: int = done) -> bool:
            finished = len(list(runs.work.glob("*/trial_*.json")))
            return finished == done and any(runs.work.glob("*/trial_*/*.pt"))

        assert runs.signal_when(in_trial, signal.SIGKILL, "out") == -signal.SIGKILL
    assert runs.run() == EXIT_DONE, runs.log()
    for name in ("learning_rate.json", "sweep.csv"):
        expected = (runs.folder / "undisturbed" / name).read_bytes()
        assert (runs.folder / "out" / name).read_bytes() == expected
    assert runs.log().count("learning rate 0.001: held-out loss") == 1
