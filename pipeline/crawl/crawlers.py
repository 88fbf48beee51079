"""Several crawlers at once, hosts split among them, in processes here or on a cluster.

Each has its hosts to itself, so that a host has one connection and one pace whoever asks. A
redirect to another crawler's host is handed over and asked for in the next round; with one crawler
there is one round. Not handed over is a robots.txt that has moved to such a host: the page waits
for its rules, which whoever needs them asks for at a pace of its own, once a day.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipeline.crawl.archive import CRAWLERS, LIST, WARC, Archive
from pipeline.crawl.crawler import Ledger, Pace, crawl
from pipeline.crawl.exchange import Limits, open_client
from pipeline.crawl.fetch import Fetcher, Policy
from pipeline.crawl.guard import Endpoint
from pipeline.crawl.network import Network
from pipeline.crawl.politeness import HostGates
from pipeline.crawl.share import Share
from pipeline.crawl.warc import WarcFiles, cut
from pipeline.shared.errors import RetryableError
from pipeline.shared.params.profile import ComputeParams
from pipeline.shared.params.web import CrawlParams, FetchingParams
from pipeline.shared.running.executor import map_shards
from pipeline.shared.running.open_files import allow_files
from pipeline.shared.running.progress import Progress
from pipeline.shared.running.work_folder import locked

_LEAST_LOOKUPS = 64  # asyncio's own pool is too small for names that nobody answers for
_HOSTS_PER_CONNECTION = 4  # at once, since a polite crawl of a host mostly pauses
_WATCH_EVERY_S = 2.0
_ALONE_AFTER_S = 60.0  # without a sign of the process that started the crawlers
_RESULTS, _NOTE, _SIGN = "results.sqlite", "finished", "crawlers-wanted"


class CrawlerJob(NamedTuple):
    """What all crawlers are told."""

    archive: Path
    """Its list, its WARC files, and a folder with each crawler's own state."""
    params: CrawlParams
    fetching: FetchingParams
    crawlers: int
    server: Endpoint | None
    """Of the built-in web; None for the public internet."""

    @property
    def list(self) -> Path:
        """The archive's list."""
        return self.archive / LIST

    def crawler_folder(self, number: int) -> Path:
        """What a crawler keeps for itself."""
        return self.archive / CRAWLERS / f"{number:03d}"


class Fetched(NamedTuple):
    """What crawlers did in this attempt, after earlier ones or alone."""

    complete: bool
    """Every link has its state; else they were told to end."""
    pages: int
    """Brought to a final state, or handed over to another crawler."""
    body_bytes: int
    """Received, compressed as they came."""
    rounds: int
    lost: str = ""
    """What failed for want of a network, and stays pending."""


def crawl_all(
    job: CrawlerJob, archive: Archive, *, compute: ComputeParams, progress: Progress
) -> Fetched:
    """Bring every pending page to its final state.

    Raises:
        RetryableError: a crawler of an earlier attempt still runs, or there is no network.
    """
    total = Fetched(True, 0, 0, 0)
    here = compute.model_copy(update={"workers": job.crawlers})
    while True:
        recover(archive)
        if total.lost:
            raise RetryableError(
                f"no host answers, as if this machine had no network ({total.lost}); their links "
                "stay pending: look after the network and run the same command again"
            )
        if not total.complete or not archive.begin_round():
            return total
        with _watching(archive.crawlers, progress):
            ended = list(map_shards(partial(run_crawler, job), range(job.crawlers), compute=here))
        total = Fetched(
            all(one.complete for one in ended),
            total.pages + sum(one.pages for one in ended),
            total.body_bytes + sum(one.body_bytes for one in ended),
            total.rounds + 1,
            "; ".join(one.lost for one in ended if one.lost),
        )


def run_crawler(job: CrawlerJob, number: int) -> Fetched:
    """Crawl the share of one crawler; after a kill it goes on where it was."""
    folder = job.crawler_folder(number)
    with locked(folder, what="this crawler's hosts"):
        share = Share(job.list, folder / _RESULTS, number=number, of=job.crawlers)
        about = {
            "software": "figure4",
            "format": "WARC File Format 1.1",
            "http-header-user-agent": job.fetching.user_agent,
            "robots": "obey",
        }
        try:
            warc = WarcFiles(
                job.archive / WARC, share.warc_ends(), about=about, sealed=share.sealed(),
                series=number,
            )  # fmt: skip
            try:
                note = folder / _NOTE
                network = Network()
                ledger = Ledger(share, warc, lambda finished: _write_note(note, finished), network)
                complete = asyncio.run(_crawl(job, share, ledger, network))
                lost = network.summary() if network.is_lost else ""
                return Fetched(complete, ledger.num_finished, ledger.body_bytes, 1, lost)
            finally:
                warc.close()
        finally:
            share.close()


