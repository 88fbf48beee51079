"""Rows of foreign Parquet files, of which a value that Python cannot hold costs itself alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_S = 86_400


class Unreadable:
    """Stands for a value that is there and cannot be read."""


UNREADABLE = Unreadable()


def read_rows(
    file: pq.ParquetFile, columns: Sequence[str], *, at_once: int
) -> Iterator[dict[str, Any]]:
    """The rows of a file, a group of `at_once` in memory at a time; times as seconds since 1970.

    Args:
        file: open.
        columns: names; of a field in a structure, `structure.field`.
        at_once: rows.

    Raises:
        pyarrow.ArrowException, OSError: the file is damaged.
    """
    # No threads of Arrow, which may hold a file of Python at its end: see `arrow_memory`.
    for batch in file.iter_batches(at_once, columns=list(columns), use_threads=False):
        values = [_values(column) for column in batch.columns]
        for row in zip(*values, strict=True):
            yield dict(zip(batch.schema.names, row, strict=True))


def _values(column: pa.Array) -> list[Any]:
    column = _in_seconds(column)
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError, TypeError, pa.ArrowException):
        return [_value(scalar) for scalar in column]


def _in_seconds(column: pa.Array) -> pa.Array:
    """A column of times or days as numbers, which know neither time zones nor the year 9999."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return pc.divide(column.cast(pa.int64()), _PER_SECOND[kind.unit])
    if pa.types.is_date32(kind):
        return pc.multiply(column.cast(pa.int32()).cast(pa.int64()), _DAY_S)
    if pa.types.is_date64(kind):
        return pc.divide(column.cast(pa.int64()), _PER_SECOND["ms"])
    return column


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError, TypeError, pa.ArrowException):
        return UNREADABLE
