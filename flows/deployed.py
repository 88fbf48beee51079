"""The study as Prefect's own engine runs it: for workers of a work pool (prefect.yaml).

Its parameters are the form on the page of any of the study's deployments.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State, StateType
from prefect.runtime import flow_run
from pydantic import Field

from flows.carry_out import Wishes, carry_out, run_name
from flows.checkout.checkout import read_params
from flows.checkout.leavings import CheckoutError
from flows.page.deployment import ACTIVE, chosen, labels_of
from flows.page.prefect_api import find_api
from flows.page.run_page import RunPage


def _profiles() -> list[str]:
    try:
        return list(read_params(Path("params.yaml"))["profiles"])
    except CheckoutError:
        return []


if TYPE_CHECKING:
    Profile = str
else:  # a list to choose from, of which one stands for what params.yaml says
    Profile = Literal[(ACTIVE, *_profiles())]


def named() -> str:
    """The run's name on the page."""
    return run_name(chosen(flow_run.parameters.get("profile")))


@flow(name="figure4", flow_run_name=named)
def study(
    profile: Profile = ACTIVE,
    overrides: dict[str, Any] = {},  # noqa: B006 (what the form begins with; never changed)
    max_parallel: Annotated[int, Field(ge=1)] | None = None,
) -> State[Any]:
    """Run the whole study of GPT-2's Figure 4, one task for each DVC stage.

    Args:
        profile: Study of params.yaml to make the active one; (active) leaves the file's choice.
        overrides: Keys of that study in params.yaml, and their new values, which are written
            there: {"train.tokens": 500000}. A key is as in the file: section.key.
        max_parallel: Stages at a time; by default as many as have GPUs or threads of their own.
    """
    logging.getLogger("figure4").setLevel(logging.INFO)
    page = RunPage(logging.getLogger("figure4").warning)
    page.attach(str(flow_run.id), labels=labels_of(Path.cwd()))
    api = find_api()
    if api is not None:
        page.open(lambda: nullcontext(api), own=api.own)
    try:
        ended = carry_out(Wishes(chosen(profile), overrides, max_parallel), page)
    finally:
        page.close()
    told = ended.told
    return State(type=StateType(told.type), name=told.name, message=told.message)
