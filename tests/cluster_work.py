"""Work that a cluster's workers can import."""

from __future__ import annotations

import os
import time
from pathlib import Path


def process_id(item: int) -> tuple[int, int]:
    """The item, and who did it."""
    time.sleep(0.05)  # so that one worker cannot do all before the other is asked
    return item, os.getpid()


def wait_for_go(item: int) -> int:
    """Note the beginning; items from 2 on end when the file `go` is there."""
    Path(f"begun-{item}-{os.getpid()}").touch()
    while item > 1 and not Path("go").exists():
        time.sleep(0.02)
    return item
