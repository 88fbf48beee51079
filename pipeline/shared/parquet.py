"""Whole Parquet files as Arrow tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def read_table(source: Path | pa.NativeFile, columns: Sequence[str] | None = None) -> pa.Table:
    """The rows of one file, of the named columns in their order, or of all.

    `pyarrow.parquet.read_table` says the same, and imports Arrow's data sets and pandas for the
    folders of files that it reads as well: 0.3 s of every process.

    Raises:
        pyarrow.ArrowKeyError: the file lacks a column.
        pyarrow.ArrowException, OSError: it is damaged.
    """
    with pq.ParquetFile(source) as file:
        if columns is None:
            return file.read()
        if lacking := sorted(set(columns) - set(file.schema_arrow.names)):
            raise pa.ArrowKeyError(f"no column {lacking[0]!r}")
        return file.read(list(columns)).select(list(columns))
