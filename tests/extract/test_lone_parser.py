"""Pages that crash their parser or hold it for ever, alone and in the whole stage."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier

import pytest
from stage_runs import StageRuns
from test_corpus import set_location
from test_warc_records import make_response

from pipeline.extract.judge import FAILED, NO_PAGE, Caps, judge_body
from pipeline.extract.lone_parser import CRASHED, HUNG, LoneParser, lone_parser
from pipeline.extract.rules import Page
from pipeline.shared.formats.documents import Removed, read_documents

ARTICLE = "The clock struck thirteen and nobody in the room was surprised at all. " * 24
LITTLE_BYTES = 2**25  # as mortal_parser leaves
PAGE = "<html><title>{0}</title><body><div><p>{0} {1}</p></div>"
TRAFILATURA = """
import os, signal
def extract(page, **options):
    text = page.findtext(".//p")
    if "deadly" in text:
        os.kill(os.getpid(), signal.SIGSEGV)
    return text
"""
"""In the place of the extractor, its crash as native."""


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoneParser]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    caps = Caps(10**6, 1, max_page_s=0.5)
    with LoneParser(caps, module="mortal_parser") as parser:
        yield parser


@pytest.mark.parametrize(
    ("deadly", "reason"), [(b"crash", CRASHED), (b"hang", HUNG), (b"greed", FAILED)]
)
def test_a_deadly_page_costs_itself_alone(parser: LoneParser, deadly: bytes, reason: str) -> None:
    fields = 'text/html; charset="\u00e4"\n', "x"
    assert parser.judge("\u20ac\0\n".encode(), *fields) == (Page(fields[0], "\u20ac\0\n"), "x")
    assert parser.judge(deadly, *fields) == (NO_PAGE, reason)
    assert parser.judge(deadly, *fields) == (NO_PAGE, reason)
    assert parser.judge(b"next", *fields) == (Page(fields[0], "next"), "x")


def test_a_page_too_large_to_be_handed_over_costs_itself_alone(parser: LoneParser) -> None:
    """In base64 it is larger than the memory that is left."""
    assert parser.judge(b"narrow", "", "") == (Page("", "narrow"), "")
    assert parser.judge(bytes(LITTLE_BYTES), "", "") == (NO_PAGE, FAILED)
    assert parser.judge(b"next", "", "") == (Page("", "next"), "")


def test_only_computing_counts_as_time(parser: LoneParser) -> None:
    assert parser.judge(b"wait", "", "") == (Page("", "wait"), "")


def test_a_defect_of_the_parsers_process_is_no_pages_fault() -> None:
    with (
        LoneParser(Caps(1, 1), module="nothing.of.that.name") as parser,
        pytest.raises(RuntimeError, match="exit code 1"),
    ):
        parser.judge(b"", "", "")


def test_a_child_judges_as_the_process_itself_would() -> None:
    caps = Caps(10**6, 1)
    bodies = [b"", b"%PDF-1.7", PAGE.format("a", ARTICLE).encode(), b"\x1f\x8bbroken"]
    with LoneParser(caps) as parser:
        found = [parser.judge(body, "text/html", "") for body in bodies]
    assert found == [judge_body(caps, body, "text/html", "") for body in bodies]
    assert {reason for _, reason in found} >= {"", "not_text"}


@pytest.mark.timeout(60)  # a thread that never gets its answer fails, too
def test_pages_of_several_threads_do_not_cross() -> None:
    """As where a worker of a cluster has several: each reads a shard of its own."""
    threads, pages = 4, 100
    together = Barrier(threads)

    def judge_all(thread: int) -> tuple[LoneParser, list[str]]:
        together.wait()
        parser = lone_parser(Caps(10**6, 1))
        bodies = [f"{thread} {page}".encode() for page in range(pages)]
        return parser, [parser.judge(body, "text/plain", "")[0].text for body in bodies]

    with ExitStack() as parsers, ThreadPoolExecutor(threads) as pool:
        judged = list(pool.map(judge_all, range(threads)))
        for parser, _ in judged:
            parsers.enter_context(parser)
    found = [texts for _, texts in judged]
    assert found == [[f"{thread} {page}" for page in range(pages)] for thread in range(threads)]


def test_the_end_of_a_thread_costs_no_page_of_another() -> None:
    """A child is killed at the end of the thread that started it, not of the process."""
    with ExitStack() as parsers:
        for body in (b"first", b"second"):
            with ThreadPoolExecutor(1) as pool:
                parser = pool.submit(lone_parser, Caps(10**6, 1)).result()
                parsers.enter_context(parser)
                page, _ = pool.submit(parser.judge, body, "text/plain", "").result()
            assert page == Page("", body.decode())


@pytest.mark.parametrize("workers", [1, 2])
def test_pages_that_crash_the_parser_cost_the_stage_those_documents_alone(
    project: Path, tmp_path: Path, workers: int
) -> None:
    nothing, corpus, modules = (tmp_path / name for name in ("nothing", "corpus", "modules"))
    for folder in (nothing, corpus, modules):
        folder.mkdir()
    (modules / "trafilatura.py").write_text(TRAFILATURA)
    names = [[f"{file}/{page}" for page in range(5)] for file in range(3)]
    deadly = {f"deadly{n}": CRASHED for n in range(6)}  # more than a pool forgives
    names[1][2:2] = deadly
    for file, pages in enumerate(names):
        (corpus / f"{file}.warc").write_bytes(b"".join(map(make_page, pages)))
    runs = StageRuns("extract", project, tmp_path / "run", {"pages": nothing})
    set_location(runs, corpus, workers=workers)
    environment = {**os.environ, "PYTHONPATH": str(modules)}

    run = subprocess.run(
        runs.command(),
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    out = runs.folder / "out"
    counts = json.loads((out / "metrics.json").read_text())["corpus"]["by_reason"]
    assert counts == {"document": 15, CRASHED: 6}
    removed = {one.url: one.reason for one in read_documents(out / "rejected", kind=Removed)}  # type: ignore[attr-defined]
    assert removed == {f"http://a.test/{name}": reason for name, reason in deadly.items()}
    assert "memory" not in run.stderr


def make_page(name: str) -> bytes:
    """A record of a WARC file."""
    page = PAGE.format(name, ARTICLE).encode()
    return make_response(f"http://a.test/{name}", "200 OK", "Content-Type: text/html", page)
