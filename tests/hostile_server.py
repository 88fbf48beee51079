"""A web server that behaves as badly as the web does, byte by byte, and remembers who asked."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import brotli
import zstandard

PROSE = "It was a bright cold day in April, and the clocks were striking thirteen. " * 20
PAGE = f"<html><head><title>A page</title></head><body><p>{PROSE}</p></body></html>".encode()
BOMB = b"<p>" + b" " * 50_000_000
DRIP_EVERY_S = 0.05


class Request(NamedTuple):
    """One request as the server saw it."""

    host: str
    path: str
    began_s: float
    headers: dict[str, str]


Send = Callable[[bytes], Awaitable[None]]
Behaviour = Callable[[Request, Send], Awaitable[None]]


def answer(
    body: bytes = PAGE, status: str = "200 OK", kind: str = "text/html", **headers: str
) -> bytes:
    """A whole, honest answer; `_` in a header's name stands for `-`."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return answer(b"", status, Location=location)


async def drip(request: Request, send: Send) -> None:
    """Never silent, never done."""
    await send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 100000\r\n\r\n")
    for _ in range(100_000):
        await send(b"x")
        await asyncio.sleep(DRIP_EVERY_S)


async def drip_headers(request: Request, send: Send) -> None:
    await send(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        await send(f"X-{number}: y\r\n".encode())
        await asyncio.sleep(DRIP_EVERY_S)


async def silence(request: Request, send: Send) -> None:
    await asyncio.sleep(60)


async def cut(request: Request, send: Send) -> None:
    """Promises more than comes."""
    await send(answer(PAGE).replace(f"{len(PAGE)}".encode(), f"{len(PAGE) + 1000}".encode(), 1))


async def endless_headers(request: Request, send: Send) -> None:
    await send(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        await send(f"X-Flood-{number}: {'y' * 100}\r\n".encode())


_WHOLE: dict[str, bytes] = {
    "/": answer(),
    "/page": answer(),
    "/bomb-gzip": answer(gzip.compress(BOMB, mtime=0), Content_Encoding="gzip"),
    "/bomb-deflate": answer(zlib.compress(BOMB), Content_Encoding="deflate"),
    "/bomb-br": answer(brotli.compress(BOMB, quality=5), Content_Encoding="br"),
    "/bomb-zstd": answer(zstandard.compress(BOMB), Content_Encoding="zstd"),
    "/bomb-twice": answer(
        gzip.compress(gzip.compress(BOMB, mtime=0), mtime=0), Content_Encoding="gzip, gzip"
    ),
    "/large": answer(b"<p>" + b"x" * 3_000_000),
    "/gzip": answer(gzip.compress(PAGE, mtime=0), Content_Encoding="gzip"),
    "/deflate": answer(zlib.compress(PAGE), Content_Encoding="deflate"),
    "/raw-deflate": answer(zlib.compress(PAGE, wbits=-15), Content_Encoding="deflate"),
    "/br": answer(brotli.compress(PAGE), Content_Encoding="br"),
    "/zstd": answer(zstandard.compress(PAGE), Content_Encoding="zstd"),
    "/no-gzip": answer(b"\x1f\x8b\x08\x00 no gzip data", Content_Encoding="gzip"),
    "/half-gzip": answer(gzip.compress(PAGE, mtime=0)[:-20], Content_Encoding="gzip"),
    "/unknown-encoding": answer(Content_Encoding="x-rot13"),
    "/loop": redirect("/loop"),
    "/loop-a": redirect("/loop-b"),
    "/loop-b": redirect("/loop-a#again"),
    "/nowhere": answer(b"", "302 Found"),
    "/to-page": redirect("page", "301 Moved Permanently"),
    "/to-other-host": redirect("http://other.test/page", "308 Permanent Redirect"),
    "/to-wikipedia": redirect("https://en.wikipedia.org/wiki/Clock"),
    "/pdf": answer(b"%PDF-1.4", kind="application/pdf"),
    "/missing": answer(b"<h1>Not found</h1>", "404 Not Found"),
    "/gone": answer(b"", "410 Gone"),
    "/error": answer(b"", "500 Internal Server Error"),
    "/no-content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/garbage": b"\x00\x01\x02 who are you\r\n\r\n",
    "/long-header": answer(X_Long="y" * 1_000_000),
    "/chunk-lie": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\nnot a size\r\n",
}
_TARGETS = {
    "/to-metadata": "http://169.254.169.254/latest/meta-data/",
    "/to-loopback": "http://127.0.0.1:{secret}/secret",
    "/to-loopback-6": "http://[::1]:{secret}/secret",
    "/to-mapped": "http://[::ffff:127.0.0.1]:{secret}/secret",
    "/to-nat64": "http://[64:ff9b::7f00:1]:{secret}/secret",
    "/to-nat64-local": "http://[64:ff9b:1::7f00:1]:{secret}/secret",
    "/to-teredo": "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{secret}/secret",
    "/to-carrier": "http://100.64.0.1:{secret}/secret",
    "/to-link-local-6": "http://[fe80::1]:{secret}/secret",
    "/to-multicast": "http://224.0.0.1:{secret}/secret",
    "/to-6to4": "http://[2002:7f00:1::]:{secret}/secret",
    "/to-zero": "http://0.0.0.0:{secret}/secret",
    "/to-private": "http://10.0.0.1/",
    "/to-file": "file:///etc/passwd",
    "/to-data": "data:text/html,<p>hello",
    "/to-ftp": "ftp://ftp.example.com/",
}
_SCRIPTS: dict[str, Behaviour] = {
    "/drip": drip,
    "/drip-headers": drip_headers,
    "/silence": silence,
    "/cut": cut,
    "/header-flood": endless_headers,
}


class HostileServer:
    """Runs in a thread of its own; `requests` grows as they come."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.busiest: dict[str, int] = {}
        """Most requests of a host that were open at once."""
        self.special: dict[tuple[str, str], bytes | Behaviour | list[bytes]] = {}
        """Answers by (host, path); of a list, one after another, the last for ever."""
        self.secret_port = 1
        self.port = 0
        self._open: dict[str, int] = {}
        self._context = context
        self._loop = asyncio.new_event_loop()

    def asked(self, host: str, path: str = "") -> list[Request]:
        """The requests for a host, or for one path of it."""
        return [r for r in self.requests if r.host == host and path in {"", r.path}]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def send(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request = _parse(head)
                self.requests.append(request)
                self._open[request.host] = self._open.get(request.host, 0) + 1
                self.busiest[request.host] = max(
                    self.busiest.get(request.host, 0), self._open[request.host]
                )
                try:
                    closes = await self._answer(request, send)
                finally:
                    self._open[request.host] -= 1
                if closes:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, send: Send) -> bool:
        found = self.special.get((request.host, request.path))
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if found is None and request.path in _TARGETS:
            found = redirect(_TARGETS[request.path].format(secret=self.secret_port))
        if found is None and request.path.startswith("/endless/"):
            found = redirect(f"/endless/{int(request.path.rpartition('/')[2]) + 1}")
        path = request.path.partition("?")[0]
        found = found or _WHOLE.get(path) or _SCRIPTS.get(path)
        if found is None:
            found = answer(b"", "404 Not Found")
        if isinstance(found, bytes):
            await send(found)
            return False
        await found(request, send)
        return True

    @contextmanager
    def running(self) -> Iterator[HostileServer]:
        """Serve while the block runs."""
        ready = threading.Event()
        stopped = asyncio.Event()

        async def serve() -> None:
            server = await asyncio.start_server(
                self._serve, "127.0.0.1", 0, ssl=self._context, limit=2**22
            )
            self.port = server.sockets[0].getsockname()[1]
            ready.set()
            await stopped.wait()
            server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0.01)  # lets the transports close

        def run() -> None:
            self._loop.run_until_complete(serve())
            self._loop.close()

        self._loop.set_exception_handler(lambda loop, context: None)  # broken pipes are the point
        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert ready.wait(10)
            yield self
        finally:
            self._loop.call_soon_threadsafe(stopped.set)
            thread.join()


def _parse(head: bytes) -> Request:
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)
    }
    return Request(
        headers["host"].partition(":")[0], first.split(" ")[1], time.monotonic(), headers
    )
