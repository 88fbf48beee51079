"""Fetch one page as a guest should: robots.txt and the host's pace at every step of a redirect."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pipeline.crawl import robots
from pipeline.crawl.cookies import Cookies, read_steps, write_step
from pipeline.crawl.exchange import Answer, Client, FetchError, is_transient
from pipeline.crawl.politeness import HostGates, retry_after_s
from pipeline.crawl.robots_text import product_token
from pipeline.shared.web.canonical import BadUrlError, host_of, origin_of, redirect_target
from pipeline.shared.web.hosts import is_wikipedia

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BACKOFF_S = {"broken": 0.5, "dns": 1.0, "timeout": 1.0, "unreachable": 1.0}
_BUSY_BACKOFF_S = 2.0  # a server that says it has too much to do
_MOST_BACKOFF_S = 300.0

Ask = Callable[[str, Cookies], Coroutine[Any, Any, Answer]]
Owns = Callable[[str], bool]


class Policy(NamedTuple):
    """How often and how far."""

    user_agent: str
    max_attempts: int
    max_redirects: int


def backoff_s(reason: str, attempts: int) -> float:
    """Seconds to wait after so many failed attempts, by the class of the last failure.

    >>> backoff_s("broken", 1), backoff_s("timeout", 1), backoff_s("http_503", 3)
    (0.5, 1.0, 8.0)
    """
    return min(_BACKOFF_S.get(reason, _BUSY_BACKOFF_S) * 2.0 ** (attempts - 1), _MOST_BACKOFF_S)


def _any_host(host: str) -> bool:
    return True


class Moved(Exception):
    """A redirect leads to a host that another crawler asks."""

    def __init__(self, trail: tuple[str, ...]) -> None:
        """`trail`: the steps asked for, with their cookies, and the URL to ask for next."""
        super().__init__(trail[-1])
        self.trail = trail


class Fetcher:
    """Fetches pages; one for a whole crawl."""

    def __init__(
        self,
        client: Client,
        gates: HostGates,
        policy: Policy,
        *,
        owns: Owns = _any_host,
    ) -> None:
        """`owns` tells which hosts are this crawler's to ask for pages."""
        self._owns = owns
        self._client = client
        self.network = client.network
        self._gates = gates
        self._policy = policy
        self._robots = robots.Robots(product_token(policy.user_agent), self._fetch_robots)

    async def fetch(self, *trail: str) -> Answer:
        """One attempt at a page, behind its redirects; the answer has status 200.

        Args:
            trail: its URL, or the steps that redirected and the one where they led to.

        Raises:
            FetchError: there is no page, and why.
            Moved: it lies on another crawler's host.
        """
        return await self._follow(
            trail, self._ask_page, self._policy.max_redirects, owns=self._owns
        )

    def close(self) -> None:
        """Give up what is still being fetched."""
        self._robots.close()

    async def _follow(
        self,
        trail: Sequence[str],
        ask: Ask,
        max_redirects: int,
        *,
        owns: Owns = _any_host,
    ) -> Answer:
        urls, cookies = read_steps(trail)
        url, steps = urls[-1], list(trail[:-1])
        seen = {(earlier, "") for earlier in urls[:-1]} | {(url, cookies.header(url))}
        while True:
            answer = await ask(url, cookies)
            if answer.status == 200:
                return answer
            if answer.status not in _REDIRECTS:
                raise FetchError(f"http_{answer.status}")
            steps.append(write_step(url, answer.values("Set-Cookie")))
            url = _target(answer)
            request = (url, cookies.header(url))  # another cookie, and the answer may be another
            if request in seen:
                raise FetchError("redirect_loop", url)
            if len(steps) > max_redirects:
                raise FetchError("too_many_redirects", url)
            if _is_web(url) and not owns(host_of(url)):
                raise Moved((*steps, url))
            seen.add(request)

    async def ask_anybody(self, urls: Sequence[str]) -> None:
        """Ask the hosts of some pages for a sign, whatever they say; `network` takes note."""

        async def ask(url: str) -> None:
            with suppress(FetchError):
                await self._exchange(url, Cookies(), truncate_at=robots.MAX_BYTES)

        origins = {origin_of(url): None for url in urls}
        await asyncio.gather(*(ask(f"{origin}/robots.txt") for origin in origins))

    async def _ask_page(self, url: str, cookies: Cookies) -> Answer:
        if is_wikipedia(host_of(url)):
            raise FetchError("wikipedia", url)
        if _is_web(url):  # the client refuses others, with the reason
            rules = await self._robots.rules(url)
            self._gates.set_delay(host_of(url), rules.crawl_delay_s)
            refusal = self._robots.refusal(rules, url)
            if refusal:
                raise FetchError(refusal, url, final=True)
        return await self._exchange(url, cookies)

    async def _exchange(
        self, url: str, cookies: Cookies, *, truncate_at: int | None = None
    ) -> Answer:
        host = host_of(url)
        async with self._gates.enter(host):
            answer = await self._client.get(url, truncate_at=truncate_at, cookies=cookies)
        wait_s = retry_after_s(answer.header("Retry-After"), dt.datetime.now(dt.UTC))
        if wait_s is not None and answer.status not in _REDIRECTS:
            self._gates.hold(host, wait_s)
        return answer

    async def _fetch_robots(self, url: str) -> Answer:
        async def ask(url: str, cookies: Cookies) -> Answer:
            return await self._exchange(url, cookies, truncate_at=robots.MAX_BYTES)

        attempts = 0
        while True:
            attempts += 1
            try:
                return await self._follow((url,), ask, robots.MAX_REDIRECTS)
            except FetchError as error:
                if attempts >= self._policy.max_attempts or not is_transient(error.reason):
                    raise
                await asyncio.sleep(backoff_s(error.reason, attempts))


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _target(answer: Answer) -> str:
    location = answer.header("Location")
    if not location:
        raise FetchError("redirect_broken", "no Location")
    with suppress(UnicodeDecodeError):  # a header is Latin-1 by the standard, UTF-8 on the web
        location = location.encode("latin-1").decode("utf-8")
    try:
        return redirect_target(answer.url, location)
    except BadUrlError as error:
        raise FetchError("redirect_broken", str(error)) from None
