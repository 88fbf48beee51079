"""What is copied and which documents hold it, as the stage and the command say it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from made_study import MadeStudy, make_study
from shipped_sizes import SIZES
from stage_runs import StageRuns

from pipeline.overlap.holders import find_holders
from pipeline.overlap.ngram_index import NgramIndex
from pipeline.overlap.run import _long_enough
from pipeline.overlap.texts import Completion
from pipeline.shared.errors import UserError


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def ngrams(text: str) -> list[str]:
    words = words_of(text)
    return [" ".join(words[n : n + 8]) for n in range(len(words) - 7)]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, project: Path) -> MadeStudy:
    return make_study(tmp_path_factory.mktemp("study"), project / "params.yaml")


@pytest.fixture(scope="module")
def runs(study: MadeStudy, project: Path, tmp_path_factory: pytest.TempPathFactory) -> StageRuns:
    inputs = {
        "documents": study.folder / "dedup" / "kept",
        "trained": study.folder / "train",
        "eval_sets": study.folder / "eval_sets",
        "results": study.folder / "evaluate",
    }
    return StageRuns("overlap", project, tmp_path_factory.mktemp("runs"), inputs)


@pytest.fixture(scope="module")
def out(runs: StageRuns, study: MadeStudy) -> Path:
    runs.set_params()
    folder = runs.run()
    (study.folder / "overlap").symlink_to(folder)
    return folder


def test_a_copied_span_is_the_longest_that_any_training_document_holds(
    study: MadeStudy, out: Path
) -> None:
    spans = pd.read_csv(out / "copied_spans.csv", keep_default_na=False)
    assert len(spans) == (1 + len(SIZES)) * len(study.test)
    train = {d.id: f" {' '.join(words_of(d.text))} " for d in study.train}
    for size in SIZES:
        own = spans[(spans["kind"] == "sample") & (spans["size"] == size)].set_index("id")
        samples = pd.read_parquet(study.folder / "evaluate" / size / "samples.parquet")
        for id_, text in zip(samples["id"], samples["sample"], strict=True):
            words, longest = words_of(text), ""
            for start in range(len(words)):
                for end in range(start + 8, len(words) + 1):
                    span = " ".join(words[start:end])
                    if any(f" {span} " in held for held in train.values()):
                        longest = max(longest, span, key=lambda one: len(one.split()))
            row = own.loc[id_]
            assert row["span"] == longest
            assert row["words"] == (str(len(longest.split())) if longest else "")
            if longest:
                assert f" {longest} " in train[row["document"]]
                assert row["characters"] == str(len(longest))
    assert (spans["span"] != "").any()


def test_the_summary_of_copied_spans_counts_those_that_have_none(out: Path) -> None:
    spans = pd.read_csv(out / "copied_spans.csv", keep_default_na=False)
    own = spans[(spans["kind"] == "sample") & (spans["size"] == "small")]["words"]
    lengths = sorted(int(words or 0) for words in own)
    summary = json.loads((out / "metrics.json").read_text())["copied_spans"]["sample_small"]
    assert summary["texts"] == len(lengths)
    held = sum(length > 0 for length in lengths)
    assert summary["with_span_percent"] == pytest.approx(100 * held / len(lengths))
    assert summary["median_words"] == (lengths[(len(lengths) + 1) // 2 - 1] or None)
    assert summary["longest_words"] == lengths[-1] > 20


def test_the_index_names_every_document_that_holds_an_ngram(study: MadeStudy, out: Path) -> None:
    from pipeline.shared.text.ngrams import NgramHasher

    index = NgramIndex(out / "index")
    words = words_of(study.examples["lambada"][2].text)
    pairs = index.find(NgramHasher(8).hash_ngrams(words))
    ids = index.documents["id"].to_pylist()
    found = {(n, ids[d]) for n, d in zip(*(c.tolist() for c in pairs), strict=True)}
    grams = [" ".join(words[n : n + 8]) for n in range(len(words) - 7)]
    expected = {
        (n, document.id)
        for n, gram in enumerate(grams)
        for document in study.train
        if gram in ngrams(document.text)
    }
    assert found == expected and expected
    metrics = json.loads((out / "metrics.json").read_text())
    assert len(np.load(out / "index" / "00000.hashes.npy")) == metrics["train_ngrams"]
    assert set(ids) == {document.id for document in study.train}


def test_the_examples_that_overlap_most_stand_beside_the_document_that_holds_them(
    study: MadeStudy, out: Path
) -> None:
    table = pd.read_csv(out / "highest_overlap.csv")
    train = {document.id: document for document in study.train}
    shares = {}
    held = {gram for document in study.train for gram in ngrams(document.text)}
    for example in study.examples["cbt_ne"]:
        own = ngrams(example.text)
        shares[example.id] = 100 * sum(gram in held for gram in own) / len(own)
    top = table[table["set"] == "cbt_ne"]
    assert top["overlap_percent"].tolist() == sorted(shares.values(), reverse=True)[:3]
    for row in top.to_dict("records"):
        assert row["overlap_percent"] == pytest.approx(shares[row["id"]])
        document = train[row["document"]]
        assert row["url"] == document.url
        text = next(e.text for e in study.examples["cbt_ne"] if e.id == row["id"])
        assert row["shared"] == sum(gram in ngrams(document.text) for gram in ngrams(text))
        assert row["span"] in " ".join(words_of(document.text))


def ask(project: Path, study: MadeStudy, *asked: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.overlap.find", "--study", str(study.folder), *asked]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def test_the_command_finds_the_document_that_a_text_is_from(
    study: MadeStudy, out: Path, project: Path
) -> None:
    document = study.train[4]
    words = document.text.split()[5:30]
    done = ask(project, study, "--text", "Nobody wrote this, but: " + " ".join(words))
    assert done.returncode == 0, done.stderr
    copied = len(words_of(" ".join(words)))
    assert document.id in done.stdout and document.url in done.stdout
    assert f"{copied} words" in done.stdout
    assert "in the training text, in 1 document\n" in done.stdout


def test_the_command_says_so_where_nothing_is_held_and_what_there_is_to_ask(
    study: MadeStudy, out: Path, project: Path
) -> None:
    nothing = ask(project, study, "--text", " ".join(f"zq{n}" for n in range(12)))
    assert nothing.returncode == 0 and "0 (0.0 %) are in the training text" in nothing.stdout
    sets = ask(project, study, "--set", "lambda")
    assert "no such set" in sets.stderr and "lambada" in sets.stderr
    ids = ask(project, study, "--set", "lambada")
    assert "give one by --example" in ids.stderr and "lambada-3" in ids.stderr
    example = ask(project, study, "--set", "lambada", "--example", "lambada-2")
    assert example.returncode == 0 and "(100.0 %)" in example.stdout


def test_a_study_without_an_index_says_how_to_get_one(
    study: MadeStudy, out: Path, runs: StageRuns, project: Path, tmp_path: Path
) -> None:
    without = StageRuns("overlap", project, tmp_path, runs.inputs)
    without.set_params(overlap={"index": False})
    folder = without.run()
    assert [path.name for path in (folder / "index").iterdir()] == ["index.json"]
    assert (folder / "highest_overlap.csv").read_bytes() == (
        out / "highest_overlap.csv"
    ).read_bytes()
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "overlap").symlink_to(folder)
    done = ask(project, study, "--study", str(tmp_path / "study"), "--text", "any " * 9)
    assert done.returncode != 0 and "set overlap.index: true" in done.stderr


def test_an_index_of_another_corpus_is_told(study: MadeStudy, out: Path) -> None:
    index = NgramIndex(out / "index")
    renamed = pa.array([f"{id_}-gone" for id_ in index.documents["id"].to_pylist()])
    index.documents = index.documents.set_column(0, "id", renamed)
    words = words_of(study.train[4].text)
    with pytest.raises(UserError, match="run dvc repro overlap"):
        find_holders(index, study.folder / "dedup" / "kept", words, most=3)


def test_texts_too_short_for_an_ngram_are_counted_and_left_out() -> None:
    lengths = {"small": (0, 7, 8, 30), "xl": (9, 12)}
    texts = [
        Completion("sample", size, str(n), ["word"] * n)
        for size, own in lengths.items()
        for n in own
    ]
    long, short = _long_enough(texts, 8)
    assert [len(text.words) for text in long] == [8, 30, 9, 12]
    assert short == {"sample_small": 2}
