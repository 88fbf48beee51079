"""Pages that crash their parser or hold it for ever, alone and in the whole stage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage_runs import StageRuns
from test_corpus import set_location
from test_warc_records import make_response

from pipeline.extract.judge import NO_PAGE, Caps
from pipeline.extract.lone_parser import CRASHED, HUNG, LoneParser, judging
from pipeline.extract.rules import Page
from pipeline.shared.formats.documents import Removed, read_documents

ARTICLE = "The clock struck thirteen and nobody in the room was surprised at all. " * 24
# The fast extractor takes the whole of such a page for a banner, so that the careful one is asked.
PAGE = "<html><title>{0}</title><body><div class='has-cookie-notice'><p>{0} {1}</p></div>"
TRAFILATURA = """
import os, re, signal
def extract(html, **options):
    if "deadly" in html:
        os.kill(os.getpid(), signal.SIGSEGV)
    return re.search("<p>(.*)</p>", html)[1]
"""
"""In the place of the careful extractor, as native as its crash."""


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoneParser]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    caps = Caps(10**6, 1, max_page_s=0.5)
    with LoneParser(caps, module="mortal_parser") as parser:
        yield parser


@pytest.mark.parametrize(
    ("deadly", "reason"), [(b"crash", CRASHED), (b"hang", HUNG), (b"greed", "parser_failed")]
)
def test_a_deadly_page_costs_itself_alone(parser: LoneParser, deadly: bytes, reason: str) -> None:
    fields = 'text/html; charset="\u00e4"\n', "x"
    assert parser.judge("\u20ac\0\n".encode(), *fields) == (Page(fields[0], "\u20ac\0\n"), "x")
    assert parser.judge(deadly, *fields) == (NO_PAGE, reason)
    assert parser.judge(deadly, *fields) == (NO_PAGE, reason)
    assert parser.judge(b"next", *fields) == (Page(fields[0], "next"), "x")


def test_only_computing_counts_as_time(parser: LoneParser) -> None:
    assert parser.judge(b"wait", "", "") == (Page("", "wait"), "")


def test_a_defect_of_the_parsers_process_is_no_pages_fault(tmp_path: Path) -> None:
    with (
        LoneParser(Caps(1, 1), module="nothing.of.that.name") as parser,
        pytest.raises(RuntimeError, match="exit code 1"),
    ):
        parser.judge(b"", "", "")


def test_both_ways_of_judging_say_the_same(tmp_path: Path) -> None:
    marker = tmp_path / "0.begun"
    bodies = [b"", b"%PDF-1.7", PAGE.format("a", ARTICLE).encode(), b"\x1f\x8bbroken"]
    found = []
    for begun in (False, True):
        if begun:
            marker.touch()
        with judging(marker, Caps(10**6, 1)) as judge:
            assert marker.exists()
            found.append([judge(body, "text/html", "") for body in bodies])
        assert not marker.exists()
    assert found[0] == found[1]
    assert {reason for _, reason in found[0]} >= {"", "not_text"}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_page_that_crashes_the_parser_costs_the_stage_one_document(
    project: Path, tmp_path: Path, workers: int
) -> None:
    nothing, corpus, modules = (tmp_path / name for name in ("nothing", "corpus", "modules"))
    for folder in (nothing, corpus, modules):
        folder.mkdir()
    (modules / "trafilatura.py").write_text(TRAFILATURA)
    names = [[f"{file}/{page}" for page in range(5)] for file in range(3)]
    names[1][2] = "deadly"
    for file, pages in enumerate(names):
        (corpus / f"{file}.warc").write_bytes(b"".join(map(make_page, pages)))
    runs = StageRuns("extract", project, tmp_path / "run", {"pages": nothing, "warc": nothing})
    set_location(runs, corpus, workers=workers)
    environment = {**os.environ, "PYTHONPATH": str(modules)}

    def start() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            runs.command(),
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    if workers == 1:  # the stage's own process is the parser's
        assert start().returncode == -signal.SIGSEGV
    run = start()
    assert run.returncode == 0, run.stderr
    out = runs.folder / "out"
    counts = json.loads((out / "metrics.json").read_text())["corpus"]["by_reason"]
    assert counts == {"document": 14, CRASHED: 1}
    (removed,) = read_documents(out / "rejected", kind=Removed)
    assert removed.url == "http://a.test/deadly"
    assert not list((runs.folder / "work").rglob("*.begun"))


def make_page(name: str) -> bytes:
    """A record of a WARC file."""
    page = PAGE.format(name, ARTICLE).encode()
    return make_response(f"http://a.test/{name}", "200 OK", "Content-Type: text/html", page)
