"""The supervisor against real process trees: nothing it started may outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.supervisor import below_supervisor, main

# A parent that starts a child in the same group, as DVC starts its stage, and dies at SIGTERM.
TREE = """
import pathlib, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]])
pathlib.Path("pid").write_text(str(child.pid))
child.wait()
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "open('ready', 'w').close(); time.sleep(60)"
)
TIDY = """
import signal, sys, time
def stop(signum, frame):
    time.sleep(0.5)
    print("saving", flush=True)
    open("checkpoint", "w").close()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
open("ready", "w").close()
time.sleep(60)
"""


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def start(
    folder: Path, started: list[subprocess.Popen[str]], *command: str, grace: float = 10.0
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        below_supervisor(command, grace_s=grace),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started.append(process)
    return process


def start_tree(
    folder: Path, started: list[subprocess.Popen[str]], child: str, grace: float = 10.0
) -> tuple[subprocess.Popen[str], int]:
    process = start(folder, started, sys.executable, "-c", TREE, child, grace=grace)
    until_exists(folder / "ready")
    return process, int((folder / "pid").read_text())


def until_exists(path: Path) -> None:
    deadline_s = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline_s, f"{path} never appeared"
        time.sleep(0.02)


def assert_ends(pid: int, seconds: float) -> None:
    deadline_s = time.monotonic() + seconds
    while alive(pid):
        assert time.monotonic() < deadline_s, f"{pid} lives on"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False


def close_input(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()


def test_output_and_exit_code_pass_through(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(75)"
    process = start(tmp_path, started, sys.executable, "-u", "-c", code)
    assert process.stdout is not None
    assert process.stdout.read().splitlines() == ["out", "err"]
    assert process.wait(timeout=60) == 75


def test_a_long_last_line_without_an_end_arrives(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    process = start(tmp_path, started, sys.executable, "-c", "print('x' * 300_000, end='')")
    assert process.stdout is not None
    assert len(process.stdout.read()) == 300_000


def test_a_command_killed_by_a_signal_has_its_shell_code(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    process = start(tmp_path, started, sys.executable, "-c", code)
    assert process.wait(timeout=60) == 128 + signal.SIGKILL


@pytest.mark.parametrize("how", ["end of input", "SIGTERM"])
def test_the_whole_tree_ends_and_may_save_its_state_first(
    tmp_path: Path, started: list[subprocess.Popen[str]], how: str
) -> None:
    process, child = start_tree(tmp_path, started, TIDY)
    if how == "SIGTERM":
        process.terminate()
    else:
        close_input(process)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert (tmp_path / "checkpoint").exists()
    assert not alive(child)


def test_what_ignores_sigterm_is_killed_after_the_grace(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    process, child = start_tree(tmp_path, started, STUBBORN, grace=0.5)
    close_input(process)
    process.wait(timeout=60)
    assert_ends(child, seconds=2)


def test_state_is_saved_though_nobody_reads_the_output_any_more(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    process, child = start_tree(tmp_path, started, TIDY)
    assert process.stdout is not None
    process.stdout.close()  # the flow is gone: "saving" would be a broken pipe
    close_input(process)
    process.wait(timeout=60)
    assert (tmp_path / "checkpoint").exists()
    assert not alive(child)


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux alone")
def test_an_orphan_of_a_killed_dvc_ends_too(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    process, child = start_tree(tmp_path, started, TIDY)
    parent = int(Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(parent, signal.SIGKILL)
    assert process.wait(timeout=60) == 128 + signal.SIGKILL
    assert (tmp_path / "checkpoint").exists()
    assert not alive(child)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent's death is told by Linux alone")
def test_a_killed_supervisor_takes_its_command_along(
    tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    process = start(tmp_path, started, sys.executable, "-c", STUBBORN.replace("'ready'", "'pid'"))
    until_exists(tmp_path / "pid")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    for child in children:
        assert_ends(int(child), seconds=2)
    assert children


def test_without_a_command_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "usage: python -m flows.supervisor" in capsys.readouterr().err
