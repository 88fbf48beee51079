"""The stage as users run it: shards that stay as they were when a month is added."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard
from stage_runs import StageRuns, read_bytes

from pipeline.shared.formats.links import Link
from pipeline.shared.formats.row_shards import list_row_shards, read_row_shard


def write_month(folder: Path, month: int, urls: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    records = [
        {"url": url, "score": 5, "created_utc": 1_500_000_000 + n, "over_18": False,
         "is_self": False, "subreddit": "test"}
        for n, url in enumerate(urls)
    ]  # fmt: skip
    text = "".join(json.dumps(record) + "\n" for record in records).encode()
    path = folder / f"RS_2017-{month:02d}.zst"
    path.write_bytes(zstandard.ZstdCompressor().compress(text))


@pytest.fixture
def runs(project: Path, tmp_path: Path) -> StageRuns:
    runs = StageRuns("links", project, tmp_path / "run", {"dumps": tmp_path / "dumps"})
    runs.set_params()
    return runs


def links(out: Path) -> list[Link]:
    return [link for s in list_row_shards(out / "kept") for link in read_row_shard(s, Link)]


def test_a_month_more_leaves_every_full_shard_as_it_was(runs: StageRuns, tmp_path: Path) -> None:
    first = [f"http://example.com/{n}" for n in range(700)]
    write_month(tmp_path / "dumps", 1, first)
    before = read_bytes(runs.run("one") / "kept")
    write_month(tmp_path / "dumps", 2, [*first[:50], "http://example.org/new"])
    out = runs.run("two")
    after = read_bytes(out / "kept")
    same = {name for name in before if after[name] == before[name]}
    assert same == {"00000.parquet", "00001.parquet"}
    assert set(after) == {*same, "00002.parquet", "_manifest.json"}
    assert [link.url for link in links(out)] == [*first, "http://example.org/new"]
    counts = json.loads((out / "metrics.json").read_text())["links"]
    assert counts == {"submissions": 751, "kept": 701, "duplicate_url": 50}


def test_killed_between_two_dumps_the_same_command_gives_the_same_links(
    runs: StageRuns, tmp_path: Path
) -> None:
    for month in range(1, 9):
        urls = [f"http://example.com/{month}/{n}" for n in range(2000)]
        write_month(tmp_path / "dumps", month, urls)
    whole = read_bytes(runs.run("whole"))
    killed = StageRuns("links", runs.project, tmp_path / "killed", runs.inputs)
    killed.set_params()
    for _ in range(3):
        killed.kill_when(lambda work: (work / "links.sqlite").exists())
    out = killed.run()
    assert {n: d for n, d in read_bytes(out).items()} == whole


def test_a_truncated_dump_names_the_file_and_leaves_nothing_published(
    runs: StageRuns, tmp_path: Path
) -> None:
    write_month(tmp_path / "dumps", 1, [f"http://example.com/{n * n}" for n in range(500)])
    path = tmp_path / "dumps" / "RS_2017-01.zst"
    path.write_bytes(path.read_bytes()[:-100])
    failed = runs.fail()
    assert "RS_2017-01.zst: truncated or damaged archive" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (runs.folder / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "reddit"}, "links.location = None with source = reddit; name the folder"),
        ({"source": "none"}, "a ready corpus has no links and a crawl needs some"),
    ],
)
def test_a_source_without_what_it_needs_is_one_clear_error(
    runs: StageRuns, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    (tmp_path / "dumps").mkdir()
    runs.set_params(links=changes)
    failed = runs.fail()
    assert message in failed.stderr and "Traceback" not in failed.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"min_score": 9}, "(3 low_score); in params.yaml, change links.min_score = 9, the dumps"),
        (
            {"cut_off": "2017-07-01"},
            "(3 after_cut_off); in params.yaml, change links.cut_off = 2017-07-01, the dumps",
        ),
    ],
)
def test_dumps_without_a_link_are_one_error_that_counts_them_by_rule(
    runs: StageRuns, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    write_month(tmp_path / "dumps", 7, [f"http://example.com/{n}" for n in range(3)])
    runs.set_params(links=changes)
    failed = runs.fail()
    assert f"none of 3 submissions gives a link {message} (links.location)" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (runs.folder / "out").exists()


def test_a_ready_corpus_has_no_links_and_the_stage_says_so(runs: StageRuns, tmp_path: Path) -> None:
    (tmp_path / "dumps").mkdir()
    runs.set_params(links={"source": "none"}, extract={"source": "corpus"})
    out = runs.run()
    assert links(out) == []
    assert "ready corpus" in json.loads((out / "kept" / "_manifest.json").read_text())["statement"]
