"""The list of links and what became of each, in SQLite: the crawl's memory across kills.

Each link ends in exactly one state. A link is written as fetched only together with where its
answer lies in the WARC files, after those bytes are on disk; so what the database says is true,
and what WARC holds beyond it is cut off at the next start. Nothing here grows with the number of
links but the file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pipeline.crawl.canonical import target_key

PENDING = "pending"
FETCHED = "fetched"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS dumps (name TEXT PRIMARY KEY, counts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS links (
    position INTEGER PRIMARY KEY,
    target BLOB NOT NULL UNIQUE,
    url TEXT NOT NULL,
    host TEXT NOT NULL,
    original_url TEXT NOT NULL,
    score INTEGER NOT NULL,
    created_utc INTEGER NOT NULL,
    subreddit TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    attempts INTEGER NOT NULL DEFAULT 0,
    warc INTEGER,
    offset INTEGER,
    length INTEGER
);
CREATE INDEX IF NOT EXISTS pending ON links (host, position) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS hosts (host TEXT PRIMARY KEY, links INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_links ON hosts (links DESC, host);
"""
_CACHE_KIB = 64 * 1024
_LEAST_FREE_BYTES = 2**20  # below, an I/O error of SQLite's is a full disk's


class Link(NamedTuple):
    """A link to follow and the submission it came from."""

    url: str
    """Canonical."""
    host: str
    original_url: str
    score: int
    created_utc: int
    subreddit: str


class Place(NamedTuple):
    """Where a record lies: the number of the WARC file, and bytes in it."""

    warc: int
    offset: int
    length: int


class Result(NamedTuple):
    """What became of a link."""

    position: int
    state: str
    attempts: int
    place: Place | None = None
    """For `fetched` only."""


class Row(NamedTuple):
    """A link with its state."""

    position: int
    link: Link
    state: str
    place: Place | None


class Frontier:
    """One database; a second connection reads while the first, in another thread, writes."""

    def __init__(self, path: Path) -> None:
        """Open the database, or make it.

        Raises:
            OSError: here and in every method that writes, the disk is full.
        """
        self.path = path
        self._write = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        with self._full_disk_told():
            self._write.execute("PRAGMA journal_mode = WAL")
            self._write.execute("PRAGMA synchronous = NORMAL")
            self._write.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._write.executescript(_SCHEMA)
        self._read = sqlite3.connect(path, isolation_level=None)

    def close(self) -> None:
        """Close both connections."""
        self._read.close()
        self._write.close()

    # Links in

    @contextmanager
    def reading(self, dump: str) -> Iterator[Counter[str]]:
        """One transaction around one dump; the counts filled in the block are kept with it."""
        counts: Counter[str] = Counter()
        with self._transaction():
            yield counts
            row = (dump, json.dumps(counts))
            self._write.execute("INSERT INTO dumps VALUES (?, ?)", row)

    def add(self, link: Link) -> bool:
        """Add a link, unless one to the same page is there."""
        target = hashlib.sha256(target_key(link.url).encode()).digest()[:12]
        added = self._write.execute(
            "INSERT INTO links (target, url, host, original_url, score, created_utc, subreddit)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (target, *link),
        )
        return added.rowcount == 1

    def dumps_read(self) -> set[str]:
        """Names of the dumps whose links are all in."""
        return {name for (name,) in self._write.execute("SELECT name FROM dumps")}

    def link_counts(self) -> Counter[str]:
        """Counts by rule over all dumps."""
        total: Counter[str] = Counter()
        for (counts,) in self._write.execute("SELECT counts FROM dumps"):
            total.update(json.loads(counts))
        return total

    def close_list(self) -> None:
        """Count the links of each host, once all links are in."""
        with self._transaction():
            self._write.execute(
                "INSERT INTO hosts SELECT host, count(*) FROM links"
                " WHERE NOT EXISTS (SELECT 1 FROM hosts) GROUP BY host"
            )

    # Links out

    def hosts(self) -> Iterator[str]:
        """All hosts, those with most links first: politeness makes them the longest to do."""
        links, host = 2**62, ""
        # Page by page: an open cursor would keep SQLite from ever emptying its log.
        while page := self._read.execute(
            "SELECT links, host FROM hosts WHERE links <= ? AND (links < ? OR host > ?)"
            " ORDER BY links DESC, host LIMIT 1000",
            (links, links, host),
        ).fetchall():
            yield from (host for _, host in page)
            links, host = page[-1]

    def pending(self, host: str, *, after: int, most: int) -> list[tuple[int, str]]:
        """Next (position, url) of a host without a final state."""
        return self._read.execute(
            "SELECT position, url FROM links INDEXED BY pending WHERE host = ?"
            f" AND state = '{PENDING}' AND position > ? ORDER BY position LIMIT ?",
            (host, after, most),
        ).fetchall()

    def finish(self, results: Iterable[Result]) -> None:
        """Give links their final states, all or none; a state is given once."""
        rows = [
            (result.state, result.attempts, *(result.place or (None, None, None)), result.position)
            for result in results
        ]
        with self._transaction():
            cursor = self._write.executemany(
                "UPDATE links SET state = ?, attempts = ?, warc = ?, offset = ?, length = ?"
                f" WHERE position = ? AND state = '{PENDING}'",
                rows,
            )
            assert cursor.rowcount == len(rows), "a link was finished twice"

    # What is known

    def num_links(self) -> int:
        """Links in all."""
        return int(self._read.execute("SELECT count(*) FROM links").fetchone()[0])

    def states(self) -> Counter[str]:
        """Number of links by state."""
        return Counter(dict(self._read.execute("SELECT state, count(*) FROM links GROUP BY state")))

    def num_attempts(self) -> int:
        """Fetches of links with a final state, retries included."""
        return int(self._read.execute("SELECT total(attempts) FROM links").fetchone()[0])

    def warc_ends(self) -> dict[int, int]:
        """Committed bytes of each WARC file, by its number."""
        rows = self._read.execute(
            "SELECT warc, max(offset + length) FROM links WHERE warc IS NOT NULL GROUP BY warc"
        )
        return dict(rows.fetchall())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._full_disk_told():
            self._write.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._write.execute("COMMIT")
            except BaseException:
                if self._write.in_transaction:  # a full disk has rolled it back already
                    self._write.execute("ROLLBACK")
                raise

    @contextmanager
    def _full_disk_told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            kind = error.sqlite_errorcode & 0xFF
            free = shutil.disk_usage(self.path.parent).free
            if kind != sqlite3.SQLITE_FULL and (
                kind != sqlite3.SQLITE_IOERR or free > _LEAST_FREE_BYTES
            ):
                raise
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path)) from error


def read_range(path: Path, first: int, last: int) -> list[Row]:
    """The links of positions first..last, in order, for a process that only reads."""
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute(
            "SELECT position, url, host, original_url, score, created_utc, subreddit, state,"
            " warc, offset, length FROM links WHERE position BETWEEN ? AND ? ORDER BY position",
            (first, last),
        ).fetchall()
    finally:
        connection.close()
    return [
        Row(row[0], Link(*row[1:7]), row[7], Place(*row[8:]) if row[8] is not None else None)
        for row in rows
    ]
