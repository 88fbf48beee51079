"""A contender in a process of its own that trains as many steps as it is told and says how long.

Processes stay alive between rounds, so that contenders can take turns: on a noisy machine only
figures of the same moment can be compared. One can be paused while another is timed.

Nothing here imports `before_torch`: a process has its settings of threads and memory if it is
started with them.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from step_profile import Profiling, StepProfile
from train_contenders import CLIP_NORM, CONTENDERS, LEARNING_RATE, Setting, read_batches

from models.training import LanguageModelling
from pipeline.shared.training.job import Listeners

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
    profile: StepProfile | None = None
    """Where the time went, where it was asked for."""


@dataclass(frozen=True)
class Failure:
    """Why a contender ended, as it says itself."""

    reason: str
    out_of_memory: bool


class WorkerError(Exception):
    """A contender has failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.out_of_memory = failure.out_of_memory


Ask = Literal["rate", "split", "profile"]
"""What is wanted of some steps: their rate, their phases too, or their kernels."""
Serve = Callable[[str, Setting, Connection], None]
"""What a process does: answers each (steps, ask) with a result, until the other end closes."""


class Worker:
    """A started contender."""

    def __init__(
        self,
        name: str,
        setting: Setting,
        threads: int,
        serve: Serve | None = None,
        *,
        our_settings: bool = True,
    ) -> None:
        """Start the process.

        Args:
            name: whose training it is.
            setting: what it trains.
            threads: of torch.
            serve: what the process does instead of training as `name` does.
            our_settings: whether it has those that a stage of figure4 has (`before_torch`), or
                torch's own.
        """
        context = _with_our_settings() if our_settings else multiprocessing.get_context("spawn")
        self.channel, theirs = context.Pipe()
        serve = serve or (_serve_lightning if name == OURS else _serve_loop)
        self._process = context.Process(
            target=_run_process, args=(serve, name, setting, threads, theirs)
        )
        self._process.start()
        theirs.close()

    def run(self, steps: int, *, split: bool = False) -> Measure:
        """Train so many steps; `split` waits for the device after each phase to time it."""
        self.order(steps, "split" if split else "rate")
        measure: Measure = self.receive()
        return measure

    def order(self, steps: int, ask: Ask = "rate") -> None:
        """Have it train so many steps; `receive` waits for what is asked."""
        self.channel.send((steps, ask))

    def receive(self) -> Any:
        """The answer to the oldest order.

        Raises:
            WorkerError: the contender has failed.
        """
        try:
            answer = self.channel.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            raise WorkerError(Failure(f"the process ended with {code}", False)) from None
        if isinstance(answer, Failure):
            raise WorkerError(answer)
        return answer

    def pause(self, stop: bool) -> None:
        """Stop it and its own processes where they are, or let them go on."""
        self._signal(signal.SIGSTOP if stop else signal.SIGCONT)

    def close(self, *, patience_s: float = 20.0) -> None:
        """End the process and give back its memory."""
        self.channel.close()
        self._process.join(patience_s)
        if self._process.exitcode is None:
            self._signal(signal.SIGKILL)
            self._process.join()

    def _signal(self, number: int) -> None:
        assert self._process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def _with_our_settings() -> multiprocessing.context.ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([
        "pipeline.shared.running.before_torch",
        "pipeline.shared.training.fit",
    ])
    return context


def _run_process(
    serve: Serve, name: str, setting: Setting, threads: int, channel: Connection
) -> None:
    os.setpgid(0, 0)  # what it starts is paused and ended with it
    torch.set_num_threads(threads)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    with (
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.suppress(EOFError, BrokenPipeError),  # the parent has closed its end
    ):
        try:
            serve(name, setting, channel)
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:
            # Also where a library or the compiler has made another error of it.
            out_of_memory = any(word in str(error) for word in ("out of memory", "ALLOC_FAILED"))
            first_line = next(iter(str(error).strip().splitlines()), "")
            channel.send(Failure(f"{type(error).__name__}: {first_line}", out_of_memory))


def _serve_loop(name: str, setting: Setting, channel: Connection) -> None:
    contender, read = CONTENDERS[name](setting), read_batches(setting)
    parameters = list(contender.model.parameters())
    bf16 = setting.precision == "bfloat16"
    while True:
        steps, ask = channel.recv()
        phase_s = dict.fromkeys(PHASES, 0.0)
        profiling = Profiling(setting.device) if ask == "profile" else None
        began_s = time.perf_counter()
        for _ in range(steps):
            clock = _phases(setting.device, ask == "split")
            next(clock)
            for _ in range(setting.micro_batches):
                x_BT, y_BT = read()
                phase_s["data"] += next(clock)
                with torch.autocast(setting.device, torch.bfloat16, enabled=bf16):
                    loss = contender.loss(x_BT, y_BT) / setting.micro_batches
                phase_s["forward"] += next(clock)
                loss.backward()
                phase_s["backward"] += next(clock)
            torch.nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
            contender.optimizer.step()
            contender.optimizer.zero_grad(set_to_none=True)
            phase_s["optimiser"] += next(clock)
        measure = _measure(setting, steps, began_s)
        if ask == "split":
            measure.phase_s = {name: value / steps for name, value in phase_s.items()}
        measure.profile = profiling.end() if profiling else None
        channel.send(measure)


def _serve_lightning(name: str, setting: Setting, channel: Connection) -> None:
    """The train stage's own Trainer, module and batches; a callback waits for each next order."""
    from training_jobs import make_job

    from pipeline.shared.training.batches import held_out_windows
    from pipeline.shared.training.fit import make_loader, make_model, make_trainer
    from pipeline.shared.training.watch import TrainingWatch

    job = make_job(setting, learning_rate=LEARNING_RATE, num_steps=_FOREVER)
    model = make_model(job, fill=False).to(setting.device)
    # Where it trains: a CPU takes ten seconds to make up the largest one's weights.
    model.initialise(torch.Generator(setting.device).manual_seed(1), job.recipe.residual_init)
    module = LanguageModelling(model, job.recipe)
    windows = held_out_windows(job.valid, setting.context, job.params.valid_tokens)
    watch = TrainingWatch(job, windows, None, silent())
    trainer = make_trainer(job, [watch, _Orders(setting, channel)])
    trainer.fit(module, make_loader(job, 0, 0))


def silent() -> Listeners:
    """Listeners of a training that pass nothing on."""
    return Listeners(*[lambda *event: None] * 3)


class _Orders(pl.Callback):
    """Stops after the ordered number of steps, answers, and waits for the next order."""

    def __init__(self, setting: Setting, channel: Connection) -> None:
        self._setting, self._channel = setting, channel
        self._profiling: Profiling | None = None
        self._left = 0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        self._receive()

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if (batch_idx + 1) % self._setting.micro_batches:
            return
        self._left -= 1
        if not self._left:
            measure = _measure(self._setting, self._steps, self._began_s)
            measure.profile = self._profiling.end() if self._profiling else None
            self._channel.send(measure)
            self._receive()

    def _receive(self) -> None:
        self._steps, ask = self._channel.recv()
        self._left = self._steps
        self._profiling = Profiling(self._setting.device) if ask == "profile" else None
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


def _measure(setting: Setting, steps: int, began_s: float) -> Measure:
    _wait(setting.device)
    seconds = time.perf_counter() - began_s
    if setting.device == "cuda":
        peak_mib = torch.cuda.max_memory_allocated() / 2**20
    else:
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return Measure(steps * setting.step_tokens / seconds, peak_mib=peak_mib)
