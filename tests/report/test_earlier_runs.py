"""Earlier runs of a study on its page: from the history beside dvc.lock, which is no input."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from made_study import MadeStudy

from flows.page.history import note, path_of
from pipeline.report.earlier_runs import EarlierRuns, earlier_runs, found, history_file
from pipeline.report.figure4 import read_figure4
from pipeline.report.page import render
from pipeline.report.study import read_study
from pipeline.report.tables import all_tables
from pipeline.shared.files import write_json

LABELS = {"small": "25K", "xl": "521K"}


def row(documents: int, xl: float) -> dict[str, Any]:
    return {
        "documents": documents,
        "kept": documents - 100,
        "removed": {"wikipedia": 100},
        "overlap_percent": 0.25,
        "test_perplexity": {"small": 69.0209, "xl": xl},
    }


def shown(*noted: dict[str, Any], now: dict[str, Any], torn: str = "") -> EarlierRuns | None:
    """What the page shows after these runs, in the working folder."""
    lines = [
        json.dumps({"at": f"2026-0{n + 1}-01T03:00:00+00:00"} | r) for n, r in enumerate(noted)
    ]
    history_file("tiny").parent.mkdir()
    history_file("tiny").write_text("\n".join([*lines, torn]) + "\n")
    return earlier_runs("tiny", now, LABELS)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_runs_are_listed_newest_first_with_the_change_since_the_last() -> None:
    found = shown(row(3000, 50.0), row(3100, 48.0), now=row(3200, 45.5), torn='{"at": "20')
    assert found is not None
    assert found.columns == ["documents", "kept", "overlap, %", "test 25K", "test 521K"]
    assert [run.when for run in found.runs] == ["this page", "2026-02-01 03:00", "2026-01-01 03:00"]
    assert [run.numbers["test 521K"] for run in found.runs] == [45.5, 48.0, 50.0]
    assert found.changed("documents") == "+100"
    assert found.changed("test 521K") == "-2.50"
    assert found.changed("overlap, %") == "+0.00"


def test_a_page_that_is_made_again_is_no_run_before_itself() -> None:
    assert earlier_runs("tiny", row(1, 2), LABELS) is None  # no history yet
    found = shown(row(3000, 50.0), row(3200, 45.5), now=row(3200, 45.5))
    assert found is not None
    assert [run.numbers["documents"] for run in found.runs] == [3200, 3000]


def test_a_study_of_which_nothing_else_was_noted_has_no_section() -> None:
    assert shown(row(3000, 50.0), now=row(3000, 50.0)) is None


def test_the_line_over_the_runs_goes_up_and_down_with_them() -> None:
    runs = shown(row(3000, 50.0), row(3500, 48.0), now=row(3250, 45.5))
    assert runs is not None
    (points,) = re.findall(r'points="([^"]+)"', runs.lines["documents"])
    heights = [float(point.partition(",")[2]) for point in points.split()]
    assert heights[0] > heights[2] > heights[1]  # down is up in a picture
    assert heights[2] == pytest.approx((heights[0] + heights[1]) / 2)
    (points,) = re.findall(r'points="([^"]+)"', runs.lines["overlap, %"])
    assert len({point.partition(",")[2] for point in points.split()}) == 1


def test_of_many_runs_the_last_are_shown_and_the_others_counted() -> None:
    found = shown(*(row(3000 + n, 50.0) for n in range(9)), now=row(1, 2.0))
    assert found is not None and found.more == 0 and len(found.runs) == 10
    history_file("tiny").write_text(history_file("tiny").read_text() * 2)
    found = earlier_runs("tiny", row(1, 2.0), LABELS)
    assert found is not None and found.more == 7 and len(found.runs) == 12


def test_flow_and_report_mean_the_same_file(folder: Path) -> None:
    assert path_of(folder, "tiny") == history_file("tiny")


def test_what_a_run_found_is_what_the_stages_counted(made: MadeStudy) -> None:
    study = read_study("tiny", made.params, made.folder)
    figure4 = read_figure4(study)
    said = found(study, figure4)
    dedup = json.loads((made.folder / "dedup" / "metrics.json").read_text())
    assert said["documents"] == dedup["documents"] == said["kept"] + sum(said["removed"].values())
    overlap = json.loads((made.folder / "overlap" / "metrics.json").read_text())
    part = overlap["asked_ngrams_found"] / overlap["asked_ngrams"]
    assert said["overlap_percent"] == pytest.approx(100 * part, abs=1e-4)
    assert list(said["test_perplexity"]) == list(study.sizes)
    assert list(said["test_perplexity"].values()) == pytest.approx(
        figure4.table["test_perplexity"].tolist(), abs=1e-4
    )


def test_the_page_shows_the_runs_before_it_and_says_nothing_without_any(
    made: MadeStudy, out: Path, folder: Path
) -> None:
    study = read_study("tiny", made.params, made.folder)
    figure4 = read_figure4(study)
    now = found(study, figure4)
    labels = {size: study.label(size) for size in study.sizes}
    tables: dict[str, pd.DataFrame] = {"figure4": figure4.table, **all_tables(study)}

    def page() -> str:
        return render(study, tables, figure4, out, earlier=earlier_runs("tiny", now, labels))

    assert "Earlier runs" not in page()
    # A run by the flow, which notes what the report's file says; then the numbers change.
    report = folder / "data" / "tiny" / "report"
    write_json(report / "found.json", now | {"documents": now["documents"] - 7})
    lock = "schema: '2.0'\nstages: {report: {outs: [{path: data/tiny/report}]}}\n"
    (folder / "dvc.lock").write_text(lock)
    assert len(note(folder, "tiny")) == 1
    html = page()
    assert '<h2 id="earlier">Earlier runs</h2>' in html
    assert '<a href="#earlier">' in html
    assert f'<td class="number">{now["documents"] - 7:,}</td>' in html
    assert '<td class="number soft">+7</td>' in html
    assert html.count('class="spark"') == 3 + len(study.sizes)
