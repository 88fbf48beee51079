"""The stage against a server that counts: what was had is not asked for again until a user says so.

Each run is the stage's own `__main__` in a process, with the test's server for the built-in web.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from crawling import links_to, num_committed, states
from hostile_server import HostileServer, answer
from stage_runs import StageRuns
from warcio.archiveiterator import ArchiveIterator

from pipeline.crawl import run
from pipeline.crawl.archive import opened
from pipeline.crawl.crawlers import recover
from pipeline.shared.errors import EXIT_RETRY, EXIT_TERMINATED
from pipeline.shared.files import read_json
from pipeline.shared.formats.fates import FETCHED, Fate
from pipeline.shared.formats.links import Link
from pipeline.shared.formats.row_shards import (
    list_row_shards,
    read_row_shard,
    write_row_manifest,
    write_row_shard,
)

_PROCESSES = multiprocessing.get_context("forkserver")


def _run(arguments: Sequence[str], port: int, folder: Path) -> None:
    run.serve = lambda site: nullcontext(port)  # type: ignore[assignment, return-value]
    with (folder / "log").open("w") as log:
        os.dup2(log.fileno(), 2)
    sys.argv[1:] = arguments
    runpy.run_module("pipeline.crawl", run_name="__main__", alter_sys=True)


class Crawl:
    """A study's crawl of pages of one server."""

    def __init__(self, project: Path, folder: Path, server: HostileServer) -> None:
        self.folder, self.server = folder, server
        (folder / "site").mkdir(parents=True)
        inputs = {"links": folder / "links", "site": folder / "site"}
        self.runs = StageRuns("crawl", project, folder, inputs)
        self.set_params()

    def set_params(self, *, fetching: dict[str, Any] | None = None, **refetch: float) -> None:
        """Write params.yaml, with some keys of `crawl.refetch_after_days`."""
        days: dict[str, float | None] = dict.fromkeys((
            "done",
            "no_page",
            "server_error",
            "unreachable",
        ))
        self.runs.set_params(
            crawl={"archive": str(self.folder / "archive"), "refetch_after_days": days | refetch},
            fetching={"total_timeout_s": 5.0} | (fetching or {}),
            compute={"workers": 1},
        )

    def want(self, urls: Sequence[str]) -> None:
        """Make these the study's links, in two shards."""
        half = len(urls) // 2
        shards = [
            write_row_shard(self.folder / "links" / name, links_to(part), Link)
            for name, part in (("00000.parquet", urls[:half]), ("00001.parquet", urls[half:]))
        ]
        write_row_manifest(self.folder / "links", shards)

    def start(self) -> BaseProcess:
        """Start the stage."""
        arguments = (self.runs.arguments(), self.server.port, self.folder)
        process = _PROCESSES.Process(target=_run, args=arguments)
        process.start()
        return process

    def end(self, code: int = 0) -> Counter[str]:
        """Run the stage to its end; returns how often each page was asked for in this run."""
        before = len(self.server.requests)
        process = self.start()
        process.join()
        assert process.exitcode == code, (self.folder / "log").read_text()
        return pages(self.server, since=before)

    def stop_after(self, number: int, stop: Callable[[BaseProcess], None]) -> set[str]:
        """Stop the stage once so many pages have their state; returns all that have it then."""
        process = self.start()
        deadline_s = time.monotonic() + 120
        while num_committed(self.folder / "archive") < number:
            assert process.is_alive() and time.monotonic() < deadline_s
            time.sleep(0.001)
        stop(process)
        process.join()
        (folder,) = (self.folder / "archive").iterdir()
        with opened(folder) as archive:
            recover(archive)
        return {url for url, state in states(folder).items() if state != "pending"}

    def fates(self) -> dict[str, Fate]:
        """What the stage published of each link."""
        shards = list_row_shards(self.folder / "out" / "pages")
        return {fate.url: fate for s in shards for fate in read_row_shard(s, Fate)}

    def files(self) -> list[Path]:
        """The WARC files that the study's table names."""
        names = {fate.warc for fate in self.fates().values() if fate.warc}
        return [self.folder / "archive" / name for name in sorted(names)]

    def responses(self) -> Counter[str]:
        """How often each URL stands in the WARC files that hold the study, every record whole."""
        found: Counter[str] = Counter()
        for path in self.files():
            with (
                path.open("rb") as file,
                closing(ArchiveIterator(file, check_digests="raise")) as records,
            ):
                for record in records:
                    record.content_stream().read()
                    if record.rec_type == "response":
                        found[record.rec_headers.get_header("WARC-Target-URI")] += 1
        return found


def pages(server: HostileServer, since: int = 0) -> Counter[str]:
    """How often each page was asked for; robots.txt aside."""
    asked = (f"http://{r.host}{r.path}" for r in server.requests[since:])
    return Counter(url for url in asked if not url.endswith("/robots.txt"))


