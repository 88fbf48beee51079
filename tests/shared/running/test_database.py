"""Damaged databases and full disks are told as what they are, wherever SQLite notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.running.database import open_database, transaction

SCHEMA = "CREATE TABLE IF NOT EXISTS pages (position INTEGER PRIMARY KEY, url TEXT)"


def fill(path: Path) -> None:
    database = open_database(path, SCHEMA)
    with transaction(database):
        rows = ((n, f"http://example.com/{n}" * 9) for n in range(2000))
        database.executemany("INSERT INTO pages VALUES (?, ?)", rows)
    assert [row[0] for row in database.execute("SELECT position FROM pages")] == list(range(2000))
    database.close()


@pytest.mark.parametrize(("start", "length"), [(0, 100), (100, 4000), (40_000, 300_000)])
def test_a_damaged_database_is_named_with_its_remedy(
    tmp_path: Path, start: int, length: int
) -> None:
    path = tmp_path / "pages.sqlite"
    fill(path)
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xa5" * length)
    with pytest.raises(CorruptDataError, match=r"pages\.sqlite: damaged \(.*\); put back a copy"):
        for _ in open_database(path, SCHEMA).execute("SELECT * FROM pages"):
            pass


def test_the_printed_remedy_holds(tmp_path: Path) -> None:
    path = tmp_path / "pages.sqlite"
    fill(path)
    copy = path.read_bytes()
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(CorruptDataError):
        open_database(path, SCHEMA)
    path.rename(tmp_path / "away")
    fill(path)
    path.write_bytes(copy)
    assert open_database(path, SCHEMA).execute("SELECT count(*) FROM pages").fetchone() == (2000,)


def test_an_error_in_a_transaction_undoes_all_of_it(tmp_path: Path) -> None:
    database = open_database(tmp_path / "pages.sqlite", SCHEMA)
    with pytest.raises(ZeroDivisionError), transaction(database):
        database.execute("INSERT INTO pages VALUES (1, 'x')")
        1 / 0  # noqa: B018
    assert database.execute("SELECT * FROM pages").fetchall() == []
