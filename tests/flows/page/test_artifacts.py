"""What a stage left, as Markdown."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
import yaml
from made_checkout import FIGURE4
from markdown_it import MarkdownIt
from PIL import Image

from flows.page import artifacts
from flows.page.artifacts import figure4_markdown, metrics_markdown, outputs, pages, small_png


def write_png(path: Path, side: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(path)


def write_lock(root: Path, stage: str, *paths: str) -> None:
    outs = [{"path": path} for path in paths]
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": {stage: {"outs": outs}}}))


def test_metrics_are_a_table_with_nested_counts_by_name(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps({"n": 1234567, "r": {"a|b": 0.125}, "x": 12345.67, "none": None}))
    lines = metrics_markdown("crawl", path).splitlines()
    assert lines[0] == "# crawl"
    assert lines[4:] == [
        "| n | 1,234,567 |",
        "| r.a\\|b | 0.125 |",
        "| x | 12,345.7 |",
        "| none |  |",
    ]


FOREIGN = [
    "[click](javascript:alert(1))",
    "<javascript:alert(1)>",
    "<img src=x onerror=alert(1)>",
    "https://evil.example/a_b_c",
    "![x](https://evil.example/x.png)",
    "[x]: javascript:alert(1)",
    "| `code` | *bold* __bold__ ~~no~~ &#106;",
    "me@evil.example\nsecond line",
    "back\\\\[x](y)",
]


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_title_or_address_from_outside_is_text(tmp_path: Path, foreign: str) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps({"longest": foreign, "hosts": {foreign: 3}, "sha256": ["a  b"]}))
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = reader.parse(metrics_markdown("crawl", path))
    cells = [token.children or [] for token in tokens if token.type == "inline"][3:]
    assert {child.type for cell in cells for child in cell} <= {"text", "text_special"}
    shown = ["".join(child.content for child in cell) for cell in cells]
    line = " ".join(foreign.split())
    assert shown == ["longest", line, f"hosts.{line}", "3"]


def test_a_stages_pages_are_found_by_dvc_lock(tmp_path: Path) -> None:
    write_lock(tmp_path, "evaluate@xl", "out/xl")
    (tmp_path / "out" / "xl").mkdir(parents=True)
    (tmp_path / "out" / "xl" / "metrics.json").write_text("{}")
    (page,) = pages(tmp_path, "evaluate@xl", linked=True)
    assert page.key == "evaluate-xl"
    assert list(pages(tmp_path, "other", linked=True)) == []


@pytest.mark.parametrize("torn", ["", "stages:\n  train@x", "stages: {"])
def test_a_lock_file_that_dvc_is_writing_is_read_once_it_is_whole(
    tmp_path: Path, torn: str
) -> None:
    lock = tmp_path / "dvc.lock"
    lock.write_text(torn)
    whole = yaml.safe_dump({"stages": {"dedup": {"outs": [{"path": "data/tiny/dedup"}]}}})
    writer = threading.Timer(0.15, lock.write_text, [whole])
    writer.start()
    assert outputs(tmp_path, "dedup") == [tmp_path / "data" / "tiny" / "dedup"]
    writer.join()


def test_a_lock_file_that_stays_torn_costs_the_pages_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifacts, "_WHOLE_WITHIN_S", 0.0)
    (tmp_path / "dvc.lock").write_text("stages: {")
    assert list(pages(tmp_path, "dedup", linked=False)) == []


def test_a_stage_without_metrics_has_no_page(tmp_path: Path) -> None:
    assert list(pages(tmp_path, "crawl", linked=True)) == []  # not even a dvc.lock
    write_lock(tmp_path, "crawl", "out/documents")
    assert list(pages(tmp_path, "crawl", linked=True)) == []


def test_figure_4_shows_its_table_and_where_the_report_is(tmp_path: Path) -> None:
    write_png(tmp_path / "figure4.png", 8)
    (tmp_path / "figure4.csv").write_text(FIGURE4)
    text = figure4_markdown(tmp_path, linked=False)
    assert "| xl | 1,557,611,200 | 20.50 (19.00 to 21.00) | 30.75 (29.00 to 31.00) |" in text
    assert f"`{tmp_path / 'index.html'}`" in text


def test_a_small_picture_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    write_png(path, 8)
    assert small_png(path) == path.read_bytes()


def test_a_large_picture_is_made_small_enough(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    write_png(path, 400)
    assert path.stat().st_size > 400_000
    assert 10_000 < len(small_png(path)) <= 75_000


@pytest.mark.parametrize("content", [b"\xff\xfe", b"size,parameters\nxl,1x\n", b"siz\nxl\n"])
def test_a_damaged_table_does_not_fail_a_stage_that_is_done(tmp_path: Path, content: bytes) -> None:
    write_png(tmp_path / "figure4.png", 8)
    (tmp_path / "figure4.csv").write_bytes(content)
    assert "figure4.csv is damaged: run `python -m flows.repair`" in figure4_markdown(
        tmp_path, linked=False
    )