def urls_of(month: int, num: int = 60) -> list[str]:
    return [f"http://h{n % 5}.test/page?{month}-{n}" for n in range(num)]


@pytest.fixture
def crawl(project: Path, tmp_path: Path, server: HostileServer) -> Crawl:
    return Crawl(project, tmp_path / "crawl", server)


def test_a_second_month_asks_for_its_new_links_alone_and_fewer_links_for_none(
    crawl: Crawl,
) -> None:
    first, second = urls_of(1), urls_of(2, 20)
    crawl.want(first)
    assert crawl.end() == Counter(first)
    (published,) = crawl.files()
    before = published.read_bytes()
    crawl.want([*first, *second])
    assert crawl.end() == Counter(second)
    assert list(crawl.fates()) == [*first, *second]
    assert crawl.responses() == Counter([*first, *second])
    assert published.read_bytes() == before  # what a study holds is never written again
    metrics = read_json(crawl.folder / "out" / "metrics.json")["fetch"]
    assert (metrics["pages"], metrics["had_before"], metrics["attempts"]) == (80, 60, 80)
    crawl.want(second)
    assert crawl.end() == Counter()
    assert list(crawl.fates()) == second
    assert [path.name for path in crawl.files()] == ["crawl-000-00001.warc.gz"]


def _terminate(process: BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGTERM)
    process.join()
    assert process.exitcode == EXIT_TERMINATED


def _kill(process: BaseProcess) -> None:
    process.kill()


@pytest.mark.parametrize("stop", [_terminate, _kill])
def test_a_crawl_stopped_anywhere_goes_on_with_other_connections_and_fetches_nothing_twice(
    crawl: Crawl, stop: Callable[[BaseProcess], None]
) -> None:
    urls = urls_of(1, 400)
    crawl.want(urls)
    finished: set[str] = set()
    for number, connections in ((50, 2), (150, 3)):
        crawl.set_params(
            fetching={"max_connections": connections, "per_host_delay_s": 0.02 * connections}
        )
        now = crawl.stop_after(number, stop)
        assert finished < now and len(now) < len(urls), "a page was lost, or it was too late"
        finished = now
    crawl.set_params(fetching={"max_connections": 4, "user_agent": "other/1.0 (+http://o.test)"})
    asked = crawl.end()
    assert not finished & set(asked)
    assert set(urls) - finished == set(asked)
    assert {fate.state for fate in crawl.fates().values()} == {FETCHED}
    assert crawl.responses() == Counter(urls)  # each once in WARC, none lost


def test_only_what_a_user_names_is_asked_for_again(crawl: Crawl) -> None:
    fetched, missing, failing = (f"http://h.test/{name}" for name in ("page", "missing", "error"))
    gone = "http://gone.test/page"
    urls = [fetched, missing, failing, gone]
    crawl.want(urls)
    crawl.set_params(fetching={"max_attempts": 1})
    assert crawl.end() == Counter(urls)
    assert crawl.end() == Counter(), "the same command asked again"
    crawl.set_params(fetching={"max_attempts": 1}, server_error=0.0)
    assert crawl.end() == Counter([failing])
    crawl.set_params(fetching={"max_attempts": 1}, server_error=1.0, no_page=1.0, done=1.0)
    assert crawl.end() == Counter(), "asked again before its days were over"
    crawl.server.special["h.test", "/page"] = answer(b"<p>Another page</p>")
    crawl.server.special["gone.test", "/page"] = answer(b"", "410 Gone")
    before = crawl.fates()
    crawl.set_params(fetching={"max_attempts": 1}, done=0.0)
    assert crawl.end() == Counter([fetched, gone])
    after = crawl.fates()
    assert (after[fetched].warc, after[fetched].offset) != (before[fetched].warc, 0)
    assert after[fetched].length != before[fetched].length
    assert after[gone][5] == FETCHED and after[gone][7:] == before[gone][7:]  # it stays


def test_two_crawls_of_one_archive_at_once_are_one_clear_error(
    crawl: Crawl, project: Path, tmp_path: Path, server: HostileServer
) -> None:
    crawl.want(urls_of(1, 4))
    crawl.end()
    (folder,) = (crawl.folder / "archive").iterdir()
    with opened(folder):
        crawl.end(EXIT_RETRY)
    log = (crawl.folder / "log").read_text()
    assert f"{folder}: another live process" in log and "works on this archive" in log
    assert "Traceback" not in log


def test_an_archive_without_its_list_is_one_clear_error_and_keeps_its_pages(crawl: Crawl) -> None:
    crawl.want(urls_of(1, 4))
    crawl.end()
    (folder,) = (crawl.folder / "archive").iterdir()
    (folder / "archive.sqlite").unlink()
    crawl.end(1)
    log = (crawl.folder / "log").read_text()
    assert "archive.sqlite: missing" in log and "Traceback" not in log
    assert list((folder / "warc").iterdir())
