"""MLflow's database and artefacts lie beside the checkout, whatever that is called and wherever."""

from __future__ import annotations

import logging
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pipeline.shared.running.origin import origin
from pipeline.shared.tracking.place import artifacts_uri, follow, remedy, tracking_uri
from pipeline.shared.tracking.store import RunStore

LOG = logging.getLogger("test_place")


@pytest.fixture(autouse=True)
def own_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def open_store() -> Any:
    import mlflow

    return RunStore(mlflow, tracking_uri(), "tiny")


@pytest.mark.slow
def test_artifacts_follow_a_checkout_and_a_copy_never_writes_into_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "a b%41c#d?eü"
    first.mkdir()
    monkeypatch.chdir(first)
    store = open_store()
    run = store._create("first", {}).info.run_id
    (first / "figure.png").write_text("picture")
    store.client.log_artifact(run, "figure.png")
    moved, copy = tmp_path / "moved", tmp_path / "copy"
    first.rename(moved)
    shutil.copytree(moved, copy)
    monkeypatch.chdir(copy)
    store = open_store()
    assert store.client.get_run(run).info.artifact_uri.startswith(f"{copy.as_uri()}/mlart")
    other = store._create("other", {}).info.run_id
    store.client.log_artifact(other, "figure.png")
    assert len(list(copy.glob("mlartifacts/**/figure.png"))) == 2
    assert len(list(moved.glob("mlartifacts/**/figure.png"))) == 1
    assert not first.exists()
    monkeypatch.chdir(moved)
    uri = open_store().client.get_run(run).info.artifact_uri
    assert uri == f"{moved.as_uri()}/mlartifacts/figure4-tiny/{run}/artifacts"
    assert [path.name for path in Path(uri.removeprefix("file://")).iterdir()] == ["figure.png"]


def test_only_what_lies_in_the_checkout_is_led_and_only_in_its_own_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    follow(LOG)  # there is none
    places = {
        "figure4-tiny": "file:///old/mlartifacts/figure4-tiny",
        "figure4-paper": "s3://bucket/mlartifacts/figure4-paper",
        "own": "file:///old/elsewhere/own",
    }
    with sqlite3.connect("mlflow.db") as database:
        database.execute("CREATE TABLE experiments (experiment_id, name, artifact_location)")
        database.execute("CREATE TABLE runs (experiment_id, artifact_uri)")
        for number, (name, place) in enumerate(places.items()):
            database.execute("INSERT INTO experiments VALUES (?, ?, ?)", (number, name, place))
            database.execute("INSERT INTO runs VALUES (?, ?)", (number, f"{place}/r/artifacts"))

    def read() -> list[tuple[str, str]]:
        columns = "SELECT artifact_location, artifact_uri FROM"
        query = f"{columns} experiments JOIN runs USING (experiment_id)"
        return list(sqlite3.connect("mlflow.db").execute(query))

    before = read()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")  # perhaps of many checkouts
    follow(LOG)
    assert read() == before
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    follow(LOG)
    new = artifacts_uri("figure4-tiny")
    assert new == (tmp_path / "mlartifacts" / "figure4-tiny").as_uri()
    assert read() == [(new, f"{new}/r/artifacts"), *before[1:]]


def test_an_experiment_in_dvcs_copy_is_recorded_where_the_user_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "study"
    copy = root / ".dvc" / "tmp" / "exps" / "standalone" / "tmp1"
    copy.mkdir(parents=True)
    for folder in (copy, root):
        monkeypatch.chdir(folder)
        assert origin() == root
        assert tracking_uri() == f"sqlite:///{root / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    assert origin() == tmp_path
    (odd := tmp_path / "50%?").mkdir()
    monkeypatch.chdir(odd)
    assert tracking_uri() == "sqlite:///mlflow.db"


def test_a_damaged_database_has_a_remedy_that_does_not_fail_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
    with pytest.raises(sqlite3.DatabaseError) as caught:
        follow(LOG)
    assert "mlflow.db is damaged: put back a copy of it or move it away" in remedy(caught.value)
    (tmp_path / "mlflow.db").rename(tmp_path / "away")
    follow(LOG)
