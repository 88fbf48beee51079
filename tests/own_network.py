"""A network of one's own (Linux): public names and addresses, all of them of this machine.

A crawler refuses private addresses, as it should. In a network namespace a public one can be given
to loopback and every name can lead to it, and nothing that runs there reaches anything else.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

_ADDRESS = "93.184.215.14"  # any that the guard takes for public
_INTO = ("unshare", "--map-root-user", "--net", "--mount")

Reply = tuple[int, str, str, bytes]
"""Status, kind, `Location` or nothing, body."""


def command_in_own_network(script: Path, *arguments: str) -> list[str]:
    """`python SCRIPT ARGUMENTS` in a network of its own; where there is none the test skips."""
    try:
        subprocess.run([*_INTO, "ip", "link", "set", "lo", "up"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs network namespaces without root, unshare and ip (Linux): {error}")
    return [*_INTO, sys.executable, str(script), *arguments]


def lead_all_here(hosts: Iterable[str], folder: Path) -> None:
    """Within such a network: these names lead to this machine. `folder` takes the hosts file."""
    file = folder / "hosts"
    lines = ["127.0.0.1 localhost", *(f"{_ADDRESS} {host}" for host in sorted(hosts))]
    file.write_text("\n".join(lines) + "\n")
    for command in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{_ADDRESS}/32", "dev", "lo"],
        ["mount", "--bind", str(file), "/etc/hosts"],
    ):
        subprocess.run(command, check=True)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A crawler that has what it wants hangs up."""


@contextmanager
def web(replies: Mapping[tuple[str, str], Reply]) -> Iterator[list[str]]:
    """Port 80 of that address: replies by host and path; yields each URL that was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host = self.headers["Host"].partition(":")[0]
            asked.append(f"http://{host}{self.path}")
            status, kind, location, body = replies.get(
                (host, self.path), (404, "text/html", "", b"")
            )
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = _Server((_ADDRESS, 80), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
