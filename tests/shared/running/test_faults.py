"""Faults of the machine, made for real where they can be, are told in one line each."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import SafetensorError

from pipeline.shared.running import faults
from pipeline.shared.running.command import make_plain
from pipeline.shared.running.faults import explain_fault

FULL = Path("/dev/full")
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # whose stacks are memory, too


WRITERS: dict[str, Callable[[IO[bytes]], object]] = {
    "file": lambda file: file.write(bytes(10**6)),
    "numpy": lambda file: np.save(file, np.zeros(100_000)),
    "torch": lambda file: torch.save(torch.zeros(10**6), file),
    "parquet": lambda file: pq.write_table(pa.table({"a": np.random.rand(10**6)}), file),
}


def fault_of(act: Callable[[], object]) -> BaseException:
    try:
        act()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.skipif(not FULL.exists(), reason="a disk that is always full is Linux's own")
@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_told_as_one_whoever_writes(writer: str) -> None:
    def act() -> None:  # by a handle: a library that is given a name may replace the device
        with FULL.open("wb", buffering=0) as file:
            WRITERS[writer](file)

    said = explain_fault(fault_of(act))
    assert said is not None
    assert "No space left on device" in said
    assert "MiB are free; free some space and run the same command again" in said


def disks(monkeypatch: pytest.MonkeyPatch, free: dict[str, int], inodes: int = 9) -> None:
    def statvfs(place: Path) -> SimpleNamespace:
        size = free[place.name]
        return SimpleNamespace(f_bavail=size, f_frsize=2**20, f_files=99, f_favail=inodes)

    monkeypatch.setattr(faults.os, "statvfs", statvfs)


def test_free_space_is_that_of_the_disk_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("work", "out"):
        (tmp_path / name).mkdir()
    disks(monkeypatch, {"work": 3, "out": 70_000, tmp_path.name: 80_000, "": 80_000})
    unnamed = OSError("45 requested and 0 written")
    said = explain_fault(unnamed, [tmp_path / "work", tmp_path / "out" / "later"])
    assert said is not None
    assert said.startswith(f"{tmp_path / 'work'}: No space left on device: 3 MiB are free")
    named = OSError(errno.ENOSPC, "full", str(tmp_path / "out" / "a" / "b"))
    assert "70,000 MiB are free" in str(explain_fault(named, [tmp_path / "work"]))


def test_a_disk_without_inodes_is_told_from_one_without_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks(monkeypatch, {tmp_path.name: 5000}, inodes=0)
    said = explain_fault(OSError(errno.ENOSPC, "full", str(tmp_path / "a")))
    assert "no inodes are left for new files; delete some files" in str(said)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "memory is used up \\(MemoryError\\): give the process more"),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "MiB are free"),
        (RuntimeError("can't start new thread"), "memory is used up"),
        (ImportError("libx.so: failed to map segment from shared object"), "memory is used up"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory is used up"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "out"), "^out: Read-only file system; "),
        (FileNotFoundError("No usable temporary directory found in ['/t']"), "or set TMPDIR"),
        (RuntimeError("Could not determine home directory."), "directory: set HOME to a folder"),
    ],
)
def test_other_faults_of_the_machine_name_their_remedy(error: Exception, said: str) -> None:
    found = explain_fault(error)
    assert found is not None
    assert re.search(said, found)
    assert "\n" not in found


def test_memory_that_was_refused_for_real_is_told_as_such() -> None:
    for act in (lambda: np.zeros(2**50), lambda: torch.zeros(2**50)):
        assert "memory is used up" in str(explain_fault(fault_of(act)))


def test_a_defect_of_ours_is_no_fault_of_the_machine() -> None:
    assert explain_fault(fault_of(lambda: {}[1])) is None
    assert explain_fault(fault_of(lambda: Path("no such file").read_text())) is None


def test_a_message_is_of_a_length_that_is_read_and_steers_no_terminal() -> None:
    said = make_plain("begin " + "x" * 17_000 + " end")
    assert len(said) < 4100
    assert said.startswith("begin") and said.endswith(" end") and "characters ...]" in said
    assert make_plain("a\x1b]0;title\x07\r\u202eb\tc\nd") == "a\\x1b]0;title\\x07\\r\\u202eb\tc\nd"


@pytest.mark.parametrize("module", ["pipeline.train", "pipeline.tokenize"])
def test_a_want_of_memory_while_a_command_loads_is_one_line(project: Path, module: str) -> None:
    # So little that a library cannot be mapped; with more, one may abort in its own first steps.
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -v 95000; exec {sys.executable} -m {module} --help"],
        cwd=project, capture_output=True, text=True, check=False, env=os.environ | ONE_THREAD,
    )  # fmt: skip
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("memory is used up (") and "ulimit -v" in line


def test_a_defect_while_a_command_loads_keeps_its_traceback_and_an_import_changes_nothing() -> None:
    loading = "import sys; sys.argv = ['-m']; import pipeline; import no_such_module"
    done = subprocess.run(
        [sys.executable, "-c", loading], capture_output=True, text=True, check=False
    )
    assert "Traceback" in done.stderr and "no_such_module" in done.stderr
    imported = "import sys; import pipeline; assert sys.excepthook is sys.__excepthook__"
    subprocess.run([sys.executable, "-c", imported], check=True)
