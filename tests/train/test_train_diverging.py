"""A rate that diverges gives way to the next, and a kill while it does so changes nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from training_runs import TrainingRuns, make_tokens

from pipeline.shared.errors import EXIT_DONE
from pipeline.shared.files import write_json

pytestmark = pytest.mark.long

TOO_HIGH, RATE = 1e30, 0.01

# The stage itself, killed as it is about to do something to a path of a certain end.
KILLED = """
import os, runpy, signal, sys

deed, end = sys.argv[1:3]

def watch(name, arguments):
    if name == deed and any(str(argument).endswith(end) for argument in arguments[:2]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
sys.argv[1:] = sys.argv[3:]
runpy.run_module("pipeline.train", run_name="__main__", alter_sys=True)
"""
MOMENTS = [
    ("os.remove", "tracking.jsonl"),
    ("os.rename", "rate_1e+30.diverged.json"),
    ("shutil.rmtree", "rate_1e+30"),
]


@pytest.fixture
def runs(project: Path, tmp_path: Path) -> TrainingRuns:
    runs = TrainingRuns("train", project, tmp_path)
    make_tokens(tmp_path / "tokens")
    runs.set_params(train={"eval_every_tokens": 512})  # so that the bad rate comes to a point
    choice = {"learning_rate": TOO_HIGH, "next_best": [RATE]}
    write_json(tmp_path / "tuned" / "learning_rate.json", choice)
    return runs


def kill_before(runs: TrainingRuns, deed: str, end: str) -> None:
    command = [sys.executable, "-c", KILLED, deed, end, *runs.arguments("out")]
    with (runs.folder / "out.log").open("a") as log:
        done = subprocess.run(command, cwd=runs.project, stderr=log, check=False)
    assert done.returncode == -signal.SIGKILL, runs.log()


def rates_told(runs: TrainingRuns) -> list[float]:
    """Of the points that are on their way to MLflow."""
    (path,) = runs.work.glob("*/tracking.jsonl")
    values = map(json.loads, path.read_text().splitlines())
    return [value for name, value, _ in values if name == "scheduled_learning_rate"]


@pytest.mark.parametrize(("deed", "end"), MOMENTS)
def test_killed_as_it_gives_a_rate_up_it_hands_nothing_of_it_to_the_next(
    runs: TrainingRuns, deed: str, end: str
) -> None:
    kill_before(runs, deed, end)

    def in_the_next() -> bool:
        return any(runs.work.glob("*/rate_0.01/*.pt")) and any(runs.work.glob("*/tracking.jsonl"))

    assert runs.signal_when(in_the_next, signal.SIGKILL, "out") == -signal.SIGKILL
    assert max(rates_told(runs)) <= RATE
    assert not list(runs.work.glob("*/rate_1e+30"))
    # What was trained of it is not trained again.
    assert runs.log().count("going on after step 1 of 46") == (deed != "shutil.rmtree")
    assert runs.run() == EXIT_DONE, runs.log()
    metrics = json.loads((runs.folder / "out" / "metrics.json").read_text())
    assert (metrics["learning_rate"], metrics["diverged_rates"]) == (RATE, [TOO_HIGH])
