"""The crawl itself: hosts side by side, each host's links one after another, results in batches.

A worker takes a host, does all its links and takes the next host. So a host has one connection by
construction, and memory holds a page of links per host in work, however many links there are.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from pipeline.crawl.exchange import Answer, FetchError, is_transient
from pipeline.crawl.fetch import Fetcher, backoff_s
from pipeline.crawl.frontier import FETCHED, Frontier, Result
from pipeline.crawl.warc import WarcFiles
from pipeline.progress import Progress

_LINKS_AT_ONCE = 64  # of one host in memory
_MOST_AGAIN = 256  # failed links of one host that wait for another attempt
_COMMIT_EVERY_S = 0.5
_MOST_WAITING_BYTES = 64 * 2**20  # of answers not yet in WARC; beyond, fetching waits
_DOWN_AFTER = 20  # failures of a host in a row, from which its other links are not tried
_DOWN_REASONS = frozenset({"timeout", "dns", "unreachable"})
HOST_DOWN = "host_down"


class Finished(NamedTuple):
    """A link with its final state, on its way to the frontier."""

    position: int
    state: str
    attempts: int
    answer: Answer | None


class Ledger:
    """Brings finished links to disk in batches: first WARC, then the frontier."""

    def __init__(self, frontier: Frontier, warc: WarcFiles, progress: Progress) -> None:
        self._frontier, self._warc, self._progress = frontier, warc, progress
        self._waiting: list[Finished] = []
        self._waiting_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1)  # not asyncio's own, which slow DNS can fill
        self._error: BaseException | None = None
        self.body_bytes = 0

    async def add(self, finished: Finished) -> None:
        """Take a finished link; waits while too much is in memory."""
        self._waiting.append(finished)
        self._waiting_bytes += len(finished.answer.body) if finished.answer else 0
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
            self._progress.update(len(batch))

    def close(self) -> None:
        """End the thread, once nothing more is committed."""
        self._thread.shutdown()

    def _write(self, batch: list[Finished]) -> None:
        results = [
            Result(
                finished.position,
                finished.state,
                finished.attempts,
                self._warc.add(finished.answer) if finished.answer else None,
            )
            for finished in batch
        ]
        self._warc.sync()
        self._frontier.finish(results)


class Pace(NamedTuple):
    """How much at once and how often."""

    hosts_at_once: int
    max_attempts: int


class HostCrawl:
    """All links of one host, one after another; failed ones again after a while."""

    def __init__(
        self, host: str, *, fetcher: Fetcher, frontier: Frontier, ledger: Ledger, max_attempts: int
    ) -> None:
        self._host, self._fetcher, self._frontier = host, fetcher, frontier
        self._ledger, self._max_attempts = ledger, max_attempts
        self._again: list[tuple[float, int, str, int]] = []  # a heap: (when, position, url, tries)
        self._failures_in_a_row = 0

    async def run(self) -> None:
        """Bring every pending link of the host to its final state."""
        for position, url in self._pending():
            await self._retry(leave=_MOST_AGAIN)
            await self._try(position, url, tries=1)
        await self._retry(leave=0)

    def _pending(self) -> Iterator[tuple[int, str]]:
        position = 0
        while links := self._frontier.pending(self._host, after=position, most=_LINKS_AT_ONCE):
            yield from links
            position = links[-1][0]

    async def _retry(self, *, leave: int) -> None:
        """Try again what is due, and wait for more until no more than `leave` are left."""
        while self._again and (len(self._again) > leave or self._again[0][0] <= _now_s()):
            await asyncio.sleep(max(0.0, self._again[0][0] - _now_s()))
            _, position, url, tries = heapq.heappop(self._again)
            await self._try(position, url, tries + 1)

    async def _try(self, position: int, url: str, tries: int) -> None:
        if self._failures_in_a_row >= _DOWN_AFTER:
            await self._ledger.add(Finished(position, HOST_DOWN, tries - 1, None))
            return
        try:
            answer = await self._fetcher.fetch(url)
        except FetchError as error:
            await self._failed(position, url, tries, error)
            return
        self._failures_in_a_row = 0
        await self._ledger.add(Finished(position, FETCHED, tries, answer))

    async def _failed(self, position: int, url: str, tries: int, error: FetchError) -> None:
        down = error.reason in _DOWN_REASONS and not error.final
        self._failures_in_a_row = self._failures_in_a_row + 1 if down else 0
        if is_transient(error.reason) and not error.final and tries < self._max_attempts:
            when_s = _now_s() + backoff_s(tries)
            heapq.heappush(self._again, (when_s, position, url, tries))
            return
        await self._ledger.add(Finished(position, error.reason, tries, None))


async def crawl(
    frontier: Frontier, fetcher: Fetcher, ledger: Ledger, *, pace: Pace, log: logging.Logger
) -> bool:
    """Bring every pending link to its final state; False if a SIGTERM ended it before.

    Then as on Ctrl-C, what is finished is committed first.
    """
    hosts = frontier.hosts()

    async def work() -> None:
        for host in hosts:  # shared: each host goes to one worker
            await HostCrawl(
                host,
                fetcher=fetcher,
                frontier=frontier,
                ledger=ledger,
                max_attempts=pace.max_attempts,
            ).run()

    async with _ended_by_sigterm(log) as terminated:
        committer = asyncio.create_task(ledger.run())
        workers = [asyncio.create_task(work()) for _ in range(pace.hosts_at_once)]
        stop = asyncio.create_task(terminated.wait())
        try:
            await _first_error([*workers, committer], stop)
        finally:
            await _cancel([*workers, committer, stop])
            try:
                await ledger.commit()
            finally:
                ledger.close()
    return not terminated.is_set()


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


def count_reasons(states: Counter[str]) -> dict[str, int]:
    """Counts by state, the fetched ones first, then by number."""
    failures = sorted(
        ((name, number) for name, number in states.items() if name != FETCHED),
        key=lambda item: (-item[1], item[0]),
    )
    return {FETCHED: states[FETCHED], **dict(failures)}


def _now_s() -> float:
    return asyncio.get_running_loop().time()
