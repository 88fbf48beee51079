"""The crawl itself: hosts side by side, each host's links one after another, results in batches.

A worker takes a host, does all its links and takes the next host. So a host has one connection by
construction, and memory holds a page of links per host in work, however many links there are.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import heapq
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from pipeline.crawl.archive import MOVED
from pipeline.crawl.exchange import Answer, FetchError, is_transient
from pipeline.crawl.fetch import Fetcher, Moved, backoff_s
from pipeline.crawl.network import Network
from pipeline.crawl.share import Share, ShareResult, ShareTask
from pipeline.crawl.warc import WarcFiles, response_record
from pipeline.shared.formats.fates import FETCHED
from pipeline.shared.web.canonical import host_of

_LINKS_AT_ONCE = 64  # of one host in memory
_MOST_AGAIN = 256  # failed links of one host that wait for another attempt
_COMMIT_EVERY_S = 0.5
_WATCH_EVERY_S = 5.0
_MOST_WAITING_BYTES = 64 * 2**20  # of answers not yet in WARC; beyond, fetching waits
_PATIENCE_S = 5.0  # for the first answer, where many names fail at once
_DOWN_AFTER = 20  # failures of a host in a row, from which its other links are not tried
_DOWN_REASONS = frozenset({"timeout", "dns", "unreachable"})
_MOST_COMPRESSORS = 4  # more would outrun what one process fetches
HOST_DOWN = "host_down"
LOG = logging.getLogger("figure4")


class Finished(NamedTuple):
    """What became of a link, on its way to disk."""

    result: ShareResult
    record: Future[bytes] | None = None
    """Of WARC, for a page."""


class Ledger:
    """Brings finished links to disk in batches: first WARC, then the crawler's database."""

    def __init__(
        self, share: Share, warc: WarcFiles, note: Callable[[int], None], network: Network
    ) -> None:
        """`note` is told, after each batch, how many links are finished."""
        self._network = network
        self._share, self._warc, self._note = share, warc, note
        self._waiting: list[Finished] = []
        self._waiting_bytes = 0
        self._compressors = ThreadPoolExecutor(_compressors(), thread_name_prefix="gzip")
        self._room = asyncio.Event()
        self._room.set()
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1)  # not asyncio's own, which slow DNS can fill
        self._error: BaseException | None = None
        self.num_finished = 0
        self.body_bytes = 0
        """Received, compressed as they came."""

    async def add(self, result: ShareResult, answer: Answer | None = None) -> None:
        """Take a finished link; waits while too much is in memory."""
        record = None
        if answer is not None:
            now = dt.datetime.now(dt.UTC)
            record = self._compressors.submit(response_record, answer, now)
            self._waiting_bytes += len(answer.body)
        self._waiting.append(Finished(result, record))
        if self._waiting_bytes > _MOST_WAITING_BYTES:
            self._room.clear()
        await self._room.wait()

    async def run(self) -> None:
        """Commit every now and then, until cancelled."""
        while True:
            await asyncio.sleep(_COMMIT_EVERY_S)
            await self.commit()

    async def commit(self) -> None:
        """Commit what waits, in a thread: compression and fsync would hold up every fetch.

        A commit that has begun ends even when its caller is cancelled. One that failed leaves half
        a record behind, so every later one fails alike, until the files are opened again.
        """
        await asyncio.shield(self._commit())

    async def _commit(self) -> None:
        async with self._lock:
            if self._error is not None:
                raise self._error
            self._waiting += map(Finished, self._network.confirmed())
            batch, self._waiting = self._waiting, []
            self.body_bytes += self._waiting_bytes
            self._waiting_bytes = 0
            self._room.set()
            if not batch:
                return
            try:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._thread, self._write, batch)
            except BaseException as error:
                self._error = error
                raise
            self.num_finished += len(batch)
            self._note(self.num_finished)

    def close(self) -> None:
        """End the threads, once nothing more is committed."""
        self._thread.shutdown()
        self._compressors.shutdown()

    def _write(self, batch: list[Finished]) -> None:
        results = [
            result._replace(place=self._warc.add(record.result())) if record else result
            for result, record in batch
        ]
        self._warc.sync()
        self._share.finish(results)


class Pace(NamedTuple):
    """How much at once and how often."""

    hosts_at_once: int
    max_attempts: int


