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
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from flows.checkout.checkout import HeldError, held, read_params
from flows.checkout.leavings import CheckoutError
from flows.page.deployment import end_dead_runs
from flows.page.prefect_api import Api, NoAnswerError, RefusedError
from flows.servers.addresses import STATE, UiError, noted
from flows.servers.pages import (
    MLFLOW_PORT,
    PREFECT_PORT,
    addresses_of,
    announce,
    mlflow_server,
    prefect_server,
)
from flows.servers.serving import Server, interrupt, keep_up, one_at_a_time, serving

_COMMAND = "python -m flows.ui"


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
                stack.enter_context(noted(addresses_of(servers)))
                served = stack.enter_context(
                    serving(servers, root / ".prefect" / "logs", command=_COMMAND)
                )
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


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=_COMMAND,
        description="Show the study's runs in a browser: Prefect's page and MLflow's, on loopback.",
        epilog="PREFECT_API_URL or MLFLOW_TRACKING_URI name servers elsewhere; what they name is "
        "not started here.",
    )
    parser.add_argument("--prefect-port", type=int, default=PREFECT_PORT, metavar="PORT")
    parser.add_argument("--mlflow-port", type=int, default=MLFLOW_PORT, metavar="PORT")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
