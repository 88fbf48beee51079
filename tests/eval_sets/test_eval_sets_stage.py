"""The eval_sets stage as a process: files, manifests, samples, what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from published_files import write_published_files
from stage_runs import StageRuns, read_bytes

from pipeline.eval_sets.eval_set import NUM_PAIRS
from pipeline.eval_sets.prepare import sampling_key
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.shared.files import sha256_file
from pipeline.shared.formats.examples import read_examples
from pipeline.shared.running.listing import MANIFEST

PUBLISHED = {eval_set.name for eval_set in EVAL_SETS.values() if eval_set.test}


def make_runs(project: Path, folder: Path, **params: object) -> StageRuns:
    """The stage on a folder of published files."""
    web = write_published_files(folder / "web")
    runs = StageRuns("eval_sets", project, folder, {"sample_web": web})
    runs.set_params(eval_sets={"max_examples": None, "max_text_bytes": None} | params)
    return runs


@pytest.fixture(scope="module")
def whole(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The out folder of a run that takes everything."""
    return make_runs(project, tmp_path_factory.mktemp("eval_sets")).run()


def test_every_published_set_is_written_and_listed_with_its_hash(whole: Path) -> None:
    manifest = json.loads((whole / "test" / MANIFEST).read_text())
    assert set(manifest["sets"]) == PUBLISHED
    for name, record in manifest["sets"].items():
        path = whole / "test" / f"{name}.parquet"
        assert record["sha256"] == sha256_file(path)
        assert record["num_examples"] == len(list(read_examples(path))) > 0


def test_sets_with_a_train_file_have_it_beside(whole: Path) -> None:
    names = {path.stem for path in (whole / "train").glob("*.parquet")}
    assert names == {"wikitext2", "enwik8", "text8", "one_billion_word"}
    counts = json.loads((whole / "metrics.json").read_text())["sets"]
    assert "ptb.train.txt: the built-in web made none" in counts["ptb"]["train_not_available"]
    assert counts["one_billion_word"]["train_files_missing"] == 98


def test_example_pairs_are_not_among_the_questions(whole: Path) -> None:
    manifest = json.loads((whole / "test" / MANIFEST).read_text())["sets"]
    asked = {e.context for e in read_examples(whole / "test" / "natural_questions.parquet")}
    pairs = manifest["natural_questions"]["example_pairs"]
    assert len(pairs) == NUM_PAIRS
    assert len(asked) == 24 - NUM_PAIRS
    assert not asked & {question for question, _ in pairs}
    assert manifest["wmt14_fr_en"]["example_pairs"][0] == [
        "fr sentence 0 of 2013.",
        "en sentence 0 of 2013.",
    ]


def test_a_smaller_sample_is_part_of_a_larger_one_in_file_order(
    whole: Path, project: Path, tmp_path: Path
) -> None:
    small = make_runs(project, tmp_path, max_examples=5, max_text_bytes=100).run() / "test"
    everything = [e.id for e in read_examples(whole / "test" / "lambada.parquet")]
    wanted = sorted(everything, key=lambda id_: sampling_key(1, id_))[:5]
    sample = [e.id for e in read_examples(small / "lambada.parquet")]
    assert sample == [id_ for id_ in everything if id_ in wanted]
    english = [e.id for e in read_examples(small / "wmt14_en_fr.parquet")]
    assert english == [e.id for e in read_examples(small / "wmt14_fr_en.parquet")]
    texts = [e.target for e in read_examples(small / "ptb.parquet")]
    assert len(texts) == 2 and sum(map(len, texts)) <= 100, "a prefix of whole sentences"
    assert pq.read_metadata(small / "wikitext2.parquet").num_rows == 1, "at least one example"


def test_a_missing_set_is_told_and_the_others_are_made(project: Path, tmp_path: Path) -> None:
    runs = make_runs(project, tmp_path, source="folder", location=str(tmp_path / "mine"))
    mine = write_published_files(tmp_path / "mine")
    for path in mine.rglob("*"):
        known = path.name in {"enwik8", "text8", "cnn_dailymail_test.jsonl"}
        if path.is_file() and not known:
            path.unlink()
    (mine / "enwik8" / "enwik8").unlink()
    out = runs.run()
    missing = json.loads((out / "metrics.json").read_text())["not_available"]
    assert set(missing) == PUBLISHED - {"text8", "cnn_dm"}
    assert "lambada_test.jsonl: no such file; this gets it: mkdir -p " in missing["lambada"]
    listed = json.loads((out / "test" / MANIFEST).read_text())
    assert listed["not_available"] == missing
    assert set(listed["sets"]) == {"text8", "cnn_dm"}


def test_a_file_without_examples_is_told_and_not_scored_as_an_empty_set(
    project: Path, tmp_path: Path
) -> None:
    runs = make_runs(project, tmp_path)
    (runs.inputs["sample_web"] / "lambada" / "lambada_test.jsonl").write_text("")
    out = runs.run()
    missing = json.loads((out / "metrics.json").read_text())["not_available"]
    assert "lambada_test.jsonl: no example left to score" in missing["lambada"]
    assert "lambada" not in json.loads((out / "test" / MANIFEST).read_text())["sets"]


def test_a_wrong_hash_stops_the_stage_in_one_line(project: Path, tmp_path: Path) -> None:
    runs = make_runs(project, tmp_path, source="folder", location=str(tmp_path / "web"))
    run = runs.fail()
    assert "lambada_test.jsonl: sha256 of the uncompressed content is" in run.stderr
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there_is_told_with_its_parameter(
    project: Path, tmp_path: Path
) -> None:
    runs = make_runs(project, tmp_path, source="folder", location=str(tmp_path / "nowhere"))
    assert "eval_sets.location = " in runs.fail().stderr


def test_killed_and_started_again_it_writes_the_same_bytes(
    whole: Path, project: Path, tmp_path: Path
) -> None:
    runs = make_runs(project, tmp_path)
    runs.kill_when(lambda work: (work / "sets" / "ptb.json").is_file())
    out = runs.run()
    assert json.loads((out / "metrics.json").read_text())["attempts"] == 2
    assert read_bytes(out) == read_bytes(whole)


def test_a_file_added_to_the_users_folder_is_noticed_after_a_finished_run(
    project: Path, tmp_path: Path
) -> None:
    mine = write_published_files(tmp_path / "mine")
    text8 = (mine / "text8" / "text8").rename(tmp_path / "text8")
    runs = make_runs(project, tmp_path, source="folder", location=str(mine))
    for path in mine.rglob("*"):  # the published hashes are not these files'
        if path.is_file() and path.name != "cnn_dailymail_test.jsonl":
            path.unlink()
    before = json.loads((runs.run() / "metrics.json").read_text())["not_available"]
    text8.rename(mine / "text8" / "text8")
    after = json.loads((runs.run() / "metrics.json").read_text())["not_available"]
    assert set(before) - set(after) == {"text8"}
