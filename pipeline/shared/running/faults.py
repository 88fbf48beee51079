"""Faults of the machine, told in one line each: what is full, missing or forbidden, and where.

Libraries tell the same fault in ways of their own: a full disk is an OSError without a number in
NumPy, a RuntimeError in torch. So an error is known by its number or else by its words.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

_FULL = {errno.ENOSPC, errno.EDQUOT}
_EXPECTED = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EADDRINUSE, errno.EMFILE, errno.ENFILE),
    *(errno.EIO, errno.EFBIG, errno.ENAMETOOLONG, errno.ENOTDIR, errno.ESTALE),
}
_FULL_WORDS = re.compile(
    r"No space left on device|[Dd]isk quota exceeded|os error (28|122)\b"
    r"|\d+ requested and \d+ written|inline_container\.cc.*unexpected pos"
)
_MEMORY_WORDS = re.compile(
    r"[Cc]annot allocate memory|can't allocate memory|not enough memory|bad_alloc"
    r"|can't start new thread|failed to map segment"
)
_NO_TEMPORARY = "No usable temporary directory"
_NO_HOME = "home directory"


def explain_while_loading() -> None:
    """Tell such faults in one line while `python -m` still imports what a command needs.

    torch alone wants a gigabyte of address space. Once a command runs, it tells its own faults.
    """
    if sys.argv[:1] == ["-m"]:  # what Python calls a program whose module it looks for
        sys.excepthook = _tell_fault


def _tell_fault(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    # OpenBLAS interrupts the process itself where it can start no thread, and says why.
    interrupted = isinstance(error, KeyboardInterrupt)
    said = "interrupted while it was loading" if interrupted else explain_fault(error)
    if said is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(said, file=sys.stderr)


def explain_fault(error: BaseException, places: Sequence[Path] = ()) -> str | None:
    """What an error says of the machine, and what to do; None for what is no such fault.

    `places` are where the command writes, for an error that does not say its file.
    """
    number = error.errno if isinstance(error, OSError) else None
    named = error.filename if isinstance(error, OSError) else None
    where = Path(os.fsdecode(named)) if isinstance(named, str | bytes) else None
    said = str(error)
    if number in _FULL or (number is None and _FULL_WORDS.search(said)):
        return _explain_full(where, number or errno.ENOSPC, places)
    if isinstance(error, MemoryError) or number == errno.ENOMEM or _MEMORY_WORDS.search(said):
        return (
            f"memory is used up ({said.splitlines()[0] if said else 'MemoryError'}): give the "
            "process more (ulimit -v, the container's limit) or lower compute.workers in "
            "params.yaml, and run the same command again, which goes on from here"
        )
    if _NO_TEMPORARY in said:
        return f"{said}: free some space there or set TMPDIR, and run the same command again"
    if isinstance(error, RuntimeError) and _NO_HOME in said:
        return f"{said.rstrip('.')}: set HOME to a folder and run the same command again"
    if number in _EXPECTED:
        assert isinstance(error, OSError)
        prefix = f"{where}: " if where else ""
        return f"{prefix}{error.strerror or said}; mend it and run the same command again"
    return None


def _explain_full(where: Path | None, number: int, places: Sequence[Path]) -> str:
    """Of a full disk: which it is, and whether it lacks space or room for one more file."""
    candidates = [where] if where else [*places, Path()]
    folders = [_existing(place) for place in candidates]
    folder = min(folders, key=lambda place: os.statvfs(place).f_bavail * os.statvfs(place).f_frsize)
    disk = os.statvfs(folder)
    if disk.f_files and not disk.f_favail:
        left = "no inodes are left for new files; delete some files"
    else:
        left = f"{disk.f_bavail * disk.f_frsize / 2**20:,.0f} MiB are free; free some space"
    return (
        f"{where or folder}: {os.strerror(number)}: {left} and run the same command again, which "
        "goes on from here"
    )


def _existing(place: Path) -> Path:
    """The nearest folder that is there."""
    return next(path for path in [place, *place.absolute().parents] if path.is_dir())
