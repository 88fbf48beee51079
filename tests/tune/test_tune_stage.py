"""The tune stage: the best rate, honest about the grid's end, resumable trial by trial."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from training_runs import TrainingRuns, make_tokens

from pipeline.shared.errors import EXIT_DONE, EXIT_FATAL

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenize")
    make_tokens(folder)
    return folder


@pytest.fixture
def runs(project: Path, tmp_path: Path, tokens: Path) -> TrainingRuns:
    (tmp_path / "tokens").symlink_to(tokens)
    return TrainingRuns("tune", project, tmp_path)


def set_grid(
    runs: TrainingRuns,
    rates: list[float],
    *,
    compare_at: tuple[float, ...] = (0.35, 1.0),
    keep: tuple[int, ...] = (1,),
    max_extensions: int = 0,
) -> None:
    runs.set_params(
        tune={
            "learning_rates": rates,
            "compare_at": list(compare_at),
            "keep": list(keep),
            "max_extensions": max_extensions,
        }
    )


def choice_of(runs: TrainingRuns, out: str = "out") -> dict[str, Any]:
    choice: dict[str, Any] = json.loads((runs.folder / out / "learning_rate.json").read_text())
    return choice


def test_the_best_trials_go_on_and_the_best_of_those_wins(runs: TrainingRuns) -> None:
    set_grid(runs, [1e-5, 1e-3, 1e-2, 1e30], keep=(2,))
    assert runs.run() == EXIT_DONE, runs.log()
    sweep = pd.read_csv(runs.folder / "out" / "sweep.csv")
    assert list(sweep) == ["learning_rate", "tokens", "valid_loss"]
    # 46 steps, points of the curve at 8, 15, 23, ...: 35 % is step 15, and all is step 46.
    # The highest rate diverged at the second step, and the search went on.
    assert sweep.values.tolist()[0] == [1e30, 512, float("inf")]
    assert sweep["tokens"].tolist() == [512, 7680, 7680, 7680, 23552, 23552]
    assert sweep["learning_rate"].tolist() == [1e30, 1e-5, 1e-3, 1e-2, 1e-3, 1e-2]
    choice = choice_of(runs)
    assert choice["learning_rate"] == 1e-2
    assert choice["next_best"] == [1e-3, 1e-5]
    assert choice["at_grid_edge"] is None
    assert choice["valid_loss"] == sweep["valid_loss"].min()


def test_the_winners_checkpoint_is_the_training_that_train_makes_alone(
    runs: TrainingRuns, project: Path, tmp_path: Path, tokens: Path
) -> None:
    set_grid(runs, [1e-3, 1e-2], compare_at=(0.35, 0.7))
    assert runs.run("tuned") == EXIT_DONE, runs.log("tuned")
    going_on = TrainingRuns("train", project, tmp_path)
    assert going_on.run("on") == EXIT_DONE, going_on.log("on")
    assert "going on after step 31 of 46" in going_on.log("on")
    shutil.rmtree(runs.folder / "tuned" / "state")
    assert going_on.run("alone") == EXIT_DONE, going_on.log("alone")
    assert "going on after step" not in going_on.log("alone")
    for name in ("model.safetensors", "loss_curve.csv"):
        expected = (runs.folder / "alone" / name).read_bytes()
        assert (runs.folder / "on" / name).read_bytes() == expected


def test_a_best_rate_at_the_end_of_the_grid_extends_it(runs: TrainingRuns) -> None:
    set_grid(runs, [1e-5, 1e-4], compare_at=(0.35,), keep=(), max_extensions=2)
    assert runs.run() == EXIT_DONE, runs.log()
    choice = choice_of(runs)
    assert choice["extended_by"] == [1e-3, 1e-2]
    assert choice["learning_rate"] == 1e-2
    assert choice["at_grid_edge"] == "high"
    metrics = json.loads((runs.folder / "out" / "metrics.json").read_text())
    assert metrics["cost_in_trainings"] == pytest.approx(3 * 7680 / 24_000, abs=1e-4)
    assert "learning rate 0.01 is the highest tried" in runs.log()


def test_when_every_rate_diverges_the_error_names_them(runs: TrainingRuns) -> None:
    set_grid(runs, [1e29, 1e30])
    assert runs.run() == EXIT_FATAL
    assert "every rate tried (1e+29, 1e+30) diverged; lower them" in runs.log()


@pytest.mark.long
def test_killed_between_and_within_trials_it_ends_the_same(runs: TrainingRuns) -> None:
    set_grid(runs, [1e-3, 1e-2])
    assert runs.run("undisturbed") == EXIT_DONE, runs.log("undisturbed")
    for path in runs.work.iterdir():
        if path.is_dir():
            path.rename(runs.folder / "aside")
    for done in (0, 1, 2):

        def in_trial(done: int = done) -> bool:
            finished = len(list(runs.work.glob("*/trial_*.json")))
            return finished == done and len(list(runs.work.glob("*/trial_*/*.pt"))) > done % 2

        assert runs.signal_when(in_trial, signal.SIGKILL, "out") == -signal.SIGKILL
    assert runs.run() == EXIT_DONE, runs.log()
    for name in ("learning_rate.json", "sweep.csv"):
        expected = (runs.folder / "undisturbed" / name).read_bytes()
        assert (runs.folder / "out" / name).read_bytes() == expected
    assert runs.log().count("learning rate 0.001: held-out loss") == 1


def test_comparisons_on_one_point_of_the_curve_are_refused(runs: TrainingRuns) -> None:
    set_grid(runs, [1e-3, 1e-2], compare_at=(0.33, 0.36))
    assert runs.run() == EXIT_FATAL
    assert "compare_at = [0.33, 0.36] are steps [15, 15]" in runs.log()
