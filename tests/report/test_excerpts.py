"""Samples and answers on the page, and what the study was made from."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from made_study import MadeStudy
from shipped_sizes import SIZES

from pipeline.report.excerpts import NUM_ANSWERS, answer_sets, samples
from pipeline.report.provenance import commit, hashes
from pipeline.report.study import read_study
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.scores.results import read_scores


def test_samples_of_all_sizes_go_on_from_the_same_contexts(made: MadeStudy) -> None:
    study = read_study("tiny", made.params, made.folder)
    shown = samples(study)
    assert len(shown) == 4
    for place, sample in enumerate(shown):
        assert list(sample.by_size) == list(SIZES)
        for size, text in sample.by_size.items():
            table = pd.read_parquet(made.folder / "evaluate" / size / "samples.parquet")
            row = table.iloc[place]
            assert (row["context"], row["completion"][:300]) == (sample.context, sample.real[:300])
            assert row["sample"].startswith(text.removesuffix(" ..."))


def test_long_texts_are_cut_and_blank_lines_in_a_row_are_one(made: MadeStudy, copy: Path) -> None:
    path = copy / "evaluate" / "xl" / "samples.parquet"
    table = pd.read_parquet(path)
    table["sample"] = "a\n\n \n\nb" + "c" * 400
    table.to_parquet(path)
    text = samples(read_study("tiny", made.params, copy))[0].by_size["xl"]
    assert text.startswith("a\n\nbc") and text.endswith("c ...") and len(text) == 324


def test_study_without_samples_shows_none_and_a_damaged_file_is_named(
    made: MadeStudy, copy: Path
) -> None:
    path = copy / "evaluate" / "large" / "samples.parquet"
    path.write_bytes(b"no table")
    with pytest.raises(CorruptDataError, match="no samples"):
        samples(read_study("tiny", made.params, copy))
    path.unlink()
    assert samples(read_study("tiny", made.params, copy)) == []


def test_answers_of_every_task_stand_beside_what_was_wanted(made: MadeStudy) -> None:
    shown = {group.title: group.answers for group in answer_sets(
        read_study("tiny", made.params, made.folder)
    )}  # fmt: skip
    assert len(shown) == 9  # every set that asks for an answer
    assert all(len(answers) == NUM_ANSWERS for answers in shown.values())
    coqa = shown["CoQA"]
    assert [answer.said for answer in coqa] == [f"said <{n}> by rank 3" for n in (0, 4, 8)]
    assert [answer.wanted for answer in coqa] == [f"wanted coqa {n}" for n in (0, 4, 8)]
    scores = read_scores(made.folder / "evaluate" / "xl", "coqa")
    assert [a.score for a in coqa] == [f"F1 {100 * scores['f1'][n]:.0f} %" for n in (0, 4, 8)]
    for group in ("cbt_cn", "winograd"):
        rows = read_scores(made.folder / "evaluate" / "xl", group)
        title = {"cbt_cn": "CBT-CN", "winograd": "Winograd"}[group]
        found = next(answers for name, answers in shown.items() if name.startswith(title))
        column = "correct" if group == "cbt_cn" else "correct_partial"
        for n, answer in zip((0, 4, 8), found, strict=True):
            assert (answer.said == answer.wanted) == (rows[column][n] == 1)
            assert answer.wanted == ["first", "second"][n % 2]


def test_provenance_holds_the_hashes_of_splits_training_text_and_weights(made: MadeStudy) -> None:
    study = read_study("tiny", made.params, made.folder)
    found = hashes(study).set_index("what")["sha256"]
    for split in ("train", "valid", "test"):
        manifest = (made.folder / "tokenize" / split / "_manifest.json").read_bytes()
        named = f"{split} split (its list of shards)"
        assert found[named] == hashlib.sha256(manifest).hexdigest()
    weights = [found[f"weights of {size}"] for size in SIZES]
    assert len(set(weights)) == 4
    assert found["list of the documents trained on, every size"] == "ef" * 32


def test_commit_is_that_of_the_checkout_and_tells_of_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit() == "not known: made outside a Git checkout"
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    (tmp_path / "params.yaml").write_text("a: 1\n")
    (tmp_path / "dvc.lock").write_text("a\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    assert re.fullmatch("[0-9a-f]{40}", commit())
    (tmp_path / "dvc.lock").write_text("b\n")  # as a study does while it runs
    assert re.fullmatch("[0-9a-f]{40}", commit())
    (tmp_path / "params.yaml").write_text("a: 2\n")
    assert commit().endswith(" with uncommitted changes")
