"""Parameters of what comes from the web: links, how and what to fetch, what makes a document."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from pipeline.shared.params.types import (
    Count,
    Days,
    Fraction,
    Integer,
    Place,
    PositiveCount,
    Seconds,
    Section,
)


class LinksParams(Section):
    """Which links to follow, from dumps of Reddit submissions."""

    source: Literal["sample_web", "reddit", "none"]
    """`none`: there are none, since `extract.source` is a ready corpus."""
    location: Place | list[Place] | None
    """Folders, files or URLs of submission dumps, for `reddit`."""
    min_score: Integer
    """Least karma of a submission whose link is followed (the paper: 3)."""
    cut_off: Annotated[dt.date, Field(strict=False)]
    """Links made on this day or later are left out; quoted in YAML, since DVC knows no dates."""
    blocked_subreddits: list[str]
    """Names of those whose links are left out."""


class RefetchParams(Section):
    """After how many days a page is asked for again, by what became of it; null: never."""

    done: Days | None
    """It was fetched. A new page takes its place; where there is none now, it stays."""
    no_page: Days | None
    """There was an answer and no page in it: 404, robots.txt, a PDF, a redirect without end."""
    server_error: Days | None
    """The server failed (5xx, 429, 408) or broke off."""
    unreachable: Days | None
    """Nobody answered: DNS, connection, TLS, time-out, robots.txt that cannot be had."""


class CrawlParams(Section):
    """Which pages the archive is to have."""

    archive: str | None
    """Folder of what was fetched, by this study and others; null: archive/<profile>."""
    refetch_after_days: RefetchParams
    max_body_bytes: PositiveCount
    """Cap on one body, as it comes and decompressed alike."""
    max_redirects: Count
    """Of one link; a longer trail is given up."""


class FetchingParams(Section):
    """How to fetch: never part of what a stage's result depends on, so a change undoes no fetch."""

    user_agent: str
    """Names the crawler and a contact; required before any request leaves loopback."""
    max_connections: PositiveCount
    """Hosts that one crawler talks to at once, each over one connection."""
    per_host_delay_s: Seconds
    """Pause between two requests to one host; its Crawl-delay may lengthen it."""
    total_timeout_s: Seconds
    """Deadline of one fetch from connect to last byte, which a slow drip cannot outlast."""
    max_attempts: PositiveCount
    """At one page, in one run."""
    max_server_wait_s: Seconds
    """Longest pause that a server can ask for, by Crawl-delay or Retry-After."""


class ColumnsParams(Section):
    """Which columns of a ready corpus hold what; null: the common names (docs/corpora.md)."""

    text: str | None
    """A field inside another one is `outer.inner`."""
    id: str | None
    """What names a document; it is made distinct where two have the same."""
    url: str | None
    """Where the document was found; shown, and never fetched."""
    date: str | None
    """Of the document; of two equal ones the earlier stays."""


class ExtractParams(Section):
    """From pages to documents; `source: corpus` reads ready documents instead."""

    source: Literal["crawl", "corpus"]
    """The pages of `crawl`, or the ready documents in `location`."""
    location: Place | None
    """Folder of documents (JSON, Parquet, WARC), for `corpus`."""
    columns: ColumnsParams
    max_record_bytes: PositiveCount
    """Longest line or text of a ready corpus; a longer one is counted as too large and left out."""
    max_dropped_fraction: Fraction
    """Of a ready corpus' records: if more than this give no document, the stage fails."""
    min_document_words: Count
    """Documents with fewer words are rejected as too short."""
    extractor: Literal["consensus", "resiliparse"]
    """Of main text: trafilatura and two that check it, or one fast one (docs/extraction.md)."""
    rules_off: list[str]
    """Cleaning rules not to apply, by name (docs/method.md lists them)."""
