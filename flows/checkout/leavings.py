"""What a DVC or a Git that was killed leaves behind, cleared or named at the next start.

DVC rewrites dvc.lock in place: killed there, it leaves nothing or the beginning. Git leaves its
lock, at which DVC stops only after a stage has done its work.
"""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import yaml

_GIT_WAIT_S = 2.0  # a living git holds its lock for less
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


class CheckoutError(Exception):
    """The flow cannot start here; says why and what to do."""


def mend_lock_file(root: Path, log: Log) -> None:
    """Put aside a dvc.lock that a kill has torn: nothing that it recorded is lost.

    Raises:
        CheckoutError: Git has left a conflict in it.
    """
    path = root / "dvc.lock"
    try:
        read_lock_file(root)
    except CheckoutError as error:
        if b"<<<<<<<" in path.read_bytes():
            raise
        aside = root / ".dvc" / "tmp" / "dvc.lock.torn"
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.replace(aside)
        log.warning(
            "%s; put aside as %s. Finished stages are recorded again, without their work",
            *(error, aside.relative_to(root)),
        )


def read_lock_file(root: Path) -> dict[str, Any]:
    """dvc.lock: what DVC has recorded of each stage; empty where nothing ran yet.

    Raises:
        CheckoutError: it is not whole.
    """
    path = root / "dvc.lock"
    if not path.is_file():
        return {}
    try:
        # Of its YAML, the C parser reads a large one in a tenth of the time.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        lock: dict[str, Any] = yaml.load(path.read_bytes(), loader)
        lock["schema"]
        for stage in lock["stages"].values():
            stage["cmd"]
            for entry in [*stage.get("deps", []), *stage.get("outs", [])]:
                entry["path"], entry["md5"]
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        raise CheckoutError(
            f"{path}: not whole, as after a kill or a merge; restore it (git checkout dvc.lock) or "
            "delete it, then run the same command again: finished work is recorded again"
        ) from None
    return lock


def refuse_gits_lock(root: Path) -> None:
    """See that no git works in the checkout, nor one that was killed seems to.

    Raises:
        CheckoutError: its lock stays there.
    """
    asked = ["git", "rev-parse", "--git-path", "index.lock"]
    try:
        done = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return  # no Git here
    path = root / done.stdout.strip()
    ends_s = time.monotonic() + _GIT_WAIT_S
    while path.exists():
        if time.monotonic() > ends_s:
            raise CheckoutError(
                f"{path}: Git's lock: a git command works in this checkout, or was killed there; "
                f"wait for it, or delete the file: rm {shlex.quote(str(path))}"
            )
        time.sleep(0.1)


def clear_dead_lock(path: Path, log: Log) -> bool:
    """Remove DVC's file of read and write locks if no DVC process holds one; whether it did.

    DVC drops entries of processes that are gone, but a number that another process has got by
    now, as in a container started anew, blocks it for ever.
    """
    if not path.is_file():
        return False
    try:
        pids = set(_pids(json.loads(path.read_text() or "{}")))
    except ValueError:
        pids = set()  # torn by a kill
    if any(_is_dvc(pid) for pid in pids):
        return False
    path.unlink()
    if pids:
        log.warning("%s: removed, its owners %s are gone", path, sorted(pids))
    return True


def _pids(value: Any) -> Iterator[int]:
    """Every `pid` in the nested lists and mappings of DVC's lock file."""
    if isinstance(value, dict):
        if "pid" in value:
            yield int(value["pid"])
        for item in value.values():
            yield from _pids(item)
    elif isinstance(value, list):
        for item in value:
            yield from _pids(item)


def _is_dvc(pid: int) -> bool:
    """Whether a living process is DVC."""
    try:
        command = psutil.Process(pid).cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # another user's: taken to be one
        return True
    return any(Path(part).name == "dvc" for part in command)
