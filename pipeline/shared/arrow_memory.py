"""Bytes and tables that Arrow's threads may hold to a process's end and after.

Arrow reads a Parquet file by threads of its own, one of which may be the last to let go of the
file. Bytes and open files of Python can be let go of by Python alone; where that has ended
meanwhile, the process aborts, with its work done: 11 of 400 processes that ended right after
`read_table`, on a busy machine. So nothing that Python owns is given to Arrow to read: not
`BufferReader(bytes)`, not an open file, which is what `pandas.read_parquet` makes of a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    import pandas as pd


def read_buffer(path: Path) -> pa.Buffer:
    """A file's bytes, of this machine or of a store; to hash and parse what was read once.

    Raises:
        OSError: it cannot be read.
    """
    return buffer_of(path.read_bytes())


def buffer_of(data: bytes) -> pa.Buffer:
    """A copy of `data`."""
    buffer = pa.allocate_buffer(len(data))
    memoryview(buffer).cast("B")[:] = data
    return buffer


def read_frame(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A Parquet file, or these columns of it.

    Raises:
        OSError, ValueError: it is missing, damaged, or lacks a column.
    """
    table = pq.read_table(path, columns=None if columns is None else list(columns))
    frame: pd.DataFrame = table.to_pandas()
    return frame
