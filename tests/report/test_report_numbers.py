"""What the report computes itself: findings, steps, funnel, ticks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_study import MadeStudy
from shipped_sizes import SIZES

from pipeline.report.chain import costs, funnel
from pipeline.report.figure4 import find, read_figure4
from pipeline.report.study import Study, read_study
from pipeline.report.style import nice_ticks
from pipeline.shared.files import read_json, write_json


@pytest.fixture(scope="module")
def study(made: MadeStudy) -> Study:
    return read_study("tiny", made.params, made.folder)


def test_step_ratio_is_the_ratio_of_the_two_perplexities(study: Study) -> None:
    figure4 = read_figure4(study)
    table, steps = figure4.table.set_index("size"), figure4.steps
    assert len(steps) == 6
    for step in steps:
        column = table[f"{step.split}_perplexity"]
        assert step.ratio == pytest.approx(column[step.smaller] / column[step.larger])
        assert step.low <= step.ratio <= step.high


def test_sizes_are_compared_on_the_same_documents_so_that_steps_are_sharp(study: Study) -> None:
    generator = np.random.default_rng(5)
    logs = []  # of perplexity, on draws of documents made for each size by itself
    for size in ("small", "medium"):
        scores = study.artefacts.scores(size, "webtext_train")
        draws = generator.multinomial(len(scores), np.full(len(scores), 1 / len(scores)), 2000)
        logs.append((draws @ scores["loss_nats"]) / (draws @ scores["num_units"]))
    low, high = np.percentile(np.exp(logs[0] - logs[1]), [2.5, 97.5])
    step = next(s for s in read_figure4(study).steps if (s.split, s.smaller) == ("train", "small"))
    assert low < step.ratio < high
    assert step.high - step.low < 0.8 * (high - low)


def test_rise_is_named_with_its_split_and_step() -> None:
    table = pd.DataFrame({
        "size": list(SIZES),
        "parameters": [1, 10, 100, 1000],
        "train_perplexity": [40.0, 30.0, 20.0, 10.0],
        "test_perplexity": [40.0, 41.0, 20.0, 21.0],
    })
    finding = find(table, {size: size for size in SIZES})
    assert finding.falls == {"train": True, "test": False}
    assert "on test it does not from small to medium nor from large to xl" in finding.sentence


def test_one_size_is_said_to_show_no_step(study: Study) -> None:
    table = read_figure4(study).table.iloc[:1]
    finding = find(table, {"small": "117M"})
    assert finding.falls == {"train": None, "test": None}
    assert np.isnan([*finding.ratio.values()]).all()
    train, test = table.iloc[0][["train_perplexity", "test_perplexity"]]
    assert finding.sentence == (
        f"Perplexity of 117M alone: {train:.1f} on train, {test:.1f} on test; whether it falls "
        "takes a second size to say."
    )


def test_drops_of_every_funnel_step_add_up(study: Study) -> None:
    steps = funnel(study)
    assert [step.name for step in steps] == [
        *("Links of submissions", "Pages fetched", "Main text extracted", "De-duplicated")
    ]
    for step in steps:
        assert step.kept + sum(drop.num_items for drop in step.drops) == step.came_in, step.name
    assert [step.kept for step in steps] == [3199, 3141, 3127, 2813]


def test_evaluation_overlap_that_is_only_reported_is_no_drop(made: MadeStudy, copy: Path) -> None:
    path = copy / "dedup" / "metrics.json"
    metrics = read_json(path) | {"eval_mode": "report"}
    metrics["kept"]["documents"] += 110
    write_json(path, metrics)
    step = funnel(read_study("tiny", made.params, copy))[-1]
    assert "eval_overlap" not in {drop.reason for drop in step.drops}
    assert step.kept + sum(drop.num_items for drop in step.drops) == step.came_in


def test_ready_corpus_has_a_funnel_of_its_own(made: MadeStudy, copy: Path) -> None:
    for stage, key in (("links", "links"), ("crawl", "fetch"), ("extract", "extract")):
        path = copy / stage / "metrics.json"
        write_json(path, {k: v for k, v in read_json(path).items() if k != key})
    corpus = {"files": 1, "documents": 90, "by_reason": {"document": 90, "too_short": 10}}
    write_json(path, read_json(path) | {"corpus": corpus})
    step = funnel(read_study("single_gpu", made.params, copy))[0]
    assert (step.name, step.came_in, step.kept) == ("Corpus read", 100, 90)


def test_costs_cover_every_stage_in_order(study: Study) -> None:
    stages = [cost.stage for cost in costs(study)]
    plain = ["sample_web", "eval_sets", "links", "crawl", "extract", "dedup", "tokenize"]
    assert stages[: len(plain)] == plain
    assert stages[-1] == "overlap" and len(stages) == len(plain) + 3 * len(SIZES) + 1


@pytest.mark.parametrize(("low", "high"), [(9.4, 10.9), (60, 400), (3, 90_000), (1.01, 1.4)])
def test_log_axis_has_a_few_round_ticks_in_every_range(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert all(low <= tick <= high for tick in ticks)
    assert ticks == sorted(ticks)
