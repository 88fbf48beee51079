"""The study as a Prefect flow: the same DVC stages, watched, retried and started from a page.

DVC stays the truth about what has run: the flow has no state of its own, and starting it again
after any interruption goes on where the study was.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner

from flows.checkout import prepare, read_params
from flows.dvc_stage import StageRunner
from flows.leavings import CheckoutError
from flows.servers import running_prefect_api
from flows.stage import run_stage
from flows.supervisor import GRACE_S

Future = PrefectFuture[Any]


def run_name() -> str:
    """A run's name in the UI: its profile and when it began."""
    profile = flow_run.parameters.get("profile") or read_params(Path("params.yaml"))["profile"]
    return f"{profile} {datetime.now():%Y-%m-%d %H:%M}"


@flow(name="figure4", flow_run_name=run_name)
def study(profile: str | None = None, max_parallel: int | None = None) -> State[Any]:
    """Run the whole study of GPT-2's Figure 4, one task for each DVC stage.

    Args:
        profile: Study of params.yaml to make the active one; by default the file's own choice.
        max_parallel: Stages at a time; by default as many as have GPUs or threads of their own.
    """
    try:
        with prepare(Path.cwd(), profile, max_parallel, get_run_logger()) as (
            root,
            _,
            sizes,
            devices,
        ):
            runner = StageRunner(root, devices=devices, grace_s=GRACE_S)
            pool: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=len(devices))
            with pool, runner:  # the runner is left first: it ends what the pool waits for
                return last_state(chain(pool, runner, sizes))
    except CheckoutError as error:
        return Failed(message=str(error))


def chain(
    pool: ThreadPoolTaskRunner[Any], runner: StageRunner, sizes: Sequence[str]
) -> list[Future]:
    """Submit every stage, each after those it reads; returns their futures in order."""
    futures: list[Future] = []

    def stage(name: str, *after: Future) -> Future:
        future = pool.submit(run_stage, {"name": name, "runner": runner}, wait_for=after)
        futures.append(future)
        return future

    # A stage that is run alone (--single-item) goes by what `watch` has seen last.
    watch = stage("watch")
    sample_web = stage("sample_web", watch)
    eval_sets = stage("eval_sets", sample_web)
    links = stage("links", sample_web)
    crawl = stage("crawl", links)
    extract = stage("extract", crawl)
    dedup = stage("dedup", extract, eval_sets)
    tokenize = stage("tokenize", dedup)
    tune = {size: stage(f"tune@{size}", tokenize) for size in sizes}
    train = {size: stage(f"train@{size}", tune[size]) for size in sizes}
    evaluate = {size: stage(f"evaluate@{size}", train[size], eval_sets) for size in sizes}
    overlap = stage("overlap", *evaluate.values())
    stage("report", overlap)
    return futures


def last_state(futures: Sequence[Future]) -> State[Any]:
    """Wait for every stage; the flow fails with the words of the first stage that failed."""
    for future in futures:
        future.wait()
    failed = [future.state for future in futures if future.state.is_failed()]
    failed += [future.state for future in futures if not future.state.is_completed()]
    if failed:
        return Failed(message=failed[0].message)
    return Completed(message=f"All {len(futures)} stages are up to date")


@contextmanager
def server() -> Iterator[None]:
    """Use the server of this checkout's `make ui`, unless PREFECT_API_URL names one."""
    found = None if PREFECT_API_URL.value() else running_prefect_api()
    if found is None:
        yield
        return
    with temporary_settings({PREFECT_API_URL: found}):
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _parse(arguments)
    with server():
        state = study(options.profile, options.max_parallel, return_state=True)
    if not state.is_completed():
        print(f"\n{state.message}", file=sys.stderr)
        return 1
    return subprocess.run([sys.executable, "-m", "pipeline.report.show"], check=False).returncode


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m flows.study",
        description="Run the study through Prefect: the same stages as `dvc repro`, one task each.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""\
Finished stages are not run again, and a stage that was stopped goes on where it was.
Ctrl-C stops the study; the running stages save their state first.

To watch it in a browser, run `make ui` in another terminal before: the flow finds that server by
itself. Without any server a temporary one is started, and the run shows up in `make ui` later.
PREFECT_API_URL names a server elsewhere. `python -m flows.schedule` runs the study on a schedule.
""",
    )
    parser.add_argument(
        "--profile", help="study of params.yaml to make the active one (writes `profile:` there)"
    )
    parser.add_argument(
        "--max-parallel",
        type=int,
        metavar="N",
        help="stages at a time (default: as many as have GPUs or threads of their own)",
    )
    options = parser.parse_args(arguments)
    if options.max_parallel is not None and options.max_parallel < 1:
        parser.error(f"--max-parallel {options.max_parallel}: must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
