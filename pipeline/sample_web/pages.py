"""A page of the built-in web, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from pipeline.sample_web.articles import Article


class PagePart(NamedTuple):
    """A held-out text that an evaluation file asks about."""

    set: str
    example: int
    """0-based place in the set's file."""
    text: str


class Truth(NamedTuple):
    """What a URL truly is: a line of truth.parquet."""

    url: str
    kind: str
    """What the URL is: original, near_duplicate, missing, ..."""
    of: str = ""
    """The URL that it copies or leads to."""
    link: str = ""
    """Why its submission must be left out; empty where it must not."""
    set: str = ""
    """Of a planted page: the evaluation set ..."""
    example: int = -1
    """... the 0-based place in its file ..."""
    passage: str = ""
    """... and the words that were planted."""
    similarity: float = 0.0
    """Of a near-duplicate: Jaccard over 5-word shingles."""


TRUTH_FILE = "truth.parquet"
_NUMBERS = {"example": pa.int64(), "similarity": pa.float64()}
TRUTH_SCHEMA = pa.schema([
    pa.field(name, _NUMBERS.get(name, pa.string()), nullable=False) for name in Truth._fields
])


@dataclass(frozen=True)
class SitePage:
    """A page with an article on it; what it truly is has the names of `Truth`."""

    host: str
    path: str
    article: Article
    kind: str
    template: str
    of: str = ""
    link: str = ""
    set: str = ""
    example: int = -1
    passage: str = ""
    similarity: float = 0.0
    encoding: str = "utf-8"
    language: str = "en"

    @property
    def url(self) -> str:
        """The page's canonical URL."""
        return f"http://{self.host}{self.path}"

    def truth(self) -> Truth:
        """What this page truly is."""
        return Truth(*(getattr(self, name) for name in Truth._fields))
