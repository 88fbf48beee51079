"""The page itself: self-contained, accessible, honest about samples and about what is missing."""

from __future__ import annotations

import base64
import math
import os
import re
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from made_study import MadeStudy
from report_page import Page

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.report.beside_the_paper import (
    PAPER_TABLE6,
    comparison,
    published_baselines,
    table6_comparison,
)
from pipeline.report.figure4 import read_figure4
from pipeline.report.page import render
from pipeline.report.run import draw_all
from pipeline.report.study import Study, read_study
from pipeline.report.tables import TABLE3, all_tables, factor
from pipeline.shared.files import read_json, write_json
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.scores.results import Result, read_result, write_result


@pytest.fixture(scope="module")
def html(out: Path) -> str:
    return (out / "index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_page_asks_no_other_host_for_anything(html: str, page: Page) -> None:
    for tag, name, value in page.attributes:
        if name in {"src", "href", "xlink:href", "srcset", "data", "action"}:
            assert value.startswith(("#", "data:text/csv;base64,")), (tag, name, value[:60])
    assert "<script" not in html and "@import" not in html
    styles = re.findall(r"url\(([^)]*)\)", html)
    assert all(style.startswith("#") for style in styles)


def test_every_figure_is_described_with_its_numbers(out: Path, page: Page) -> None:
    assert len(page.svg_labels) == 2 * 9 and all(page.svg_labels)  # broad and narrow
    first = str(page.svg_labels[0])
    test = pd.read_csv(out / "figure4.csv")["test_perplexity"]
    assert all(f"{value:,.1f}"[:4] in first for value in test)


def test_ids_are_unique_and_every_link_inside_the_page_leads_somewhere(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    links = {
        value[1:]
        for _, name, value in page.attributes
        if name in {"href", "xlink:href", "aria-labelledby"} and value.startswith("#")
    }
    assert links <= set(page.ids)


def test_headings_descend_one_level_at_a_time(page: Page) -> None:
    assert page.headings[0] == "h1" and page.headings.count("h1") == 1
    levels = [int(heading[1]) for heading in page.headings]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_downloads_hold_the_files_bytes(out: Path, page: Page) -> None:
    uris = [value for tag, name, value in page.attributes if name == "href" and "csv" in value]
    names = [value for tag, name, value in page.attributes if name == "download"]
    assert "figure4.csv" in names
    for name, uri in zip(names, uris, strict=True):
        assert base64.b64decode(uri.partition(",")[2]) == (out / name).read_bytes()


def test_study_of_the_sample_web_says_so_and_shows_no_number_of_the_paper(page: Page) -> None:
    said = page.said()
    assert "A study of the sample web." in said and "made from the documentation" in said
    assert "Beside the paper" not in said
    papers = {
        f"{factor(metric) * n:.2f}"  # as the page would print it
        for eval_set in EVAL_SETS.values()
        for metric, numbers in eval_set.paper.items()
        for n in numbers.values()
    }
    shown = set(re.findall(r"(?<![\d.,])\d+\.\d\d(?![\d])", said))
    # Made scores may hit a few of the paper's numbers by chance; a table of the paper has dozens.
    assert len(papers & shown) < len(papers) / 6


def test_text_of_a_model_is_escaped(html: str) -> None:
    assert "author &lt;" in html and "author <" not in html


def test_page_says_gap_slopes_verdict_commit_and_what_the_models_wrote(
    made: MadeStudy, out: Path, page: Page
) -> None:
    said = page.said()
    figure4 = read_figure4(read_study("tiny", made.params, made.folder))
    assert figure4.verdict.sentence in said
    assert all(reason in said for reason in figure4.verdict.reasons)
    for row in pd.read_csv(out / "figure4.csv").to_dict("records"):
        assert f"{row['gap_nats']:+.3f}" in said
        assert f"{row['gap_bits_per_byte']:+.3f}" in said
        assert f"{row['train_bits_per_byte']:.3f}" in said
        assert f"{row['non_embedding_parameters']:,}" in said
        assert f"{row['tokens_per_parameter']:.1f}" in said
    for slope in figure4.law.slopes["test"].values():
        assert f"{slope.value:+.3f} ({slope.low:+.3f} to {slope.high:+.3f})" in said
    assert "python -m pipeline.compare" in said and "predict nothing" in said
    assert re.search(r"Git commit [0-9a-f]{40}|Git commit not known", said)
    assert "said <0> by rank 3" in said and "word3x1x0" in said


def test_every_set_that_was_not_run_shows_its_reason_and_no_zero(
    made: MadeStudy, copy: Path, tmp_path: Path
) -> None:
    for size in ("small", "medium", "large", "xl"):
        (copy / "evaluate" / size / "ptb.examples.parquet").unlink()
        result = Result(set="ptb", not_run="ptb.test.txt is <not> in data/published")
        write_result(copy / "evaluate" / size, result)
    study = read_study("tiny", made.params, copy)
    draw_all(study, read_figure4(study), tmp_path)
    html = _render(study, tmp_path)
    tables = all_tables(study)
    assert tables["table3"]["ptb_perplexity"].isna().all()
    assert all("ptb.test.txt is <not> in" in reason for reason in tables["table3"]["not_run"])
    said = Page(html).said()
    assert "Not run" in said and "ptb.test.txt is <not> in data/published" in said
    # In Table 3, and in Table 3 with intervals.
    assert len(re.findall(r'title="not run: ptb.test.txt is &lt;not&gt;', html)) == 2 * 4


def test_size_without_perplexity_is_left_out_of_figure_4_and_named(
    made: MadeStudy, copy: Path, out: Path
) -> None:
    (copy / "evaluate" / "large" / "webtext_test.json").unlink()
    study = read_study("tiny", made.params, copy)
    figure4 = read_figure4(study)
    table = figure4.table
    assert table.set_index("size")["test_perplexity"].isna().tolist() == [False, False, True, False]
    assert table.set_index("size")["gap_nats"].isna().tolist() == [False, False, True, False]
    assert "on test it was not measured for large" in figure4.finding.sentence
    assert len(figure4.steps) == 4
    assert figure4.verdict.kind == "open"
    assert "run dvc repro evaluate@large" in _render(study, out)


def test_sentences_and_tables_call_sizes_what_the_figures_call_them(
    made: MadeStudy, copy: Path, out: Path
) -> None:
    for split in ("train", "test"):  # so that the lead names a step
        scores = copy / "evaluate" / "large" / f"webtext_{split}.json"
        result = read_result(scores)
        harder = result.metrics | {"perplexity": 1e6}
        write_json(scores, result.model_copy(update={"metrics": harder}).model_dump(mode="json"))
    said = Page(_render(read_study("paper", published(made.params), copy), out)).said()
    assert "on test it does not from 345M to 762M" in said
    assert "For 1542M it is" in said and "Nothing larger than 1542M" in said
    shown = said.partition("All parameters of the study")[0]
    named = re.findall(r"(?<!@)\b(?:small|medium|xl)\b", shown)
    assert named == ["small", "medium", "xl"]  # Table 2 tells what params.yaml calls each


def published(params: ProfileParams) -> ProfileParams:
    """The same parameters, but with evaluation sets that are the published ones."""
    eval_sets = params.eval_sets.model_copy(update={"source": "folder"})
    models = {
        size: model.model_copy(update={"label": label})
        for (size, model), label in zip(
            params.models.items(), ("117M", "345M", "762M", "1542M"), strict=True
        )
    }
    return params.model_copy(update={"eval_sets": eval_sets, "models": models})


def test_published_sets_stand_beside_the_papers_numbers_with_differences(
    made: MadeStudy, copy: Path, out: Path
) -> None:
    metrics = read_json(copy / "eval_sets" / "metrics.json")
    metrics["sets"]["cnn_dm"]["sources"]["test"]["note"] = "the first 500 of 11,490 articles"
    write_json(copy / "eval_sets" / "metrics.json", metrics)
    study = read_study("paper", published(made.params), copy)
    table = comparison(study)
    assert table is not None
    row = table[(table["set"] == "WikiText2") & (table["label"] == "117M")].iloc[0]
    assert row["paper"] == 29.41
    assert row["difference"] == pytest.approx(row["ours"] - 29.41)
    departing = table[table["set"] == "CNN and Daily Mail"]
    assert departing["difference"].isna().all() and (departing["paper"] > 0).all()
    assert set(departing["remark"]) == {"the first 500 of 11,490 articles"}
    said = Page(_render(study, out)).said()
    assert "sample web" not in said and "29.41" in said and f"{PAPER_TABLE6['ptb'][0]}" in said


def test_what_is_not_the_papers_is_said_beside_the_difference_by_who_knows_it(
    made: MadeStudy, copy: Path, out: Path
) -> None:
    metrics = read_json(copy / "eval_sets" / "metrics.json")
    metrics["sets"]["ptb"]["train_departures"] = ["the first 9 bytes of its own train text"]
    metrics["sets"]["cbt_cn"]["departures"] = ["200 of its 2,000 examples"]
    write_json(copy / "eval_sets" / "metrics.json", metrics)
    dedup = read_json(copy / "dedup" / "metrics.json")
    write_json(copy / "dedup" / "metrics.json", dedup | {"departures": ["a corpus cut short"]})
    result = read_result(copy / "evaluate" / "xl" / "cbt_cn.json")
    protocol = {"departures": ["200 of its 2,000 examples", "a context of 128 tokens"]}
    changed = result.model_copy(update={"protocol": protocol})
    write_json(copy / "evaluate" / "xl" / "cbt_cn.json", changed.model_dump(mode="json"))
    study = read_study("paper", published(made.params), copy)
    table = comparison(study)
    assert table is not None
    row = table[(table["set"] == "CBT-CN") & (table["label"] == "1542M")].iloc[0]
    assert row["difference"] == pytest.approx(row["ours"] - 0.9330)
    parts = "200 of its 2,000 examples; a context of 128 tokens; a corpus cut short"
    assert row["remark"] == parts
    assert published_baselines(study, "cbt_cn", "accuracy") == {}
    assert published_baselines(study, "cbt_ne", "accuracy")["state of the art"] == 0.823
    whole = read_result(copy / "evaluate" / "xl" / "cbt_ne.json")
    sample = whole.model_copy(update={"num_examples": whole.num_examples - 1})
    write_json(copy / "evaluate" / "xl" / "cbt_ne.json", sample.model_dump(mode="json"))
    sampled = read_study("paper", published(made.params), copy)
    assert published_baselines(sampled, "cbt_ne", "accuracy") == {}
    said = Page(_render(study, out)).said()
    assert parts in said
    assert "the first 9 bytes of its own train text; a corpus cut short" in said


def test_means_of_table6_are_over_the_sets_that_both_have(made: MadeStudy) -> None:
    study = read_study("paper", published(made.params), made.folder)
    table = table6_comparison(study)
    assert table is not None
    mean, sets = table.iloc[-1], table.iloc[:-1]
    for name, number in (("own_train_percent", 0), ("webtext_train_percent", 1)):
        pairs = [
            (ours, paper[number])
            for ours, paper in zip(sets[name], PAPER_TABLE6.values(), strict=True)
            if not math.isnan(ours)
        ]
        assert mean[name] == pytest.approx(sum(a for a, _ in pairs) / len(pairs))
        assert mean[f"paper_{name}"] == pytest.approx(sum(b for _, b in pairs) / len(pairs))
    assert sets["own_train_percent"].isna().sum() == 5
    assert "own train text: of 1 of the 6 sets, the paper's too" in mean["remark"]


def test_metric_without_signal_says_so_and_shows_no_zero(
    made: MadeStudy, copy: Path, tmp_path: Path
) -> None:
    for size in ("small", "medium"):
        result = read_result(copy / "evaluate" / size / "coqa.json")
        silent = result.model_copy(
            update={"metrics": {}, "intervals": {}, "no_signal": {"f1": "every answer is empty"}}
        )
        write_json(copy / "evaluate" / size / "coqa.json", silent.model_dump(mode="json"))
    study = read_study("tiny", made.params, copy)
    draw_all(study, read_figure4(study), tmp_path)
    html = _render(study, tmp_path)
    tables = all_tables(study)
    assert tables["tasks"].set_index("size")["coqa_f1"].isna().tolist() == [
        True,
        True,
        False,
        False,
    ]
    assert html.count('title="no signal at this size: every answer is empty"') == 2
    reasons = tables["scores"].set_index(["size", "set", "metric"])["not_run"]
    assert reasons["small", "coqa", "f1"] == "no signal at this size: every answer is empty"
    assert "no signal" in (tmp_path / "figure1.svg").read_text()


def test_table3_opens_with_the_interval_of_every_number(out: Path, page: Page) -> None:
    said = page.said()
    assert "Table 3 with 95 % intervals" in said
    scores = pd.read_csv(out / "scores.csv").set_index(["size", "set", "metric"])
    shown = 0
    for column in TABLE3:
        row = scores.loc["medium", column.set, column.metric]
        if not math.isnan(row["low"]):
            low, high = (f"{factor(column.metric) * row[end]:,.2f}" for end in ("low", "high"))
            assert f"{low} to {high}" in said
            shown += 1
    assert shown > 5


def test_loss_is_drawn_against_the_flops_that_the_training_took(
    made: MadeStudy, page: Page
) -> None:
    (said,) = {label for label in page.svg_labels if label and "training operations" in label}
    for size, count in made.num_parameters.items():  # 6 FLOPs a parameter and token there
        assert f"for {6 * count * 1_500_000:.2e} FLOPs" in said, size


def test_page_tells_day_machine_and_what_the_trainings_ran_on(page: Page) -> None:
    said = page.said()
    assert re.search(r"made on 20\d\d-\d\d-\d\d \(UTC\)", said)
    assert f"{os.cpu_count()} cores" in said
    assert re.search(r"float32 on 1 \w+; a matrix product reached 0\.3 TFLOP/s there once", said)
    assert "the model had used 25 % of that" in said


def test_calibration_is_a_table_and_a_figure_of_the_surest_answers(out: Path) -> None:
    table = pd.read_csv(out / "calibration.csv")
    assert table.groupby("size")["num_answers"].sum().eq(12).all()
    assert (out / "calibration.png").is_file() and (out / "calibration.svg").is_file()


def test_table3_has_a_column_for_each_of_the_papers(out: Path) -> None:
    columns = pd.read_csv(out / "table3.csv").columns.tolist()
    assert columns == ["size", "parameters", *(column.name for column in TABLE3), "not_run"]


def _render(study: Study, figures: Path) -> str:
    """The page with the figures of a folder; those of another study will do where none is read."""
    figure4 = read_figure4(study)
    tables = {"figure4": figure4.table, **all_tables(study)}
    if (beside_the_paper := comparison(study)) is not None:
        tables["comparison"] = beside_the_paper
    return render(study, tables, figure4, figures)
