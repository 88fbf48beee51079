"""Runs parts of the crawl against a server of the tests."""

from __future__ import annotations

import asyncio
from typing import Any

from hostile_server import HostileServer

from pipeline.crawl.exchange import Answer, FetchError, Limits, open_client
from pipeline.crawl.fetch import Fetcher, Policy
from pipeline.crawl.politeness import HostGates

AGENT = "testbot/1.0 (+mailto:test@example.org)"


def fetch_all(
    server: HostileServer | None,
    urls: list[str],
    *,
    at_once: bool = False,
    delay_s: float = 0.0,
    max_wait_s: float = 5.0,
    timeout_s: float = 0.6,
    max_body_bytes: int = 2_000_000,
) -> list[Answer | str]:
    """The answer to each URL, or the reason why there is none."""

    async def one(fetcher: Fetcher, url: str) -> Answer | str:
        try:
            return await fetcher.fetch(url)
        except FetchError as error:
            return error.reason

    async def run() -> list[Answer | str]:
        async with open_client(
            user_agent=AGENT,
            limits=Limits(timeout_s, max_body_bytes),
            max_connections=16,
            test_server=("127.0.0.1", server.port) if server else None,
        ) as client:
            fetcher = Fetcher(client, HostGates(delay_s, max_wait_s), Policy(AGENT, 1, 5))
            try:
                if at_once:
                    return list(await asyncio.gather(*(one(fetcher, url) for url in urls)))
                return [await one(fetcher, url) for url in urls]
            finally:
                fetcher.close()

    return asyncio.run(run())


def fetch(server: HostileServer | None, url: str, **options: Any) -> Answer | str:
    """One URL; see `fetch_all`."""
    return fetch_all(server, [url], **options)[0]
