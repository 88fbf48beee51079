"""One file to one table, without what folders of files need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.shared.parquet import read_table

_TABLE = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [0.5, 1.5, 2.5]})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "c=3" / "some.parquet"  # no partition of a data set
    path.parent.mkdir()
    pq.write_table(_TABLE, path, row_group_size=2)
    return path


def test_a_file_is_the_table_it_was_written_from(path: Path) -> None:
    assert read_table(path) == _TABLE
    assert read_table(pa.BufferReader(path.read_bytes())) == _TABLE


def test_columns_come_in_the_order_they_are_named(path: Path) -> None:
    assert read_table(path, ["c", "a"]) == _TABLE.select(["c", "a"])


def test_a_column_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(pa.ArrowKeyError, match="no column 'd'"):
        read_table(path, ["a", "d"])


@pytest.mark.parametrize("content", [b"", b"no Parquet", b"PAR1 and then nothing PAR1"])
def test_another_file_is_an_error_of_arrows(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(pa.ArrowInvalid):
        read_table(path)


def test_neither_pandas_nor_data_sets_are_imported(project: Path, path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipeline.shared.parquet import read_table; "
        "print(len(read_table(Path(sys.argv[1]), ['b']))); "
        "print({'pandas', 'pyarrow.dataset'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["3", "set()"]