async def _crawl(job: CrawlerJob, share: Share, ledger: Ledger, network: Network) -> bool:
    params, fetching = job.params, job.fetching
    at_once = fetching.max_connections * (_HOSTS_PER_CONNECTION if fetching.per_host_delay_s else 1)
    allow_files(4 * at_once)  # a socket per host in work, kept alive or in use
    # A thread for each connection, since the wait for one would count against the deadline.
    most_lookups = max(_LEAST_LOOKUPS, fetching.max_connections)
    lookups = ThreadPoolExecutor(most_lookups, thread_name_prefix="dns")
    asyncio.get_running_loop().set_default_executor(lookups)
    gates = HostGates(fetching.per_host_delay_s, fetching.max_server_wait_s)
    policy = Policy(fetching.user_agent, fetching.max_attempts, params.max_redirects)
    async with open_client(
        user_agent=fetching.user_agent,
        limits=Limits(fetching.total_timeout_s, params.max_body_bytes),
        max_connections=fetching.max_connections,
        test_server=job.server,
        network=network,
    ) as client:
        fetcher = Fetcher(client, gates, policy, owns=share.owns)
        try:
            return await crawl(
                share,
                fetcher,
                ledger,
                pace=Pace(at_once, fetching.max_attempts),
                log=logging.getLogger("figure4"),
                is_alone=_make_is_alone(job.archive / CRAWLERS / _SIGN),
            )
        finally:
            fetcher.close()


def recover(archive: Archive) -> None:
    """Bring what crawlers left into the list, and cut WARC to what it knows.

    Raises:
        RetryableError: a crawler of an earlier attempt still runs.
        CorruptDataError: a WARC file is shorter than the list knows it.
    """
    hand_over(archive)
    cut(archive.warc, archive.warc_ends(), sealed=archive.sealed())


def hand_over(archive: Archive) -> None:
    """Bring what crawlers left, of however many, into the list.

    Raises:
        RetryableError: a crawler of an earlier attempt still runs.
    """
    for folder in sorted(archive.crawlers.glob("[0-9]*")):
        with locked(folder, what="this crawler's hosts"):
            results = folder / _RESULTS
            if results.is_file():
                Share(archive.path, results, number=0, of=1).close()  # rolls back half a commit
                archive.take_over(results)
                results.unlink()
            (folder / _NOTE).unlink(missing_ok=True)


@contextmanager
def _watching(folder: Path, progress: Progress) -> Iterator[None]:
    """Give crawlers a sign that they are waited for, and show how far they are."""
    folder.mkdir(exist_ok=True)
    (folder / _SIGN).touch()
    over = threading.Event()
    shown = 0

    def show() -> None:
        nonlocal shown
        finished = sum(map(_read_note, folder.glob(f"*/{_NOTE}")))
        progress.update(max(0, finished - shown))
        shown = max(shown, finished)

    def watch() -> None:
        while not over.wait(_WATCH_EVERY_S):
            (folder / _SIGN).touch()
            show()

    thread = threading.Thread(target=watch, name="crawlers")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        show()


def _make_is_alone(sign: Path) -> Callable[[], bool]:
    """Tells whether the sign has stayed as it was for long, by this machine's clock alone."""
    seen, since_s = -1, time.monotonic()

    def is_alone() -> bool:
        nonlocal seen, since_s
        now = sign.stat().st_mtime_ns if sign.is_file() else seen
        if now != seen:
            seen, since_s = now, time.monotonic()
        return time.monotonic() - since_s > _ALONE_AFTER_S

    return is_alone


def _write_note(note: Path, finished: int) -> None:
    note.write_text(str(finished))


def _read_note(note: Path) -> int:
    with suppress(OSError, ValueError):  # being written, or just removed
        return int(note.read_text())
    return 0
