"""The links found so far, one a page, in SQLite: the stage's memory across kills.

Nothing here grows with the number of links but the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.shared.formats.links import Link, target_of
from pipeline.shared.running.database import open_database, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS dumps (name TEXT PRIMARY KEY, counts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS links (
    position INTEGER PRIMARY KEY,
    target BLOB NOT NULL UNIQUE,
    url TEXT NOT NULL,
    original_url TEXT NOT NULL,
    score INTEGER NOT NULL,
    created_utc INTEGER NOT NULL,
    subreddit TEXT NOT NULL
);
"""


class LinkList:
    """The list, for the one process that writes it."""

    def __init__(self, path: Path) -> None:
        """Open the database, or make it.

        Raises:
            OSError: here and in every method that writes, the disk is full.
        """
        self.path = path
        self._database = open_database(path, _SCHEMA)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    @contextmanager
    def reading(self, dump: str) -> Iterator[Counter[str]]:
        """One transaction around one dump; the counts filled in the block are kept with it."""
        counts: Counter[str] = Counter()
        with transaction(self._database):
            yield counts
            row = (dump, json.dumps(counts))
            self._database.execute("INSERT INTO dumps VALUES (?, ?)", row)

    def add(self, link: Link) -> bool:
        """Add a link, unless one to the same page is there."""
        added = self._database.execute(
            "INSERT INTO links (target, url, original_url, score, created_utc, subreddit)"
            " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (target_of(link.url), *link),
        )
        return added.rowcount == 1

    def dumps_read(self) -> set[str]:
        """Names of the dumps whose links are all in."""
        return {name for (name,) in self._database.execute("SELECT name FROM dumps")}

    def counts(self) -> Counter[str]:
        """Counts by rule over all dumps."""
        total: Counter[str] = Counter()
        for (counts,) in self._database.execute("SELECT counts FROM dumps"):
            total.update(json.loads(counts))
        return total

    def num_links(self) -> int:
        """Links in all."""
        row = self._database.execute("SELECT coalesce(max(position), 0) FROM links").fetchone()
        return int(row[0])

    def read(self, first: int, last: int) -> list[Link]:
        """The links of positions first..last, counted from 1, in order."""
        rows = self._database.execute(
            "SELECT url, original_url, score, created_utc, subreddit FROM links"
            " WHERE position BETWEEN ? AND ? ORDER BY position",
            (first, last),
        )
        return [Link(*row) for row in rows]
