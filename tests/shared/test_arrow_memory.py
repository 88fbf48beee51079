"""A process that ends right after it has read a Parquet file ends well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from pipeline.shared.arrow_memory import buffer_of, read_buffer, read_frame
from pipeline.shared.formats.examples import Example, write_examples
from pipeline.shared.running.storage import parse_place

_ENDINGS = 400
# Each child ends as any Python does, its interpreter taken down while threads of Arrow may run.
_READ_AND_END = """
import os, sys
from pathlib import Path
import pandas, pyarrow.dataset
from pipeline.shared.arrow_memory import read_frame
from pipeline.shared.formats.examples import read_examples

path, codes = Path(sys.argv[1]), set()
for number in range(int(sys.argv[2])):
    child = os.fork()
    if not child:
        next(read_examples(path)) if number % 2 else read_frame(path)
        sys.exit()
    codes.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(sorted(codes))
"""


def test_bytes_lie_in_memory_of_arrow(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"some bytes")
    for buffer in (read_buffer(tmp_path / "file"), buffer_of(b"some bytes")):
        assert buffer.to_pybytes() == b"some bytes"
        assert buffer.is_mutable  # allocated; a view of Python's bytes is not
    assert not pa.py_buffer(b"some bytes").is_mutable
    assert buffer_of(b"").size == 0
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_buffer(tmp_path / "nowhere")


def test_a_file_of_a_store_is_read_as_one_of_this_machine() -> None:
    place = parse_place("memory://figure4-bytes/file")
    place.write_bytes(b"some bytes")
    assert read_buffer(place).to_pybytes() == b"some bytes"
    with pytest.raises(FileNotFoundError):
        read_buffer(place.with_name("nowhere"))


def test_a_frame_is_what_pandas_reads(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "loss": [1.5, None], "words": [["x"], []], "n": [1, 2]})
    frame.to_parquet(tmp_path / "frame.parquet", index=False)
    for columns in (None, ["n", "id"]):
        wanted = pd.read_parquet(tmp_path / "frame.parquet", columns=columns)
        pd.testing.assert_frame_equal(read_frame(tmp_path / "frame.parquet", columns), wanted)
    with pytest.raises(OSError, match="nowhere"):
        read_frame(tmp_path / "nowhere")


@pytest.mark.long
def test_no_process_aborts_at_its_end(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "set.parquet"
    write_examples(path, [Example(id=str(n), text="some words " * 100) for n in range(300)])
    command = [sys.executable, "-c", _READ_AND_END, str(path), str(_ENDINGS)]
    ended = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    assert ended.stdout == "[0]\n", ended.stderr[-1000:]
