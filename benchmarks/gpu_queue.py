"""Contenders that share one GPU: several start and compile side by side, one alone is timed.

Compiling is a CPU's work, of half a minute to three, and leaves the GPU idle. So as many contenders
start at once as its memory holds; when one is ready, the others are stopped where they are until
its steps are timed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from small_trainings import SmallTrainings
from small_trainings import serve as serve_small
from step_profile import StepProfile
from train_contenders import Setting
from train_workers import OURS, Measure, Worker, WorkerError

from models.compute import num_parameters
from models.gpt2 import GPT2Config

SMALL = "small trainings"
_WARM_STEPS, _ROUNDS = 4, 5
_PROFILED_STEPS = 2
_CONTEXT_GIB = 1.0  # of a process, libraries included


@dataclass(frozen=True)
class Task:
    """One contender at one shape, or the small trainings."""

    shape: str
    name: str
    setting: Setting
    steps: int = 1
    """Before it is ready: the first one compiles."""
    profile: bool = False
    alone: bool = False
    """Whether nothing else may hold memory beside it."""

    @property
    def label(self) -> str:
        """Its name in a table."""
        return self.name + (" + compile" if self.setting.compile else "")


@dataclass(frozen=True)
class Timing:
    """What a contender did."""

    task: Task
    rates: list[float]
    """Tokens per second of each round."""
    peak_mib: float
    first_step_s: float
    """From the order of its process to the end of its first step, beside others'."""
    profile: StepProfile | None


@dataclass(frozen=True)
class LeftOut:
    """A task without a result."""

    task: Task
    why: str


Result = Timing | SmallTrainings | LeftOut


def memory_gib(name: str, setting: Setting) -> float:
    """About what a contender needs: weights, gradients, AdamW's state, activations, scores."""
    config = config_of(setting)
    tokens = setting.sequences * setting.context
    # Bytes a token and layer for each unit of width, and a token for each word of the vocabulary.
    layer_bytes, score_bytes = (36, 8) if setting.compile else (110, 14)
    if name == OURS:
        score_bytes = 2
    state = num_parameters(config) * 18
    activations = tokens * config.n_layer * config.n_embd * layer_bytes
    return 1.1 * (state + activations + tokens * config.vocab_size * score_bytes) / 2**30


def config_of(setting: Setting) -> GPT2Config:
    """figure4's name for the shape."""
    return GPT2Config(
        setting.vocab_size, setting.context, setting.n_embd, setting.n_layer, setting.n_head
    )


@dataclass
class _Started:
    task: Task
    worker: Worker
    began_s: float


class Queue:
    """Runs tasks in their order, as many at once as fit."""

    def __init__(
        self,
        tasks: Sequence[Task],
        *,
        memory_gib: float,
        until_s: float,
        at_once: int,
        threads: int,
        round_s: float,
    ) -> None:
        """`memory_gib` is the device's; `until_s` is on the clock of `time.monotonic`."""
        self._waiting = list(tasks)
        self._memory_gib, self._until_s = memory_gib, until_s
        self._at_once, self._threads = at_once, threads
        self._round_s = round_s
        self._started: list[_Started] = []

    def results(self) -> Iterator[Result]:
        """Each as soon as it is known; at the end, what time did not allow."""
        try:
            while (self._waiting or self._started) and self._left_s > 0:
                self._start_what_fits()
                channels: list[Any] = [one.worker.channel for one in self._started]
                for channel in wait(channels, timeout=min(1.0, max(self._left_s, 0.0))):
                    if self._left_s > 0:
                        yield from self._finish(channel)  # type: ignore[arg-type]
            late = [one.task for one in self._started] + self._waiting
            yield from (LeftOut(task, "no time was left") for task in late)
        finally:
            for one in self._started:
                one.worker.close(patience_s=0.0)

    @property
    def _left_s(self) -> float:
        return self._until_s - time.monotonic()

    def _start_what_fits(self) -> None:
        while self._waiting and self._fits(self._waiting[0]):
            task = self._waiting.pop(0)
            serve = serve_small if task.name == SMALL else None
            worker = Worker(task.name, task.setting, self._threads, serve)
            worker.order(task.steps)
            self._started.append(_Started(task, worker, time.monotonic()))

    def _fits(self, task: Task) -> bool:
        tasks = [one.task for one in self._started]
        if not tasks:
            return True
        if len(tasks) >= self._at_once or any(one.alone for one in [*tasks, task]):
            return False
        needed = sum(_needs_gib(one) for one in [*tasks, task])
        return needed < self._memory_gib

    def _finish(self, channel: Connection) -> Iterator[Result]:
        one = next(one for one in self._started if one.worker.channel is channel)
        self._started.remove(one)
        others = bool(self._started)
        try:
            answer = one.worker.receive()
            if isinstance(answer, SmallTrainings):
                yield answer
                return
            first_step_s = time.monotonic() - one.began_s
            with self._all_paused():
                yield self._time(one.task, one.worker, first_step_s)
        except WorkerError as error:
            if again := _smaller(one.task, others) if error.out_of_memory else None:
                self._waiting.insert(0, again)
            else:
                yield LeftOut(one.task, str(error))
        finally:
            one.worker.close()

    def _time(self, task: Task, worker: Worker, first_step_s: float) -> Timing:
        worker.run(_WARM_STEPS)
        step_s = task.setting.step_tokens / worker.run(2).tokens_per_s
        steps = max(1, round(self._round_s / step_s))
        measures: list[Measure] = []
        while len(measures) < _ROUNDS and (self._left_s > 0 or not measures):
            measures.append(worker.run(steps))
        profile = None
        if task.profile and self._left_s > 0:
            worker.order(_PROFILED_STEPS, "profile")
            profile = worker.receive().profile
        rates = [measure.tokens_per_s for measure in measures]
        return Timing(task, rates, measures[-1].peak_mib, first_step_s, profile)

    @contextmanager
    def _all_paused(self) -> Iterator[None]:
        for one in self._started:
            one.worker.pause(True)
        try:
            yield
        finally:
            for one in self._started:
                one.worker.pause(False)


def _needs_gib(task: Task) -> float:
    processes = 4 if task.name == SMALL else 1
    return processes * _CONTEXT_GIB + memory_gib(task.name, task.setting)


def _smaller(task: Task, others: bool) -> Task | None:
    """What to try when memory ran out: the same alone, then half the micro-batch twice as often."""
    setting = task.setting
    if others:
        return replace(task, alone=True)
    if setting.sequences == 1:
        return None
    halved = replace(
        setting, sequences=setting.sequences // 2, micro_batches=2 * setting.micro_batches
    )
    return replace(task, setting=halved, alone=True)
