"""Lines of a stage on Prefect's page: their level, and as many as its database can bear."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

_BURST = 200  # lines of a stage at once, each about a stage's start, counts or end
_EACH_S = 30.0  # after these one more: 120 an hour, of the 360 that progress writes
_MOST_CHARACTERS = 4000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")  # PostgreSQL takes no NUL


@dataclass
class _Bucket:
    """How many lines a stage may write now."""

    lines: float
    since_s: float
    left: int = 0


class Thinned:
    """Which lines go to the page: a token bucket a stage. A failed one's last are in its state."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: defaultdict[str, _Bucket] = defaultdict(lambda: _Bucket(_BURST, clock()))

    def takes(self, stage: str) -> bool:
        """Whether a line of a stage is among those."""
        with self._lock:
            bucket, now_s = self._buckets[stage], self._clock()
            bucket.lines = min(_BURST, bucket.lines + (now_s - bucket.since_s) / _EACH_S)
            bucket.since_s = now_s
            if bucket.lines < 1:
                bucket.left += 1
                return False
            bucket.lines -= 1
            return True

    def left(self, stage: str) -> int:
        """How many lines of a stage were left out since this was asked last."""
        with self._lock:
            left, self._buckets[stage].left = self._buckets[stage].left, 0
            return left


def as_record(stage: str, line: str) -> tuple[int, str]:
    """A line of output as level and message, without the time and the name that Prefect adds.

    >>> as_record("train@xl", "12:40:03 train@xl: done in 8.2 s")
    (20, 'done in 8.2 s')
    >>> as_record("train@xl", "ERROR: failed to reproduce 'train@xl'")
    (40, "ERROR: failed to reproduce 'train@xl'")
    """
    level = logging.ERROR if line.startswith("ERROR: ") else logging.INFO
    message = re.sub(rf"^\d\d:\d\d:\d\d {re.escape(stage)}: ", "", line)
    return level, _CONTROL.sub(" ", message)[:_MOST_CHARACTERS]


def as_said(stage: str, line: str) -> str:
    """A line of output as the terminal shows it: stages side by side, each by its name.

    >>> as_said("train@xl", "12:40:03 train@xl: done in 8.2 s")
    '12:40:03 train@xl: done in 8.2 s'
    >>> as_said("train@xl", "Updating lock file 'dvc.lock'")
    "train@xl: Updating lock file 'dvc.lock'"
    """
    own = re.match(rf"\d\d:\d\d:\d\d {re.escape(stage)}: ", line)
    return line if own else f"{stage}: {line}"
