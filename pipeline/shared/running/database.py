"""SQLite as stages use it: all or nothing of a block, and a full disk told as one."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CACHE_KIB = 64 * 1024
_LEAST_FREE_BYTES = 2**20  # below, an I/O error of SQLite's is a full disk's


def open_database(path: Path, schema: str, *, one_thread: bool = True) -> sqlite3.Connection:
    """Open a database for the one process that writes it, or make it.

    Without SQLite's write-ahead log, which a network's file system does not bear. With
    `one_thread` the connection is refused to all threads but this one.

    Raises:
        OSError: the disk is full.
    """
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=one_thread)
    with full_disk_told(path):
        database.execute("PRAGMA journal_mode = TRUNCATE")
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        database.executescript(schema)
    return database


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