class HostCrawl:
    """All links of one host, one after another; failed ones again after a while."""

    def __init__(
        self, host: str, *, fetcher: Fetcher, share: Share, ledger: Ledger, max_attempts: int
    ) -> None:
        self._host, self._fetcher, self._share = host, fetcher, share
        self._ledger, self._max_attempts = ledger, max_attempts
        self._again: list[tuple[float, ShareTask, int]] = []  # a heap: (when, task, tries)
        self._failures_in_a_row = 0

    async def run(self) -> None:
        """Bring every pending link of the host to its final state."""
        for task in self._pending():
            await self._retry(leave=_MOST_AGAIN)
            await self._try(task, tries=1)
        await self._retry(leave=0)

    def _pending(self) -> Iterator[ShareTask]:
        position = 0
        while tasks := self._share.pending(self._host, after=position, most=_LINKS_AT_ONCE):
            yield from tasks
            position = tasks[-1].position

    async def _retry(self, *, leave: int) -> None:
        """Try again what is due, and wait for more until no more than `leave` are left."""
        while self._again and (len(self._again) > leave or self._again[0][0] <= _now_s()):
            await asyncio.sleep(max(0.0, self._again[0][0] - _now_s()))
            _, task, tries = heapq.heappop(self._again)
            await self._try(task, tries + 1)

    async def _try(self, task: ShareTask, tries: int) -> None:
        began_s = time.monotonic()
        if self._failures_in_a_row >= _DOWN_AFTER:
            await self._give_up(ShareResult(task.position, HOST_DOWN, tries - 1), began_s)
            return
        try:
            answer = await self._fetcher.fetch(*task.trail)
        except FetchError as error:
            await self._failed(task, tries, error, began_s)
            return
        except Moved as moved:
            moved_to = host_of(moved.trail[-1])
            await self._ledger.add(
                ShareResult(task.position, MOVED, tries, trail=moved.trail, moved_to=moved_to)
            )
            return
        except Exception:  # whatever a server's words bring about costs one page, not the crawl
            LOG.exception("%s left out, by a defect of this program", task.url)
            await self._ledger.add(ShareResult(task.position, "broken", tries))
            return
        self._failures_in_a_row = 0
        await self._ledger.add(ShareResult(task.position, FETCHED, tries), answer)

    async def _failed(self, task: ShareTask, tries: int, error: FetchError, began_s: float) -> None:
        down = error.reason in _DOWN_REASONS and not error.final
        self._failures_in_a_row = self._failures_in_a_row + 1 if down else 0
        if is_transient(error.reason) and not error.final and tries < self._max_attempts:
            when_s = _now_s() + backoff_s(error.reason, tries)
            heapq.heappush(self._again, (when_s, task, tries))
            return
        await self._give_up(ShareResult(task.position, error.reason, tries), began_s)

    async def _give_up(self, result: ShareResult, began_s: float) -> None:
        network = self._fetcher.network
        if network.may_be_to_blame(result.state, began_s):
            network.hold(self._host, result)
        else:
            await self._ledger.add(result)


async def crawl(
    share: Share,
    fetcher: Fetcher,
    ledger: Ledger,
    *,
    pace: Pace,
    log: logging.Logger,
    is_alone: Callable[[], bool] = lambda: False,
) -> bool:
    """Bring every pending link of a share to its state; False if it was ended before that.

    SIGTERM ends it, or `is_alone`, asked now and then, once who started it is gone, or the network
    that `fetcher.network` says is lost. Then as on Ctrl-C, what is finished is committed first.
    """
    hosts = share.hosts()

    async def work() -> None:
        for host in hosts:  # shared: each host goes to one worker
            await HostCrawl(
                host,
                fetcher=fetcher,
                share=share,
                ledger=ledger,
                max_attempts=pace.max_attempts,
            ).run()

    async with _ended_by_sigterm(log) as terminated:
        committer = asyncio.create_task(ledger.run())
        workers = [asyncio.create_task(work()) for _ in range(pace.hosts_at_once)]
        stop = asyncio.create_task(terminated.wait())
        watch = asyncio.create_task(_watch(is_alone, terminated, log))
        doubt = asyncio.create_task(_doubt(fetcher, share, terminated))
        try:
            await _first_error([*workers, committer], stop)
            await _settle(fetcher, share, terminated)
        finally:
            await _cancel([*workers, committer, stop, watch, doubt])
            try:
                await ledger.commit()
            finally:
                ledger.close()
    return not terminated.is_set()


async def _watch(is_alone: Callable[[], bool], ended: asyncio.Event, log: logging.Logger) -> None:
    while not is_alone():
        await asyncio.sleep(_WATCH_EVERY_S)
    log.warning("nobody waits for this crawler any more: writing what is fetched, then ending")
    ended.set()


async def _doubt(fetcher: Fetcher, share: Share, ended: asyncio.Event) -> None:
    """Look for the network whenever nobody answers, and end the crawl if there is none."""
    while True:
        await fetcher.network.in_doubt.wait()
        fetcher.network.in_doubt.clear()
        await _settle(fetcher, share, ended, patience_s=_PATIENCE_S)


async def _settle(
    fetcher: Fetcher, share: Share, ended: asyncio.Event, *, patience_s: float = 0.0
) -> None:
    """Find out whose fault the failures are that are kept back."""
    network = fetcher.network
    if network.has_held() and not ended.is_set():
        await fetcher.ask_anybody(share.known_urls())
        if network.has_held():
            await asyncio.sleep(patience_s)
        if network.has_held():
            network.is_lost = True
            ended.set()


async def _first_error(tasks: list[asyncio.Task[None]], stop: asyncio.Task[bool]) -> None:
    """Wait until all workers are done, `stop` is, or one task fails, and raise its error.

    The committer, the last task, never ends by itself.
    """
    workers = set(tasks[:-1])
    while workers and not stop.done():
        done, _ = await asyncio.wait(
            {*workers, tasks[-1], stop}, return_when=asyncio.FIRST_COMPLETED
        )
        for task in done - {stop}:
            task.result()
        workers -= done


async def _cancel(tasks: list[asyncio.Task[None] | asyncio.Task[bool]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})


@asynccontextmanager
async def _ended_by_sigterm(log: logging.Logger) -> AsyncIterator[asyncio.Event]:
    """Within the block SIGTERM sets the event instead of raising wherever the code is."""
    terminated = asyncio.Event()
    if threading.current_thread() is not threading.main_thread():  # a cluster's worker
        yield terminated
        return
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGTERM)

    def note() -> None:
        log.warning("SIGTERM: writing what is fetched, then ending")
        terminated.set()

    loop.add_signal_handler(signal.SIGTERM, note)
    try:
        yield terminated
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


def _compressors() -> int:
    """Threads that compress pages, which is most of a fast crawl's work."""
    return min(_MOST_COMPRESSORS, os.cpu_count() or 1)


def _now_s() -> float:
    return asyncio.get_running_loop().time()
