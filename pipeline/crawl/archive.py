"""The archive: every page that was ever asked for, in SQLite what became of it, in WARC what came.

A page has one state, by which it is asked for or not; the pages that studies want are pending until
they have one. Crawlers read the list and write what they did into databases of their own
(`pipeline.crawl.share`); between rounds the list takes it over. So nobody writes here while others
read, which works on a network's file system too. Nothing here grows with the number of pages but
the files.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from pipeline.shared.errors import UserError
from pipeline.shared.formats.fates import FETCHED
from pipeline.shared.formats.links import Link, target_of
from pipeline.shared.running.database import open_database, transaction
from pipeline.shared.running.work_folder import locked
from pipeline.shared.web.canonical import BadUrlError, host_of, requested_url

PENDING = "pending"
MOVED = "moved"
"""In a crawler's results: the next step of a redirect is for the crawler of another host."""

LIST, WARC, CRAWLERS = "archive.sqlite", "warc", "crawlers"
"""What an archive's folder holds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS pages (
    position INTEGER PRIMARY KEY,
    target BLOB NOT NULL UNIQUE,
    url TEXT NOT NULL,
    host TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    asked_utc REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    warc INTEGER,
    offset INTEGER,
    length INTEGER,
    trail TEXT
);
CREATE INDEX IF NOT EXISTS pending ON pages (host, position) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS hosts (host TEXT PRIMARY KEY, pages INTEGER NOT NULL, slot INTEGER);
CREATE INDEX IF NOT EXISTS by_pages ON hosts (pages DESC, host, slot);
CREATE TABLE IF NOT EXISTS warc_files (
    number INTEGER PRIMARY KEY, end INTEGER NOT NULL, sealed INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS listed (part TEXT PRIMARY KEY);
"""
_SHORT_LABEL = 3  # letters of the `co` in `example.co.uk`

IsDue = Callable[[str, float], bool]
"""Whether a page is asked for again, by its state and when it was asked for last."""


class Place(NamedTuple):
    """Where a record lies: the number of the WARC file, and bytes in it."""

    warc: int
    offset: int
    length: int


class Row(NamedTuple):
    """What became of a page."""

    state: str
    attempts: int
    """Requests for it, retries included."""
    asked_utc: float
    place: Place | None


class Held(NamedTuple):
    """A page that a WARC file holds."""

    position: int
    place: Place


