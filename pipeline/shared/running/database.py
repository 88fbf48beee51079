"""SQLite as stages use it: all or nothing of a block; full disks and damaged files told as such."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, cast

from pipeline.shared.errors import CorruptDataError

_CACHE_KIB = 64 * 1024
_LEAST_FREE_BYTES = 2**20  # below, an I/O error of SQLite's is a full disk's
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def open_database(path: Path, schema: str, *, one_thread: bool = True) -> sqlite3.Connection:
    """Open a database for the one process that writes it, or make it.

    Without SQLite's write-ahead log, which a network's file system does not bear. With
    `one_thread` the connection is refused to all threads but this one.

    Raises:
        OSError: here and in all use of the database, the disk is full.
        CorruptDataError: here and in all use of the database, it is damaged.
    """
    database = connect(path, str(path), check_same_thread=one_thread)
    database.execute("PRAGMA journal_mode = TRUNCATE")
    database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    database.executescript(schema)
    return database


def connect(path: Path, address: str, **options: Any) -> sqlite3.Connection:
    """A connection to the database at `path` by its name or URI, whose faults are told as above."""
    database = sqlite3.connect(address, isolation_level=None, factory=_Database, **options)
    database.path = path
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing of what the block writes."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # a full disk has rolled it back already
            database.execute("ROLLBACK")
        raise


class _Database(sqlite3.Connection):
    path: Path

    def execute(self, *args: Any) -> sqlite3.Cursor:
        return self.cursor(_Cursor).execute(*args)

    def executemany(self, *args: Any) -> sqlite3.Cursor:
        return self.cursor(_Cursor).executemany(*args)

    def executescript(self, *args: Any) -> sqlite3.Cursor:
        return self.cursor(_Cursor).executescript(*args)


class _Cursor(sqlite3.Cursor):
    """Every way in which SQLite's faults come out."""

    def execute(self, *args: Any) -> Self:
        with _faults_told(self):
            return super().execute(*args)

    def executemany(self, *args: Any) -> Self:
        with _faults_told(self):
            return super().executemany(*args)

    def executescript(self, *args: Any) -> sqlite3.Cursor:
        with _faults_told(self):
            return super().executescript(*args)

    def fetchone(self) -> Any:
        with _faults_told(self):
            return super().fetchone()

    def fetchall(self) -> list[Any]:
        with _faults_told(self):
            return super().fetchall()

    def __next__(self) -> Any:
        with _faults_told(self):
            return super().__next__()


class _faults_told:  # a quick one: it is entered for each row
    def __init__(self, cursor: _Cursor) -> None:
        self._cursor = cursor

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, sqlite3.DatabaseError):
            _tell(error, cast(_Database, self._cursor.connection).path)


def _tell(error: sqlite3.DatabaseError, path: Path) -> None:
    """Raise what an error of SQLite's means, if it means a full disk or a damaged file."""
    kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if kind in _DAMAGED:
        raise CorruptDataError(
            f"{path}: damaged ({error}); put back a copy of it or, where there is none, move it "
            "away and run the same command again"
        ) from None
    is_full = kind == sqlite3.SQLITE_IOERR and _free_bytes(path) <= _LEAST_FREE_BYTES
    if kind == sqlite3.SQLITE_FULL or is_full:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(path.parent).free
