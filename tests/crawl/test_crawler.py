"""Hosts, retries and states of a whole crawl, against a server that counts requests."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from crawling import AGENT, PATIENCE_S, links_to, never, want
from hostile_server import HostileServer, answer, silence

from pipeline.crawl import crawler
from pipeline.crawl.archive import Archive
from pipeline.crawl.crawler import Ledger, Pace, crawl
from pipeline.crawl.exchange import Answer, Limits, open_client
from pipeline.crawl.fetch import Fetcher, Policy
from pipeline.crawl.politeness import HostGates
from pipeline.crawl.share import Share
from pipeline.crawl.warc import WarcFiles
from pipeline.shared.formats.links import Link

LOG = logging.getLogger("test")


def open_archive(folder: Path, urls: list[str], *, wanted: str = "") -> Archive:
    archive = Archive(folder)
    if (folder / "results.sqlite").exists():
        archive.take_over(folder / "results.sqlite")
    if not wanted:
        want(archive, urls)
    archive.begin_round()
    return archive


def crawl_all(
    server: HostileServer,
    folder: Path,
    urls: list[str],
    *,
    timeout_s: float = PATIENCE_S,
    attempts: int = 2,
    wanted: str = "",
) -> dict[str, tuple[str, int]]:
    """Crawl these, or what a list wants already; returns state and attempts by URL."""
    archive = open_archive(folder, urls, wanted=wanted)
    share = Share(archive.path, folder / "results.sqlite", number=0, of=1)
    warc = WarcFiles(archive.warc, share.warc_ends(), about={"software": "test"})

    finished: list[int] = []

    async def run() -> None:
        async with open_client(
            user_agent=AGENT,
            limits=Limits(timeout_s, 10**6),
            max_connections=8,
            test_server=("127.0.0.1", server.port),
        ) as client:
            fetcher = Fetcher(client, HostGates(0.0, 1.0), Policy(AGENT, attempts, 5))
            ledger = Ledger(share, warc, finished.append, client.network)
            pace = Pace(hosts_at_once=8, max_attempts=attempts)
            assert await crawl(share, fetcher, ledger, pace=pace, log=LOG)
            fetcher.close()

    try:
        asyncio.run(run())
    finally:
        warc.close()
        share.close()
    archive.take_over(folder / "results.sqlite")
    rows = [(row.state, row.attempts) for row in archive.rows(links_to(urls))]
    archive.close()
    return dict(zip(urls, rows, strict=True))


def test_passing_failures_are_tried_again_and_lasting_ones_are_not(
    server: HostileServer, tmp_path: Path
) -> None:
    server.special["a.test", "/flaky"] = [answer(b"", "503 Service Unavailable"), answer()]
    server.special["a.test", "/busy"] = [
        answer(b"", "429 Too Many Requests", Retry_After="1"), answer(),
    ]  # fmt: skip
    urls = [f"http://a.test/{name}" for name in ("flaky", "busy", "missing", "error", "cut")]
    assert crawl_all(server, tmp_path, urls) == {
        "http://a.test/flaky": ("fetched", 2),
        "http://a.test/busy": ("fetched", 2),
        "http://a.test/missing": ("http_404", 1),
        "http://a.test/error": ("http_500", 2),
        "http://a.test/cut": ("broken", 2),
    }
    assert len(server.asked("a.test", "/missing")) == 1


def test_a_finished_crawl_asks_for_nothing_a_second_time(
    server: HostileServer, tmp_path: Path
) -> None:
    urls = [f"http://{host}.test/page?{n}" for host in "abc" for n in range(100)]
    first = crawl_all(server, tmp_path, urls)
    assert set(first.values()) == {("fetched", 1)}
    asked = len(server.requests)
    assert asked == 303  # each page and each robots.txt once
    assert crawl_all(server, tmp_path, urls) == first
    assert len(server.requests) == asked
    assert max(server.busiest.values()) == 1


def test_a_host_that_never_answers_is_given_up(
    server: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crawler, "_DOWN_AFTER", 3)
    urls = [f"http://dead.test/{n}" for n in range(20)]
    for n in range(20):
        server.special["dead.test", f"/{n}"] = silence
    states = crawl_all(server, tmp_path, [*urls, "http://a.test/page"], timeout_s=1.0, attempts=1)
    reasons = [states[url][0] for url in urls]
    assert reasons == ["timeout"] * 3 + ["host_down"] * 17
    assert states["http://a.test/page"] == ("fetched", 1)


def test_a_page_is_asked_for_as_its_link_was_posted(server: HostileServer, tmp_path: Path) -> None:
    posted = "http://A.test/x/../page?utm_source=reddit&gid=1&ref=2#top"
    link = Link("http://a.test/page?gid=1&ref=2", posted, 3, 0, "")
    archive = Archive(tmp_path)
    archive.begin_list("one")
    archive.want("its links", [link], never)
    archive.close()
    assert crawl_all(server, tmp_path, [], wanted="one") == {}
    assert [request.path for request in server.asked("a.test")][1:] == [
        "/page?utm_source=reddit&gid=1&ref=2"
    ]
    archive = Archive(tmp_path)
    (row,) = archive.rows([link])
    archive.close()
    assert row.state == "fetched"


def test_a_defect_at_one_answer_costs_one_page(
    server: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Fetcher.fetch

    async def fetch(self: Fetcher, *trail: str) -> Answer:
        if trail[-1].endswith("?3"):
            raise OverflowError("a number beyond what C holds")
        return await whole(self, *trail)

    monkeypatch.setattr(Fetcher, "fetch", fetch)
    urls = [f"http://a.test/page?{n}" for n in range(6)]
    states = crawl_all(server, tmp_path, urls)
    assert [states[url][0] for url in urls] == [*["fetched"] * 3, "broken", *["fetched"] * 2]


def test_a_failing_disk_ends_the_crawl_with_its_error(
    server: HostileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: WarcFiles) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(WarcFiles, "sync", full)
    urls = [f"http://a.test/page?{n}" for n in range(50)]
    with pytest.raises(OSError, match="No space left"):
        crawl_all(server, tmp_path, urls)
    monkeypatch.undo()
    assert {state for state, _ in crawl_all(server, tmp_path, urls).values()} == {"fetched"}
