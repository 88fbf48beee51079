"""Pages per second from a local nginx: figure4's crawler, a bare aiohttp loop and Scrapy."""

from __future__ import annotations

import argparse
import itertools
import json
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpus import versions
from crawl_contenders import CONTENDERS
from result_table import Row

_SCRIPT = Path(__file__).with_name("crawl_contenders.py")
_PEERS = {"aiohttp": "bare aiohttp loop", "scrapy": "Scrapy"}
_NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; keepalive_requests 1000000; types {{ text/html html; }}
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {folder}/pages; }}
}}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of this part."""
    parser.add_argument("--pages", type=int, default=2000, help="fetched by each in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--page-bytes", type=int, nargs="*", default=[60_000, 8_000], help="median of made pages"
    )
    parser.add_argument("--html", type=Path, help="folder of real pages, beside the made (*.html)")
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=CONTENDERS)


def measure(arguments: argparse.Namespace) -> tuple[list[Row], str]:
    """Rows of the crawl, the contenders in turns in every round."""
    rows = _measure_case("real", _real_pages(arguments.html), arguments) if arguments.html else []
    for median in arguments.page_bytes:
        rows += _measure_case("made", _made_pages(median), arguments)
    return rows, (
        f"Pages from nginx (one worker) on loopback, {arguments.rounds} rounds, 32 connections; "
        "all compress each page by gzip, level 6, and write it: the peers between two fetches, "
        "figure4 in threads, as WARC, with address guard, robots.txt, one connection a host, "
        f"archive and fsync. {versions('aiohttp', 'scrapy')}."
    )


def _measure_case(name: str, bodies: Iterator[bytes], arguments: argparse.Namespace) -> list[Row]:
    rates: dict[str, list[float]] = {name: [] for name in arguments.contenders}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "pages").mkdir()
        total_bytes = 0
        for number in range(arguments.pages):
            total_bytes += (folder / "pages" / f"{number}.html").write_bytes(next(bodies))
        with _nginx(folder) as port:
            for number in range(arguments.rounds):
                turns = list(rates)
                for contender in turns if number % 2 == 0 else turns[::-1]:
                    rates[contender].append(_run(contender, port, arguments.pages))
    case = f"{name} pages, {total_bytes / arguments.pages / 1000:.0f} kB on average"
    return [_row(case, rates, peer) for peer in rates if peer != "figure4"]


def _row(case: str, rates: dict[str, list[float]], peer: str) -> Row:
    pairs = zip(rates["figure4"], rates[peer], strict=True)
    return Row(
        case=case,
        ours=statistics.median(rates["figure4"]),
        peer=statistics.median(rates[peer]),
        peer_name=_PEERS[peer],
        unit="pages/s",
        ratio=statistics.median(ours / theirs for ours, theirs in pairs),
        higher_is_better=True,
    )


def _run(contender: str, port: int, pages: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(_SCRIPT), contender, f"--port={port}", f"--pages={pages}",
             f"--folder={folder}"],
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    seconds = json.loads(done.stdout.splitlines()[-1])["seconds"]
    print(f"{contender}: {pages / seconds:.0f} pages/s", file=sys.stderr)
    return float(pages / seconds)


@contextmanager
def _nginx(folder: Path) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port))
    folder.chmod(0o755)  # its worker is another user
    with subprocess.Popen(["nginx", "-c", str(config)]) as process:
        try:
            _wait(port)
            yield port
        finally:
            process.terminate()


def _wait(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("nginx does not listen")


def _real_pages(folder: Path) -> Iterator[bytes]:
    paths = sorted(folder.rglob("*.html"))
    return (path.read_bytes() for path in itertools.cycle(paths))


def _made_pages(median_bytes: int) -> Iterator[bytes]:
    draw = random.Random(1)
    while True:
        yield _page(draw, median_bytes)


def _page(draw: random.Random, median_bytes: int) -> bytes:
    """A page of made words, about as compressible as real ones."""
    size = min(median_bytes * draw.lognormvariate(0, 0.8), 10 * median_bytes)
    words = [f"w{int(draw.paretovariate(0.6)) % 20_000}" for _ in range(200)]
    parts = []
    while sum(map(len, parts)) < size:
        text = " ".join(draw.choices(words, k=60))
        parts.append(f'<div class="story s{draw.randrange(99)}"><p>{text}.</p></div>\n')
    return f"<html><head><title>Page</title></head><body>{''.join(parts)}</body></html>".encode()
