"""Results kept in Git: small, without texts, and told by docs/results.md as they are."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.shared.params.yaml_file import load_yaml

SIZES = ["small", "medium", "large", "xl"]


@pytest.fixture(params=["2026-11-26-h200"])
def results(request: pytest.FixtureRequest, project: Path) -> Path:
    """A folder of results."""
    return project / "results" / request.param


@pytest.fixture(scope="module")
def told(project: Path) -> str:
    """What docs/results.md says, its lines joined."""
    return " ".join((project / "docs" / "results.md").read_text().split())


@pytest.fixture(scope="module")
def losses(project: Path) -> pd.DataFrame:
    """Nats by document, or part of a set, and size."""
    path = project / "results" / "2026-11-26-h200" / "losses.csv"
    return pd.read_csv(path, keep_default_na=False)


def test_results_are_small_and_hold_neither_weights_nor_texts(results: Path) -> None:
    files = [path for path in results.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".csv", ".json", ".md", ".png", ".svg", ".yaml"}
    assert sum(path.stat().st_size for path in files) < 3 * 2**20
    texts = {"text", "span", "question", "answer", "sample", "completion", "document"}
    for path in results.rglob("*.csv"):
        assert not texts & set(pd.read_csv(path, nrows=1).columns), path


def test_every_size_was_trained_at_the_best_rate_that_was_trained_to_the_end(
    results: Path,
) -> None:
    table = pd.read_csv(results / "table2.csv").set_index("size")
    # As it was then: the parameters of today have other keys.
    params = load_yaml(results / "params.yaml")["profiles"]["single_gpu"]
    for size in SIZES:
        sweep = pd.read_csv(results / "sweeps" / f"{size}.csv")
        whole = sweep[sweep.tokens == params["train"]["tokens"]]
        best = whole.loc[whole.valid_loss.idxmin()]
        assert best.learning_rate == table.loc[size, "learning_rate"]
        shape = params["models"][size]
        assert (shape["n_layer"], shape["n_embd"]) == tuple(table.loc[size, ["layers", "width"]])


def test_the_tables_are_the_perplexities_of_the_losses(results: Path, losses: pd.DataFrame) -> None:
    sums = losses.groupby("set")[["units", *SIZES]].sum()
    figure4 = pd.read_csv(results / "figure4.csv").set_index("size")
    table3 = pd.read_csv(results / "table3.csv").set_index("size")
    for size in SIZES:
        of_size = np.exp(sums[size] / sums.units)
        for split in ("train", "test"):
            expected = of_size[f"webtext_{split}"]
            assert figure4.loc[size, f"{split}_perplexity"] == pytest.approx(expected, rel=1e-5)
        for name in ("lambada", "wikitext2", "ptb", "wikitext103", "one_billion_word"):
            assert table3.loc[size, f"{name}_perplexity"] == pytest.approx(of_size[name], rel=1e-4)
        bits = math.log(of_size["enwik8"]) / math.log(2)
        assert table3.loc[size, "enwik8_bits_per_byte"] == pytest.approx(bits, rel=1e-4)


def test_how_much_of_the_held_out_text_is_one_document_is_told(project: Path, told: str) -> None:
    table = pd.read_csv(project / "results" / "2026-11-26-h200" / "held_out_text.csv")
    tokens = table.tokens.sum()
    assert f"{table.largest_document.max() / tokens:.0%}".replace("%", " %") in told
    assert f"{table.tokens.max() / tokens:.0%} are from that".replace("%", " %") in told


@pytest.mark.parametrize("count", ["parameters", "non_embedding_parameters"])
def test_the_slopes_that_are_told_are_least_squares_of_figure_4(
    project: Path, told: str, count: str
) -> None:
    table = pd.read_csv(project / "results" / "2026-11-26-h200" / "figure4.csv")
    slope = np.polyfit(np.log(table[count]), np.log(table["test_perplexity"]), 1)[0]
    assert f"{slope:.3f}" in told


def test_the_gap_within_sources_is_told_as_it_is(losses: pd.DataFrame, told: str) -> None:
    gaps = [_gap_within_sources(losses, size) for size in SIZES]
    assert f"{min(gaps):.2f} to {max(gaps):.2f} nats" in told


def _gap_within_sources(losses: pd.DataFrame, size: str) -> float:
    """Test minus train loss of a source, sources weighted by their share of both splits' tokens."""
    by_split = [
        losses[losses["set"] == name].groupby("source")[["units", size]].sum()
        for name in ("webtext_train", "webtext_test")
    ]
    both = by_split[0].index.intersection(by_split[1].index)
    train, test = (sums.loc[both] for sums in by_split)
    weight = train.units / train.units.sum() + test.units / test.units.sum()
    difference = test[size] / test.units - train[size] / train.units
    return float((weight * difference).sum() / weight.sum())


def test_the_steps_of_the_zero_shot_sets_are_told_as_they_are(
    losses: pd.DataFrame, told: str
) -> None:
    sums = losses.groupby("set")[["units", *SIZES]].sum()
    for name in ("lambada", "wikitext2", "ptb", "wikitext103", "one_billion_word"):
        row = sums.loc[name]
        for smaller, larger in pairwise(SIZES):
            fall = (row[smaller] - row[larger]) / row["units"]
            assert f"{-fall:+.3f}" in told, (name, smaller, larger)
