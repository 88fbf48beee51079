"""A web of a few hosts, its links and the server's log of who asked for what."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shared.formats.links import Link
from pipeline.shared.formats.row_shards import write_row_manifest, write_row_shard
from pipeline.shared.web.server import SITE_FILE, SITE_SCHEMA

NUM_HOSTS = 6
PAGES_PER_HOST = 50
SENTENCE = (
    "the crawler asks each host in turn for one page and waits a while before it asks again "
    "because a site that is asked too often has less time for its readers and may refuse us"
)
WORDS = SENTENCE.split()


def page(number: int, words: int = 120) -> bytes:
    """A page with its own words."""
    text = " ".join(WORDS[(number * 7 + n * (1 + number % 5)) % len(WORDS)] for n in range(words))
    return (
        f"<html><head><title>Page {number}</title></head><body><nav>Home</nav><article>"
        f"<p>Number {number}: {text}.</p></article></body></html>"
    ).encode()


def make_site(folder: Path) -> dict[str, str]:
    """Write site/ and links/; returns what must become of each URL: `document` or a reason."""
    rows: list[tuple[str, str, int, str, str, bytes, str]] = []
    fates: dict[str, str] = {}

    def add(
        host: str, path: str, body: bytes = b"", status: int = 200, location: str = "",
        fate: str = "document", kind: str = "text/html; charset=utf-8", behaviour: str = "",
    ) -> None:  # fmt: skip
        rows.append((host, path, status, kind, location, body, behaviour))
        if fate:
            fates[f"http://{host}{path}"] = fate

    for number in range(NUM_HOSTS * PAGES_PER_HOST):
        host = f"site{number % NUM_HOSTS}.test"
        add(host, f"/page/{number}", page(number))
    rules = b"User-agent: *\nDisallow: /private/\n"
    add("site0.test", "/robots.txt", rules, kind="text/plain", fate="")
    add("closed.test", "/robots.txt", status=500, fate="")
    add("closed.test", "/page", page(1), fate="robots_unreachable")
    add("site0.test", "/private/page", page(2), fate="robots_disallowed")
    add("site1.test", "/short", page(3, 10), fate="too_short")
    add("site1.test", "/empty", fate="empty")
    add("site2.test", "/missing", status=404, fate="http_404")
    add("site2.test", "/error", status=503, fate="http_503")
    add(
        "site2.test",
        "/bomb",
        gzip.compress(b" " * 9_000_000, mtime=0),
        behaviour="gzip",
        fate="too_large",
    )
    add("site3.test", "/moved", status=301, location="http://site4.test/page/4")
    add("site3.test", "/inside", status=302, location="http://127.0.0.1:9/", fate="private_address")
    add("site3.test", "/loop", status=302, location="/loop", fate="redirect_loop")
    add("site4.test", "/cut", page(4), behaviour="cut", fate="broken")
    add("site4.test", "/slow", page(5), behaviour="slow", fate="timeout")
    add("site5.test", "/picture", b"\x89PNG\r\n\x1a\n\0\0", fate="not_text")
    add("site5.test", "/paper", b"%PDF-", kind="application/pdf", fate="not_html")
    columns = list(zip(*rows, strict=True))
    (folder / "site").mkdir(parents=True)
    pq.write_table(pa.table(columns, schema=SITE_SCHEMA), folder / "site" / SITE_FILE)
    _write_links(folder / "links", list(fates))
    return fates


def _write_links(folder: Path, urls: list[str]) -> None:
    """In an order that mixes the hosts, in two shards."""
    links = [
        Link(url, url, 3 + n, 1_500_000_000 + n, "test")
        for n, url in enumerate(sorted(urls, key=lambda url: url[::-1]))
    ]
    half = len(links) // 2
    shards = [
        write_row_shard(folder / f"{number:05d}.parquet", part, Link)
        for number, part in enumerate((links[:half], links[half:]))
    ]
    write_row_manifest(folder, shards)
