"""A page of the built-in web, and the truth about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from pipeline.sample_web.articles import Article

TRUTH_FILE = "truth.parquet"
TRUTH_SCHEMA = pa.schema([
    pa.field(name, kind, nullable=False)
    for name, kind in [
        ("url", pa.string()),
        ("kind", pa.string()),  # what the URL is: original, near_duplicate, missing, ...
        ("of", pa.string()),  # the URL it copies or leads to, else ""
        ("link", pa.string()),  # why its submission must be left out, else ""
        ("set", pa.string()),  # of a planted page: the evaluation set ...
        ("example", pa.int64()),  # ... and the 0-based place in its file, else -1
        ("passage", pa.string()),  # ... and the words that were planted
        ("similarity", pa.float64()),  # of a near-duplicate: Jaccard over 5-word shingles, else 0
    ]
])


class PagePart(NamedTuple):
    """A held-out text that an evaluation file asks about."""

    set: str
    example: int
    """0-based place in the set's file."""
    text: str


class Truth(NamedTuple):
    """What a URL truly is; see `TRUTH_SCHEMA`."""

    url: str
    kind: str
    of: str = ""
    link: str = ""
    set: str = ""
    example: int = -1
    passage: str = ""
    similarity: float = 0.0


@dataclass(frozen=True)
class SitePage:
    """A page with an article on it."""

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
        return Truth(
            self.url, self.kind, self.of, self.link,
            self.set, self.example, self.passage, self.similarity,
        )  # fmt: skip
