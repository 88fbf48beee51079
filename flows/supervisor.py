"""The process between the flow and DVC, by which a cancel or a crash stops the training.

    python -m flows.supervisor [--grace SECONDS] -- COMMAND...

The flow holds the write end of our stdin. When that closes, however the flow ended, or at SIGTERM,
COMMAND and all its descendants get SIGTERM, have the grace to write a checkpoint, and are killed.
DVC alone does not do this: it dies at SIGTERM and leaves its stage behind as an orphan. Our own
death by SIGKILL ends DVC too (Linux), and a stage ends with its DVC (running/stage.py). Servers run
below a supervisor, too.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType
from typing import IO

GRACE_S = 25.0  # less than the 30 s after which Prefect kills a cancelled flow
_POLL_S = 0.05
_PUMP_S = 60.0  # for the last lines of a command that ended by itself
_STOPPED_PUMP_S = 1.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36


def below_supervisor(command: Sequence[str], *, grace_s: float = GRACE_S) -> list[str]:
    """The command line that runs another below a supervisor."""
    return [sys.executable, "-m", "flows.supervisor", "--grace", str(grace_s), "--", *command]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command to its end or to ours; returns its exit code, 128 + n for signal n."""
    parser = argparse.ArgumentParser(prog="python -m flows.supervisor", description=__doc__)
    parser.add_argument("--grace", type=float, default=GRACE_S, metavar="SECONDS")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)
    stop = threading.Event()

    def on_signal(signum: int, frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    _adopt_orphans()
    process = _start(options.command)
    assert process.stdout is not None
    pump = threading.Thread(target=_pump, args=[process.stdout], daemon=True)
    pump.start()
    threading.Thread(target=_wait_for_end_of_input, args=[stop], daemon=True).start()
    code = _wait(process.pid, stop)
    _end_group(process.pid, options.grace)
    # A slow reader gets every line; a flow that is gone gets none.
    pump.join(timeout=_STOPPED_PUMP_S if code is None else _PUMP_S)
    if code is None:
        code = 128 + signal.SIGTERM
    # Not sys.exit: a thread that still reads stdin must not hold us up.
    os._exit(code if code >= 0 else 128 - code)


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 (no thread runs here yet)
    )


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _adopt_orphans() -> None:
    """What outlives DVC becomes our child, so that we see it and can end it."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _pump(source: IO[bytes]) -> None:
    """Forward output while the flow reads it; afterwards drop it, so that no writer breaks."""
    target = sys.stdout.fileno()
    for line in source:
        with contextlib.suppress(OSError):
            os.write(target, line)


def _wait_for_end_of_input(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()


def _wait(pid: int, stop: threading.Event) -> int | None:
    """The exit code of `pid`, or None when we were told to stop before it ended."""
    while not stop.wait(_POLL_S):
        code = _reap(pid)
        if code is not None:
            return code
    return None


def _reap(pid: int) -> int | None:
    """Collect every child that ended; the exit code of `pid` if it is among them."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while True:
            ended, status = os.waitpid(-1, os.WNOHANG)
            if ended == 0:
                break
            if ended == pid:
                code = os.waitstatus_to_exitcode(status)
    return code


def _end_group(group: int, grace_s: float) -> None:
    """SIGTERM to the whole group, wait until it is gone, SIGKILL after the grace."""
    if not _signal_group(group, signal.SIGTERM):
        return
    ends_s = time.monotonic() + grace_s
    while time.monotonic() < ends_s:
        _reap(group)
        if not _signal_group(group, 0):
            return
        time.sleep(_POLL_S)
    _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal; False if nobody of the group is left."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS answers EPERM for zombies
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
