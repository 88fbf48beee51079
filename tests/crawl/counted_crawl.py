"""A study's crawl against a server that counts.

Each run is the stage's own `__main__` in a process, with the test's server for the built-in web.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from crawling import links_to, num_committed, states
from hostile_server import HostileServer
from stage_runs import StageRuns
from warcio.archiveiterator import ArchiveIterator

from pipeline.crawl import run
from pipeline.crawl.archive import opened
from pipeline.crawl.crawlers import recover
from pipeline.shared.formats.fates import Fate
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
        assert process.exitcode == code, self.log()
        return pages(self.server, since=before)

    def stop_after(self, number: int, stop: Callable[[BaseProcess], None]) -> set[str]:
        """Stop the stage once so many pages have their state; returns all that have it then."""
        self.leave_after(number, stop)
        with opened(self.archive()) as archive:
            recover(archive)
        return {url for url, state in states(self.archive()).items() if state != "pending"}

    def leave_after(self, number: int, stop: Callable[[BaseProcess], None]) -> None:
        """Stop the stage once so many pages have their state, and leave all as it is then."""
        process = self.start()
        deadline_s = time.monotonic() + 120
        while num_committed(self.folder / "archive") < number:
            assert process.is_alive() and time.monotonic() < deadline_s
            time.sleep(0.001)
        stop(process)
        process.join()

    def archive(self) -> Path:
        """The archive's folder."""
        (folder,) = (self.folder / "archive").iterdir()
        return folder

    def log(self) -> str:
        """What the last run said."""
        return (self.folder / "log").read_text()

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
