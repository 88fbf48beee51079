"""On the node: the stages of each size in turn, as long as the time lasts; then the results so far.

Each stage is the process that DVC would start. When time is short it gets a SIGTERM, at which it
writes a checkpoint; the next call goes on from there. A killed call costs what the stage did since
its last checkpoint.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from pipeline.node.chain import STAGES, Chain, NodeTask, read_chain
from pipeline.node.identity import hash_code, identify, require_same
from pipeline.node.outcome import LOGS, in_words, write_results
from pipeline.node.pack import PAYLOAD, unpack
from pipeline.shared.errors import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_RETRY,
    EXIT_TERMINATED,
    UserError,
)
from pipeline.shared.files import read_json
from pipeline.shared.params.file import check_size, load_params
from pipeline.shared.running.executor import end_with_parent

_GRACE_S = 30.0  # for a checkpoint of 1.5 GB and the end of a process that holds a GPU
_WRITE_S = 15.0  # for the results
_LEAST_S = 20.0  # a stage takes longer to start
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class RunOptions:
    """One call of `run`."""

    minutes: float | None
    """To be over by then."""
    out: Path
    sizes: Sequence[str] | None
    """These alone, in this order; None: all, as they grow."""
    side_by_side: int
    """Sizes at once."""
    weights_bytes: int
    """Room for weights in the results."""


@dataclass
class Clock:
    """When stages must stop, and whether somebody asked for it earlier."""

    ends_s: float
    """By `time.monotonic`."""
    stopped: threading.Event = field(default_factory=threading.Event)

    def left_s(self) -> float:
        """Seconds in which stages may run; none once the call was told to stop."""
        return 0.0 if self.stopped.is_set() else self.ends_s - time.monotonic()


def run(asked: RunOptions, log: logging.Logger) -> int:
    """Go on with what is not done yet; returns 0 when all is, 75 when there is more to do.

    Raises:
        UserError: the payload is not what was packed, or a stage failed, naming its log.
    """
    seconds = float("inf") if asked.minutes is None else asked.minutes * 60
    clock = Clock(time.monotonic() + seconds - _GRACE_S - _WRITE_S)
    chain = open_payload(log)
    sizes = asked.sizes or chain.sizes
    for size in sizes:
        check_size(size, chain.sizes, Path("params.yaml"))
    signal.signal(signal.SIGTERM, lambda number, frame: _stop(clock, frame))
    try:
        failures = _run_sizes(chain, sizes, asked.side_by_side, clock, log)
    finally:
        num_bytes = write_results(chain, asked.out, weights_bytes=asked.weights_bytes)
        log.info("%s: results so far, %.1f MB", asked.out, num_bytes / 1e6)
    if failures:
        raise UserError("; ".join(failures))
    left = [task.title for size in sizes for task in tasks_of(size) if not chain.is_over(task)]
    if not left:
        return EXIT_DONE
    log.info("not done yet: %s; the same command goes on", ", ".join(left))
    return EXIT_RETRY


def tasks_of(size: str) -> list[NodeTask]:
    """The stages of one size, in their order."""
    return [NodeTask(stage, size) for stage in STAGES]


def open_payload(log: logging.Logger) -> Chain:
    """Unpack the data where that was not done, and check that all is as it was packed.

    Raises:
        UserError: parameters, inputs or code are not what was packed.
    """
    root = Path()
    payload = read_json(root / PAYLOAD)
    unpack(root)
    study = load_params(root / "params.yaml", payload["profile"])
    chain = read_chain(study)
    require_same(identify(study.params, chain.inputs()), payload["identity"], "the files here")
    if hash_code(root) != payload["code"]:
        log.warning("the code is not as it was packed; `take` will ask for --other-code")
    return chain


def _stop(clock: Clock, frame: FrameType | None) -> None:
    clock.stopped.set()


def _run_sizes(
    chain: Chain, sizes: Sequence[str], at_once: int, clock: Clock, log: logging.Logger
) -> list[str]:
    """Run sizes, `at_once` side by side; returns what failed."""
    with ThreadPoolExecutor(at_once) as pool:
        ended = pool.map(lambda size: _run_size(chain, size, clock, log), sizes)
        return [failure for failure in ended if failure]


def _run_size(chain: Chain, size: str, clock: Clock, log: logging.Logger) -> str:
    """Run the stages of a size as long as the time lasts; returns what failed, if anything did."""
    for task in tasks_of(size):
        if chain.is_over(task):
            continue
        if clock.left_s() < _LEAST_S:
            return ""
        path = log_of(task)
        started_s = time.monotonic()
        code = EXIT_RETRY
        while code == EXIT_RETRY and clock.left_s() > 0:  # an attempt of a killed call is ending
            code = _run_stage(chain.command(task), path, clock)
        took = f"{task.title}: {time.monotonic() - started_s:.0f} s"
        if code in {EXIT_TERMINATED, EXIT_INTERRUPTED, EXIT_RETRY}:
            log.info("%s, stopped; it goes on next time", took)
            return ""
        if code != EXIT_DONE:
            tail = "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            return f"{task.title} failed with exit code {code}; the end of {path}:\n{tail}"
        log.info("%s, %s", took, in_words(chain, task))
    return ""


def log_of(task: NodeTask) -> Path:
    """Where a stage's log goes, all attempts one after the other."""
    return LOGS / f"{task.title.replace('@', '.')}.log"


def _run_stage(command: Sequence[str], path: Path, clock: Clock) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            env=os.environ | {"MLFLOW_TRACKING_URI": "off"},
            preexec_fn=_end_with_this_process,  # noqa: PLW1509 - it calls one system function
        )
    while process.poll() is None and clock.left_s() > 0:
        time.sleep(_LOOK_EVERY_S)
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return EXIT_TERMINATED
    return process.wait()


def _end_with_this_process() -> None:
    """A stage whose `run` was killed -9 writes its checkpoint and ends, and frees the GPU."""
    end_with_parent(signal.SIGTERM)
