"""The stage as a process: same bytes always, resumes after kill -9, its truth is true."""

from __future__ import annotations

import json
import subprocess
import sys
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.parquet as pq
import pytest
from stage_runs import StageRuns, read_bytes

CHANGES = {"max_pages": 260, "max_text_bytes": 900_000, "held_out_fraction": 0.2}


def make_stage(project: Path, folder: Path, workers: int) -> StageRuns:
    stage = StageRuns("sample_web", project, folder, {"constraints": project / "constraints.txt"})
    stage.set_params(sample_web=CHANGES, compute={"workers": workers})
    return stage


@pytest.fixture(scope="module")
def out(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", "1")
        return make_stage(project, tmp_path_factory.mktemp("sample_web"), workers=1).run()


@pytest.mark.long
def test_a_kill_other_workers_and_other_hashes_give_the_same_bytes(
    project: Path, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "2")
    stage = make_stage(project, tmp_path, workers=2)
    stage.kill_when(lambda work: (work / "articles.pickle").is_file())
    again = stage.run()
    assert read_bytes(again) == read_bytes(out)
    assert json.loads((again / "metrics.json").read_text())["attempts"] == 2


def test_the_truth_covers_every_page_and_the_counts_agree(out: Path) -> None:
    rows = pq.read_table(out / "site" / "site.parquet").to_pylist()
    truths = pq.read_table(out / "site" / "truth.parquet").to_pylist()
    metrics = json.loads((out / "metrics.json").read_text())
    places = {(row["host"], row["path"]) for row in rows}
    assert len(places) == len(rows)
    kinds = metrics["urls_by_kind"]
    assert sum(kinds.values()) == sum(1 for truth in truths if truth["link"] != truth["kind"])
    for truth in truths:
        if truth["link"] != truth["kind"]:  # a URL of this web
            parts = urlsplit(truth["url"])
            assert (parts.netloc, parts.path) in places
    assert len([row for row in rows if row["status"] == 200]) <= 1.1 * CHANGES["max_pages"]
    assert metrics["page_text_bytes"] <= CHANGES["max_text_bytes"]


def test_held_out_text_is_on_no_page_but_the_planted_ones(out: Path) -> None:
    truths = pq.read_table(out / "site" / "truth.parquet").to_pylist()
    planted = {truth["url"] for truth in truths if truth["kind"] == "planted"}
    assert planted
    rows = pq.read_table(out / "site" / "site.parquet").to_pylist()
    bodies = {f"http://{row['host']}{row['path']}": row["body"] for row in rows}
    lines = (out / "eval" / "lambada" / "lambada_test.jsonl").read_text().splitlines()
    for line in lines:
        sentence = escape(" ".join(json.loads(line)["text"].split()[:25])).encode()
        assert {url for url, body in bodies.items() if sentence in body} <= planted


def test_a_profile_without_the_sample_web_gets_empty_folders_that_say_so(
    project: Path, tmp_path: Path
) -> None:
    stage = make_stage(project, tmp_path, workers=1)
    stage.set_params(
        sample_web={"enabled": False},
        eval_sets={"source": "published"},
        links={"source": "reddit", "location": "dumps"},
    )
    out = stage.run()
    for name in ("site", "links", "eval"):
        assert [path.name for path in (out / name).iterdir()] == ["_manifest.json"]
        assert "enabled is false" in (out / name / "_manifest.json").read_text()


def test_help_teaches_what_is_made_and_how_to_look_at_it(project: Path) -> None:
    command = [sys.executable, "-m", "pipeline.sample_web", "--help"]
    shown = subprocess.run(command, cwd=project, check=True, capture_output=True, text=True).stdout
    for word in ("site/", "links/", "eval/", "truth.parquet", "pipeline.shared.web.server"):
        assert word in shown
