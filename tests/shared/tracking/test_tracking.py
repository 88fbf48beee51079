"""Runs in a real SQLite database, of studies whose artefacts are written here by hand."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from shipped_sizes import SIZES
from tracked_artefacts import LOSSES, write_study

from pipeline.shared.params.file import load_params
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.listing import MANIFEST
from pipeline.shared.running.shard_memory import Memory
from pipeline.shared.running.stage import Stage
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking import live
from pipeline.shared.tracking.__main__ import main
from pipeline.shared.tracking.finished import record_study
from pipeline.shared.tracking.labels import read_labels
from pipeline.shared.tracking.live import TrackedRun
from pipeline.shared.tracking.owner import process_start
from pipeline.shared.tracking.record import open_run
from pipeline.shared.tracking.study import read_study
from pipeline.shared.tracking.values import LoggedValue, metric_name

LOG = logging.getLogger("test_tracking")
# MLflow's own use of SQLAlchemy, which a newer SQLAlchemy frowns at.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")


@pytest.fixture(scope="module")
def params(project: Path) -> ProfileParams:
    return load_params(project / "params.yaml", "tiny").params


def client() -> Any:
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")


def runs(query: str = "") -> list[Any]:
    experiment = client().get_experiment_by_name("figure4-tiny")
    return list(client().search_runs([experiment.experiment_id], query))


def children(parent: Any) -> dict[str, Any]:
    found = runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    return {run.data.tags["size"]: run for run in found}


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


def test_a_study_is_one_parent_with_a_child_for_each_size(
    folder: Path, params: ProfileParams
) -> None:
    write_study(folder / "study", losses=LOSSES)
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    (parent,) = runs("tags.stage = 'study'")
    sizes = children(parent)
    assert set(sizes) == set(SIZES)
    small = sizes["small"]
    assert parent.info.run_name == "tiny-1 · 350K tokens · seed 1"
    assert small.info.run_name == f"small · {parent.info.run_name}"
    assert small.info.status == parent.info.status == "FINISHED"
    assert small.data.params["n_embd"] == "16"
    assert small.data.metrics["wikitext2_perplexity"] == 600.0
    assert small.data.metrics["parameters"] == 1000.0
    assert small.data.metrics["test_perplexity"] == 360.0
    assert curve(small, "train_loss_nats") == [(4096, 8.0), (8192, 7.0), (12288, 6.0)]
    assert [step for step, _ in curve(small, "valid_loss_nats")] == [4096, 8192, 12288]
    flops = curve(small, "training_petaflops")
    assert flops == [(step, pytest.approx(6000 * step / 1e15)) for step in (4096, 8192, 12288)]
    names = [file.path for file in client().list_artifacts(parent.info.run_id)]
    assert names == ["figure4.csv", "figure4.png", "table3.csv"]
    assert "| xl | 1,000,000 |" in parent.data.tags["mlflow.note.content"]


def curve(run: Any, name: str) -> list[tuple[int, float]]:
    history = client().get_metric_history(run.info.run_id, name)
    return [(point.step, point.value) for point in history]


def test_hashes_of_dvc_tokenizer_and_splits_are_kept(folder: Path, params: ProfileParams) -> None:
    study = folder / "data" / "tiny"
    write_study(study, losses=LOSSES)
    manifest = {"tokens": 7, "documents": 2, "tokenizer_sha256": "abc"}
    (study / "tokenize" / "train").mkdir(parents=True)
    (study / "tokenize" / "train" / MANIFEST).write_text(json.dumps(manifest))
    outs = [{"path": "data/tiny/train/xl", "md5": "9.dir"}]
    deps = [{"path": "data/tiny/train/xl/model.safetensors", "md5": "123"}]
    deps += [{"path": "data/tiny/tokenize/train", "md5": "456.dir"}]
    stages = {"train@xl": {"outs": outs}, "evaluate@xl": {"deps": deps}}
    (folder / "dvc.lock").write_text(json.dumps({"stages": stages}))
    record_study("tiny", params, StudyFolder(study), LOG)
    (parent,) = runs("tags.stage = 'study'")
    assert parent.data.tags["tokenizer_sha256"] == "abc"
    (split,) = parent.inputs.dataset_inputs
    assert (split.dataset.name, split.dataset.digest) == ("train", "456.dir")
    assert json.loads(split.dataset.profile) == {"tokens": 7, "documents": 2}
    assert "dvc.lock" in [file.path for file in client().list_artifacts(parent.info.run_id)]
    tags = {size: run.data.tags for size, run in children(parent).items()}
    assert tags["xl"]["model_md5"] == "123"
    assert "model_md5" not in tags["small"]


def test_recording_twice_changes_nothing(folder: Path, params: ProfileParams) -> None:
    write_study(folder / "study", losses=LOSSES)
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    before = dump(folder / "mlflow.db")
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    assert dump(folder / "mlflow.db") == before


def dump(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        lines = list(connection.iterdump())
    connection.close()
    return lines


def test_a_size_that_did_not_rerun_is_carried_over(folder: Path, params: ProfileParams) -> None:
    write_study(folder / "study", losses=LOSSES)
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    write_study(folder / "study", losses=LOSSES | {"xl": 4.0})
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    new, old = runs("tags.stage = 'study'")
    assert children(old)["xl"].data.metrics["train_loss_nats"] == 4.5
    carried = children(new)
    assert {size: run.data.tags["carried_over"] for size, run in carried.items()} == {
        "small": "true",
        "medium": "true",
        "large": "true",
        "xl": "false",
    }
    assert carried["small"].data.metrics["wikitext2_perplexity"] == 600.0
    assert carried["xl"].data.metrics["train_loss_nats"] == 4.0


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


def test_a_study_made_elsewhere_is_imported(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_study(folder / "data" / "tiny", losses=LOSSES)
    arguments = ["import", "--profile", "tiny", "--params", str(project / "params.yaml")]
    assert main(arguments) == 0
    (parent,) = runs("tags.stage = 'study'")
    assert len(children(parent)) == 4


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


def test_hardware_does_not_make_another_study(params: ProfileParams) -> None:
    more = params.compute.model_copy(update={"workers": 64})
    assert read_labels(params.model_copy(update={"compute": more})) == read_labels(params)
    seeds = params.seeds.model_copy(update={"order": 2})
    replicate, first = read_labels(params.model_copy(update={"seeds": seeds})), read_labels(params)
    assert replicate.settings != first.settings
    assert replicate.design == first.design
    assert (first.seed, replicate.seed) == ("1", "1, order 2")


def test_durations_do_not_make_another_study(tmp_path: Path, params: ProfileParams) -> None:
    write_study(tmp_path, losses=LOSSES)
    first = read_study("tiny", params, StudyFolder(tmp_path))
    path = tmp_path / "train" / "xl" / "metrics.json"
    path.write_text(path.read_text().replace("1.5", "99.5"))
    assert read_study("tiny", params, StudyFolder(tmp_path)).identity == first.identity


def test_a_metric_name_holds_only_what_mlflow_takes() -> None:
    assert metric_name("a/small/accuracy@n=10 %") == "a/small/accuracy_n_10 _"


def test_the_study_carries_what_figure_4_says_and_what_its_largest_size_reached(
    folder: Path, params: ProfileParams
) -> None:
    write_study(folder / "study", losses=LOSSES)
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    (parent,) = runs("tags.stage = 'study'")
    flops = sum(6 * 10**n * 12288 for n in (3, 4, 5, 6))
    assert parent.data.metrics == {
        "test_exponent": -0.1,
        "largest_parameters": 1e6,
        "largest_train_perplexity": 50 * 4.5,
        "largest_test_perplexity": 60 * 4.5,
        "sizes": 4.0,
        "train_tokens_a_size": 350_000.0,
        "training_petaflops": pytest.approx(flops / 1e15, rel=1e-5),
    }
    assert "power of -0.100 (95 %: -0.200 to -0.050)" in parent.data.tags["mlflow.note.content"]


def test_a_second_evaluation_with_other_settings_is_another_study(
    folder: Path, params: ProfileParams
) -> None:
    """Its figures may differ though no score does: those of the first stay as they are."""
    write_study(folder / "study", losses=LOSSES)
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    (first,) = runs("tags.stage = 'study'")
    (folder / "study" / "report" / "figure4.png").write_bytes(b"\x89PNG with other intervals")
    changed = params.evaluate.model_copy(update={"bootstrap_samples": 7})
    other = params.model_copy(update={"evaluate": changed})
    record_study("tiny", other, StudyFolder(folder / "study"), LOG)
    second, again = runs("tags.stage = 'study'")
    assert again.data.to_dictionary() == first.data.to_dictionary()
    assert second.data.tags["study_name"] == "tiny-2"
    assert second.data.params["evaluate.bootstrap_samples"] == "7"
    assert len(children(second)) == 4
    pictures = {
        run.data.tags["study_name"]: Path(
            client().download_artifacts(run.info.run_id, "figure4.png")
        )
        for run in (first, second)
    }
    assert pictures["tiny-1"].read_bytes() != pictures["tiny-2"].read_bytes()


def test_studies_of_one_profile_are_told_apart_and_grouped(
    folder: Path, params: ProfileParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_study(folder / "study", losses=LOSSES)
    record_study("tiny", params, StudyFolder(folder / "study"), LOG)
    monkeypatch.setenv("DVC_EXP_NAME", "fuzzy-cat")
    seeds = params.seeds.model_copy(update={"order": 2, "initialisation": 2})
    write_study(folder / "study", losses=dict.fromkeys(LOSSES, 4.0), fingerprints="g")
    record_study(
        "tiny", params.model_copy(update={"seeds": seeds}), StudyFolder(folder / "study"), LOG
    )
    replicate, first = runs("tags.stage = 'study'")
    assert replicate.info.run_name == (
        "fuzzy-cat · 350K tokens · seed 1, order 2, initialisation 2"
    )
    for parent in (first, replicate):
        for run in children(parent).values():
            for name in ("study_name", "seed", "budget", "settings", "design"):
                assert run.data.tags[name] == parent.data.tags[name]
    assert first.data.tags["design"] == replicate.data.tags["design"]
    tags = client().get_experiment_by_name("figure4-tiny").tags
    views = {key.rpartition(".")[2]: json.loads(tags[key]) for key in tags if "ViewState" in key}
    assert {view["name"] for view in views.values()} == {
        *("Sizes", "Studies", "Replicates"),
        *("Sizes, narrow", "Studies, narrow", "Replicates, narrow"),
    }
    shown = json.loads(views["sizes"]["state"])["searchFilter"]
    assert {run.data.tags["study_name"] for run in runs(shown)} == {"fuzzy-cat"}
    assert len(runs(shown)) == 4
    assert len(runs(json.loads(views["studies"]["state"])["searchFilter"])) == 2
    assert len(runs(json.loads(views["replicates"]["state"])["searchFilter"])) == 8


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


def test_no_name_is_a_metric_and_a_parameter_too(folder: Path, params: ProfileParams) -> None:
    write_study(folder / "study", losses=LOSSES)
    for size in read_study("tiny", params, StudyFolder(folder / "study")).sizes:
        logged = {value.name for value in [*size.scores, *size.curve]}
        assert not logged & size.params.keys()
        last = {name.rpartition(".")[2] for name in size.params}
        assert len(last) == len(size.params) == 26
