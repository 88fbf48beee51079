"""Cookies as long as one trail of redirects: many sites set one, send back, and loop without it.

Nothing is kept beyond the trail, so that no site can follow a crawl from page to page.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import CookieJar
from yarl import URL

_MOST_BYTES = 8192  # of one answer's lines; what browsers send back is no longer


class Cookies:
    """Those of one trail; made within a running event loop."""

    def __init__(self) -> None:
        self._jar: CookieJar | None = None

    def header(self, url: str) -> str:
        """What to send to a URL; '' if nothing."""
        if self._jar is None:
            return ""
        found = self._jar.filter_cookies(URL(url, encoded=True))
        return "; ".join(f"{name}={cookie.coded_value}" for name, cookie in found.items())

    def take(self, url: str, lines: Sequence[str]) -> None:
        """Keep what an answer set."""
        if not lines:
            return
        if self._jar is None:
            self._jar = CookieJar(unsafe=True, quote_cookie=False)  # addresses have cookies, too
        self._jar.update_cookies_from_headers(lines, URL(url, encoded=True))


def write_step(url: str, lines: Sequence[str]) -> str:
    """A step of a trail for a table: the URL and what its answer set, between tabs."""
    kept: list[str] = []
    for line in lines:
        if sum(map(len, kept)) + len(line) <= _MOST_BYTES and not set(line) & {"\t", "\n"}:
            kept.append(line)
    return "\t".join([url, *kept])


def read_steps(trail: Sequence[str]) -> tuple[list[str], Cookies]:
    """The URLs of a trail, the last not yet asked for, and the cookies that its answers set."""
    cookies, urls = Cookies(), []
    for step in trail:
        url, *lines = step.split("\t")
        urls.append(url)
        cookies.take(url, lines)
    return urls, cookies
