"""Finished studies in a real SQLite database; their artefacts are written here by hand."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path

import pytest
from recorded_runs import children, client, curve, runs
from shipped_sizes import SIZES
from tracked_artefacts import LOSSES, write_study

from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.listing import MANIFEST
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking.__main__ import main
from pipeline.shared.tracking.finished import record_study
from pipeline.shared.tracking.labels import read_labels
from pipeline.shared.tracking.study import read_study
from pipeline.shared.tracking.values import metric_name

LOG = logging.getLogger("test_recorded_studies")
# MLflow's own use of SQLAlchemy, which a newer SQLAlchemy frowns at.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")


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


def test_a_study_made_elsewhere_is_imported(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_study(folder / "data" / "tiny", losses=LOSSES)
    arguments = ["import", "--profile", "tiny", "--params", str(project / "params.yaml")]
    assert main(arguments) == 0
    (parent,) = runs("tags.stage = 'study'")
    assert len(children(parent)) == 4


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


def test_no_name_is_a_metric_and_a_parameter_too(folder: Path, params: ProfileParams) -> None:
    write_study(folder / "study", losses=LOSSES)
    for size in read_study("tiny", params, StudyFolder(folder / "study")).sizes:
        logged = {value.name for value in [*size.scores, *size.curve]}
        assert not logged & size.params.keys()
        last = {name.rpartition(".")[2] for name in size.params}
        assert len(last) == len(size.params) == 26
