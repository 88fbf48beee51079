"""A real web server on loopback for the pages of a `site.parquet`, bad behaviour included.

    python -m pipeline.shared.web.server --site FOLDER [--port 0]

prints one line `http://127.0.0.1:PORT` when it listens, and ends when its standard input closes,
so that it never outlives the process that started it. It answers by the Host header; a crawler
resolves the hosts of the site, which all end in `.test` (RFC 6761), to it.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import queue
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from aiohttp import web

from pipeline.shared.errors import EXIT_FATAL, EXIT_TERMINATED, RetryableError, UserError
from pipeline.shared.web.trackers import without_trackers

SITE_FILE = "site.parquet"
SITE_SCHEMA = pa.schema([
    pa.field(name, kind, nullable=False)
    for name, kind in [
        ("host", pa.string()),
        ("path", pa.string()),  # with the query
        ("status", pa.int64()),
        ("content_type", pa.string()),
        ("location", pa.string()),  # of a redirect, else ""
        ("body", pa.binary()),
        ("behaviour", pa.string()),
    ]
])
BEHAVIOURS = {
    "": "an ordinary answer, compressed where the client accepts gzip",
    "gzip": "the body is gzip data already and is sent with Content-Encoding: gzip",
    "slow": "one byte every 100 ms",
    "cut": "the connection breaks off in the middle of a chunked body",
    "length": "Content-Length promises more bytes than come",
}
_START_WITHIN_S = 30.0
_STOP_WITHIN_S = 5.0
_FINISH_WITHIN_S = 0.1  # for answers still under way at the end; a drip never finishes
_DRIP_EVERY_S = 0.1
_MISSING_LENGTH = 1000
_LEAST_COMPRESSED = 512  # bytes; a smaller body gains nothing


class PageReply(NamedTuple):
    """What is sent for one URL."""

    status: int
    content_type: str
    location: str
    body: bytes
    behaviour: str


Site = dict[tuple[str, str], PageReply]


def load_site(folder: Path) -> Site:
    """The answers by (host, path with query).

    Raises:
        UserError: the folder holds no readable `site.parquet`.
    """
    path = folder / SITE_FILE
    try:
        columns = pq.read_table(path, schema=SITE_SCHEMA).to_pydict()
    except (pa.ArrowException, OSError) as error:
        raise UserError(
            f"{path}: not a readable site ({error}); make it with `dvc repro sample_web`"
        ) from None
    keys = zip(columns["host"], columns["path"], strict=True)
    names = ("status", "content_type", "location", "body", "behaviour")
    return dict(zip(keys, map(PageReply, *(columns[name] for name in names)), strict=True))


@contextmanager
def serve(site: Path, port: int = 0) -> Iterator[int]:
    """Serve a site folder from a process of its own while the block runs; yields the port.

    Raises:
        UserError: the server did not start (no such site, port taken, no answer in time).
    """
    command = [sys.executable, "-m", "pipeline.shared.web.server", "--site", str(site)]
    with (
        tempfile.TemporaryFile("w+") as messages,
        subprocess.Popen(
            [*command, "--port", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None
        try:
            yield _wait_for_port(process, process.stdout, messages, site)
        finally:
            process.stdin.close()
            try:
                process.wait(_STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for_port(
    process: subprocess.Popen[str], output: IO[str], messages: IO[str], site: Path
) -> int:
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: lines.put(output.readline()), daemon=True).start()
    try:
        line = lines.get(timeout=_START_WITHIN_S)
    except queue.Empty:
        raise RetryableError(
            f"{site}: the web server gave no sign within {_START_WITHIN_S:.0f} s; "
            "the machine may be overloaded: run the same command again"
        ) from None
    if not line.startswith("http://"):
        code = process.wait(_START_WITHIN_S)
        messages.seek(0)
        said = messages.read().strip().splitlines()
        raise UserError(
            f"{said[-1] if said else 'no message'} (the web server of {site} ended with code "
            f"{code} before it listened)"
        )
    return int(line.rsplit(":", 1)[1])


def main(argv: list[str] | None = None) -> None:
    """Serve until standard input closes."""
    arguments = _parse(argv)
    try:
        site = load_site(arguments.site)
        asyncio.run(_run(site, arguments.port))
    except UserError as error:
        sys.stderr.write(f"web_server: {error}\n")
        sys.exit(EXIT_FATAL)
    except KeyboardInterrupt:
        sys.exit(EXIT_TERMINATED)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    behaviours = "\n".join(f"  {name or '(none)':8}{text}" for name, text in BEHAVIOURS.items())
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.shared.web.server",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"behaviours of a page (column `behaviour` of {SITE_FILE}):\n{behaviours}\n\n"
        "To look at it: start it, then\n"
        "  curl -H 'Host: sqlalchemy.docs.test' http://127.0.0.1:PORT/",
    )
    parser.add_argument("--site", type=Path, required=True, help=f"folder with {SITE_FILE}")
    parser.add_argument("--port", type=int, default=0, help="0 (default): any free one")
    return parser.parse_args(argv)


async def _run(site: Site, port: int) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return await _answer(site, request)

    server = web.Server(answer, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=_FINISH_WITHIN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise UserError(
            f"--port {port}: in use by another program; end that, or take 0 for any free port"
        ) from None
    host, bound = runner.addresses[0][:2]
    sys.stdout.write(f"http://{host}:{bound}\n")
    sys.stdout.flush()
    await _until_stdin_closes()
    await runner.cleanup()


async def _until_stdin_closes() -> None:
    closed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def read() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        loop.call_soon_threadsafe(closed.set)

    threading.Thread(target=read, daemon=True).start()
    await closed.wait()


async def _answer(site: Site, request: web.BaseRequest) -> web.StreamResponse:
    host = request.host.partition(":")[0].lower()
    found = site.get((host, _without_trackers(request.raw_path or "/")))
    if found is None:
        return web.Response(status=404, text="<h1>Not Found</h1>", content_type="text/html")
    headers = {"Content-Type": found.content_type}
    if found.location:
        headers["Location"] = found.location
    if found.behaviour in {"slow", "cut", "length"}:
        return await _misbehave(found, request, headers)
    body = found.body
    if found.behaviour == "gzip":
        headers["Content-Encoding"] = "gzip"
    elif (
        len(body) >= _LEAST_COMPRESSED
        and found.content_type.startswith("text/")
        and "gzip" in request.headers.get("Accept-Encoding", "")
    ):
        headers["Content-Encoding"] = "gzip"
        body = zlib.compress(body, level=1, wbits=31)
    return web.Response(status=found.status, body=body, headers=headers)


def _without_trackers(path: str) -> str:
    """A path with its query, as most sites read it: where a visitor comes from tells no page."""
    path, _, query = path.partition("?")
    query = without_trackers(query)
    return f"{path}?{query}" if query else path


async def _misbehave(
    found: PageReply, request: web.BaseRequest, headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=found.status, headers=headers)
    if found.behaviour == "length":
        response.content_length = len(found.body) + _MISSING_LENGTH
    try:
        await response.prepare(request)
        if found.behaviour == "slow":
            for byte in found.body:
                await response.write(bytes([byte]))
                await asyncio.sleep(_DRIP_EVERY_S)
        elif found.behaviour == "cut":
            await response.write(found.body[: len(found.body) // 2])
        else:
            await response.write(found.body)
    except ConnectionError:  # the client has had enough, as it should
        return response
    if found.behaviour != "slow" and request.transport is not None:
        request.transport.close()
    return response


if __name__ == "__main__":
    main()
