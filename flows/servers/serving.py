"""Servers of this machine: started together, kept up, and wholly gone with this process.

Each runs under the supervisor that also guards trainings.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from flows.servers.addresses import LOOPBACK, UiError, answers, port_is_free
from flows.supervisor import below_supervisor

_START_TIMEOUT_S = 300.0  # 15 s on a free machine; a busy one is no reason to give up
_GRACE_S = 10.0
_POLL_S = 0.3
_LOOK_S = 1.0
_LAST_LINES = 15
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0  # before a server that ended is started anew
_WELL_S = 120.0  # after which the first pause holds again


class Server(NamedTuple):
    """One page: how it is started and how it is seen to be up."""

    name: str
    port: int
    option: str
    """Which option of this command takes another port."""
    health: str
    command: list[str]
    environment: dict[str, str]

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        return f"http://{LOOPBACK}:{self.port}"


class Served:
    """A server at work, started anew when it ends."""

    def __init__(self, server: Server, logs: Path) -> None:
        self.server = server
        self._log = logs / f"{server.name.lower()}.log"
        self._log.unlink(missing_ok=True)
        self._pause_s = _FIRST_PAUSE_S
        self._again_s: float | None = None
        self._start()

    def _start(self) -> None:
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                below_supervisor([sys.executable, *self.server.command], grace_s=_GRACE_S),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | self.server.environment,
                start_new_session=True,  # Ctrl-C is ours, and a flow has its end told first
            )
        self._began_s = time.monotonic()

    def wait_until_up(self, deadline_s: float) -> None:
        """Return once it answers.

        Raises:
            UiError: it ended, or does not answer in time; with its last lines.
        """
        while not answers(self.server.health):
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline_s:
                lines = self._log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
                what = "ended" if ended else "does not answer"
                head = f"{self.server.name}: the server {what}; {self._log} ends with"
                raise UiError("\n".join([head, *lines]))
            time.sleep(_POLL_S)

    def keep_up(self) -> None:
        """Where it has ended, start it anew: at once the first time, then after longer pauses."""
        now_s = time.monotonic()
        if self.process.poll() is None:
            return
        if self._again_s is None:
            if now_s - self._began_s > _WELL_S:
                self._pause_s = _FIRST_PAUSE_S
            self._again_s = now_s + self._pause_s
            print(
                f"{self.server.name}: the server ended (exit code {self.process.returncode}, "
                f"{self._log}); it is started anew in {self._pause_s:g} s",
                flush=True,
            )
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        elif now_s >= self._again_s:
            self._again_s = None
            self._start()

    def stop(self) -> None:
        """End it and whatever it started."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def keep_up(served: Sequence[Served]) -> NoReturn:
    """Look after servers until a signal ends that."""
    while True:
        time.sleep(_LOOK_S)
        for one in served:
            one.keep_up()


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Two of Prefect's servers that make their tables in one new database undo each other."""
    folder.mkdir(exist_ok=True)
    with (folder / "start.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def serving(servers: Sequence[Server], logs: Path, *, command: str) -> Iterator[list[Served]]:
    """Start all servers and wait until each answers; at the end stop all, wholly.

    `command` is what has their options.

    Raises:
        UiError: a port is taken, or a server does not come up; none is left running.
    """
    for server in servers:
        if not port_is_free(server.port):
            raise UiError(
                f"{server.name}: port {server.port} of {LOOPBACK} is in use; end what uses it "
                f"or choose another: {command} {server.option} {server.port + 1}"
            )
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        started = []
        for server in servers:
            started.append(Served(server, logs))
            stack.callback(started[-1].stop)
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        for served in started:
            served.wait_until_up(deadline_s)
        yield started


def interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    """A handler that ends as Ctrl-C does."""
    raise KeyboardInterrupt
