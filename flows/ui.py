"""`make ui`: Prefect's page and MLflow's on loopback, both whole or neither.

Both servers end with this process, however it ends, and are started anew when they end before it.
Flows of this checkout find the Prefect server by themselves.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from flows.checkout import HeldError, held, read_params
from flows.deployment import end_dead_runs
from flows.leavings import CheckoutError
from flows.mlflow_server import PREFIX
from flows.prefect_api import Api, NoAnswerError, RefusedError
from flows.servers import LOOPBACK, STATE, Servers, write_state
from flows.serving import Server, UiError, keep_up, one_at_a_time, serving

PREFECT_PORT = 4200
MLFLOW_PORT = 5000


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
        with ExitStack() as stack:
            with one_at_a_time(STATE.parent):
                served = stack.enter_context(serving(servers, root / ".prefect" / "logs"))
                stack.enter_context(noted(servers))
            announce(servers, profile)
            _end_dead_runs(servers, root)
            if served:
                keep_up(served)
    except (UiError, CheckoutError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nBoth pages are closed.")
    return 0


def _end_dead_runs(servers: Sequence[Server], root: Path) -> None:
    """Prefect's page tells the truth after a crash, unless a flow is at work, which sees to it."""
    for server in servers:
        if server.name == "Prefect":
            with suppress(HeldError, NoAnswerError, RefusedError), held(root):
                end_dead_runs(Api(f"{server.address}/api", own=True), root)


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
