"""The web's bad days: redirects, missing pages, broken answers, robots.txt.

Each is there because a crawler that fails on it loses its run or its safety.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipeline.sample_web.material import FOLDER, read_data
from pipeline.sample_web.pages import Truth

CRAWL_DELAY_HOST, ROBOTS_ERROR_HOST = (
    read_data("plan")["roles"][role]["host"] for role in ("crawl_delay", "robots_error")
)
STORIES_DOMAIN = ".stories.test"
DISALLOWED = "/private/"
_ODD_HOST = "www.attic.test"
_HTML = "text/html; charset=utf-8"
_BOMB_BYTES = 50_000_000  # of zeros and spaces: 50 kB when compressed
_LARGE_BYTES = 3_000_000


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
    for number, host in enumerate(sorted(hosts)):
        if not host.endswith(STORIES_DOMAIN):
            yield Oddity(_robots(host, number), None)
    bodies = _bodies(f"<html><head><title>Attic</title></head><body><p>{text}</p>".encode())
    for page in read_data("oddities")["pages"]:
        yield _odd(page, urls, bodies)


def _robots(host: str, number: int) -> OddPage:
    """Rules for most hosts, none (404, all allowed) for some, an error (all forbidden) for one."""
    if host == ROBOTS_ERROR_HOST:
        return OddPage(host, "/robots.txt", 500, "text/plain", "", b"", "")
    rules = f"# Keep out of the attic\nUser-agent: *\nDisallow: {DISALLOWED}\nAllow: /\n"
    if host == CRAWL_DELAY_HOST:
        rules += "Crawl-delay: 1\n"
    elif number % 3 == 0:
        rules += f"Sitemap: http://{host}/sitemap.xml\n\nUser-agent: BadBot\nDisallow: /\n"
    return OddPage(host, "/robots.txt", 200, "text/plain", "", rules.encode(), "")


def _odd(page: Mapping[str, Any], urls: Sequence[str], bodies: Mapping[str, bytes]) -> Oddity:
    """A page of oddities.toml, which says what its keys mean."""
    host, path, kind = page.get("host", _ODD_HOST), page["path"], page.get("type", _HTML)
    to, of = (page.get(key, "").format(*urls) for key in ("to", "of"))
    body = bodies[page["body"]] if "body" in page else b""
    row = OddPage(host, path, page.get("status", 200), kind, to, body, page.get("behaviour", ""))
    if "kind" not in page:
        return Oddity(row, None)
    end = of or ("" if to.startswith("/") else to)
    return Oddity(row, Truth(f"http://{host}{path}", page["kind"], end))


def _bodies(page: bytes) -> dict[str, bytes]:
    """What is sent, by name; `page` is an ordinary page."""
    sorry = "<h1>Sorry</h1><p>Nothing to see here, please move on.</p>"
    return {
        "page": page,
        "sorry": f"<html><body>{sorry}</body></html>".encode(),
        "bomb": gzip.compress(b"<p>" + b" " * _BOMB_BYTES, mtime=0),
        "bad_gzip": b"\x1f\x8b\x08\x00 this is no gzip data",
        "unclosed": page.replace(b"<p>", b"<table><td><div><p><b><i>").replace(b"</p>", b"<p><"),
        "too_large": page + b"<!-- " + b"filler " * (_LARGE_BYTES // 7) + b" -->",
        "pdf": (FOLDER / "paper.pdf").read_bytes(),
        "png": (FOLDER / "pixel.png").read_bytes(),
        "json": b'{"a": 1}',
    }
