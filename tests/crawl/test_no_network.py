"""Without a network no host is to blame, and nothing is given up."""

from __future__ import annotations

import logging
import socket
from collections import Counter
from pathlib import Path

import pytest
from crawling import states, want
from hostile_server import HostileServer, answer

from pipeline.crawl import crawler
from pipeline.crawl.archive import CRAWLERS, Archive
from pipeline.crawl.crawlers import CrawlerJob, crawl_all
from pipeline.shared.errors import RetryableError
from pipeline.shared.params.file import load_params
from pipeline.shared.running.progress import Progress

LIVE = [f"http://h{n}.test/page?{n % 3}" for n in range(12)]
DEAD = [f"http://gone{n}.example.org/{m}" for n in range(20) for m in range(3)]  # names unknown


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crawler, "_PATIENCE_S", 0.1)


def crawl(project: Path, folder: Path, urls: list[str], port: int) -> Counter[str]:
    """Crawl these pages; returns the number of pages in each state."""
    params = load_params(project / "params.yaml", "tiny").params
    (folder / CRAWLERS).mkdir(exist_ok=True)
    fetching = params.fetching.model_copy(update={"total_timeout_s": 2.0, "max_attempts": 1})
    job = CrawlerJob(folder, params.crawl, fetching, 1, ("127.0.0.1", port))
    archive = Archive(folder)
    try:
        want(archive, urls)
        with Progress("t", total=None, unit="u", log=logging.getLogger("test")) as progress:
            crawl_all(job, archive, compute=params.compute, progress=progress)
    finally:
        archive.close()
        found = states(folder)
    return Counter(found[url] for url in urls)


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize(
    "urls",
    [LIVE, DEAD, LIVE + DEAD, DEAD[:3], LIVE[:1]],
    ids=["refused", "unknown", "both", "one host", "one page"],
)
def test_when_everything_fails_the_crawl_stops_and_all_links_stay_pending(
    project: Path, tmp_path: Path, urls: list[str]
) -> None:
    with pytest.raises(RetryableError, match=r"no host answers.*stay pending.*same command again"):
        crawl(project, tmp_path, urls, closed_port())
    assert set(states(tmp_path).values()) == {"pending"}


def test_the_same_command_goes_on_when_the_network_is_back(
    server: HostileServer, project: Path, tmp_path: Path
) -> None:
    with pytest.raises(RetryableError):
        crawl(project, tmp_path, LIVE + DEAD, closed_port())
    found = crawl(project, tmp_path, LIVE + DEAD, server.port)
    assert found == {"fetched": len(LIVE), "dns": len(DEAD)}


def test_dead_hosts_among_others_are_to_blame(
    server: HostileServer, project: Path, tmp_path: Path
) -> None:
    found = crawl(project, tmp_path, DEAD + LIVE[:1], server.port)
    assert found == {"fetched": 1, "dns": len(DEAD)}


def test_where_all_that_is_left_is_dead_a_host_that_answered_before_is_asked(
    server: HostileServer, project: Path, tmp_path: Path
) -> None:
    crawl(project, tmp_path, LIVE, server.port)
    asked = len(server.requests)
    assert crawl(project, tmp_path, DEAD, server.port) == {"dns": len(DEAD)}
    new = server.requests[asked:]
    assert new and {request.path for request in new} == {"/robots.txt"}


def test_where_even_that_host_is_silent_nothing_is_given_up(
    server: HostileServer, project: Path, tmp_path: Path
) -> None:
    crawl(project, tmp_path, LIVE, server.port)
    with pytest.raises(RetryableError, match=r"links of \d+ hosts: dns \d+"):
        crawl(project, tmp_path, DEAD, closed_port())
    assert set(states(tmp_path).values()) == {"fetched", "pending"}


def test_a_network_that_ends_in_the_middle_costs_no_link_of_the_rest(
    server: HostileServer, project: Path, tmp_path: Path
) -> None:
    first = LIVE[:3]
    crawl(project, tmp_path, first, server.port)
    with pytest.raises(RetryableError):
        crawl(project, tmp_path, [*LIVE, *DEAD], closed_port())
    assert crawl(project, tmp_path, [*LIVE, *DEAD], server.port) == {
        "fetched": len(LIVE),
        "dns": len(DEAD),
    }
    assert max(Counter(r.path for r in server.requests if r.path == "/page?0").values()) <= 4


def test_a_server_that_only_says_no_is_a_network(
    server: HostileServer, project: Path, tmp_path: Path
) -> None:
    server.special["h0.test", "/robots.txt"] = answer(b"", "500 Internal Server Error")
    assert crawl(project, tmp_path, [LIVE[0], *DEAD], server.port) == {
        "robots_unreachable": 1,
        "dns": len(DEAD),
    }
