"""Runs of trainings in a real SQLite database, while they go on and after they were killed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from recorded_runs import children, client, curve, runs
from shipped_sizes import SIZES
from tracked_artefacts import LOSSES, write_study

from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.shard_memory import Memory
from pipeline.shared.running.stage import Stage
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking import live
from pipeline.shared.tracking.__main__ import main
from pipeline.shared.tracking.finished import record_study
from pipeline.shared.tracking.live import TrackedRun
from pipeline.shared.tracking.owner import process_start
from pipeline.shared.tracking.record import open_run
from pipeline.shared.tracking.values import LoggedValue

LOG = logging.getLogger("test_live_runs")
# MLflow's own use of SQLAlchemy, which a newer SQLAlchemy frowns at.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")


def stage(folder: Path, params: ProfileParams, *, size: str = "small", print_: str = "f0") -> Stage:
    work = folder / "work" / size / print_
    work.mkdir(parents=True, exist_ok=True)
    return Stage(
        name="train",
        profile="tiny",
        size=size,
        params=params,
        inputs={},
        work=work,
        staging=work / "out",
        fingerprint=print_,
        memory=Memory(work, print_),
        log=LOG,
    )


def test_a_killed_training_goes_on_in_the_same_run_and_logs_no_point_twice(
    folder: Path, params: ProfileParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_KILLED_FLUSH_S", 60.0)  # a busy machine's database takes longer
    attempt = stage(folder, params)
    with pytest.raises(SystemExit), open_run(attempt, learning_rate=0.003) as run:
        for tokens in (4096, 8192):
            run.log_metrics({"train_loss_nats": 8.0}, tokens=tokens)
        raise SystemExit(143)
    (killed,) = runs("tags.stage = 'train'")
    assert killed.info.status == "KILLED"
    with (attempt.work / "tracking.jsonl").open("a") as file:
        file.write('["train_lo')  # torn by the kill
    with open_run(attempt, learning_rate=0.003) as run:
        for tokens in (8192, 12288):  # the checkpoint lay before the last point
            run.log_metrics({"train_loss_nats": 7.0}, tokens=tokens)
    (finished,) = runs("tags.stage = 'train'")
    assert finished.info.run_id == killed.info.run_id
    assert finished.info.status == "FINISHED"
    history = client().get_metric_history(finished.info.run_id, "train_loss_nats")
    assert [(p.step, p.value) for p in history] == [(4096, 8.0), (8192, 8.0), (12288, 7.0)]


def test_a_live_training_becomes_a_child_of_the_recorded_study(
    folder: Path, params: ProfileParams
) -> None:
    write_study(folder / "study", losses=LOSSES)
    for number, size in enumerate(SIZES):
        with open_run(stage(folder, params, size=size, print_=f"f{number}")) as run:
            run.log_metrics({"train_loss_nats": 8.0}, tokens=4096)
    live = {run.info.run_id for run in runs("tags.stage = 'train'")}
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    (parent,) = runs("tags.stage = 'study'")
    assert {run.info.run_id for run in children(parent).values()} == live
    small = children(parent)["small"]
    history = client().get_metric_history(small.info.run_id, "train_loss_nats")
    assert [point.step for point in history] == [4096, 8192, 12288]


def test_sizes_that_start_at_once_share_one_study(folder: Path, params: ProfileParams) -> None:
    Path("mlflow.db").unlink()  # the first use makes the tables, four times at once
    attempts = [stage(folder, params, size=size, print_=size) for size in SIZES]

    def train(attempt: Stage) -> None:
        with open_run(attempt) as run:
            run.log_metrics({"train_loss_nats": 1.0}, tokens=1)

    threads = [threading.Thread(target=train, args=[attempt]) for attempt in attempts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (parent,) = runs("tags.stage = 'study'")
    assert set(children(parent)) == set(SIZES)


def test_a_failing_store_is_one_warning_and_training_goes_on(
    folder: Path,
    params: ProfileParams,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # the discard port: refused
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    attempt = stage(folder, params)
    with caplog.at_level(logging.WARNING), open_run(attempt) as run:
        run.log_metrics({"train_loss_nats": 8.0}, tokens=4096)
    (warning,) = [record for record in caplog.records if record.name == LOG.name]
    assert "127.0.0.1" in warning.message
    assert (attempt.work / "tracking.jsonl").read_text() == '["train_loss_nats", 8.0, 4096]\n'
    caplog.clear()
    write_study(folder / "study", losses=LOSSES)
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    (warning,) = [record for record in caplog.records if record.name == LOG.name]
    assert "python -m pipeline.shared.tracking import" in warning.message


def test_logging_does_not_wait_for_a_slow_store(tmp_path: Path) -> None:
    all_logged = threading.Event()

    class SlowSink:
        def __init__(self) -> None:
            assert all_logged.wait(30)
            self.points: list[LoggedValue] = []
            self.status = ""

        def send(self, points: Iterable[LoggedValue]) -> None:
            self.points += points

        def end(self, status: str) -> None:
            self.status = status

    sinks: list[SlowSink] = []

    def connect() -> SlowSink:
        sinks.append(SlowSink())
        return sinks[0]

    with TrackedRun(tmp_path / "tracking.jsonl", connect, LOG) as run:
        for tokens in range(100):
            run.log_metrics({"train_loss_nats": 1.0}, tokens=tokens)
        all_logged.set()  # never, where logging waits for the store
    assert len(sinks[0].points) == 100
    assert sinks[0].status == "FINISHED"


def test_without_mlflow_the_points_stay_in_their_file(
    folder: Path, params: ProfileParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    attempt = stage(folder, params)
    with open_run(attempt) as run:
        run.log_metrics({"train_loss_nats": 8.0}, tokens=4096)
    assert (attempt.work / "tracking.jsonl").is_file()


def test_a_run_whose_process_is_gone_is_marked_as_killed(
    folder: Path, project: Path, params: ProfileParams
) -> None:
    params_file = str(project / "params.yaml")
    script = project / "tests" / "hanging_training.py"
    process = subprocess.Popen([sys.executable, str(script), params_file], cwd=folder)
    arguments = ["reconcile", "--profile", "tiny", "--params", params_file]
    try:
        deadline_s = time.monotonic() + 30
        while not started() and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.2)
        assert main(arguments) == 0
        assert {run.info.status for run in runs()} == {"RUNNING"}  # it lives
    finally:
        process.kill()
        process.wait()
    assert main(arguments) == 0
    assert {run.info.status for run in runs()} == {"KILLED"}


def started() -> bool:
    if client().get_experiment_by_name("figure4-tiny") is None:
        return False
    return len(runs("attributes.status = 'RUNNING'")) == 2


def test_reconcile_makes_no_database(folder: Path, project: Path) -> None:
    Path("mlflow.db").unlink()
    assert main(["reconcile", "--params", str(project / "params.yaml")]) == 0
    assert not Path("mlflow.db").exists()


def test_a_process_is_told_from_a_later_one_of_the_same_number() -> None:
    assert process_start(os.getpid()) == process_start(os.getpid()) != ""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    assert process_start(process.pid) == ""


def test_a_rate_after_one_that_diverged_has_a_run_and_a_curve_of_its_own(
    folder: Path, params: ProfileParams
) -> None:
    attempt = stage(folder, params)
    with pytest.raises(ValueError, match="diverged"), open_run(attempt, learning_rate=0.1) as run:
        run.log_metrics({"train_loss_nats": 99.0}, tokens=4096)
        raise ValueError("diverged")
    (attempt.work / "tracking.jsonl").unlink()
    with open_run(attempt, learning_rate=0.002) as run:
        run.log_metrics({"train_loss_nats": 8.0}, tokens=4096)
    second, first = runs("tags.stage = 'train'")
    assert (first.info.status, second.info.status) == ("FAILED", "FINISHED")
    assert second.data.params["peak_learning_rate"] == "0.002"
    assert curve(second, "train_loss_nats") == [(4096, 8.0)]
    write_study(folder / "study", losses=LOSSES)  # small was trained at 0.002
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    (parent,) = runs("tags.stage = 'study'")
    (small,) = runs("tags.size = 'small' and attributes.status = 'FINISHED'")
    assert small.info.run_id == second.info.run_id
    assert curve(small, "train_loss_nats")[0] == (4096, 8.0)
    assert small.data.tags["mlflow.parentRunId"] == parent.info.run_id
