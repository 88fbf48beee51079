"""The web's bad days: redirects, missing pages, broken answers, robots.txt.

Each is there because a crawler that fails on it loses its run or its safety.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pipeline.sample_web.pages import Truth
from pipeline.shared.web.server import PageReply

ODD_HOST = "www.attic.test"
CRAWL_DELAY_HOST = "www.slowcoach.test"
ROBOTS_ERROR_HOST = "www.outoforder.test"
STORIES_DOMAIN = ".stories.test"
DISALLOWED = "/private/"
_HTML = "text/html; charset=utf-8"
_BOMB_BYTES = 50_000_000  # of zeros and spaces: 50 kB when compressed
_LARGE_BYTES = 3_000_000
_LONG_CHAIN = 8
PRIVATE_TARGETS = (
    "http://10.0.0.1/admin",
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:22/",
    "http://[::1]/",
    "file:///etc/passwd",
)


class OddPage(NamedTuple):
    """One line of site.parquet; see `pipeline.shared.web.server.SITE_SCHEMA`."""

    host: str
    path: str
    status: int
    content_type: str
    location: str
    body: bytes
    behaviour: str


class Oddity(NamedTuple):
    """A row and the truth about it; without a truth it is not a page to link to."""

    row: OddPage
    truth: Truth | None


def make_oddities(hosts: Sequence[str], urls: Sequence[str], text: str) -> Iterator[Oddity]:
    """All oddities.

    Args:
        hosts: every host of the web.
        urls: of ordinary pages, to which redirects lead; the first one's text is `text`.
        text: what slow and broken pages show, as HTML.
    """
    yield from _robots(hosts)
    yield from _redirects(urls)
    yield from _errors()
    yield from _broken(
        f"<html><head><title>Attic</title></head><body><p>{text}</p>".encode(), urls[0]
    )


def _odd(kind: str, path: str, answer: PageReply, of: str = "", host: str = ODD_HOST) -> Oddity:
    return Oddity(OddPage(host, path, *answer), Truth(f"http://{host}{path}", kind, of))


def _hidden(path: str, answer: PageReply) -> Oddity:
    """A step on the way that nobody links to."""
    return Oddity(OddPage(ODD_HOST, path, *answer), None)


def _redirect(location: str, status: int = 302) -> PageReply:
    return PageReply(status, _HTML, location, b"", "")


def _page(body: bytes, behaviour: str = "", *, status: int = 200, kind: str = _HTML) -> PageReply:
    return PageReply(status, kind, "", body, behaviour)


def _robots(hosts: Sequence[str]) -> Iterator[Oddity]:
    """Rules for most hosts, none (404, all allowed) for some, an error (all forbidden) for one."""
    rules = f"# Keep out of the attic\nUser-agent: *\nDisallow: {DISALLOWED}\nAllow: /\n"
    for number, host in enumerate(sorted(hosts)):
        if host.endswith(STORIES_DOMAIN):
            continue
        extra = ""
        if host == CRAWL_DELAY_HOST:
            extra = "Crawl-delay: 1\n"
        elif number % 3 == 0:
            extra = f"Sitemap: http://{host}/sitemap.xml\n\nUser-agent: BadBot\nDisallow: /\n"
        status, body = (500, "") if host == ROBOTS_ERROR_HOST else (200, rules + extra)
        yield Oddity(
            OddPage(host, "/robots.txt", status, "text/plain", "", body.encode(), ""), None
        )


def _redirects(urls: Sequence[str]) -> Iterator[Oddity]:
    for number, (status, url) in enumerate(zip((301, 302, 307, 308), urls, strict=False)):
        yield _odd("redirect", f"/go/{number}", _redirect(url, status), of=url)
    yield _odd("redirect", "/chain/0", _redirect("/chain/1", 301), of=urls[4])
    yield _hidden("/chain/1", _redirect(f"http://{ODD_HOST}/chain/2"))
    yield _hidden("/chain/2", _redirect(urls[4]))
    yield _odd("redirect_loop", "/loop/a", _redirect("/loop/b"))
    yield _hidden("/loop/b", _redirect("/loop/a"))
    yield _odd("redirect_long", "/long/0", _redirect("/long/1"), of=urls[5])
    for step in range(1, _LONG_CHAIN):
        target = urls[5] if step == _LONG_CHAIN - 1 else f"/long/{step + 1}"
        yield _hidden(f"/long/{step}", _redirect(target))
    for number, target in enumerate(PRIVATE_TARGETS):
        yield _odd("redirect_private", f"/inside/{number}", _redirect(target), of=target)
    yield _odd("redirect_nowhere", "/nowhere", _redirect(""))


def _errors() -> Iterator[Oddity]:
    text = b"<html><body><h1>Sorry</h1><p>Nothing to see here, please move on.</p></body></html>"
    for number in range(12):
        status = 404 if number % 4 else 410
        yield _odd("missing", f"/gone/{number}", _page(text, status=status))
    for number, status in enumerate((500, 502, 503, 401, 403, 451)):
        kind = "server_error" if status >= 500 else "refused"
        yield _odd(kind, f"/error/{number}", _page(text, status=status))
    yield _odd("empty", "/empty", _page(b""))
    yield _odd("empty", "/no-content", _page(b"", status=204))


def _broken(page: bytes, of: str) -> Iterator[Oddity]:
    for number in range(3):  # each on its own host: a polite crawler waits for one at a time
        yield _odd("slow", "/slow", _page(page, "slow"), host=f"www.snail{number}.test")
    for number in range(3):
        yield _odd("cut", f"/cut/{number}", _page(page, "cut"))
    for number in range(2):
        yield _odd("wrong_length", f"/length/{number}", _page(page, "length"))
    bomb = gzip.compress(b"<p>" + b" " * _BOMB_BYTES, mtime=0)
    yield _odd("bomb", "/bomb", _page(bomb, "gzip"))
    yield _odd("bad_gzip", "/bad-gzip", _page(b"\x1f\x8b\x08\x00 this is no gzip data", "gzip"))
    unclosed = page.replace(b"<p>", b"<table><td><div><p><b><i>").replace(b"</p>", b"<p><")
    yield _odd("broken_html", "/broken", _page(unclosed), of=of)
    large = page + b"<!-- " + b"filler " * (_LARGE_BYTES // 7) + b" -->"
    yield _odd("too_large", "/large", _page(large))
    pdf = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
    yield _odd("not_html", "/paper.pdf", _page(pdf, kind="application/pdf"))
    yield _odd("not_html", "/picture.png", _page(_png(), kind="image/png"))
    yield _odd("not_html", "/mislabelled.html", _page(_png()))
    yield _odd("not_html", "/data.json", _page(b'{"a": 1}', kind="application/json"))


def _png() -> bytes:
    """A picture of one pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        end = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + end

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\x00\xff")
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )
