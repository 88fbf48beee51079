"""Shards of rows come back as they were written, or not at all."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.fates import Fate
from pipeline.shared.formats.row_shards import (
    list_row_shards,
    read_row_shard,
    write_row_manifest,
    write_row_shard,
)

ROWS = [
    Fate(f"http://a.test/{n}", "", n, 2**40 + n, "r", "fetched", n / 3, "w.gz", n, 7)
    for n in range(3)
]


def write(folder: Path) -> None:
    shards = [
        write_row_shard(folder / f"{number:05d}.parquet", rows, Fate)
        for number, rows in enumerate((ROWS[:2], ROWS[2:], []))
    ]
    write_row_manifest(folder, shards)


def test_rows_come_back_in_order_and_in_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "one")
    write(tmp_path / "two")
    shards = list_row_shards(tmp_path / "one")
    assert [shard.rows for shard in shards] == [2, 1, 0]
    assert [row for shard in shards for row in read_row_shard(shard, Fate)] == ROWS
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    frame = pd.read_parquet(tmp_path / "one")
    assert list(frame.columns) == list(Fate._fields) and len(frame) == 3


def test_a_damaged_or_missing_shard_is_one_clear_error(tmp_path: Path) -> None:
    write(tmp_path)
    first, second, _ = list_row_shards(tmp_path)
    first.path.write_bytes(first.path.read_bytes()[:-1])
    with pytest.raises(CorruptDataError, match=r"00000\.parquet: not what _manifest\.json lists"):
        read_row_shard(first, Fate)
    second.path.unlink()
    with pytest.raises(CorruptDataError, match=r"00001\.parquet: listed but missing"):
        read_row_shard(second, Fate)
    (tmp_path / "_manifest.json").write_text('{"shards": [{"name": "x"}]}')
    with pytest.raises(CorruptDataError, match="lists no shards"):
        list_row_shards(tmp_path)
