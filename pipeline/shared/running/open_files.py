"""How many files a process may hold open: Linux grants 1,024 unasked, and many more on request."""

from __future__ import annotations

import resource

_OTHERS = 256  # files that a process holds open beside those that it counts, at most


def allow_files(count: int) -> None:
    """Let this process hold so many files or sockets open at once, or as many as it can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OTHERS + count
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
