"""Runs parts of the crawl against a server of the tests."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from hostile_server import HostileServer

from pipeline.crawl.archive import LIST, Archive, IsDue
from pipeline.crawl.exchange import Answer, FetchError, Limits, open_client
from pipeline.crawl.fetch import Fetcher, Policy
from pipeline.crawl.politeness import HostGates
from pipeline.shared.formats.links import Link

PATIENCE_S = 10.0
"""For an answer that will come: enough on a machine that is busy with other things."""

AGENT = "testbot/1.0 (+mailto:test@example.org)"


@asynccontextmanager
async def open_fetcher(
    server: HostileServer | None,
    *,
    delay_s: float = 0.0,
    max_wait_s: float = 5.0,
    timeout_s: float = PATIENCE_S,
    max_body_bytes: int = 2_000_000,
    max_connections: int = 16,
) -> AsyncIterator[Fetcher]:
    """A fetcher of a server's pages, of which each is tried once."""
    async with open_client(
        user_agent=AGENT,
        limits=Limits(timeout_s, max_body_bytes),
        max_connections=max_connections,
        test_server=("127.0.0.1", server.port) if server else None,
    ) as client:
        fetcher = Fetcher(client, HostGates(delay_s, max_wait_s), Policy(AGENT, 1, 5))
        try:
            yield fetcher
        finally:
            fetcher.close()


async def fetch_one(fetcher: Fetcher, url: str) -> Answer | str:
    """The answer to a URL, or the reason why there is none."""
    try:
        return await fetcher.fetch(url)
    except FetchError as error:
        return error.reason


def fetch_all(
    server: HostileServer | None, urls: list[str], *, at_once: bool = False, **options: Any
) -> list[Answer | str]:
    """The answer to each URL, or the reason why there is none; options as of `open_fetcher`."""

    async def run() -> list[Answer | str]:
        async with open_fetcher(server, **options) as fetcher:
            if at_once:
                return list(await asyncio.gather(*(fetch_one(fetcher, url) for url in urls)))
            return [await fetch_one(fetcher, url) for url in urls]

    return asyncio.run(run())


def fetch(server: HostileServer | None, url: str, **options: Any) -> Answer | str:
    """One URL; see `fetch_all`."""
    return fetch_all(server, [url], **options)[0]


def never(state: str, asked_utc: float) -> bool:
    """Nothing is asked for again."""
    return False


def links_to(urls: Sequence[str]) -> list[Link]:
    """A link to each URL."""
    return [Link(url, url, 3, 0, "") for url in urls]


def want(archive: Archive, urls: Sequence[str], *, list: str = "", is_due: IsDue = never) -> None:
    """Want these pages and no others; `list` tells one list from another of the same pages."""
    name = list + " ".join(urls)
    archive.begin_list(name)
    archive.want(f"shard of {name}", links_to(urls), is_due)


def states(folder: Path) -> dict[str, str]:
    """The state of every page of an archive."""
    with closing(sqlite3.connect(folder / LIST)) as database:
        return dict(database.execute("SELECT url, state FROM pages"))


def num_committed(archives: Path) -> int:
    """Pages with a final state, as another process sees them; -1 before there are any."""
    queries = {
        "archive.sqlite": "SELECT count(*) FROM pages WHERE state != 'pending'",
        "crawlers/*/results.sqlite": "SELECT count(*) FROM results WHERE state != 'moved'",
    }
    counts = [
        _ask(path, query)
        for pattern, query in queries.items()
        for path in archives.glob(f"*/{pattern}")
    ]
    return sum(counts) if counts and min(counts) >= 0 else -1


def _ask(path: Path, query: str) -> int:
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return int(database.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return -1
