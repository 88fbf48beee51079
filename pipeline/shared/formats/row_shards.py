"""Shards of plain rows in Parquet, with a manifest of their hashes: how links and pages are kept.

A row is a named tuple of strings and numbers. The same rows in the same shards give the same bytes.
pandas, Arrow, Polars and DuckDB read the folder as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.shared.arrow_memory import read_buffer
from pipeline.shared.errors import REMAKE, CorruptDataError
from pipeline.shared.files import open_atomic, read_json, sha256_file, write_json
from pipeline.shared.running.listing import MANIFEST

Row = TypeVar("Row", bound=tuple[Any, ...])
_TYPES: dict[type, pa.DataType] = {str: pa.string(), int: pa.int64(), float: pa.float64()}


class RowShard(NamedTuple):
    """A shard as its manifest lists it."""

    path: Path
    rows: int
    sha256: str


def write_row_shard(path: Path, rows: Sequence[Row], kind: type[Row]) -> RowShard:
    """Write one shard, atomically."""
    table = pa.Table.from_pylist(
        [dict(zip(_schema(kind).names, row, strict=True)) for row in rows], schema=_schema(kind)
    )
    with open_atomic(path) as file:
        pq.write_table(table, file, compression="zstd")
    return RowShard(path, len(rows), sha256_file(path))


def write_row_manifest(folder: Path, shards: Sequence[RowShard], *, statement: str = "") -> None:
    """Write `_manifest.json`, the last file of a folder; `statement` says why it is empty."""
    listed = [
        {"name": shard.path.name, "rows": shard.rows, "sha256": shard.sha256} for shard in shards
    ]
    head: dict[str, Any] = {"statement": statement} if statement else {}
    write_json(folder / MANIFEST, head | {"rows": sum(s.rows for s in shards), "shards": listed})


def list_row_shards(folder: Path) -> list[RowShard]:
    """The shards of a folder, in order.

    Raises:
        CorruptDataError: the folder has no manifest, or one that is none.
    """
    manifest = read_json(folder / MANIFEST)
    try:
        return [
            RowShard(folder / shard["name"], int(shard["rows"]), shard["sha256"])
            for shard in manifest["shards"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptDataError(
            f"{folder / MANIFEST}: lists no shards ({error}); {REMAKE}"
        ) from None


def read_row_shard(shard: RowShard, kind: type[Row]) -> list[Row]:
    """The rows of one listed shard, once its bytes have been compared with the list.

    Raises:
        CorruptDataError: it is missing or its bytes are not those the manifest lists.
    """
    try:
        data = read_buffer(shard.path)  # once: what is verified is what is read
    except FileNotFoundError:
        raise CorruptDataError(f"{shard.path}: listed but missing; {REMAKE}") from None
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise CorruptDataError(f"{shard.path}: not what {MANIFEST} lists; {REMAKE}")
    try:
        table = pq.read_table(pa.BufferReader(data)).cast(_schema(kind))
    except (pa.ArrowException, ValueError) as error:
        raise CorruptDataError(f"{shard.path}: no such rows ({error}); {REMAKE}") from None
    columns = [column.to_pylist() for column in table.columns]
    return [kind(*values) for values in zip(*columns, strict=True)]


def _schema(kind: type[Any]) -> pa.Schema:
    hints = get_type_hints(kind)
    return pa.schema([pa.field(n, _TYPES[hints[n]], nullable=False) for n in kind._fields])
