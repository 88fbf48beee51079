"""robots.txt by RFC 9309: what its status means, how much of it counts, how long it is kept.

protego reads the rules; it does not know the status. A 4xx allows everything; a 5xx or no answer
forbids everything, since the host's wish is unknown.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from protego import Protego

from pipeline.crawl.exchange import Answer, FetchError
from pipeline.shared.web.canonical import origin_of

MAX_BYTES = 500 * 1024  # RFC 9309, section 2.5: the least that a crawler must read
MAX_REDIRECTS = 5  # section 2.3.1.2
_KEPT_S = 24 * 3600.0  # section 2.4
_MOST_KEPT = 4096
_PLAIN_REASONS = frozenset({"dns", "private_address", "tls", "bad_scheme", "bad_url"})
"""Failures that say more about the page than `robots_unreachable` would."""


class Rules(NamedTuple):
    """What a host allows."""

    protego: Protego | None
    """None: no rules, all is allowed or, with `refusal`, forbidden."""
    refusal: str = ""
    """Why nothing may be fetched."""
    crawl_delay_s: float = 0.0


class Robots:
    """The rules of the hosts in use."""

    def __init__(self, agent: str, fetch: Callable[[str], Awaitable[Answer]]) -> None:
        """`agent` is the product token of the user agent; `fetch` gets a URL behind redirects."""
        self._agent = agent
        self._fetch = fetch
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
            self._kept[origin] = (now_s, task)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(origin)
        return task.result() if task.done() else await asyncio.shield(task)

    def close(self) -> None:
        """Give up what is still being fetched."""
        for _, task in self._kept.values():
            task.cancel()

    async def _load(self, url: str) -> Rules:
        try:
            answer = await self._fetch(url)
        except FetchError as error:
            if error.reason in {"too_many_redirects", "redirect_loop"} or _is_4xx(error.reason):
                return Rules(None)
            plain = error.reason in _PLAIN_REASONS
            return Rules(None, refusal=error.reason if plain else "robots_unreachable")
        body = answer.body
        if len(body) >= MAX_BYTES:  # half a rule would forbid more than the whole one
            body = body[: body.rfind(b"\n") + 1]
        protego = Protego.parse(body.decode("utf-8", "replace"))
        return Rules(protego, crawl_delay_s=protego.crawl_delay(self._agent) or 0.0)


def _is_4xx(reason: str) -> bool:
    return reason.startswith("http_4")
