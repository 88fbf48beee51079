"""A parser that a page can end; started as the real one: `python -m mortal_parser CAPS`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress

from pipeline.extract.judge import NO_PAGE, Caps
from pipeline.extract.lone_parser import serve, timed
from pipeline.extract.rules import Page

CAPS = Caps(*json.loads(sys.argv[1]))


def judge(body: bytes, content_type: str, content_encoding: str) -> tuple[Page, str]:
    if body == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while body == b"hang":
        pass
    if body == b"greed":
        with suppress(MemoryError):
            bytearray(2**36)
            return NO_PAGE, "had 64 GiB"
        return NO_PAGE, "parser_failed"
    if body == b"wait":
        time.sleep(2 * CAPS.max_page_s)
    return Page(content_type, body.decode()), content_encoding


serve(timed(judge, CAPS.max_page_s), sys.stdin.buffer, sys.stdout.buffer)