class Archive:
    """The list, for the one process that writes it."""

    def __init__(self, folder: Path) -> None:
        """Open the archive in `folder`, or make it.

        Raises:
            UserError: there are WARC files without the list that tells what is in them.
            OSError: here and in every method that writes, the disk is full.
        """
        self.path, self.warc, self.crawlers = folder / LIST, folder / WARC, folder / CRAWLERS
        if not self.path.is_file() and any(self.warc.glob("*")):
            raise UserError(
                f"{self.path}: missing, though {self.warc} holds pages; put it back, or give "
                "crawl.archive in params.yaml another folder"
            )
        self._database = open_database(self.path, _SCHEMA)
        self._database.create_function("slot_of", 1, slot_of, deterministic=True)
        self._database.create_function("host_of", 1, host_of, deterministic=True)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # What a study wants

    def begin_list(self, name: str) -> None:
        """Want nothing but what is listed from here on, unless the list of this name goes on."""
        if (name,) in self._database.execute("SELECT part FROM listed"):
            return
        with transaction(self._database):
            self._database.execute("DELETE FROM listed")
            self._database.execute("DELETE FROM pages WHERE state = 'pending' AND warc IS NULL")
            self._database.execute(f"UPDATE pages SET state = '{FETCHED}' WHERE state = 'pending'")
            self._database.execute("INSERT INTO listed VALUES (?)", (name,))

    def want(self, part: str, links: Iterable[Link], is_due: IsDue) -> None:
        """Make pending what was never asked for, or is due again; all links of a part or none."""
        if self._database.execute("SELECT 1 FROM listed WHERE part = ?", (part,)).fetchone():
            return
        self._database.create_function("is_due", 2, is_due)
        with transaction(self._database):
            self._database.executemany(
                "INSERT INTO pages (target, url, host) VALUES (?, ?, ?)"
                " ON CONFLICT (target) DO UPDATE SET state = 'pending', trail = NULL,"
                " url = excluded.url, host = excluded.host"
                " WHERE state != 'pending' AND is_due(state, asked_utc)",
                map(_row_of, links),
            )
            self._database.execute("INSERT INTO listed VALUES (?)", (part,))

    def rows(self, links: Sequence[Link]) -> Iterator[Row]:
        """What became of the pages of links, in their order; of each link there must be one."""
        for link in links:
            found = self._database.execute(
                "SELECT state, attempts, asked_utc, warc, offset, length FROM pages"
                " WHERE target = ?",
                (target_of(link.url),),
            ).fetchone()
            state, attempts, asked_utc, *place = found
            yield Row(state, attempts, asked_utc, Place(*place) if place[0] is not None else None)

    # A round of crawlers

    def begin_round(self) -> int:
        """List the hosts with pages to ask for; returns the number of those pages."""
        with transaction(self._database):
            self._database.execute("DELETE FROM hosts")
            self._database.execute(
                "INSERT INTO hosts SELECT host, count(*), slot_of(host) FROM pages"
                " INDEXED BY pending WHERE state = 'pending' GROUP BY host"
            )
        return int(self._database.execute("SELECT total(pages) FROM hosts").fetchone()[0])

    def take_over(self, results: Path) -> None:
        """Give pages the states that a crawler found, and empty its database, all or nothing."""
        self._database.execute("ATTACH ? AS crawler", (str(results),))
        try:
            with transaction(self._database):
                for statement in _TAKE_OVER:
                    self._database.execute(statement)
        finally:
            self._database.execute("DETACH crawler")

    def warc_ends(self) -> dict[int, int]:
        """Committed bytes of each WARC file, by its number."""
        return dict(self._database.execute("SELECT number, end FROM warc_files").fetchall())

    def seal(self) -> None:
        """Have nothing more written to the WARC files that there are: studies will hold them."""
        with transaction(self._database):
            self._database.execute("UPDATE warc_files SET sealed = 1")

    def sealed(self) -> set[int]:
        """Numbers of the WARC files that nothing is written to."""
        rows = self._database.execute("SELECT number FROM warc_files WHERE sealed").fetchall()
        return {number for (number,) in rows}

    # What of it is lost

    def held(self) -> Iterator[tuple[int, list[Held]]]:
        """The pages that each WARC file holds, by its number, in the order of their places."""
        rows = self._database.execute(
            "SELECT position, warc, offset, length FROM pages WHERE warc IS NOT NULL"
            " ORDER BY warc, offset"
        )
        held = (Held(position, Place(*place)) for position, *place in rows)
        for number, pages in groupby(held, lambda page: page.place.warc):
            yield number, list(pages)

    def give_up(self, number: int, positions: Iterable[int], size: int) -> None:
        """Make pages of a WARC file pending as if they had never been had, all or none.

        The file keeps its number and gets nothing more; `size`: bytes that are left of it.
        """
        with transaction(self._database):
            self._database.executemany(
                "UPDATE pages SET state = 'pending', warc = NULL, offset = NULL, length = NULL,"
                " trail = NULL, host = host_of(url) WHERE position = ?",
                ((position,) for position in positions),
            )
            self._database.execute(
                "UPDATE warc_files SET end = min(end, ?), sealed = 1 WHERE number = ?",
                (size, number),
            )


def _row_of(link: Link) -> tuple[bytes, str, str]:
    """Of a page that is wanted: what it is known by, what is asked for, and of whom."""
    url = link.url
    if link.original_url != url:
        with suppress(BadUrlError):
            url = requested_url(link.original_url)
    return target_of(link.url), url, host_of(url)


# A page that was had stays until another takes its place, whatever its host says today.
_TAKE_OVER = (
    "INSERT INTO warc_files SELECT warc, max(offset + length), 0 FROM crawler.results"
    " WHERE warc IS NOT NULL GROUP BY warc ON CONFLICT DO UPDATE SET end = excluded.end",
    "UPDATE pages SET state = CASE WHEN found.state = 'moved' THEN 'pending'"
    f" WHEN pages.warc IS NOT NULL THEN '{FETCHED}' ELSE found.state END,"
    " asked_utc = found.asked_utc, attempts = attempts + found.tries,"
    " warc = coalesce(found.warc, pages.warc), offset = coalesce(found.offset, pages.offset),"
    " length = coalesce(found.length, pages.length), trail = found.trail,"
    " host = coalesce(found.moved_to, host)"
    " FROM crawler.results AS found WHERE pages.position = found.position"
    " AND pages.state = 'pending'",
    "DELETE FROM crawler.results",
)


@contextmanager
def opened(folder: Path) -> Iterator[Archive]:
    """The archive in `folder`, for this process alone.

    Raises:
        RetryableError: another crawl is at work in it.
    """
    with locked(folder, what="this archive"):
        archive = Archive(folder)
        try:
            yield archive
        finally:
            archive.close()


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
