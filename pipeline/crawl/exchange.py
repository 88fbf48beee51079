"""One HTTP exchange with a hostile server: no redirects followed, everything capped.

Whatever a server does ends as an `Answer` or as a `FetchError` with one word of the taxonomy.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from pipeline.crawl.cookies import Cookies
from pipeline.crawl.guard import Endpoint, PrivateAddressError, make_socket_factory
from pipeline.crawl.heads import MOST_HEAD_BYTES, ForgivingConnector
from pipeline.crawl.network import SILENT, Network
from pipeline.shared.web.bodies import ACCEPT_ENCODING, BodyReader, BrokenBodyError, TooLargeError
from pipeline.shared.web.media_types import may_be_page, page_type, says_page

TRANSIENT = frozenset({"timeout", "dns", "unreachable", "broken"})
"""Failures that another attempt may mend, beside the statuses of `is_transient`."""
_TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504, 520, 522, 524})
_CHUNK_BYTES = 2**16
_DNS_CACHE_S = 600
_KEEP_ALIVE_S = 15.0


class FetchError(Exception):
    """No answer that could be used; `reason` is one word of the taxonomy."""

    def __init__(self, reason: str, detail: str = "", *, final: bool = False) -> None:
        """`final`: another attempt would find the same, e.g. since robots.txt was asked before."""
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.final = final


class Answer(NamedTuple):
    """What a server sent, its body still encoded."""

    url: str
    status: int
    phrase: str
    headers: list[tuple[bytes, bytes]]
    """As they came, in their order."""
    body: bytes
    """As it came, but without the framing of chunks."""

    def header(self, name: str) -> str:
        """The first value of a header, or ''."""
        return next(iter(self.values(name)), "")

    def values(self, name: str) -> list[str]:
        """The values of all lines of a header."""
        wanted = name.lower().encode()
        return [
            value.decode("latin-1").strip() for key, value in self.headers if key.lower() == wanted
        ]


def is_transient(reason: str) -> bool:
    """Whether another attempt may end otherwise.

    >>> is_transient("http_503"), is_transient("http_404"), is_transient("timeout")
    (True, False, True)
    """
    status = reason.removeprefix("http_")
    return reason in TRANSIENT or (status.isdigit() and int(status) in _TRANSIENT_STATUSES)


class Limits(NamedTuple):
    """Caps on one exchange."""

    total_timeout_s: float
    max_body_bytes: int


class Client:
    """An aiohttp session behind the address guard; make it with `open_client`."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        limits: Limits,
        network: Network,
        *,
        max_connections: int,
    ) -> None:
        self._session = session
        self._limits = limits
        # Not the pool of aiohttp, where the wait for a connection is part of the deadline.
        self._turns = asyncio.Semaphore(max_connections)
        self.network = network
        """What is known of whether there is one."""

    async def get(
        self, url: str, *, truncate_at: int | None = None, cookies: Cookies | None = None
    ) -> Answer:
        """Ask for one URL, once a connection is free: the deadline begins with the connecting.

        Args:
            url: http or https.
            cookies: those of the trail, sent and added to.
            truncate_at: for robots.txt: any content type, and a body that comes decoded, cut to so
                many bytes.

        Raises:
            FetchError: there is no whole answer.
        """
        try:
            parsed = URL(url, encoded=True)
        except ValueError as error:
            raise FetchError("bad_url", str(error)) from None
        if parsed.scheme not in {"http", "https"}:
            raise FetchError("bad_scheme", parsed.scheme)
        cookies = cookies or Cookies()
        headers = {"Cookie": sent} if (sent := cookies.header(url)) else None
        try:
            async with (
                self._turns,
                self._session.get(parsed, allow_redirects=False, headers=headers) as response,
            ):
                self.network.answered()
                answer = await self._read(url, response, truncate_at)
        except TooLargeError as error:
            raise FetchError("too_large", str(error)) from None
        except (TimeoutError, aiohttp.ClientError, BrokenBodyError, ValueError, OSError) as error:
            reason = _classify(error)
            if reason not in SILENT | {"private_address"}:  # so are all names in some hotels
                self.network.answered()
            raise FetchError(reason, str(error)) from error
        cookies.take(url, answer.values("Set-Cookie"))
        return answer

    async def _read(
        self, url: str, response: aiohttp.ClientResponse, truncate_at: int | None
    ) -> Answer:
        answer = Answer(
            url, response.status, response.reason or "", list(response.raw_headers), b""
        )
        if response.status != 200:
            response.close()  # nobody reads what an error page says
            return answer
        kind = ", ".join(answer.values("Content-Type"))
        if truncate_at is None and not may_be_page(kind):
            response.close()
            raise FetchError("not_html", kind)
        encoding = ", ".join(answer.values("Content-Encoding"))
        most = self._limits.max_body_bytes if truncate_at is None else truncate_at
        reader = BodyReader(encoding, most, truncate=truncate_at is not None)
        raw = await _receive(response, reader, most, truncate=truncate_at is not None)
        decoded = reader.finish()
        if truncate_at is None and not says_page(kind) and page_type(kind, decoded) is None:
            raise FetchError("not_html", kind)
        return answer._replace(body=raw if truncate_at is None else decoded)


