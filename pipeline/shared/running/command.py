"""How a resumable command runs and ends: its log, its signals, its exit code."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
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
from pipeline.shared.running.faults import explain_fault

_MOST_CHARACTERS = 4000
# Control characters but for tab and new line, and those that turn the direction of writing.
_STEERING = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def run_command(
    title: str, run: Callable[[logging.Logger], None], *, places: Sequence[Path] = ()
) -> NoReturn:
    """Run a resumable command and exit: a log under its title, one line for what is expected.

    `places` are where it writes: looked at for free space where a full disk does not say its name.
    """
    signal.signal(signal.SIGTERM, _terminate)
    _end_with_dvc()
    log = _make_log(title)
    try:
        run(log)
    except UserError as error:
        log.error("%s", error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        log.warning("interrupted; the same command goes on from here")
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit as stop:
        if stop.code == EXIT_TERMINATED:
            log.warning("terminated before the end; the same command goes on from here")
        raise
    except Exception as error:
        said = explain_fault(error, places)
        log.error("%s", said or error, exc_info=said is None)
        sys.exit(EXIT_FATAL)
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
    handler.setFormatter(_OneLine(f"%(asctime)s {title}: %(message)s", "%H:%M:%S"))
    log = logging.getLogger("figure4")
    log.handlers[:] = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    return log


class _OneLine(logging.Formatter):
    """Messages of a length that is read, in which what came from outside is text alone."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """As the base class does, of the message made plain; a traceback follows as it is."""
        record.message = make_plain(record.message)
        return super().formatMessage(record)


def make_plain(text: str) -> str:
    r"""A text without what steers a terminal, and without its middle if it is very long.

    >>> print(make_plain("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    if len(text) > _MOST_CHARACTERS:
        end = _MOST_CHARACTERS // 4
        left_out = len(text) - _MOST_CHARACTERS
        text = f"{text[: 3 * end]} [... {left_out:,} characters ...] {text[-end:]}"
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
