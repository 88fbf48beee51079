"""What became of each link: what the stage `crawl` writes and `extract` reads, link by link."""

from __future__ import annotations

from typing import NamedTuple

FETCHED = "fetched"
"""The state of a page that is in the archive; any other is the reason why it is not."""


class Fate(NamedTuple):
    """A link, its state and the place of its page."""

    url: str
    original_url: str
    score: int
    created_utc: int
    subreddit: str
    state: str
    asked_utc: float
    """When the last request for it ended, in seconds since 1970."""
    warc: str
    """For a fetched page: the WARC file that holds it, from the archive's folder on; else ''."""
    offset: int
    length: int
    """Bytes of its record in that file."""
