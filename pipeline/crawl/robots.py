"""robots.txt by RFC 9309: what its status means, how much of it counts, how long it is kept.

protego reads the rules that speak to us; it does not know the status. A 4xx allows everything; a
5xx or no answer forbids everything, since the host's wish is unknown.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from protego import Protego

from pipeline.crawl.exchange import Answer, FetchError
from pipeline.crawl.robots_text import MOST_BYTES, rules_for
from pipeline.shared.web.canonical import origin_of

MAX_BYTES = MOST_BYTES
MAX_REDIRECTS = 5  # section 2.3.1.2
_KEPT_S = 24 * 3600.0  # section 2.4
_MOST_KEPT = 4096
_MOST_KEPT_CHARACTERS = 2**23  # of rules; as protego holds them, fifty times as many bytes
_MANY_BYTES = 2**15  # of a robots.txt, whose rules take longer to read than others should wait
_PLAIN_REASONS = frozenset({"dns", "private_address", "tls", "bad_scheme", "bad_url"})
"""Failures that say more about the page than `robots_unreachable` would."""


class Rules(NamedTuple):
    """What a host allows."""

    protego: Protego | None
    """None: no rules, all is allowed or, with `refusal`, forbidden."""
    refusal: str = ""
    """Why nothing may be fetched."""
    crawl_delay_s: float = 0.0
    num_characters: int = 0
    """Of the rules."""


class Robots:
    """The rules of the hosts in use."""

    def __init__(self, agent: str, fetch: Callable[[str], Awaitable[Answer]]) -> None:
        """`agent` is the product token of the user agent; `fetch` gets a URL behind redirects."""
        self._agent = agent
        self._fetch = fetch
        # Not asyncio's own, which slow DNS can fill.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="robots")
        self._kept: OrderedDict[str, tuple[float, asyncio.Task[Rules]]] = OrderedDict()

    def refusal(self, rules: Rules, url: str) -> str:
        """Why `url` may not be fetched by the rules of its host: '' if it may."""
        if rules.refusal:
            return rules.refusal
        if rules.protego is not None and not rules.protego.can_fetch(url, self._agent):
            return "robots_disallowed"
        return ""

    async def rules(self, url: str) -> Rules:
        """The rules of the host of `url`, fetched once for all who ask."""
        origin = origin_of(url)
        now_s = time.monotonic()
        kept_s, task = self._kept.get(origin, (0.0, None))
        if task is None or now_s - kept_s > _KEPT_S:
            task = asyncio.create_task(self._load(f"{origin}/robots.txt"))
            task.add_done_callback(self._forget_old)
            self._kept[origin] = (now_s, task)
        self._kept.move_to_end(origin)
        return task.result() if task.done() else await asyncio.shield(task)

    def _forget_old(self, loaded: asyncio.Task[Rules]) -> None:
        """Make room for rules that were just read."""
        total = sum(_size(task) for _, task in self._kept.values())
        while len(self._kept) > _MOST_KEPT or total > _MOST_KEPT_CHARACTERS:
            _, (_, task) = self._kept.popitem(last=False)
            total -= _size(task)

    def close(self) -> None:
        """Give up what is still being fetched."""
        for _, task in self._kept.values():
            task.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _load(self, url: str) -> Rules:
        try:
            answer = await self._fetch(url)
        except FetchError as error:
            if error.reason in {"too_many_redirects", "redirect_loop"} or _is_4xx(error.reason):
                return Rules(None)
            plain = error.reason in _PLAIN_REASONS
            return Rules(None, refusal=error.reason if plain else "robots_unreachable")
        if len(answer.body) < _MANY_BYTES:
            return self._read(answer.body)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._read, answer.body)

    def _read(self, body: bytes) -> Rules:
        if len(body) >= MAX_BYTES:  # half a rule would forbid more than the whole one
            body = body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]
        text = rules_for(body, self._agent)
        protego = Protego.parse(text)
        return Rules(
            protego,
            crawl_delay_s=protego.crawl_delay(self._agent) or 0.0,
            num_characters=len(text),
        )


def _size(task: asyncio.Task[Rules]) -> int:
    """Characters of rules that are known."""
    if not task.done() or task.cancelled() or task.exception() is not None:
        return 0
    return task.result().num_characters


def _is_4xx(reason: str) -> bool:
    return reason.startswith("http_4")
