"""Damage as disks and careless tools do it: a bit turned over in place, time stamps as before."""

from __future__ import annotations

import os
from pathlib import Path


def flip_a_byte(path: Path, place: int | None = None) -> None:
    """Turn over one bit of a file in the middle, or at a place, through every hard link of it."""
    times = path.stat()
    with path.open("r+b") as file:
        place = times.st_size // 2 if place is None else place
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
