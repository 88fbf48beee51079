"""The study as one of Prefect's deployments: by it a page can start, schedule and cancel runs.

Prefect's page cancels no run without a deployment, so runs of `make flow` belong to one too.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from flows.chain.chain import Told
from flows.page import untold
from flows.page.prefect_api import Api, RefusedError

FLOW = "figure4"
ACTIVE = "(active)"  # no profile can be called that
_STUDY = ("flows.deployed", "study")  # the flow, which stands above this and brings the form
_DESCRIPTION = """\
The whole study in its checkout; stages that are up to date are not run again.

*Run*, and a schedule, need `python -m flows.schedule` at work in the checkout. *Cancel* ends any
run in order, also one that `make flow` began.
"""
_ALIVE = {"RUNNING", "CANCELLING"}
_CRASHED = ("CRASHED", "Crashed")
_PENDING_S = 600.0  # longer than a process takes to start


def chosen(profile: str | None) -> str | None:
    """The profile that a form asks for; none where it leaves it to params.yaml."""
    return None if profile == ACTIVE else profile


def deployment_name(api: Api) -> str:
    """On another server several checkouts may be at work."""
    return "study" if api.own else f"{os.uname().nodename}-{Path.cwd().name}"


def deployment_id(api: Api, flow: str) -> str:
    """The id of this checkout's deployment, which is made where it is not there yet."""
    try:
        found = api.get(f"deployments/name/{FLOW}/{deployment_name(api)}")
    except RefusedError:
        found = register(api, flow)
    return str(found["id"])


def register(api: Api, flow: str, **more: Any) -> Any:
    """Make this checkout's deployment, or change it by `more`."""
    from prefect.flows import load_flow_from_entrypoint  # here: it takes a second
    from prefect.utilities.callables import parameter_schema

    module, name = _STUDY
    study: Any = load_flow_from_entrypoint(f"{module}.{name}", use_placeholder_flow=False)
    return api.post(
        "deployments/", name=deployment_name(api), flow_id=flow, description=_DESCRIPTION,
        entrypoint=f"{module.replace('.', '/')}.py:{name}", path=str(Path.cwd()),
        enforce_parameter_schema=True,
        parameter_openapi_schema=parameter_schema(study).model_dump(), **more,
    )  # fmt: skip


def set_state(api: Api, path: str, told: Told) -> None:
    """By force: what has happened is no question of Prefect's rules."""
    state = {"type": told.type, "name": told.name, "message": told.message}
    api.post(f"{path}/set_state", state=state, force=True)


def labels_of(root: Path) -> dict[str, str]:
    """By which a later start finds the runs of a checkout."""
    return {"figure4.checkout": f"{os.uname().nodename}:{root}"}


def end_dead_runs(api: Api, root: Path, *, but: str | None = None) -> int:
    """Close the runs whose process is gone, all but `but`; how many.

    For whoever holds the checkout, since nobody else can be at work in it.
    """
    alive = {"state": {"type": {"any_": [*_ALIVE, "PENDING"]}}}
    runs = api.post("flow_runs/filter", flows={"name": {"any_": [FLOW]}}, flow_runs=alive)
    dead = [run for run in runs if run["id"] != but and _is_dead(api, root, run)]
    for run in dead:
        tasks = api.post(
            "task_runs/filter",
            flow_runs={"id": {"any_": [run["id"]]}},
            task_runs={"state": {"type": {"any_": [*_ALIVE, "PENDING", "SCHEDULED"]}}},
        )
        ends = untold.known(root, run["id"]) or untold.Ends(_of_a_killed(run), {})
        for task in (task for task in tasks if task["state_name"] != "NotReady"):
            set_state(api, f"task_runs/{task['id']}", ends.tasks.get(task["id"], ends.run))
        set_state(api, f"flow_runs/{run['id']}", ends.run)
        untold.forget(root, run["id"])
    return len(dead)


def _of_a_killed(run: Any) -> Told:
    state = ("CANCELLED", "Cancelled") if run["state_type"] == "CANCELLING" else _CRASHED
    return Told(*state, "Its process ended without a word, as by a kill; seen at the next start")


def _is_dead(api: Api, root: Path, run: Any) -> bool:
    """Of another server only what bears this checkout's label; a pending run may yet start."""
    if not api.own and not (labels_of(root).items() <= (run["labels"] or {}).items()):
        return False
    since = datetime.fromisoformat(run["state"]["timestamp"])
    recent = datetime.now(UTC) - since < timedelta(seconds=_PENDING_S)
    return run["state_type"] in _ALIVE or not recent
