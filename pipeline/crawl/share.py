"""One crawler's share of the list: the links of its hosts, and a database of what it has done.

A link is written as fetched only together with where its answer lies in the WARC files, after those
bytes are on disk; so what the database says is true, and what WARC holds beyond it is cut off.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipeline.crawl.archive import Place, slot_of
from pipeline.shared.running.database import connect, open_database, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    position INTEGER PRIMARY KEY,
    state TEXT NOT NULL,
    asked_utc REAL NOT NULL,
    tries INTEGER NOT NULL,
    warc INTEGER,
    offset INTEGER,
    length INTEGER,
    trail TEXT,
    moved_to TEXT
);
"""
_KNOWN = 5  # hosts, of which one should be there
_WAIT_S = 60.0  # for the other thread's commit


class ShareTask(NamedTuple):
    """A link to fetch."""

    position: int
    trail: tuple[str, ...]
    """The URL to ask for, behind those that redirected to it."""

    @property
    def url(self) -> str:
        """What to ask for."""
        return self.trail[-1]


class ShareResult(NamedTuple):
    """What became of a link."""

    position: int
    state: str
    tries: int
    place: Place | None = None
    """For `fetched` only."""
    trail: tuple[str, ...] = ()
    """For `moved` only: the URLs asked for, and the one to ask for next."""
    moved_to: str | None = None
    """For `moved` only: the host of that one."""


class Share:
    """The links of the hosts of crawler `number` of `of`; one thread may write, another read."""

    def __init__(self, archive: Path, results: Path, *, number: int, of: int) -> None:
        """Open the list to read and the crawler's own database, or make it.

        Raises:
            OSError: here and in `finish`, the disk is full.
        """
        self._number, self._of, self._path = number, of, results
        # Immutable: nobody writes it during a round, and a network's file system needs no locks.
        address = f"{archive.absolute().as_uri()}?immutable=1"
        self._list = connect(archive, address, uri=True)
        self._write = open_database(results, _SCHEMA, one_thread=False)
        self._read = connect(results, str(results), timeout=_WAIT_S)
        self._resumes = self._read.execute("SELECT 1 FROM results LIMIT 1").fetchone() is not None

    def close(self) -> None:
        """Close the databases."""
        for database in (self._list, self._read, self._write):
            database.close()

    def owns(self, host: str) -> bool:
        """Whether a host is this crawler's to ask."""
        return slot_of(host) % self._of == self._number

    def hosts(self) -> Iterator[str]:
        """Its hosts, those with most links first: politeness makes them the longest to do."""
        pages, host = 2**62, ""
        while found := self._list.execute(
            "SELECT pages, host FROM hosts WHERE pages <= ? AND (pages < ? OR host > ?)"
            " AND slot % ? = ? ORDER BY pages DESC, host LIMIT 1000",
            (pages, pages, host, self._of, self._number),
        ).fetchall():
            yield from (host for _, host in found)
            pages, host = found[-1]

    def pending(self, host: str, *, after: int, most: int) -> list[ShareTask]:
        """Next links of a host without a final state, at most so many of those after a position."""
        while rows := self._list.execute(
            "SELECT position, url, trail FROM pages INDEXED BY pending WHERE host = ?"
            " AND state = 'pending' AND position > ? ORDER BY position LIMIT ?",
            (host, after, most),
        ).fetchall():
            done = self._done(rows[0][0], rows[-1][0]) if self._resumes else frozenset[int]()
            tasks = [
                ShareTask(position, tuple(trail.split("\n")) if trail else (url,))
                for position, url, trail in rows
                if position not in done
            ]
            if tasks:
                return tasks
            after = rows[-1][0]
        return []

    def known_urls(self) -> list[str]:
        """A few pages that were had before, whose hosts so are there."""
        rows = self._list.execute(
            "SELECT url FROM pages WHERE warc IS NOT NULL ORDER BY position DESC LIMIT ?", (_KNOWN,)
        ).fetchall()
        own = self._read.execute(
            "SELECT position FROM results WHERE warc IS NOT NULL ORDER BY position DESC LIMIT ?",
            (_KNOWN,),
        ).fetchall()
        for (position,) in own:
            rows += self._list.execute("SELECT url FROM pages WHERE position = ?", (position,))
        return [url for (url,) in rows]

    def _done(self, first: int, last: int) -> frozenset[int]:
        rows = self._read.execute(
            "SELECT position FROM results WHERE position BETWEEN ? AND ?", (first, last)
        )
        return frozenset(position for (position,) in rows)

    def warc_ends(self) -> dict[int, int]:
        """Committed bytes of each WARC file, by its number."""
        ends = dict(self._list.execute("SELECT number, end FROM warc_files").fetchall())
        own = self._read.execute(
            "SELECT warc, max(offset + length) FROM results WHERE warc IS NOT NULL GROUP BY warc"
        )
        return ends | dict(own.fetchall())

    def sealed(self) -> set[int]:
        """Numbers of the WARC files that nothing is added to."""
        return {
            number for (number,) in self._list.execute("SELECT number FROM warc_files WHERE sealed")
        }

    def finish(self, results: Iterable[ShareResult]) -> None:
        """Write what became of links, all or none; of each once."""
        now_utc = time.time()
        rows = [
            (
                *(result.position, result.state, now_utc, result.tries),
                *(result.place or (None, None, None)),
                "\n".join(result.trail) or None,
                result.moved_to,
            )
            for result in results
        ]
        with transaction(self._write):
            self._write.executemany("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
