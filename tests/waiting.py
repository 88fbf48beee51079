"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Return once `condition()` is true; fail if it is not within `seconds`."""
    ends_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_s, f"not within {seconds} s"
        time.sleep(0.02)
