"""How a resumable command runs and ends: its log, its signals, its exit code."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from pipeline.shared.errors import (
    EXIT_DONE,
    EXIT_FATAL,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    UserError,
)
from pipeline.shared.running.executor import end_with_parent

_FULL = {errno.ENOSPC, errno.EDQUOT}
# Faults of the machine, not of the code: one line says enough. Others keep their traceback.
_MACHINE_FAULTS = _FULL | {errno.EACCES, errno.EPERM, errno.EROFS, errno.EADDRINUSE, errno.EMFILE}


def run_command(title: str, run: Callable[[logging.Logger], None]) -> NoReturn:
    """Run a resumable command and exit: a log under its title, one line for what is expected."""
    signal.signal(signal.SIGTERM, _terminate)
    _end_with_dvc()
    log = _make_log(title)
    try:
        run(log)
    except UserError as error:
        log.error("%s", error)
        sys.exit(error.exit_code)
    except OSError as error:
        expected = error.errno in _MACHINE_FAULTS
        log.error("%s", _explain_os_error(error), exc_info=not expected)
        sys.exit(EXIT_FATAL)
    except KeyboardInterrupt:
        log.warning("interrupted; the same command goes on from here")
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit as stop:
        if stop.code == EXIT_TERMINATED:
            log.warning("terminated before the end; the same command goes on from here")
        raise
    sys.exit(EXIT_DONE)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    # A group's SIGTERM is followed by that of DVC's death, which must not cut short our tidying.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(EXIT_TERMINATED)


def _end_with_dvc() -> None:
    """Have a stage that DVC started end when DVC is gone, kill -9 included (Linux)."""
    if "DVC_STAGE" not in os.environ:
        return
    end_with_parent(signal.SIGTERM)
    if _is_orphan():  # DVC was killed while this process was still importing
        sys.exit(EXIT_TERMINATED)


def _is_orphan() -> bool:
    """Whether the parent is neither DVC nor the shell it runs commands in; init took its place."""
    try:
        command = Path(f"/proc/{os.getppid()}/cmdline").read_bytes()
    except OSError:  # not Linux, or not ours to read
        return False
    return b"dvc" not in command and b"pipeline." not in command


def _make_log(title: str) -> logging.Logger:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s {title}: %(message)s", "%H:%M:%S"))
    log = logging.getLogger("figure4")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    return log


def _explain_os_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    reason = error.strerror or str(error)
    if error.errno in _FULL:
        free = shutil.disk_usage(".").free / 2**20
        return (
            f"{where}{reason}: {free:,.0f} MiB are free; free some space and run the same "
            "command again, which goes on from here"
        )
    return f"{where}{reason}; mend it and run the same command again"
