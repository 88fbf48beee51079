"""What a data stage costs as a process of its own: time, memory of all its processes, disk."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PAUSE_S = 0.5


@dataclass
class Costs:
    """Of one run."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    """Of all its processes."""
    memory_mib: float = 0.0
    """Largest sum over all its processes at one moment; what they share is counted once."""
    disk_mib: float = 0.0
    """Largest size of work folder and result together."""
    phases_s: dict[str, float] = field(default_factory=dict)
    """When each of the folders asked for was there first, since the start."""


def run_stage(
    arguments: Sequence[str], *, folders: Sequence[Path], marks: dict[str, str], log: Path
) -> Costs:
    """Run `python -m` with these arguments to its end.

    Args:
        arguments: what follows `python -m`.
        folders: where the stage writes.
        marks: glob patterns within the first folder whose first match ends a phase, by its name.
        log: file for what the stage prints.
    """
    costs = Costs()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started_s = time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-m", *arguments], stderr=file)
        while process.poll() is None:
            costs.memory_mib = max(costs.memory_mib, _memory_mib(process.pid))
            costs.disk_mib = max(costs.disk_mib, sum(map(_size_mib, folders)))
            for name, pattern in marks.items():
                if name not in costs.phases_s and any(folders[0].glob(pattern)):
                    costs.phases_s[name] = time.monotonic() - started_s
            time.sleep(_PAUSE_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments, stderr=log.read_text())
    costs.wall_s = time.monotonic() - started_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    costs.cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return costs


def _memory_mib(pid: int) -> float:
    """Proportional set size of a process and all its descendants."""
    try:
        tree = [psutil.Process(pid)]
        tree += tree[0].children(recursive=True)
    except psutil.NoSuchProcess:
        return 0.0
    total = 0
    for process in tree:
        try:
            total += process.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
            continue  # it has ended since
    return total / 2**20


def _size_mib(folder: Path) -> float:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                stat = os.stat(os.path.join(root, name))
            except FileNotFoundError:  # renamed or removed since it was listed
                continue
            total += stat.st_blocks * 512 // max(stat.st_nlink, 1)
    return total / 2**20
