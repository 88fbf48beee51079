"""The page itself: self-contained, accessible, honest about samples and about what is missing."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from made_study import MadeStudy

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.files import read_json, write_json
from pipeline.params import ProfileParams
from pipeline.report.compare import PAPER_TABLE6, comparison
from pipeline.report.figure4 import compare_steps, figure4_table, find
from pipeline.report.page import render
from pipeline.report.run import draw_all
from pipeline.report.study import Study, read_study
from pipeline.report.tables import TABLE3, all_tables, factor
from pipeline.results import Result, write_result

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """Ids, links and attributes of a page; fails on tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.svg_labels: list[str | None] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.headings: list[str] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what the tag says."""
        values = dict(attrs)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if "id" in values:
            self.ids.append(str(values["id"]))
        if tag == "svg":
            self.svg_labels.append(values.get("aria-label"))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """`<path id="..."/>` and the like."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Check that it closes the last open tag."""
        assert self.open and self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        """Keep what a reader reads."""
        if not {"style", "svg"} & set(self.open):
            self.text.append(data)

    def said(self) -> str:
        """The page's text on one line."""
        return " ".join(" ".join(self.text).split())


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
    assert len(page.svg_labels) == 7 and all(page.svg_labels)
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
    # A made score may hit one of the paper's sixty numbers, but not three.
    assert len(papers & shown) <= 2


def test_text_of_a_model_is_escaped(html: str) -> None:
    assert "author &lt;" in html and "author <" not in html


def test_every_set_that_was_not_run_shows_its_reason_and_no_zero(
    made: MadeStudy, copy: Path, tmp_path: Path
) -> None:
    for size in ("small", "medium", "large", "xl"):
        (copy / "evaluate" / size / "ptb.examples.parquet").unlink()
        result = Result(set="ptb", not_run="ptb.test.txt is <not> in data/published")
        write_result(copy / "evaluate" / size, result)
    study = read_study("tiny", made.params, copy)
    draw_all(study, figure4_table(study), tmp_path)
    html = _render(study, tmp_path)
    tables = all_tables(study)
    assert tables["table3"]["ptb_perplexity"].isna().all()
    assert all("ptb.test.txt is <not> in" in reason for reason in tables["table3"]["not_run"])
    said = Page(html).said()
    assert "Not run" in said and "ptb.test.txt is <not> in data/published" in said
    assert len(re.findall(r'title="not run: ptb.test.txt is &lt;not&gt;', html)) == 4


def test_size_without_perplexity_is_left_out_of_figure_4_and_named(
    made: MadeStudy, copy: Path, out: Path
) -> None:
    (copy / "evaluate" / "large" / "webtext_test.json").unlink()
    study = read_study("tiny", made.params, copy)
    table = figure4_table(study)
    assert table.set_index("size")["test_perplexity"].isna().tolist() == [False, False, True, False]
    assert "on test it was not measured for large" in find(table).sentence
    assert len(compare_steps(study)) == 4
    assert "run dvc repro evaluate@large" in _render(study, out)


def published(params: ProfileParams) -> ProfileParams:
    """The same parameters, but with evaluation sets that are the published ones."""
    eval_sets = params.eval_sets.model_copy(update={"source": "folder"})
    models = {
        size: params.models.of(size).model_copy(update={"label": label})
        for size, label in zip(
            ("small", "medium", "large", "xl"), ("117M", "345M", "762M", "1542M"), strict=True
        )
    }
    return params.model_copy(
        update={"eval_sets": eval_sets, "models": params.models.model_copy(update=models)}
    )


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


def test_table3_has_a_column_for_each_of_the_papers(out: Path) -> None:
    columns = pd.read_csv(out / "table3.csv").columns.tolist()
    assert columns == ["size", "parameters", *(column.name for column in TABLE3), "not_run"]


def _render(study: Study, figures: Path) -> str:
    """The page with the figures of a folder; those of another study will do where none is read."""
    table = figure4_table(study)
    tables = {"figure4": table, **all_tables(study)}
    if (beside_the_paper := comparison(study)) is not None:
        tables["comparison"] = beside_the_paper
    return render(study, tables, find(table), compare_steps(study), figures)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
def test_page_fits_its_width_in_a_real_browser(html: str, tmp_path: Path, width: int) -> None:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs a Chromium on the PATH, which is not here")
    tell = "<script>parent.postMessage(document.documentElement.scrollWidth, '*')</script>"
    (tmp_path / "inner.html").write_text(html.replace("</body>", f"{tell}</body>"))
    (tmp_path / "outer.html").write_text(
        "<p id=width></p><script>onmessage = e => width.textContent = e.data</script>"
        f'<iframe src="inner.html" width="{width}" height="900" style="border:0"></iframe>'
    )
    command = [
        *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,1000"),
        *("--virtual-time-budget=5000", "--dump-dom", (tmp_path / "outer.html").as_uri()),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found = re.search(r'<p id="width">(\d+)</p>', dom)
    assert found, dom[:500]
    assert int(found[1]) <= width
