"""A parser that a page can end; started as the real one: `python -m mortal_parser CAPS`."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path

from pipeline.extract.judge import NO_PAGE, Caps
from pipeline.extract.lone_parser import serve, timed
from pipeline.extract.rules import Page

CAPS = Caps(*json.loads(sys.argv[1]))
LITTLE_BYTES = 2**25
"""Of memory, which `narrow` leaves to the pages that come after it."""


def judge(body: bytes, content_type: str, content_encoding: str) -> tuple[Page, str]:
    if body == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while body == b"hang":
        pass
    if body == b"greed":
        bytearray(2**36)
        return NO_PAGE, "had 64 GiB"
    if body == b"narrow":
        most = address_space() + LITTLE_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if body == b"wait":
        time.sleep(2 * CAPS.max_page_s)
    return Page(content_type, body.decode()), content_encoding


def address_space() -> int:
    """Bytes that this process has by now."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    serve(timed(judge, CAPS.max_page_s), sys.stdin.buffer, sys.stdout.buffer)
