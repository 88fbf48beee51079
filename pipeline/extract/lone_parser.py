"""Pages that end the process of their parser, or hold it for ever: each costs itself and no other.

Parsers are native code. A page may crash one, and no `except` sees that; and each has its inputs on
which it takes the square of their length in time or memory, more than a check before it could know.
So pages are judged in a child process with a limit on both, and the one that ended it is told by
its reason.
"""

from __future__ import annotations

import base64
import json
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache, partial
from types import TracebackType
from typing import IO, Self

from pipeline.extract.judge import FAILED, NO_PAGE, Caps, judge_body
from pipeline.extract.rules import Page
from pipeline.shared.running.executor import end_with_parent

Judge = Callable[[bytes, str, str], tuple[Page, str]]
"""`judge_body` under some caps: of a body, its content type and its content encoding."""

CRASHED, HUNG = "parser_crashed", "parser_hung"
_MAX_CHILD_BYTES = 4 * 2**30  # of address space: a page may not bring down the machine
_OUT_OF_MEMORY = 77  # the child's exit code


def timed(judge: Judge, max_page_s: float) -> Judge:
    """Have a page that takes too much CPU time end this process.

    No handler is set: Python's own wait for native code to return, which may be never.
    """

    def judge_in_time(body: bytes, content_type: str, content_encoding: str) -> tuple[Page, str]:
        signal.setitimer(signal.ITIMER_PROF, max_page_s)
        try:
            return judge(body, content_type, content_encoding)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    return judge_in_time


class LoneParser:
    """A child process that judges pages, made for the first one and again when one has ended it.

    For one thread alone: an answer is known by its place in their order, and the child ends with
    the thread that started it.
    """

    def __init__(self, caps: Caps, module: str = __name__) -> None:
        self._caps, self._module = caps, module
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._child:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def judge(self, body: bytes, content_type: str, content_encoding: str) -> tuple[Page, str]:
        """As `judge_body`, and `CRASHED`, `HUNG` or `FAILED` for a page that ended the child.

        Raises:
            RuntimeError: the child failed by a defect of ours; its traceback is in the log.
        """
        child = self._child = self._child or self._start()
        asked = [base64.b64encode(body).decode(), content_type, content_encoding]
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            child.stdin.flush()
            answer = child.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if answer.endswith(b"\n"):
            title, text, reason = json.loads(answer)
            return Page(title, text), reason
        self._child = None
        child.communicate()
        if child.returncode == _OUT_OF_MEMORY:
            return NO_PAGE, FAILED
        if child.returncode < 0:
            return NO_PAGE, HUNG if child.returncode == -signal.SIGPROF else CRASHED
        raise RuntimeError(f"the parser's process ended with exit code {child.returncode}")

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", self._module, json.dumps(self._caps)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


class _OfThread(threading.local):
    """What each thread has for itself: a worker of a cluster may have several."""

    def __init__(self) -> None:
        self.parser = cache(LoneParser)


_OF_THREAD = _OfThread()


def lone_parser(caps: Caps) -> LoneParser:
    """This thread's own for all its shards: a child takes a second to start, and ends with us."""
    return _OF_THREAD.parser(caps)


def serve(judge: Judge, asked: IO[bytes], answers: IO[bytes]) -> None:
    """Judge the pages that come line by line; die with the parent, or where memory runs out."""
    end_with_parent(signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_CHILD_BYTES, _MAX_CHILD_BYTES))
    try:
        for line in asked:
            body, content_type, content_encoding = json.loads(line)
            page, reason = judge(base64.b64decode(body), content_type, content_encoding)
            answers.write(json.dumps([page.title, page.text, reason]).encode() + b"\n")
            answers.flush()
    except MemoryError:  # maybe within a line, so that nobody knows where the next one begins
        sys.exit(_OUT_OF_MEMORY)


if __name__ == "__main__":
    _caps = Caps(*json.loads(sys.argv[1]))
    _judge = timed(partial(judge_body, _caps), _caps.max_page_s)
    serve(_judge, sys.stdin.buffer, sys.stdout.buffer)
