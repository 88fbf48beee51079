"""Links to follow: what the stage `links` writes and `crawl` reads, in the order of submission."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from pipeline.shared.web.canonical import target_key


class Link(NamedTuple):
    """A link to follow and the submission it came from."""

    url: str
    """Canonical."""
    original_url: str
    """As it stood in the submission."""
    score: int
    """Karma of the submission."""
    created_utc: int
    """When the link was submitted, in seconds since 1970."""
    subreddit: str


def target_of(url: str) -> bytes:
    """12 bytes that name the page a canonical URL leads to, by http or https."""
    return hashlib.sha256(target_key(url).encode()).digest()[:12]
