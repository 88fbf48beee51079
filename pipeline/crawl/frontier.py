"""The list of links and what became of each, in SQLite: the crawl's memory across kills.

Each link ends in exactly one state. Crawlers read the list and write what they did into databases
of their own (`pipeline.crawl.share`); between rounds the list takes it over. So nobody writes here
while others read, which works on a network's file system too, where SQLite's write-ahead log would
not. Nothing here grows with the number of links but the file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pipeline.crawl.canonical import target_key

PENDING = "pending"
FETCHED = "fetched"
MOVED = "moved"
"""In a crawler's results: the next step of a redirect is for the crawler of another host."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS dumps (name TEXT PRIMARY KEY, counts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS known (target BLOB PRIMARY KEY) WITHOUT ROWID;
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
    length INTEGER,
    trail TEXT
);
CREATE INDEX IF NOT EXISTS pending ON links (host, position) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS hosts (host TEXT PRIMARY KEY, links INTEGER NOT NULL, slot INTEGER);
CREATE INDEX IF NOT EXISTS by_links ON hosts (links DESC, host, slot);
CREATE TABLE IF NOT EXISTS warc_files (number INTEGER PRIMARY KEY, end INTEGER NOT NULL);
"""
_CACHE_KIB = 64 * 1024
_LEAST_FREE_BYTES = 2**20  # below, an I/O error of SQLite's is a full disk's
_SHORT_LABEL = 3  # letters of the `co` in `example.co.uk`


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


class Row(NamedTuple):
    """A link with its state."""

    position: int
    link: Link
    state: str
    place: Place | None


class Frontier:
    """The list, for the one process that writes it."""

    def __init__(self, path: Path) -> None:
        """Open the database, or make it.

        Raises:
            OSError: here and in every method that writes, the disk is full.
        """
        self.path = path
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.create_function("slot_of", 1, slot_of, deterministic=True)
        with full_disk_told(path):
            self._database.execute("PRAGMA journal_mode = TRUNCATE")
            self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._database.executescript(_SCHEMA)
        found = self._database.execute("SELECT 1 FROM known LIMIT 1").fetchone()
        self._knows_some = found is not None

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # Links in

    @contextmanager
    def reading(self, dump: str) -> Iterator[Counter[str]]:
        """One transaction around one dump; the counts filled in the block are kept with it."""
        counts: Counter[str] = Counter()
        with transaction(self._database, self.path):
            yield counts
            row = (dump, json.dumps(counts))
            self._database.execute("INSERT INTO dumps VALUES (?, ?)", row)

    def add_known(self, urls: Iterable[str]) -> None:
        """Add canonical URLs that an earlier crawl has brought to an end."""
        self._database.executemany(
            "INSERT INTO known VALUES (?) ON CONFLICT DO NOTHING", ((_target(u),) for u in urls)
        )
        self._knows_some = True

    def is_known(self, url: str) -> bool:
        """Whether `add_known` was given a URL of the same page."""
        if not self._knows_some:
            return False
        found = self._database.execute("SELECT 1 FROM known WHERE target = ?", (_target(url),))
        return found.fetchone() is not None

    def add(self, link: Link) -> bool:
        """Add a link, unless one to the same page is there."""
        added = self._database.execute(
            "INSERT INTO links (target, url, host, original_url, score, created_utc, subreddit)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (_target(link.url), *link),
        )
        return added.rowcount == 1

    def dumps_read(self) -> set[str]:
        """Names of the dumps whose links are all in."""
        return {name for (name,) in self._database.execute("SELECT name FROM dumps")}

    def link_counts(self) -> Counter[str]:
        """Counts by rule over all dumps."""
        total: Counter[str] = Counter()
        for (counts,) in self._database.execute("SELECT counts FROM dumps"):
            total.update(json.loads(counts))
        return total

    # A round of crawlers

    def begin_round(self) -> int:
        """List the hosts with links to ask for; returns the number of those links."""
        with transaction(self._database, self.path):
            self._database.execute("DELETE FROM hosts")
            self._database.execute(
                "INSERT INTO hosts SELECT host, count(*), slot_of(host) FROM links"
                " INDEXED BY pending WHERE state = 'pending' GROUP BY host"
            )
        return int(self._database.execute("SELECT total(links) FROM hosts").fetchone()[0])

    def take_over(self, results: Path) -> None:
        """Give links the states that a crawler found, and empty its database, all or nothing."""
        self._database.execute("ATTACH ? AS crawler", (str(results),))
        try:
            with transaction(self._database, self.path):
                for statement in _TAKE_OVER:
                    self._database.execute(statement)
        finally:
            self._database.execute("DETACH crawler")

    # What is known

    def num_links(self) -> int:
        """Links in all."""
        row = self._database.execute("SELECT coalesce(max(position), 0) FROM links").fetchone()
        return int(row[0])

    def states(self) -> Counter[str]:
        """Number of links by state."""
        rows = self._database.execute("SELECT state, count(*) FROM links GROUP BY state")
        return Counter(dict(rows))

    def num_attempts(self) -> int:
        """Fetches of links, retries included."""
        return int(self._database.execute("SELECT total(attempts) FROM links").fetchone()[0])

    def warc_ends(self) -> dict[int, int]:
        """Committed bytes of each WARC file, by its number."""
        return dict(self._database.execute("SELECT number, end FROM warc_files").fetchall())


_TAKE_OVER = (
    "INSERT INTO warc_files SELECT warc, max(offset + length) FROM crawler.results"
    " WHERE warc IS NOT NULL GROUP BY warc ON CONFLICT DO UPDATE SET end = excluded.end",
    "UPDATE links SET state = iif(found.state = 'moved', 'pending', found.state),"
    " attempts = attempts + found.tries, warc = found.warc, offset = found.offset,"
    " length = found.length, trail = found.trail, host = coalesce(found.moved_to, host)"
    " FROM crawler.results AS found WHERE links.position = found.position"
    " AND links.state = 'pending'",
    "DELETE FROM crawler.results",
)


def slot_of(host: str) -> int:
    """A number by which hosts are split among crawlers, the same for all hosts of one domain.

    Redirects mostly lead to another name of the same domain, which so stays with its crawler.

    >>> slot_of("www.example.com") == slot_of("example.com")
    True
    >>> slot_of("a.co.uk") == slot_of("b.co.uk")
    False
    """
    labels = host.split(".")
    short = len(labels) > 2 and len(labels[-2]) <= _SHORT_LABEL
    return zlib.crc32(".".join(labels[-3 if short else -2 :]).encode())


def _target(url: str) -> bytes:
    return hashlib.sha256(target_key(url).encode()).digest()[:12]


@contextmanager
def transaction(database: sqlite3.Connection, path: Path) -> Iterator[None]:
    """All or nothing of what the block writes.

    Raises:
        OSError: the disk is full.
    """
    with full_disk_told(path):
        database.execute("BEGIN IMMEDIATE")
        try:
            yield
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:  # a full disk has rolled it back already
                database.execute("ROLLBACK")
            raise


@contextmanager
def full_disk_told(path: Path) -> Iterator[None]:
    """Make an error of SQLite's that means a full disk the error that the system has for it."""
    try:
        yield
    except sqlite3.OperationalError as error:
        kind = error.sqlite_errorcode & 0xFF
        free = shutil.disk_usage(path.parent).free
        if kind != sqlite3.SQLITE_FULL and (
            kind != sqlite3.SQLITE_IOERR or free > _LEAST_FREE_BYTES
        ):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


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
