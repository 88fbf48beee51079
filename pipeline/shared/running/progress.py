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
BYTES = "B"
"""The unit of which lines tell millions."""


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
        text = f"{self.name}: {_amount(self.done, self.unit, self.total)}, {_rate(rate, self.unit)}"
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
            amount = _amount(self.done, self.unit)
            self.log.info("%s: %s in %s", self.name, amount, format_seconds(seconds))


def _amount(done: int, unit: str, total: int | None = None) -> str:
    """What is done, of how much; bytes in a unit that a reader can grasp.

    >>> _amount(1234, "pages"), _amount(3, "sets", 17), _amount(32_360_000, BYTES, 129_500_000)
    ('1,234 pages', '3 of 17 sets', '32.4 of 129.5 MB')
    """
    if unit != BYTES:
        return f"{done:,} {unit}" if total is None else f"{done:,} of {total:,} {unit}"
    scale, name = _byte_unit(done if total is None else total)
    whole = "" if total is None else f" of {total / scale:,.1f}"
    return f"{done / scale:,.1f}{whole} {name}"


def _rate(per_s: float, unit: str) -> str:
    """Units a second or, where one takes longer, the time of one.

    >>> _rate(1722.2, "documents"), _rate(2.5, "sets"), _rate(5_412_000, BYTES)
    ('1,722 documents/s', '2.5 sets/s', '5.4 MB/s')
    >>> _rate(0.05, "sets"), _rate(0.0, "sets")
    ('20.0 s each', 'none yet')
    """
    if per_s <= 0:
        return "none yet"
    if unit == BYTES:
        scale, name = _byte_unit(per_s)
        return f"{per_s / scale:,.1f} {name}/s"
    if per_s < 1:
        return f"{format_seconds(1 / per_s)} each"
    return f"{per_s:,.0f} {unit}/s" if per_s >= 10 else f"{per_s:.1f} {unit}/s"


def _byte_unit(size: float) -> tuple[float, str]:
    scales = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
    return next(((scale, name) for scale, name in scales if size >= scale), (1.0, BYTES))


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
