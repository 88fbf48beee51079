"""The attempts at one piece of work: how many there were, and how long they worked.

A line an attempt in a file of the work folder: process, beginning and, once another begins, end. An
attempt that was killed told nobody when, so its end is when it last wrote into the folder: its time
is that of the work which was kept.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from pipeline.shared.files import open_atomic

NAME = "attempts"
_BEGUN = 2  # words of a line without an end


class Attempts(NamedTuple):
    """Those at one piece of work, this process's the last."""

    number: int
    earlier_s: float
    """Seconds that all but the last worked."""
    began_s: float
    """When the last began, by the monotonic clock."""

    @property
    def seconds(self) -> float:
        """Seconds that all have worked until now."""
        return self.earlier_s + time.monotonic() - self.began_s


def have_been(work: Path) -> bool:
    """Whether anybody has begun the work of a folder."""
    return (work / NAME).is_file()


def begin(work: Path) -> Attempts:
    """Note one more attempt; for whoever holds the folder, before it writes there."""
    noted = (work / NAME).read_text() if have_been(work) else ""
    lines = [line.split() for line in noted.splitlines()]
    if lines and len(lines[-1]) == _BEGUN:
        lines[-1].append(f"{max(_last_written_s(work), float(lines[-1][1])):.3f}")
    spans = [float(line[2]) - float(line[1]) for line in lines if len(line) > _BEGUN]
    lines.append([str(os.getpid()), f"{time.time():.3f}"])
    with open_atomic(work / NAME, "w") as file:
        file.writelines(f"{' '.join(line)}\n" for line in lines)
    return Attempts(len(lines), sum(spans), time.monotonic())


def _last_written_s(work: Path) -> float:
    times = [path.stat().st_mtime for path in work.rglob("*") if path.is_file()]
    return max(times, default=0.0)
