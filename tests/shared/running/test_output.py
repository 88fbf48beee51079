"""A command whose reader has read enough ends without a word, as `| head` wants it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PRINTS = (
    "from pipeline.shared.running.output import end_quietly_with_reader as quietly; quietly()\n"
)
_PRINTS += "while True: print('line', flush=True)"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["-c", _PRINTS], id="any"),
        pytest.param(["-m", "pipeline.doctor"], id="doctor", marks=pytest.mark.slow),
    ],
)
def test_a_command_ends_quietly_when_its_reader_has_gone(
    project: Path, arguments: list[str]
) -> None:
    command = [sys.executable, *arguments]
    with subprocess.Popen(
        command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(120) != 0
        assert process.stderr.read() == ""
