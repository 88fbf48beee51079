"""One small training four times: left alone, again, killed and resumed, and split by FSDP.

On a CPU the first three must be the same to the bit. A GPU adds some sums in whatever order its
threads come, so there the second one says how far two undisturbed runs lie apart.
"""

from __future__ import annotations

import logging
import multiprocessing
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import torch
from train_contenders import LEARNING_RATE, Setting
from train_workers import silent
from training_jobs import make_job

from pipeline.shared.training.fit import fit
from pipeline.shared.training.job import Job
from pipeline.shared.training.state import load_state, newest_step

ALONE, AGAIN, KILLED, FSDP = "left alone", "again", "killed and resumed", "FSDP on one device"
_POINTS = 6


@dataclass(frozen=True)
class SmallTrainings:
    """How they ended."""

    steps: int
    killed_at: int
    """The last step whose checkpoint the killed one left."""
    losses: dict[str, list[float]]
    """Points of the loss curve, by training; what failed is not there."""
    same_weights: dict[str, bool]
    """Whether each one's last weights are bit for bit those of the one left alone."""
    failed: dict[str, str]

    def largest_difference(self, name: str) -> float:
        """Of a point of the curve from that of the training left alone, in nats."""
        pairs = zip(self.losses[name], self.losses[ALONE], strict=True)
        return max(abs(one - other) for one, other in pairs)


def serve(name: str, setting: Setting, channel: Connection) -> None:
    """Answer each order with the `SmallTrainings` of so many steps; see `train_workers.Worker`."""
    while True:
        steps, _ = channel.recv()
        channel.send(run(setting, steps))


def run(setting: Setting, steps: int) -> SmallTrainings:
    """Train them side by side, each in a process of its own."""
    jobs = {name: _job(setting, steps, name) for name in (ALONE, AGAIN, KILLED, FSDP)}
    processes = {name: _start(job) for name, job in jobs.items()}
    killed_at = _kill(processes[KILLED], jobs[KILLED])
    processes[KILLED] = _start(jobs[KILLED])
    for process in processes.values():
        process.join()
    codes = {name: process.exitcode for name, process in processes.items()}
    states = {name: _last_state(job) for name, job in jobs.items() if not codes[name]}
    weights = {name: state["model"] for name, state in states.items()}
    return SmallTrainings(
        steps=steps,
        killed_at=killed_at,
        losses={name: [point[1] for point in state["curve"]] for name, state in states.items()},
        same_weights={name: _same(one, weights.get(ALONE, {})) for name, one in weights.items()},
        failed={name: f"its process ended with {code}" for name, code in codes.items() if code},
    )


def _job(setting: Setting, steps: int, name: str) -> Job:
    job = make_job(setting, learning_rate=LEARNING_RATE, num_steps=steps)
    every = setting.step_tokens * max(1, steps // _POINTS)
    params = job.params.model_copy(update={"eval_every_tokens": every})
    compute = job.compute.model_copy(
        update={
            "strategy": "fsdp" if name == FSDP else "auto",
            # After each step, so that at any speed there is a moment to kill it.
            "checkpoint_every_s": 1e-3 if name == KILLED else 1e9,
        }
    )
    folder = setting.tokens.parent / "small" / name.replace(" ", "_")
    return replace(job, params=params, compute=compute, folder=folder)


def _start(job: Job) -> BaseProcess:
    # Forked: this process has imported all of it, and has neither threads nor touched a device.
    process = multiprocessing.get_context("fork").Process(target=_fit, args=(job,))
    process.start()
    return process


def _fit(job: Job) -> None:
    fit(job, 0, silent())


def _kill(process: BaseProcess, job: Job) -> int:
    """End it by SIGKILL after a third of its steps; returns the step of its newest checkpoint."""
    while process.is_alive() and newest_step(job.folder) < job.until_step // 3:
        time.sleep(0.005)
    process.kill()
    process.join()
    return newest_step(job.folder)


def _last_state(job: Job) -> dict[str, Any]:
    found = load_state(job.folder, job.identity, logging.getLogger("figure4"))
    assert found is not None and found[0] == job.until_step
    return found[1]


def _same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
