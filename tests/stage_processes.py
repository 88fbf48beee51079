"""Stages in processes forked from a server that has imported them once.

Importing takes longer than most of the tests' stages do. What a process runs is the stage's own
`__main__`, as `python -m` does, with arguments, environment and standard error of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

_STAGES = (
    *("sample_web", "eval_sets", "links", "crawl", "extract", "dedup", "tokenize"),
    *("tune", "train", "evaluate", "overlap", "report"),
)
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([
    "pipeline.shared.running.before_torch",  # which must come before torch here too
    "pipeline.shared.training.lean_lightning",
    *(f"pipeline.{stage}.run" for stage in _STAGES),
])


def start_stage(
    stage: str,
    arguments: Sequence[str],
    *,
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    max_file_bytes: int | None = None,
) -> BaseProcess:
    """Start `python -m pipeline.<stage> <arguments>` in `folder`, as the leader of a group.

    Standard error is appended to `log`. `environment` joins this process's. No file may grow
    beyond `max_file_bytes`, as on a full disk.
    """
    whole_environment = {**os.environ, **(environment or {})}
    process = _FORKS.Process(
        target=_run,
        args=(stage, list(arguments), folder, log, whole_environment, max_file_bytes),
    )
    process.start()
    return process


def kill_stage(process: BaseProcess) -> None:
    """`kill -9` a stage with all its processes, if it still runs, and wait for its end."""
    assert process.pid is not None
    if process.is_alive():
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:  # forked just now: no group yet, and nothing started
            process.kill()
    process.join()


def _run(
    stage: str,
    arguments: list[str],
    folder: Path,
    log: Path,
    environment: dict[str, str],
    max_file_bytes: int | None,
) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with log.open("a") as file:
        os.dup2(file.fileno(), 2)
    sys.stderr = open(2, "w", closefd=False, buffering=1)  # noqa: SIM115 - for this process's life
    if max_file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes))
    sys.argv[1:] = arguments
    runpy.run_module(f"pipeline.{stage}", run_name="__main__", alter_sys=True)
