"""The Prefect task: run one DVC stage, show its log and its metrics, fail with its last lines."""

from __future__ import annotations

import logging
import re
from typing import Any

from prefect import Task, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed, Failed

from flows.artifacts import pages
from flows.dvc_stage import StageEnd, StageRunner

_TRY_AGAIN = "TryAgain"  # name of the state of an attempt that the same command may mend


def is_worth_a_retry(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Only what promises to go better next time is run again."""
    return state.name == _TRY_AGAIN


# Not Prefect's cache: DVC is the cache.
@task(
    task_run_name="{name}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=3,
    retry_delay_seconds=[5, 30, 120],
    retry_condition_fn=is_worth_a_retry,
)
def run_stage(name: str, runner: StageRunner) -> State[Any]:
    """Run the DVC stage `name`; the task's state says whether it ran, was unchanged, or failed."""
    log = get_run_logger()
    outcome = runner.run(name, lambda line: log.log(*as_record(name, line)))
    if outcome.code != 0:
        again = outcome.worth_a_retry and not runner.stopping
        return Failed(name=_TRY_AGAIN if again else "Failed", message=explain(outcome))
    for page in pages(runner.root, name):
        create_markdown_artifact(key=page.key, markdown=page.markdown, description=page.title)
    return done(outcome)


def as_record(stage: str, line: str) -> tuple[int, str]:
    """A line of output as level and message, without the time and the name that Prefect adds.

    >>> as_record("train@xl", "12:40:03 train@xl: done in 8.2 s")
    (20, 'done in 8.2 s')
    >>> as_record("train@xl", "ERROR: failed to reproduce 'train@xl'")
    (40, "ERROR: failed to reproduce 'train@xl'")
    """
    level = logging.ERROR if line.startswith("ERROR: ") else logging.INFO
    return level, re.sub(rf"^\d\d:\d\d:\d\d {re.escape(stage)}: ", "", line)


def explain(outcome: StageEnd) -> str:
    """A failed stage in words, with the last lines it wrote."""
    lines = "\n".join(outcome.last_lines)
    return f"{outcome.stage} failed with exit code {outcome.code}. Its last lines:\n{lines}"


def done(outcome: StageEnd) -> State[Any]:
    """The state of a stage that is whole: what had nothing to do does not look like work."""
    match outcome.did:
        case "unchanged":
            return Completed(name="Unchanged", message="Nothing it depends on changed: not run")
        case "restored":
            return Completed(name="Restored", message="Taken from DVC's cache: not run")
        case _:
            return Completed(message="Ran to its end")
