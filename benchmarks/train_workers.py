"""A contender in a process of its own that trains as many steps as it is told and says how long.

Processes stay alive between rounds, so that contenders can take turns: on a noisy machine only
figures of the same moment can be compared.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import resource
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import lightning.pytorch as pl
import torch
from train_contenders import CLIP_NORM, CONTENDERS, LEARNING_RATE, Setting, read_batches

import pipeline.before_torch  # noqa: F401 - as it says

OURS = "figure4"
PHASES = ("data", "forward", "backward", "optimiser")
_FOREVER = 10**9


@dataclass
class Measure:
    """What some steps took."""

    tokens_per_s: float
    phase_s: dict[str, float] = field(default_factory=dict)
    """Seconds of one step in each phase, where they were asked for."""
    peak_mib: float = 0.0
    """Largest memory so far: of the process on a CPU, of tensors on a GPU."""


class Worker:
    """A started contender."""

    def __init__(self, name: str, setting: Setting, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._channel, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(name, setting, threads, theirs))
        self._process.start()
        theirs.close()

    def run(self, steps: int, *, split: bool = False) -> Measure:
        """Train so many steps; `split` waits for the device after each phase to time it."""
        self._channel.send((steps, split))
        measure: Measure = self._channel.recv()
        return measure

    def close(self) -> None:
        """End the process and give back its memory."""
        self._channel.close()
        self._process.join()


def _serve(name: str, setting: Setting, threads: int, channel: Connection) -> None:
    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    serve = _serve_lightning if name == OURS else _serve_loop
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.suppress(EOFError),  # the parent has closed its end
    ):
        serve(name, setting, channel)


def _serve_loop(name: str, setting: Setting, channel: Connection) -> None:
    contender, read = CONTENDERS[name](setting), read_batches(setting)
    parameters = list(contender.model.parameters())
    bf16 = setting.precision == "bfloat16"
    while True:
        steps, split = channel.recv()
        phase_s = dict.fromkeys(PHASES, 0.0)
        began_s = time.perf_counter()
        for _ in range(steps):
            clock = _phases(setting.device, split)
            next(clock)
            x_BT, y_BT = read()
            phase_s["data"] += next(clock)
            with torch.autocast(setting.device, torch.bfloat16, enabled=bf16):
                loss = contender.loss(x_BT, y_BT)
            phase_s["forward"] += next(clock)
            loss.backward()
            phase_s["backward"] += next(clock)
            torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
            contender.optimizer.step()
            contender.optimizer.zero_grad(set_to_none=True)
            phase_s["optimiser"] += next(clock)
        _wait(setting.device)
        channel.send(_measure(setting, steps, began_s, phase_s if split else {}))


def _serve_lightning(name: str, setting: Setting, channel: Connection) -> None:
    """The train stage's own Trainer, module and batches; a callback waits for each next order."""
    from training_jobs import make_job

    from models.training import LanguageModelling
    from pipeline.batches import held_out_windows
    from pipeline.training_job import Listeners
    from pipeline.training_run import make_loader, make_model, make_trainer
    from pipeline.training_watch import TrainingWatch

    job = make_job(setting, learning_rate=LEARNING_RATE, num_steps=_FOREVER)
    module = LanguageModelling(make_model(job, fill=True), job.recipe)
    windows = held_out_windows(job.valid, setting.context, job.params.valid_tokens)
    watch = TrainingWatch(job, windows, None, Listeners(*[lambda *event: None] * 3))
    trainer = make_trainer(job, [watch, _Orders(setting, channel)])
    trainer.fit(module, make_loader(job, 0, 0))


class _Orders(pl.Callback):
    """Stops after the ordered number of steps, answers, and waits for the next order."""

    def __init__(self, setting: Setting, channel: Connection) -> None:
        self._setting, self._channel = setting, channel
        self._left = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._receive()

    def on_train_batch_end(self, *arguments: Any) -> None:
        self._left -= 1
        if not self._left:
            _wait(self._setting.device)
            self._channel.send(_measure(self._setting, self._steps, self._began_s, {}))
            self._receive()

    def _receive(self) -> None:
        self._steps, _ = self._channel.recv()
        self._left = self._steps
        self._began_s = time.perf_counter()


def _phases(device: str, split: bool) -> Iterator[float]:
    """Seconds since the phase before."""
    last_s = time.perf_counter()
    while True:
        if split:
            _wait(device)
        now_s = time.perf_counter()
        yield now_s - last_s
        last_s = now_s


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _measure(setting: Setting, steps: int, began_s: float, phase_s: dict[str, float]) -> Measure:
    seconds = time.perf_counter() - began_s
    if setting.device == "cuda":
        peak_mib = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    split_s = {name: value / steps for name, value in phase_s.items()}
    return Measure(steps * setting.step_tokens / seconds, split_s, peak_mib)
