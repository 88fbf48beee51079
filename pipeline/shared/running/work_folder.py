"""The resumable work folder of a stage: work/<profile>/<stage>/<fingerprint>/.

DVC deletes a stage's outs before each rerun, so state that must outlast a kill lives here. The
fingerprint covers parameters, inputs and code: the same command goes on where it stopped, any
change starts afresh. An flock keeps a second process (an orphan of a killed DVC, say) out.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pipeline.shared.errors import RetryableError
from pipeline.shared.running.listing import COMPLETE, hash_input

_LOCK_WAIT_S = 5.0
_KEPT_FINISHED = 2


def fingerprint(
    settings: Mapping[str, Any], inputs: Mapping[str, Path], others: Mapping[str, str]
) -> str:
    """16 hexadecimal digits that name a stage's parameters, inputs, and what else decides."""
    state = {
        "settings": settings,
        "inputs": {name: hash_input(path) for name, path in inputs.items()},
        "others": others,
    }
    text = json.dumps(state, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@contextmanager
def locked(
    folder: Path, *, what: str = "this stage", wait_s: float = _LOCK_WAIT_S
) -> Iterator[None]:
    """Hold the lock of a folder; it falls with the process, however that ends.

    An attempt that is ending, because its DVC was killed say, is given `wait_s` to do so.

    Raises:
        RetryableError: another live process works on the same, which `what` names.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ends_s = time.monotonic() + wait_s
    with (folder / "lock").open("a+") as lock:
        while not _take(lock):
            if time.monotonic() >= ends_s:
                lock.seek(0)
                owner = lock.read().strip() or "unknown"
                raise RetryableError(
                    f"{folder}: another live process (pid {owner}) works on {what}; "
                    "wait for it or end it, then run the same command again"
                )
            time.sleep(0.1)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _take(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sweep_stale(
    folder: Path, current: str, log: logging.Logger, *, is_recorded: Callable[[Path], bool]
) -> None:
    """Remove what other fingerprints left, but for what would be lost with it.

    The newest unfinished work stays, since a long training may be wanted back when a parameter is
    set back; so do the newest finished ones of which `is_recorded` says, asked with their `out`,
    that DVC does not have them in its cache.
    """
    others = [path for path in folder.iterdir() if path.is_dir() and path.name != current]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    finished = [path for path in others if (path / COMPLETE).is_file()]
    unfinished = [path for path in others if path not in finished]
    only_here = [path for path in finished if not is_recorded(path / "out")]
    kept = {path: "finished work that DVC has not recorded" for path in only_here[:_KEPT_FINISHED]}
    kept |= dict.fromkeys(unfinished[:1], "unfinished work")
    for path in others:
        if path in kept:
            log.warning(
                "%s: kept, %s of other parameters, inputs or code (%.1f MiB); it goes on when they "
                "are set back, and may be deleted",
                *(path, kept[path], _size_mib(path)),
            )
        else:
            shutil.rmtree(path)


def _size_mib(folder: Path) -> float:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20
