"""What the page says of memory, recomputed from the overlap stage's tables."""

from __future__ import annotations

import csv
from dataclasses import replace

import pandas as pd
import pytest
from made_study import MadeStudy

from pipeline.report.beside_the_paper import PAPER_TABLE6
from pipeline.report.memory import (
    clean_to_read,
    copied,
    copied_to_read,
    domains_size,
    domains_to_read,
    highest_to_read,
    table6_means,
    too_short_to_read,
)
from pipeline.report.study import Study, read_study


@pytest.fixture(scope="module")
def study(made: MadeStudy) -> Study:
    return read_study("tiny", made.params, made.folder)


def test_copied_passages_are_summed_up_by_size(study: Study, made: MadeStudy) -> None:
    with (made.folder / "overlap" / "copied_spans.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["size"] == "small"]
    lengths = sorted(int(row["words"] or 0) for row in rows)
    table = copied(study)
    row = table[table["size"] == "small"].iloc[0]
    assert row["texts"] == len(rows)
    assert row["longest_words"] == lengths[-1]
    assert len(row["span"].split()) == lengths[-1]
    assert row["with_span_percent"] == pytest.approx(
        100 * sum(length > 0 for length in lengths) / len(lengths)
    )
    read = copied_to_read(study, table)
    assert read["text"].tolist()[:2] == ["real completions", "samples of small"]
    expected = lengths[(len(lengths) + 1) // 2 - 1]
    assert read["median_words"].iloc[1] == (f"{expected:,}" if expected else "under 8")


def test_each_set_shows_the_example_that_overlaps_most(study: Study) -> None:
    every = study.overlap["highest_overlap"]
    read = highest_to_read(study)
    assert len(read) == every["set"].nunique()
    assert (
        read["percent"].tolist()
        == every.groupby("set", sort=False)["overlap_percent"].max().tolist()
    )


def test_the_mean_says_over_how_many_sets_it_is(study: Study) -> None:
    assert table6_means(study) == {"sets": len(PAPER_TABLE6), "own": 1}


def test_domains_are_those_of_the_largest_size_in_percent(study: Study) -> None:
    every = study.overlap["coqa_domains"]
    read = domains_to_read(study)
    last = every[every["size"] == "xl"]
    assert read["domain"].tolist() == last["domain"].tolist()
    shown = read["f1_held"].dropna().tolist()
    assert shown == [round(100 * value, 1) for value in last["f1_held"].dropna()]


def test_domains_are_those_of_the_largest_size_that_has_them(study: Study) -> None:
    every = study.overlap["coqa_domains"]
    fewer = dict(study.overlap, coqa_domains=every[every["size"] != "xl"])
    without = replace(study, overlap=fewer)
    assert domains_size(study) == "xl" and domains_size(without) == "large"
    wanted = every[every["size"] == "large"]["num_questions"].tolist()
    assert domains_to_read(without)["num_questions"].tolist() == wanted
    assert domains_size(replace(study, overlap=dict(fewer, coqa_domains=every[:0]))) == ""


def test_completions_without_an_ngram_are_counted_on_the_page(study: Study) -> None:
    overlap = dict(study.stages["overlap"])
    overlap["completions_shorter_than_an_ngram"] = {"sample_xl": 1200, "real": 2}
    changed = replace(study, stages=dict(study.stages, overlap=overlap))
    told = too_short_to_read(changed)
    assert told == [f"1,200 samples of {study.label('xl')}", "2 real completions"]


def test_differences_are_shown_to_three_digits_and_scores_as_they_are(study: Study) -> None:
    every, read = study.overlap["clean_subset"], clean_to_read(study)
    pd.testing.assert_series_equal(read["all"], every["all"])
    assert read["difference"].dropna().tolist() == [
        float(f"{value:.3g}") for value in every["difference"].dropna()
    ]
