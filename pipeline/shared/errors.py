"""Errors that a user can mend, and the exit codes every stage keeps to.

A `UserError` is printed as one line without a traceback: what is wrong, with the value; where;
what to do. Anything else that escapes a stage is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FATAL = 1
EXIT_RETRY = 75  # EX_TEMPFAIL of sysexits.h: the same command may succeed later
EXIT_NON_FINITE = (
    76  # a loss or gradient became NaN or infinite: the same command ends the same way
)
EXIT_INTERRUPTED = 130  # 128 + SIGINT
EXIT_TERMINATED = 143  # 128 + SIGTERM: unfinished, the same command goes on

REMAKE = (
    "run `python -m flows.repair`, which drops what is damaged, from DVC's cache too, and then "
    "`dvc repro`, which makes it again"
)
"""The way back from a damaged artefact. To delete it alone is none: DVC's cache and the finished
work are hard links to the same bytes."""


class UserError(Exception):
    """A fault of an input, a parameter or the machine, with its remedy in the message."""

    exit_code = EXIT_FATAL


class RetryableError(UserError):
    """A fault that passes by itself: a busy lock, a host that does not answer."""

    exit_code = EXIT_RETRY


class CorruptDataError(UserError):
    """A file that is not what its manifest or its format says."""


class NonFiniteLossError(UserError):
    """A training whose loss or gradient is no number; the message names step and documents."""

    exit_code = EXIT_NON_FINITE

    def __init__(self, message: str, step: int = 0) -> None:
        """`step` is the number of steps that were whole before it."""
        super().__init__(message)
        self.step = step
