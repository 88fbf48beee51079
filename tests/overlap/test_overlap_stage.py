"""The overlap stage as DVC starts it, against counts by brute force on the texts themselves."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from dask_cluster import dask_cluster
from made_study import MadeStudy, make_study
from shipped_sizes import SIZES
from stage_runs import StageRuns, read_bytes

from pipeline.shared.scores.results import Result, read_results, write_result

Grams = list[tuple[str, ...]]


def brute_force_ngrams(text: str, length: int = 8) -> Grams:
    words = re.findall(r"[a-z0-9]+", text.lower())
    return [tuple(words[n : n + length]) for n in range(len(words) - length + 1)]


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
    runs = StageRuns("overlap", project, tmp_path_factory.mktemp("runs"), inputs)
    runs.set_params()
    return runs


@pytest.fixture(scope="module")
def out(runs: StageRuns) -> Path:
    return runs.run()


def test_a_cluster_gives_the_same_bytes(runs: StageRuns, out: Path, tmp_path: Path) -> None:
    there = StageRuns("overlap", runs.project, tmp_path / "there", runs.inputs)
    with dask_cluster(tmp_path / "cluster", workers=2) as cluster:
        there.set_params(compute={"executor": "dask", "scheduler": cluster.address})
        assert read_bytes(there.run()) == read_bytes(out)


@pytest.fixture(scope="module")
def train_ngrams(study: MadeStudy) -> set[tuple[str, ...]]:
    return {gram for document in study.train for gram in brute_force_ngrams(document.text)}


def test_table6_equals_a_count_by_brute_force(
    study: MadeStudy, out: Path, train_ngrams: set[tuple[str, ...]]
) -> None:
    table = pd.read_csv(out / "table6.csv").set_index("set")
    for name, examples in study.examples.items():
        grams = [gram for example in examples for gram in brute_force_ngrams(example.text)]
        expected = 100 * sum(gram in train_ngrams for gram in grams) / len(grams)
        assert table.loc[name, "num_ngrams"] == len(grams)
        assert table.loc[name, "webtext_train_percent"] == pytest.approx(expected)
        assert 20 < expected < 80  # half of the examples quote a training document


def test_bloom_filter_finds_what_the_exact_index_finds(out: Path) -> None:
    table = pd.read_csv(out / "table6.csv")
    pd.testing.assert_series_equal(
        table["webtext_train_bloom_percent"], table["webtext_train_percent"], check_names=False
    )


def test_own_train_text_is_counted_where_there_is_one_and_empty_elsewhere(
    study: MadeStudy, out: Path
) -> None:
    own = pd.read_csv(out / "table6.csv").set_index("set")["own_train_percent"]
    train = {gram for e in study.examples["ptb"][:3] for gram in brute_force_ngrams(e.text)}
    asked = [gram for e in study.examples["ptb"] for gram in brute_force_ngrams(e.text)]
    assert own["ptb"] == pytest.approx(100 * sum(g in train for g in asked) / len(asked))
    assert own.drop(["ptb", "mean"]).isna().all()


def test_table6_lists_the_papers_sets_first_in_its_order(out: Path) -> None:
    names = pd.read_csv(out / "table6.csv")["set"].tolist()
    papers = ["ptb", "wikitext2", "enwik8", "text8", "wikitext103", "one_billion_word"]
    assert names[:7] == [*papers, "mean"]
    assert "webtext_test" in names and "webtext_train" not in names


def test_the_mean_of_table6_counts_each_of_the_papers_sets_once(out: Path) -> None:
    table = pd.read_csv(out / "table6.csv").set_index("set")
    six = ["ptb", "wikitext2", "enwik8", "text8", "wikitext103", "one_billion_word"]
    found = [table.loc[name, "webtext_train_percent"] for name in six]
    assert table.loc["mean", "webtext_train_percent"] == pytest.approx(sum(found) / 6)
    assert table.loc["mean", "own_train_percent"] == table.loc["ptb", "own_train_percent"]


def test_each_example_has_its_overlap(
    study: MadeStudy, out: Path, train_ngrams: set[tuple[str, ...]]
) -> None:
    frame = pd.read_parquet(out / "examples" / "lambada.parquet").set_index("id")
    for example in study.examples["lambada"]:
        grams = brute_force_ngrams(example.text)
        shared = sum(gram in train_ngrams for gram in grams)
        assert frame.loc[example.id, "num_overlapping"] == shared
        assert frame.loc[example.id, "overlap_percent"] == pytest.approx(100 * shared / len(grams))


def test_only_the_train_split_counts_as_training_text(out: Path) -> None:
    # The test split's documents share nothing with the train split's, but lie in the same folder.
    assert (
        pd.read_parquet(out / "examples" / "webtext_test.parquet")["num_overlapping"] == 0
    ).all()


def test_clean_subset_scores_all_examples_as_evaluate_did(study: MadeStudy, out: Path) -> None:
    table = pd.read_csv(out / "clean_subset.csv").set_index(["size", "set", "metric"])
    for size in SIZES:
        for name, result in read_results(study.folder / "evaluate" / size).items():
            if name == "webtext_train":
                continue
            for metric, value in result.metrics.items():
                by_byte = (name, metric) == ("webtext_test", "bits_per_byte")  # Figure 4's alone
                if not by_byte and not metric.startswith(("no_hint", "lede3", "random3")):
                    assert table.loc[(size, name, metric), "all"] == pytest.approx(value)
    assert json.loads((out / "metrics.json").read_text())["metrics_without_per_example_form"] == 0


def test_clean_subset_leaves_out_every_example_that_shares_an_8_gram(
    study: MadeStudy, out: Path, train_ngrams: set[tuple[str, ...]]
) -> None:
    table = pd.read_csv(out / "clean_subset.csv").set_index(["size", "set", "metric"])
    scores = pd.read_parquet(study.folder / "evaluate" / "xl" / "cbt_cn.examples.parquet")
    clean = [
        example.id
        for example in study.examples["cbt_cn"]
        if not train_ngrams & set(brute_force_ngrams(example.text))
    ]
    row = table.loc[("xl", "cbt_cn", "accuracy")]
    assert 0 < len(clean) < len(scores)
    assert (row["num_all"], row["num_clean"]) == (len(scores), len(clean))
    assert row["clean"] == pytest.approx(scores[scores["id"].isin(clean)]["correct"].mean())


def test_figure5_is_a_distribution_of_each_completions_overlap(
    study: MadeStudy, out: Path, train_ngrams: set[tuple[str, ...]]
) -> None:
    curve = pd.read_csv(out / "figure5.csv", keep_default_na=False)
    assert set(curve["kind"]) == {"real", "sample"}
    samples = pd.read_parquet(study.folder / "evaluate" / "small" / "samples.parquet")["sample"]
    percents = []
    for text in samples:
        grams = brute_force_ngrams(text)
        percents.append(100 * sum(gram in train_ngrams for gram in grams) / len(grams))
    small = curve[curve["size"] == "small"]
    assert len(set(percents)) > 1
    for row in small.itertuples():
        fraction = sum(p <= row.overlap_percent + 1e-9 for p in percents) / len(percents)
        assert row.cumulative_fraction == pytest.approx(fraction)
    last = curve.groupby(["kind", "size"])["cumulative_fraction"].max()
    assert (last == 1).all() and len(last) == 1 + len(SIZES)


def test_metrics_tell_the_filters_size_bound_and_measured_false_positives(
    out: Path, train_ngrams: set[tuple[str, ...]]
) -> None:
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["train_ngrams_distinct"] == len(train_ngrams)
    assert metrics["bloom_bound"] == 1e-8 >= metrics["bloom_false_positive_rate"] > 0
    assert metrics["bloom_random_strings"] == 1_000_000
    assert metrics["bloom_random_strings_found"] == 0
    assert metrics["bloom_probes"] == 27


def test_text_shorter_than_an_8_gram_counts_as_one_item_and_not_in_table6(
    study: MadeStudy, out: Path
) -> None:
    short, absent = study.examples["natural_questions"][:2]
    assert len(short.text.split()) == len(absent.text.split()) == 5
    frame = pd.read_parquet(out / "examples" / "natural_questions.parquet").set_index("id")
    assert frame.loc[short.id, ["num_ngrams", "num_overlapping"]].tolist() == [1, 1]
    assert frame.loc[absent.id, ["num_ngrams", "num_overlapping"]].tolist() == [1, 0]
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["shorter_than_an_ngram"]["natural_questions"] == 2


def _has(file: str, work: Path) -> bool:
    return (work / file).exists()


def test_killed_and_started_again_it_ends_with_the_same_bytes(runs: StageRuns, out: Path) -> None:
    whole = read_bytes(out)
    shutil.rmtree(runs.folder / "work")
    for written in (
        "train_ngrams/00000.json",
        "ranges/00000.json",
        "out/table6.csv",
    ):  # the second goes on from the first
        runs.kill_when(partial(_has, written), "killed")
    assert read_bytes(runs.run("killed")) == whole


def test_samples_of_other_contexts_are_refused(study: MadeStudy, runs: StageRuns) -> None:
    path = study.folder / "evaluate" / "large" / "samples.parquet"
    kept = path.read_bytes()
    pd.read_parquet(path).iloc[::-1].to_parquet(path, index=False)
    try:
        run = runs.fail()
    finally:
        path.write_bytes(kept)
    assert "contexts are not those of small; run dvc repro evaluate@large" in run.stderr


def test_a_study_that_left_out_its_test_split_has_all_the_rest(
    study: MadeStudy, runs: StageRuns, out: Path, tmp_path: Path
) -> None:
    results = Path(shutil.copytree(study.folder / "evaluate", tmp_path / "evaluate"))
    for size in SIZES:
        (results / size / "webtext_test.examples.parquet").unlink()
        write_result(results / size, Result(set="webtext_test", not_run="left out"))
    without = StageRuns(
        "overlap", runs.project, tmp_path / "runs", {**runs.inputs, "results": results}
    )
    without.set_params()
    left = without.run()
    for name in ("table6", "clean_subset", "highest_overlap"):
        whole = pd.read_csv(out / f"{name}.csv")
        rest = whole[whole["set"] != "webtext_test"].reset_index(drop=True)
        pd.testing.assert_frame_equal(pd.read_csv(left / f"{name}.csv"), rest)
    assert (left / "figure5.csv").read_bytes() == (out / "figure5.csv").read_bytes()
    counts = [
        json.loads((folder / "metrics.json").read_text())["test_documents"]
        for folder in (out, left)
    ]
    assert counts == [len(study.test), 0]
