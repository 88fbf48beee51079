"""Where Prefect's server and MLflow's are: started by `make ui`, named by the user, or none."""

from __future__ import annotations

import json
import socket
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

STATE = Path(".prefect") / "ui.json"  # of the `make ui` that runs in this checkout
LOOPBACK = "127.0.0.1"
_TIMEOUT_S = 2.0
# Loopback is never reached through a proxy.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Servers(NamedTuple):
    """Addresses of the pages that `make ui` serves; empty where another server is used."""

    prefect: str
    mlflow: str


def write_state(servers: Servers) -> None:
    """Let flows of this checkout know where the pages are."""
    STATE.parent.mkdir(exist_ok=True)
    STATE.write_text(json.dumps(servers._asdict()))


def read_state() -> Servers | None:
    """The servers that `make ui` has noted, whether or not they still answer."""
    try:
        return Servers(**json.loads(STATE.read_text()))
    except (OSError, ValueError, TypeError):
        return None


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
