"""Serve the study on a schedule, as a deployment that Prefect's page shows and can start.

One long-lived process in the checkout. It asks the server for runs that are due and runs one at a
time, each in a process of its own. A server that is gone is waited for, and ends neither this nor
a run; Prefect's own `serve` gives up after some minutes, and its runs with it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from flows.checkout.checkout import HeldError, held
from flows.checkout.leavings import CheckoutError
from flows.page.deployment import ACTIVE, FLOW, chosen, end_dead_runs, register
from flows.page.prefect_api import Api, NoAnswerError, RefusedError, find_api
from flows.supervisor import GRACE_S, below_supervisor

_POLL_S = 5.0
_RUN_POLL_S = 0.5
_WAITING_EVERY_S = 30.0
_TERMINATED = 128 + signal.SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _parse(arguments)
    if not Path("dvc.yaml").is_file():
        print(f"{Path.cwd()}: holds no dvc.yaml; run in the project's folder", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with _alone(Path(".prefect") / "schedule.lock"):
            _serve(options)
    except (CheckoutError, RefusedError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nNo more runs are begun; the schedule stays on Prefect's page, where runs are late."
        )
        return 128 + signal.SIGINT
    return 0


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Of two such processes in a checkout each would take the other's runs."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckoutError("another flows.schedule is at work in this checkout") from None
        yield


def _serve(options: argparse.Namespace) -> None:
    """Run what is due, for ever."""
    waiting = False
    deployment: Any = None
    while True:
        try:
            api = _server()
            if deployment is None or waiting:
                deployment = _registered(api, options)
                print(
                    f"{FLOW}/{deployment['name']} is served at {api.page}/deployments", flush=True
                )
            waiting = False
            if due := _due(api, deployment["id"]):
                _run(due[0], api, deployment["id"])
                continue  # the next one may be due by now
        except NoAnswerError as error:
            if not waiting:
                print(f"{error}; waiting for a Prefect server (make ui)", flush=True)
            waiting = True
        time.sleep(_POLL_S)


def _server() -> Api:
    api = find_api()
    if api is None:
        raise NoAnswerError("`make ui` is not at work in this checkout")
    return api


def _registered(api: Api, options: argparse.Namespace) -> Any:
    """The deployment with its schedule; and runs that a crash left are closed."""
    flow = api.post("flows/", name=FLOW)["id"]
    cron = {"cron": options.cron, "timezone": "UTC"}
    schedules = [{"schedule": cron, "active": True}] if options.cron else []
    given = {"profile": options.profile or ACTIVE, "max_parallel": options.max_parallel}
    deployment = register(api, flow, schedules=schedules, parameters=given)
    _end_dead(api)
    return deployment


def _end_dead(api: Api) -> None:
    with suppress(HeldError), held(Path.cwd()):
        end_dead_runs(api, Path.cwd())


def _due(api: Api, deployment: str) -> list[Any]:
    now = datetime.now(UTC).isoformat()
    asked = {"deployment_ids": [deployment], "scheduled_before": now}
    runs: list[Any] = api.post("deployments/get_scheduled_flow_runs", **asked)
    return runs


def _run(run: Any, api: Api, deployment: str) -> None:
    """Run the study for a run of the deployment; say of others that become due that they wait."""
    given = {name: value for name, value in run["parameters"].items() if value}
    if chosen(given.get("profile")) is None:
        given.pop("profile", None)
    options = [f"--profile={given['profile']}"] if "profile" in given else []
    options += [f"--max-parallel={given['max_parallel']}"] if "max_parallel" in given else []
    options += [f"--overrides={json.dumps(given['overrides'])}"] if "overrides" in given else []
    study = [sys.executable, "-m", "flows.study", "--run", run["id"], *options]
    print(f"{run['name']}: begins", flush=True)
    process = subprocess.Popen(below_supervisor(study, grace_s=2 * GRACE_S), stdin=subprocess.PIPE)
    assert process.stdin is not None
    told = {run["id"]}
    try:
        asked_s = time.monotonic()
        while process.poll() is None:
            if time.monotonic() - asked_s > _WAITING_EVERY_S:
                asked_s = time.monotonic()
                with suppress(NoAnswerError):
                    _tell_waiting(api, deployment, run["name"], told)
            time.sleep(_RUN_POLL_S)
    finally:
        process.stdin.close()  # ends the study in order
        process.wait()
    print(f"{run['name']}: ended with exit code {process.returncode}", flush=True)
    _end_dead(api)


def _tell_waiting(api: Api, deployment: str, name: str, told: set[str]) -> None:
    for other in _due(api, deployment):
        if other["id"] not in told:
            told.add(other["id"])
            line = f"It waits for {name}, which is at work in this checkout"
            print(f"{other['name']}: {line}", flush=True)
            record = {"name": "figure4.schedule", "level": 30, "message": line,
                      "timestamp": datetime.now(UTC).isoformat(),
                      "flow_run_id": other["id"]}  # fmt: skip
            api.send("POST", "logs/", [record])


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    sys.exit(_TERMINATED)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m flows.schedule",
        description="Run the study on a schedule, and whenever it is started on Prefect's page.",
        epilog='Example: --cron "0 3 1 * *" runs at 03:00 (UTC) on the first of each month. '
        "Without --cron it runs only when it is started on the page. The server may be started "
        "later, or anew: this waits for it.",
    )
    parser.add_argument("--cron", metavar="EXPRESSION", help="minute hour day month weekday")
    parser.add_argument("--profile", help="study of params.yaml (default: the file's choice)")
    parser.add_argument("--max-parallel", type=int, metavar="N", help="stages at a time")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
