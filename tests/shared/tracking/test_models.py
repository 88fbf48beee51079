"""Models in MLflow's registry: real files, a real database, no weight loaded."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from tracked_artefacts import LOSSES, write_study

from models.weights_note import write_note
from pipeline.shared.files import read_json, sha256_file
from pipeline.shared.params.file import load_params
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking.finished import record_study

LOG = logging.getLogger("test_models")
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")


@pytest.fixture
def params(project: Path) -> ProfileParams:
    return load_params(project / "params.yaml", "tiny").params


@pytest.fixture
def study(folder: Path) -> Path:
    """A study whose small size has weights; the working folder is beside it."""
    write_study(folder / "study", losses=LOSSES)
    set_weights(folder / "study", b"\x08\0\0\0\0\0\0\0{}      no weights that can be loaded")
    return folder / "study"


def set_weights(study: Path, content: bytes) -> None:
    path = study / "train" / "small" / "model.safetensors"
    path.write_bytes(content)
    note(study, model_sha256=sha256_file(path))


def note(study: Path, **values: Any) -> None:
    path = study / "train" / "small" / "metrics.json"
    path.write_text(json.dumps(read_json(path) | values))


def versions() -> list[Any]:
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
    return list(client.search_model_versions("name = 'figure4-tiny-small'"))


def test_a_size_is_registered_with_a_card_and_takes_no_room(
    study: Path, params: ProfileParams
) -> None:
    record_study("tiny", params, StudyFolder(study), LOG)
    (version,) = versions()
    assert version.source == f"runs:/{version.run_id}/model"  # wherever the checkout is moved to
    weights = study / "train" / "small" / "model.safetensors"
    (linked,) = Path("mlartifacts").glob("**/model.safetensors")
    assert linked.samefile(weights)
    card = linked.with_name("README.md").read_text()
    assert version.description == card
    for part in ("`train@small`", "study tiny-1, seed 1", sha256_file(weights), "documents | 7"):
        assert part in card
    assert version.tags["model_sha256"] == sha256_file(weights)
    assert not [path for path in linked.parent.iterdir() if path.suffix in {".pkl", ".pth"}]


def test_the_same_weights_are_one_version_and_others_another(
    study: Path, params: ProfileParams
) -> None:
    for sampling in (1, 2):  # another evaluation: the size is carried over
        seeds = params.seeds.model_copy(update={"sampling": sampling})
        record_study("tiny", params.model_copy(update={"seeds": seeds}), StudyFolder(study), LOG)
    (first,) = versions()
    assert "study tiny-1, seed 1" in first.description
    set_weights(study, b"\x08\0\0\0\0\0\0\0{}      of another seed")
    note(study, fingerprint="another")
    record_study("tiny", params, StudyFolder(study), LOG)
    hashes = [version.tags["model_sha256"] for version in versions()]
    assert len(set(hashes)) == len(hashes) == 2


def test_a_note_in_place_of_weights_is_no_model(study: Path, params: ProfileParams) -> None:
    folder = study / "train" / "small"
    write_note(folder, sha256="a" * 64, num_bytes=6, where="elsewhere")
    record_study("tiny", params, StudyFolder(study), LOG)
    assert versions() == []
