"""From the frontier and WARC to shards of documents, each range of links by itself.

A range's shards depend on its links alone, so any number of workers gives the same files, and a
range that is done stays done after a kill.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.crawl.frontier import FETCHED, PENDING, Row, read_range
from pipeline.crawl.judge import NO_PAGE, Caps
from pipeline.crawl.lone_parser import Judge, judging
from pipeline.crawl.rules import Page
from pipeline.crawl.warc import read_response
from pipeline.documents import Document, Removed, document_id, write_manifest, write_shard
from pipeline.executor import map_shards
from pipeline.files import once
from pipeline.params import ComputeParams
from pipeline.progress import Progress

_SHARDS = 64  # aimed at, within:
_LEAST_LINKS, _MOST_LINKS = 256, 16_384
KEPT = "document"


class Places(NamedTuple):
    """Where extraction reads and writes."""

    frontier: Path
    warc: Path
    done: Path
    """One small JSON file for each range that is done."""
    documents: Path
    rejected: Path


class Range(NamedTuple):
    """Links of positions first..last, which make shard `number`."""

    number: int
    first: int
    last: int


def cut_ranges(num_links: int) -> list[Range]:
    """Ranges that cover positions 1..num_links.

    >>> cut_ranges(600)
    [Range(number=0, first=1, last=256), Range(number=1, first=257, last=512), \
Range(number=2, first=513, last=600)]
    """
    size = min(max(-(-num_links // _SHARDS), _LEAST_LINKS), _MOST_LINKS)
    starts = range(1, num_links + 1, size)
    return [
        Range(number, first, min(first + size - 1, num_links))
        for number, first in enumerate(starts)
    ]


def extract_all(
    places: Places, num_links: int, caps: Caps, *, compute: ComputeParams, progress: Progress
) -> tuple[dict[str, int], Counter[str]]:
    """Write documents/ and rejected/; returns their totals and counts by reason."""
    places.done.mkdir(exist_ok=True)
    results = list(
        map_shards(
            partial(_extract_range, places, caps),
            cut_ranges(num_links) or [Range(0, 1, 0)],
            compute=compute,
            progress=progress,
        )
    )
    reasons: Counter[str] = Counter()
    for result in results:
        reasons.update(result["reasons"])
    totals = write_manifest(places.documents, [result["documents"] for result in results])
    write_manifest(places.rejected, [result["rejected"] for result in results])
    return totals, reasons


def _extract_range(places: Places, caps: Caps, part: Range) -> dict[str, Any]:
    done = places.done / f"{part.number:05d}.json"
    with judging(done.with_suffix(".begun"), caps) as judge:
        return once(done, lambda: _write_shards(places, judge, part))


def _write_shards(places: Places, judge: Judge, part: Range) -> dict[str, Any]:
    documents: list[Document] = []
    rejected: list[Document] = []
    reasons: Counter[str] = Counter()
    for document in _documents(places, judge, part):
        is_removed = isinstance(document, Removed)
        reasons[document.reason if isinstance(document, Removed) else KEPT] += 1
        (rejected if is_removed else documents).append(document)
    name = f"{part.number:05d}.parquet"
    return {
        "documents": write_shard(places.documents / name, documents),
        "rejected": write_shard(places.rejected / name, rejected, kind=Removed),
        "reasons": dict(reasons),
    }


def _documents(places: Places, judge: Judge, part: Range) -> Iterator[Document]:
    for row in read_range(places.frontier, part.first, part.last):
        assert row.state != PENDING, "extraction began before the crawl was over"
        page, reason = NO_PAGE, row.state
        if row.state == FETCHED:
            page, reason = _read_page(places.warc, row, judge)
        fields: dict[str, Any] = {
            "id": document_id(row.link.url),
            "url": row.link.url,
            "text": page.text,
            "original_url": row.link.original_url,
            "title": page.title,
            "score": row.link.score,
            "created_utc": row.link.created_utc,
            "subreddit": row.link.subreddit,
        }
        yield Removed(**fields, reason=reason) if reason else Document(**fields)


def _read_page(warc: Path, row: Row, judge: Judge) -> tuple[Page, str]:
    """The page of a fetched link, and why it gives no document, if so."""
    assert row.place is not None
    response = read_response(warc, row.place)
    return judge(response.body, response.content_type, response.content_encoding)
