"""Where Prefect's server and MLflow's are: started by `make ui`, named by the user, or none."""

from __future__ import annotations

import fcntl
import json
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO, NamedTuple

STATE = Path(".prefect") / "ui.json"
"""Of the `make ui` that runs in this checkout, and locked by it.

Without the lock, which falls with the process, the note is of one that was killed: whatever
answers at its addresses now may be another checkout's.
"""
LOOPBACK = "127.0.0.1"
_TIMEOUT_S = 2.0
_LOCK_WAIT_S = 2.0  # longer than a look at the note takes
# Loopback is never reached through a proxy.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Servers(NamedTuple):
    """Addresses of the pages that `make ui` serves; empty where another server is used."""

    prefect: str
    mlflow: str


class UiError(Exception):
    """A page cannot be served; says why and what to do."""


@contextmanager
def noted(servers: Servers) -> Iterator[None]:
    """Let flows of this checkout know where the pages are, for as long as this process lives.

    Raises:
        UiError: another process serves pages of this checkout.
    """
    STATE.parent.mkdir(exist_ok=True)
    with STATE.open("a+") as note:
        ends_s = time.monotonic() + _LOCK_WAIT_S
        while not _locks(note, fcntl.LOCK_EX):
            if time.monotonic() > ends_s:
                others = read_state() or Servers("", "")
                raise UiError(
                    f"another `make ui` or `make services` of this checkout is at work "
                    f"({', '.join(filter(None, others)) or 'starting'}); use it or end it"
                )
            time.sleep(0.1)
        note.truncate(0)
        note.write(json.dumps(servers._asdict()))
        note.flush()
        try:
            yield
        finally:
            note.truncate(0)  # not deleted: the next may have it open already


def read_state() -> Servers | None:
    """The servers of a `make ui` that is at work, whether or not they answer."""
    try:
        with STATE.open() as note:
            alive = not _locks(note, fcntl.LOCK_SH)
            return Servers(**json.loads(note.read())) if alive else None
    except (OSError, ValueError, TypeError):
        return None


def _locks(note: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(note, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def running_prefect_api() -> str | None:
    """The API of this checkout's `make ui`, if it answers."""
    servers = read_state()
    if servers is None or not servers.prefect or not answers(f"{servers.prefect}/api/health"):
        return None
    return f"{servers.prefect}/api"


def answers(url: str) -> bool:
    """Whether a GET gives a success within two seconds."""
    try:
        with _OPENER.open(url, timeout=_TIMEOUT_S):
            return True
    except (OSError, HTTPException):  # URLError and HTTPError are OSErrors too
        return False


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
