"""A study in MLflow, whatever keeps it: SQLite or PostgreSQL, a folder or object storage."""

from __future__ import annotations

import logging
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import s3_server
from tracked_artefacts import LOSSES, write_study

from flows.servers.storage_servers import USER, ServiceError, postgres, postgres_program
from pipeline.shared.files import sha256_file, write_json
from pipeline.shared.params.file import load_params
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking.finished import record_study

LOG = logging.getLogger("test_databases")
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def postgres_address(project: Path) -> Iterator[str]:
    """A server's address, without a database; its folder is not pytest's, which is ours alone."""
    try:
        postgres_program("initdb")
    except ServiceError as error:
        pytest.skip(str(error))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder = Path(tempfile.mkdtemp(prefix="figure4-postgres-"))
    folder.chmod(0o755)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(project)
            with postgres(folder / "postgres", port, "secret"):
                yield f"{USER}:secret@127.0.0.1:{port}"
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@pytest.mark.parametrize("artefacts", ["folder", "s3"])
def test_a_study_is_kept_there_whole_and_once(
    folder: Path,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    database: str,
    artefacts: str,
) -> None:
    import mlflow

    uri = f"sqlite:///{folder}/mlflow.db"
    if database == "postgresql":
        address = request.getfixturevalue("postgres_address")
        uri = f"postgresql+psycopg://{address}/{'mlflow' if artefacts == 's3' else 'prefect'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    params = load_params(project / "params.yaml", "tiny").params
    study = folder / "study"
    write_study(study, losses=LOSSES)
    weights = study / "train" / "xl" / "model.safetensors"
    weights.write_bytes(b"\x08\0\0\0\0\0\0\0{}      weights")
    trained = {"stage": "train", "fingerprint": "f3", "parameters": 10**6}
    write_json(study / "train" / "xl" / "metrics.json", trained | {"model_sha256": "a" * 64})
    with s3_server() as bucket:
        place = bucket if artefacts == "s3" else (folder / "elsewhere").as_uri()
        monkeypatch.setenv("MLFLOW_ARTIFACTS_DESTINATION", place)
        for _ in range(2):
            record_study("tiny", params, StudyFolder(study), LOG)
        client = mlflow.MlflowClient(uri)
        experiment = client.get_experiment_by_name("figure4-tiny")
        assert experiment.artifact_location == f"{place}/figure4-tiny"
        found = client.search_runs([experiment.experiment_id])
        assert sorted(run.data.tags["stage"] for run in found) == ["study"] + 4 * ["train"]
        (version,) = client.search_model_versions("name = 'figure4-tiny-xl'")
        copy = folder / "copy"
        copy.mkdir()
        client.download_artifacts(version.run_id, "model", str(copy))
        assert sha256_file(copy / "model" / "model.safetensors") == sha256_file(weights)
        (parent,) = [run for run in found if run.data.tags["stage"] == "study"]
        picture = client.download_artifacts(parent.info.run_id, "figure4.png", str(copy))
        assert Path(picture).read_bytes() == (study / "report" / "figure4.png").read_bytes()