async def _receive(
    response: aiohttp.ClientResponse, reader: BodyReader, most_bytes: int, *, truncate: bool
) -> bytes:
    """A body as it comes, read along by `reader`.

    It has the cap of what is decoded: behind the end of what is encoded, in empty members and in
    frames to be skipped, any number of bytes give nothing.
    """
    parts: list[bytes] = []
    received = 0
    async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
        reader.feed(chunk)
        parts.append(chunk)
        received += len(chunk)
        if received > most_bytes and not truncate:
            raise TooLargeError(f"more than {most_bytes} bytes as they come")
        if received > most_bytes or reader.full:
            response.close()
            break
    return b"".join(parts)


def _classify(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        private = isinstance(error.os_error, PrivateAddressError)
        return "private_address" if private else _reason(error)
    return _reason(error)


def _reason(error: Exception) -> str:
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (TimeoutError, "timeout"),
        (aiohttp.ClientConnectorDNSError, "dns"),
        (aiohttp.ClientSSLError, "tls"),
        (aiohttp.ClientConnectorError, "unreachable"),
        (aiohttp.InvalidURL, "bad_url"),
    )
    return next((reason for kind, reason in reasons if isinstance(error, kind)), "broken")


@asynccontextmanager
async def open_client(
    *,
    user_agent: str,
    limits: Limits,
    max_connections: int,
    test_server: Endpoint | None,
    network: Network | None = None,
) -> AsyncIterator[Client]:
    """A client for the public internet or, given its server, for the built-in web alone."""
    allowed = frozenset({test_server}) if test_server else frozenset[Endpoint]()
    connector = ForgivingConnector(
        limit=0,  # the client's own turns are the limit
        ttl_dns_cache=_DNS_CACHE_S,
        keepalive_timeout=_KEEP_ALIVE_S,
        resolver=_TestResolver(test_server) if test_server else None,
        socket_factory=make_socket_factory(allowed),
    )
    headers = {
        "User-Agent": user_agent,
        "Accept": "text/html,application/xhtml+xml,text/plain;q=0.9,*/*;q=0.1",
        "Accept-Language": "en",
        "Accept-Encoding": ACCEPT_ENCODING,
    }
    async with aiohttp.ClientSession(
        connector=connector,
        headers=headers,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=MOST_HEAD_BYTES,
        max_field_size=MOST_HEAD_BYTES,
        max_headers=MOST_HEAD_BYTES,
        timeout=aiohttp.ClientTimeout(total=limits.total_timeout_s),
        trust_env=False,  # a proxy would connect where the guard cannot see
    ) as session:
        yield Client(session, limits, network or Network(), max_connections=max_connections)


class _TestResolver(AbstractResolver):
    """Finds hosts under .test (RFC 6761) at the built-in web's server, and no other host."""

    def __init__(self, server: Endpoint) -> None:
        self._server = server

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if not host.endswith(".test"):
            raise OSError(f"{host} is not on the built-in web")
        address, port = self._server
        return [
            ResolveResult(
                hostname=host, host=address, port=port,
                family=socket.AF_INET, proto=0, flags=socket.AI_NUMERICHOST,
            )
        ]  # fmt: skip

    async def close(self) -> None:
        await asyncio.sleep(0)
