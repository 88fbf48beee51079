"""The two pages: Prefect's server and MLflow's as they are started and announced here."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from flows.servers.addresses import LOOPBACK, Servers
from flows.servers.mlflow_server import PREFIX
from flows.servers.serving import Server

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
        command=["-m", "flows.servers.prefect_server", "--port", str(port)],
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
        command=["-m", "flows.servers.mlflow_server", "--port", str(port)],
        environment={
            # Not on the command line, which everyone here can read: it may hold a password.
            "MLFLOW_BACKEND_STORE_URI": store,
            "MLFLOW_ARTIFACTS_DESTINATION": artifacts,
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
        },
    )


def addresses_of(servers: Sequence[Server]) -> Servers:
    """Where these are."""
    addresses = {server.name.lower(): server.address for server in servers}
    return Servers(addresses.get("prefect", ""), addresses.get("mlflow", ""))


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


def experiment_page(address: str, profile: str, view: str = "sizes") -> str:
    """MLflow's page on a profile's runs, as `pipeline.shared.tracking.view` arranges it.

    Before the first study of that profile it leads to the start page.
    """
    return f"{address}{PREFIX}{profile}/{view}"
