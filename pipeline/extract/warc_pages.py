"""The pages of WARC and ARC files: responses with status 200, resources and extracted texts.

What is no page is told by one word: the record's type, `http_<status>`, or the crawl's own word for
what it does not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.extract.warc_records import Damage, Record, read_records
from pipeline.shared.web.http_heads import END, joined, read_fields, read_status
from pipeline.shared.web.media_types import may_be_page
from pipeline.shared.web.sniffing import HTML, sniff

_CHUNK = re.compile(rb"\s*([0-9a-fA-F]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_MOST_HEAD_BYTES = 2**18  # as the crawl takes
_MOST_LINE_BYTES = 2**13


class WebPage(NamedTuple):
    """An HTML or plain-text page, its body still encoded."""

    url: str
    content_type: str
    content_encoding: str
    body: bytes


class NoPage(NamedTuple):
    """A record that is whole and holds no page."""

    what: str


def read_pages(path: Path, max_body_bytes: int) -> Iterator[WebPage | NoPage | Damage]:
    """What the records of a WARC or ARC file hold, damaged ones in their place.

    A body is read up to one byte beyond `max_body_bytes`.
    """
    with path.open("rb") as file:
        for record in read_records(file, max_body_bytes + 1 + _MOST_HEAD_BYTES):
            if isinstance(record, Damage):
                yield record
            else:
                page = _read_page(record)
                cut = max_body_bytes + 1
                yield page._replace(body=page.body[:cut]) if isinstance(page, WebPage) else page


def _read_page(record: Record) -> WebPage | NoPage:
    if record.kind not in {"response", "resource", "conversion"}:
        return NoPage(record.kind)
    if not record.url.lower().startswith("http"):
        return NoPage("bad_scheme")
    if record.kind == "response":
        page = _read_response(record)
    else:
        page = WebPage(record.url, record.content_type, "", record.block)
    is_other = isinstance(page, WebPage) and not may_be_page(page.content_type)
    return NoPage("not_html") if is_other else page


def _read_response(record: Record) -> WebPage | NoPage:
    """The page of an answer; one without any head, as of HTTP/0.9, is one if it looks like HTML."""
    status = read_status(record.block[:_MOST_LINE_BYTES].partition(b"\n")[0])
    if status is None:
        is_html = sniff(record.block) == HTML
        return WebPage(record.url, HTML, "", record.block) if is_html else NoPage("no_http")
    if status.code != "200":
        return NoPage(f"http_{status.code}")
    end = END.search(record.block, 0, _MOST_HEAD_BYTES)
    head = record.block[: end.end() if end else _MOST_HEAD_BYTES]
    fields = read_fields(head.split(b"\n")[1:])
    body = record.block[len(head) :]
    if "chunked" in joined(fields, b"transfer-encoding").lower():
        body = join_chunks(body)
    kind, coding = joined(fields, b"content-type"), joined(fields, b"content-encoding")
    return WebPage(record.url, kind, coding, body)


def join_chunks(body: bytes) -> bytes:
    r"""A body without the framing of chunks; one that has none, whatever its head says, as it is.

    >>> join_chunks(b"4\r\nWiki\r\n6\r\npedia \r\n0\r\n\r\n"), join_chunks(b"<p>Wiki")
    (b'Wikipedia ', b'<p>Wiki')
    """
    pieces: list[bytes] = []
    place = 0
    while (found := _CHUNK.match(body, place)) and (size := int(found[1], 16)):
        place = found.end() + size
        pieces.append(body[found.end() : place])
    return b"".join(pieces) if pieces else body
