"""`make doctor`: servers, what a kill left, then all that `python -m pipeline.doctor` looks at."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from flows.checkout.leavings import CheckoutError, read_lock_file, refuse_gits_lock
from flows.page.prefect_api import Api, NoAnswerError
from flows.servers.addresses import (
    LOOPBACK,
    Servers,
    answers,
    port_is_free,
    read_state,
    running_prefect_api,
)
from flows.servers.pages import MLFLOW_PORT, PREFECT_PORT


def check_servers() -> Iterator[tuple[str, str]]:
    """Level and line: whether the pages can start or answer, and whether schedules fire."""
    noted = read_state() or Servers("", "")
    yield from _check_server("Prefect", PREFECT_PORT, noted.prefect, "/api/health")
    yield from _check_server("MLflow", MLFLOW_PORT, noted.mlflow, "/health")
    if api := running_prefect_api():
        try:
            yield from check_schedules(api)
        except NoAnswerError as error:
            yield "note", f"schedules: {error}; ask again when it is less busy"


def _check_server(name: str, port: int, address: str, health: str) -> Iterator[tuple[str, str]]:
    """One that this checkout's `make ui` has at `address`, or else whether its port is free."""
    if address and answers(f"{address}{health}"):
        yield "ok", f"{name}: {address} answers"
    elif address:
        yield (
            "wrong",
            f"{name}: {address} was started by `make ui`, which is at work, and does not answer; "
            "end that command and start it again",
        )
    elif port_is_free(port):
        yield "ok", f"{name}: not started; its port {port} is free"
    else:
        yield (
            "note",
            f"{name}: port {port} of {LOOPBACK} is taken by another program; "
            f"python -m flows.ui --{name.lower()}-port {port + 10}",
        )


def check_schedules(api: str) -> Iterator[tuple[str, str]]:
    """Whether the server has made runs for each schedule, which it does days ahead."""
    asked = Api(api)
    for deployment in asked.post("deployments/filter"):
        if not deployment["schedules"]:
            continue  # runs of `make flow`, or begun on the page
        if deployment["paused"] or not any(one["active"] for one in deployment["schedules"]):
            yield "note", f"schedule of {deployment['name']}: paused"
            continue
        waiting = asked.post(
            "flow_runs/filter",
            deployments={"id": {"any_": [deployment["id"]]}},
            flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}},
            limit=1,
            sort="EXPECTED_START_TIME_ASC",
        )
        if waiting:
            when = waiting[0]["expected_start_time"]
            yield "ok", f"schedule of {deployment['name']}: next run {when}"
        else:
            yield (
                "wrong",
                f"schedule of {deployment['name']}: the server has made no run for it, so its "
                "scheduler does not tick; its log tells why, restart `make ui`",
            )


def check_leavings(root: Path) -> Iterator[tuple[str, str]]:
    """What a killed Git or DVC left."""
    for look in (refuse_gits_lock, read_lock_file):
        try:
            look(root)
        except CheckoutError as error:
            yield "wrong", str(error)


def check_path(root: Path) -> Iterator[tuple[str, str]]:
    """Whether DVC can copy the checkout for an experiment, which it addresses by a URL."""
    path = root.resolve().as_posix()
    if bad := next((letter for letter in path if letter in "#?" or not letter.isascii()), ""):
        yield (
            "note",
            f"{path}: because of {bad!r} in it DVC finds no repository for `dvc exp run --temp` "
            "and `--queue`; without these options it runs, and from a folder with a plain path",
        )


def main() -> int:
    """Print everything; 1 where something is wrong."""
    wrong = False
    for level, line in chain(check_servers(), check_leavings(Path()), check_path(Path())):
        print(f"{level:<6} {line}", flush=True)
        wrong |= level == "wrong"
    done = subprocess.run([sys.executable, "-m", "pipeline.doctor", *sys.argv[1:]], check=False)
    return 1 if wrong else done.returncode


if __name__ == "__main__":
    sys.exit(main())
