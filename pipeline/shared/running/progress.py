"""Progress of long work: a bar on a terminal, plain lines elsewhere; both with rate and time left.

A log file or a Prefect task cannot show a bar that rewrites its line, so without a terminal one
line is logged every few seconds.
"""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import Any

from tqdm import tqdm

_LINE_EVERY_S = 10.0


class Progress:
    """Counts units of work; use as a context manager."""

    def __init__(
        self, name: str, *, total: int | None, unit: str, log: logging.Logger, done: int = 0
    ) -> None:
        """`done` units were finished by an earlier attempt and do not count in the rate."""
        self.name, self.total, self.unit, self.log = name, total, unit, log
        self.done, self._initial = done, done
        self._started_s = self._line_s = time.monotonic()
        self._bar: tqdm[Any] | None = None
        if sys.stderr.isatty():
            self._bar = tqdm(
                desc=name,
                total=total,
                initial=done,
                unit=f" {unit}",
                unit_scale=True,
                dynamic_ncols=True,
                leave=False,
            )

    def __enter__(self) -> Progress:
        return self

    def update(self, units: int = 1, note: str = "") -> None:
        """Add finished units; `note` is shown beside the rate."""
        self.done += units
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(units)
        elif time.monotonic() - self._line_s >= _LINE_EVERY_S:
            self._line_s = time.monotonic()
            self.log.info("%s", self.line(note))

    def line(self, note: str = "") -> str:
        """The state in one line: done, total, rate, time left."""
        seconds = max(time.monotonic() - self._started_s, 1e-9)
        rate = (self.done - self._initial) / seconds
        text = f"{self.name}: {self.done:,}"
        if self.total is not None:
            text += f" of {self.total:,}"
        text += f" {self.unit}, {rate:,.1f}/s"
        if self.total is not None and rate > 0:
            text += f", {format_seconds((self.total - self.done) / rate)} left"
        return f"{text}; {note}" if note else text

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if kind is None:
            seconds = time.monotonic() - self._started_s
            self.log.info(
                "%s: %s %s in %s", self.name, f"{self.done:,}", self.unit, format_seconds(seconds)
            )


def format_seconds(seconds: float) -> str:
    """A duration as people write it.

    >>> format_seconds(8.25), format_seconds(187), format_seconds(7320)
    ('8.2 s', '3 min 07 s', '2 h 02 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
