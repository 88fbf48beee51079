"""Who writes a run: the process, by which a dead run is told from one at work, and the commit."""

from __future__ import annotations

import os
import socket
import subprocess
from typing import Any


def owner() -> dict[str, str]:
    """Tags by which `reconcile` tells a run at work from a dead one."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": str(pid), "pid_started": process_start(pid)}


def process_start(pid: int) -> str:
    """When a process was started, so that a reused number is not taken for it; empty: no such."""
    import psutil  # a node without MLflow may lack it, and writes no runs

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return ""


def is_dead(run: Any) -> bool:
    """Whether a run's process was on this machine and is gone."""
    tags = run.data.tags
    here = bool(tags.get("host") == socket.gethostname())
    return here and process_start(int(tags["pid"])) != tags["pid_started"]


def git_commit() -> str:
    """The commit that is checked out; empty without Git or before the first."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
