"""`make ui`: Prefect's page and MLflow's on loopback, both whole or neither.

Both servers end with this process, however it ends: each runs under the supervisor that also
guards trainings. Flows of this checkout find the Prefect server by themselves.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from flows.checkout import read_params
from flows.leavings import CheckoutError
from flows.mlflow_server import PREFIX
from flows.servers import (
    LOOPBACK,
    STATE,
    Servers,
    answers,
    port_is_free,
    write_state,
)

PREFECT_PORT = 4200
MLFLOW_PORT = 5000
_START_TIMEOUT_S = 300.0  # 15 s on a free machine; a busy one is no reason to give up
_GRACE_S = 10.0
_POLL_S = 0.3


class UiError(Exception):
    """A page cannot be served; says why and what to do."""


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


def prefect_server(port: int) -> Server:
    """Prefect's server over the checkout's own database."""
    address = f"http://{LOOPBACK}:{port}"
    return Server(
        name="Prefect",
        port=port,
        option="--prefect-port",
        health=f"{address}/api/health",
        command=["-m", "flows.prefect_server", "--port", str(port)],
        environment={
            # Without it a page on another port than 4200 asks port 4200.
            "PREFECT_SERVER_UI_API_URL": f"{address}/api",
            "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"{address},http://localhost:{port}",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
        },
    )


def mlflow_server(port: int, store: str, artifacts: str) -> Server:
    """MLflow over `store`: one process and no job runner, a quarter of the default's memory."""
    return Server(
        name="MLflow",
        port=port,
        option="--mlflow-port",
        health=f"http://{LOOPBACK}:{port}/health",
        command=["-m", "flows.mlflow_server", "--port", str(port)],
        environment={
            # Not on the command line, which everyone here can read: it may hold a password.
            "MLFLOW_BACKEND_STORE_URI": store,
            "MLFLOW_ARTIFACTS_DESTINATION": artifacts,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
        },
    )


def wanted_servers(prefect_port: int, mlflow_port: int, root: Path) -> list[Server]:
    """The servers to start here; says which ones the environment names elsewhere."""
    servers = []
    if api := os.environ.get("PREFECT_API_URL"):
        print(f"Prefect  {api.removesuffix('/api')}  (PREFECT_API_URL; not started here)")
    else:
        servers.append(prefect_server(prefect_port))
    # From the working folder on: a `?` in a folder's name would not be taken for its own.
    store = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    if store.startswith("sqlite:"):
        servers.append(mlflow_server(mlflow_port, store, (root / "mlartifacts").as_uri()))
    elif store == "off":
        print("MLflow   nothing is tracked (MLFLOW_TRACKING_URI=off; not started here)")
    else:
        print(f"MLflow   {store}  (MLFLOW_TRACKING_URI; not started here)")
    return servers


@contextmanager
def serving(servers: Sequence[Server], logs: Path) -> Iterator[None]:
    """Start all servers and wait until each answers; at the end stop all, wholly.

    Raises:
        UiError: a port is taken, or a server does not come up; none is left running.
    """
    for server in servers:
        if not port_is_free(server.port):
            raise UiError(
                f"{server.name}: port {server.port} of {LOOPBACK} is in use; end what uses it "
                f"or choose another: python -m flows.ui {server.option} {server.port + 1}"
            )
    logs.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        started = [
            (server, stack.enter_context(_supervised(server, logs / f"{server.name.lower()}.log")))
            for server in servers
        ]
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        for server, process in started:
            _wait_until_up(server, process, deadline_s, logs)
        yield


@contextmanager
def _supervised(server: Server, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    supervisor = [sys.executable, "-m", "flows.supervisor", "--grace", str(_GRACE_S), "--"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*supervisor, sys.executable, *server.command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | server.environment,
        )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()


def _wait_until_up(
    server: Server, process: subprocess.Popen[bytes], deadline_s: float, logs: Path
) -> None:
    log = logs / f"{server.name.lower()}.log"
    while not answers(server.health):
        if process.poll() is not None or time.monotonic() > deadline_s:
            lines = log.read_text(errors="replace").splitlines()[-15:]
            what = "ended" if process.poll() is not None else "does not answer"
            raise UiError(f"{server.name}: the server {what}; {log} ends with\n" + "\n".join(lines))
        time.sleep(_POLL_S)


def experiment_page(address: str, profile: str, view: str = "sizes") -> str:
    """MLflow's page on a profile's runs, as `pipeline.shared.tracking.view` arranges it.

    Before the first study of that profile it leads to the start page.
    """
    return f"{address}{PREFIX}{profile}/{view}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _parse(arguments)
    root = Path.cwd()
    signal.signal(signal.SIGTERM, interrupt)
    try:
        profile = str(read_params(root / "params.yaml")["profile"])
        _follow()
        servers = wanted_servers(options.prefect_port, options.mlflow_port, root)
        with serving(servers, root / ".prefect" / "logs"), noted(servers):
            announce(servers, profile)
            while servers:
                signal.pause()
    except (UiError, CheckoutError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nBoth pages are closed.")
    return 0


def _follow() -> None:
    """MLflow shows artefacts of a checkout that was moved or copied where it is now."""
    command = [sys.executable, "-m", "pipeline.shared.tracking", "follow"]
    subprocess.run(command, check=False)


@contextmanager
def noted(servers: Sequence[Server]) -> Iterator[None]:
    """Let flows find the Prefect server while it runs."""
    addresses = {server.name.lower(): server.address for server in servers}
    write_state(Servers(addresses.get("prefect", ""), addresses.get("mlflow", "")))
    try:
        yield
    finally:
        STATE.unlink(missing_ok=True)


def announce(servers: Sequence[Server], profile: str) -> None:
    """Print where the pages are."""
    for server in servers:
        if server.name == "Prefect":
            print(f"Prefect  {server.address}/runs")
        else:
            print(f"MLflow   {experiment_page(server.address, profile)}")
            print(f"         {experiment_page(server.address, profile, 'studies')}")
    if servers:
        print(
            "`make flow` in another terminal runs the study and shows up there. Ctrl-C ends this."
        )
    sys.stdout.flush()


def interrupt(signum: int, frame: FrameType | None) -> NoReturn:
    """A handler that ends as Ctrl-C does."""
    raise KeyboardInterrupt


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m flows.ui",
        description="Show the study's runs in a browser: Prefect's page and MLflow's, on loopback.",
        epilog="PREFECT_API_URL or MLFLOW_TRACKING_URI name servers elsewhere; what they name is "
        "not started here.",
    )
    parser.add_argument("--prefect-port", type=int, default=PREFECT_PORT, metavar="PORT")
    parser.add_argument("--mlflow-port", type=int, default=MLFLOW_PORT, metavar="PORT")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
