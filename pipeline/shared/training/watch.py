"""What happens between a training's steps: points of the curve, checkpoints, ends.

On one device everything is looked at after each step. With several, each look makes all of them
agree, so they look every few steps only. Reading a number off a GPU makes the host wait for it;
that too happens every few steps only.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from models.loss_spikes import Spike
from models.training import LanguageModelling
from pipeline.shared.errors import EXIT_TERMINATED, NonFiniteLossError
from pipeline.shared.formats.loss_curve import CurvePoint
from pipeline.shared.training.batches import documents_of_step
from pipeline.shared.training.job import Job, Listeners, point_steps
from pipeline.shared.training.shards import (
    check_same_step,
    gather_state,
    random_states,
    restore_state,
    seed_rank,
)
from pipeline.shared.training.state import State, save_state

_LOOK_EVERY_STEPS = 10
_IMPORTED_S = time.monotonic()


class TrainingWatch(pl.Callback):
    """Measures, saves and stops one training."""

    def __init__(
        self,
        job: Job,
        windows: list[Tensor],
        state: State | None,
        listeners: Listeners,
    ) -> None:
        """`windows` are the held-out tokens; `state` is a checkpoint's, or None at the start."""
        self._job, self._windows, self._state = job, windows, state
        self._listeners = listeners
        self._point_steps = frozenset(point_steps(job.params))
        self._curve: list[list[float]] = list(state["curve"]) if state else []
        self._spikes = [Spike(int(row[0]), *row[1:]) for row in state["spikes"]] if state else []
        self._start_up_s = self._first_step_s = 0.0
        self._timed_tokens = state["timed_tokens"] if state else 0
        self._step_s = state["step_s"] if state else 0.0
        self._made_s = self._clock_s = self._saved_s = time.monotonic()
        self._seen_step = 0
        self._terminated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take up the checkpoint's optimiser and random state; answer SIGTERM ourselves."""
        module = _own(pl_module)
        signal.signal(signal.SIGTERM, self._terminate)
        check_same_step(trainer, module.step)
        seed_rank(self._job.recipe.order_seed, trainer.global_rank, module.step)
        if self._state is not None:
            restore_state(trainer, module.model, self._state)
            if trainer.is_global_zero:  # the sum of all ranks
                module.loss_sum += self._state["loss_sum"].to(module.device)
                module.spikes.load(self._state["spike_detector"])
            self._state = None  # twice the model's memory
        self._seen_step = module.step
        self._saved_s = self._clock_s = time.monotonic()

    def _terminate(self, signum: int, frame: FrameType | None) -> None:
        self._terminated = True

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """After each optimiser step, look whether there is anything to do."""
        if (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        module, job = _own(pl_module), self._job
        step = module.step + 1
        last = step == job.until_step
        point = last or step in self._point_steps
        if not self._start_up_s:
            _wait_for_device(trainer)
            # A process may train several times, one rate after the other.
            self._start_up_s = _IMPORTED_AT_AGE_S + time.monotonic() - self._made_s
            self._first_step_s = time.monotonic() - self._clock_s
            self._clock_s, self._seen_step = time.monotonic(), step
        look = point or step % _LOOK_EVERY_STEPS == 0
        if not (look or (trainer.world_size == 1 and (self._late or self._terminated))):
            return
        self._look(trainer, module, step)
        if look and trainer.is_global_zero:
            self._tell_spike(module)
        if point:
            self._add_point(trainer, module, step)
        stop = self._agree(trainer, self._terminated)
        if last or stop or self._agree(trainer, self._late):
            self._save(trainer, module, step)
        if stop and not last:
            sys.exit(EXIT_TERMINATED)

    @property
    def _late(self) -> bool:
        return time.monotonic() - self._saved_s >= self._job.compute.checkpoint_every_s

    @staticmethod
    def _agree(trainer: pl.Trainer, wish: bool) -> bool:
        """What rank 0 wishes."""
        return bool(trainer.strategy.broadcast(wish)) if trainer.world_size > 1 else wish

    def _look(self, trainer: pl.Trainer, module: LanguageModelling, step: int) -> None:
        """Read what the device has computed: is it finite, and how fast was it."""
        bad_step = int(module.bad_step.item())
        if bad_step >= 0:
            raise self._explain_bad_step(bad_step)
        tokens = (step - self._seen_step) * self._job.recipe.batch_tokens
        self._step_s += time.monotonic() - self._clock_s
        self._timed_tokens += tokens
        self._clock_s = time.monotonic()
        if trainer.is_global_zero:
            note = f"loss {self._curve[-1][1]:.3f}" if self._curve else ""
            self._listeners.on_progress(step * self._job.recipe.batch_tokens, note)
        self._seen_step = step

    def _tell_spike(self, module: LanguageModelling) -> None:
        """Tell of the first leap since the last telling.

        At the same steps whatever was killed; a checkpoint in between keeps what is untold.
        """
        if spike := module.spikes.take():
            self._spikes.append(spike)
            self._listeners.on_spike(spike)

    def _explain_bad_step(self, step: int) -> NonFiniteLossError:
        ids = documents_of_step(self._job.order, self._job.layout, step)
        shown = ", ".join(ids[:20]) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")
        rate = self._job.recipe.learning_rate_at(step)
        return NonFiniteLossError(
            f"the loss or gradient of step {step} is not finite (learning rate {rate:.3g}, "
            f"documents of the batch: {shown}); lower the learning rate, or look at the documents",
            step,
        )

    def _add_point(self, trainer: pl.Trainer, module: LanguageModelling, step: int) -> None:
        recipe = self._job.recipe
        tokens = step * recipe.batch_tokens
        before = int(self._curve[-1][0]) if self._curve else 0
        num_steps = (tokens - before) // recipe.batch_tokens
        num_losses = num_steps * trainer.accumulate_grad_batches * trainer.world_size
        train_loss = _sum_over_ranks(trainer, module.loss_sum).item() / num_losses
        valid_loss = held_out_loss(trainer, module, self._windows, self._job)
        module.loss_sum.zero_()
        point = CurvePoint(tokens, train_loss, valid_loss, recipe.learning_rate_at(step - 1))
        self._curve.append(list(point))
        if trainer.is_global_zero:
            self._listeners.on_point(point)
        self._clock_s = time.monotonic()

    def _save(self, trainer: pl.Trainer, module: LanguageModelling, step: int) -> None:
        state: State = gather_state(trainer, module.model)
        state["random"] = random_states(trainer)
        state["loss_sum"] = _sum_over_ranks(trainer, module.loss_sum).cpu()
        state["curve"] = self._curve
        state["spikes"] = [list(spike) for spike in self._spikes]
        state["spike_detector"] = module.spikes.state()
        state["start_up_s"], state["first_step_s"] = self._start_up_s, self._first_step_s
        state["step_s"], state["timed_tokens"] = self._step_s, self._timed_tokens
        state["hardware"] = self._job.hardware._asdict()
        if trainer.is_global_zero:
            save_state(self._job.folder, step, self._job.identity, state)
        trainer.strategy.barrier()
        self._saved_s = self._clock_s = time.monotonic()


@torch.no_grad()
def held_out_loss(
    trainer: pl.Trainer, module: LanguageModelling, windows: list[Tensor], job: Job
) -> float:
    """Mean of -log p over the held-out tokens, in nats per token.

    Windows of one length are read together; ranks take turns, and one without a turn reads the
    first group for nothing, because split parameters need all ranks in each pass.
    """
    groups = _group(windows, 2 * job.params.micro_batch_sequences)
    total = torch.zeros(2, dtype=torch.float64, device=module.device)
    module.model.eval()
    for first in range(0, len(groups), trainer.world_size):
        mine = first + trainer.global_rank
        batch_BT = groups[mine if mine < len(groups) else 0].to(module.device)
        # One short window is not worth compiling for: as a shape of its own that takes seconds.
        short = job.params.compile and len(batch_BT[0]) < len(windows[0])
        as_it_is = torch.compiler.set_stance("force_eager") if short else nullcontext()
        with trainer.precision_plugin.forward_context(), as_it_is:
            losses_BT = module.model.token_losses(batch_BT[:, :-1], batch_BT[:, 1:])
        if mine < len(groups):
            total[0] += losses_BT.sum(dtype=torch.float64)
            total[1] += losses_BT.numel()
    module.model.train()
    total = _sum_over_ranks(trainer, total)
    return float(total[0] / total[1])


def _group(windows: list[Tensor], size: int) -> list[Tensor]:
    """Stack windows, up to `size` together; only the last can be shorter than the others."""
    whole = [window for window in windows if len(window) == len(windows[0])]
    groups = [torch.stack(whole[first : first + size]) for first in range(0, len(whole), size)]
    return groups + [window[None] for window in windows[len(whole) :]]


def _sum_over_ranks(trainer: pl.Trainer, value: Tensor) -> Tensor:
    """The sum as a new tensor: Lightning's reduction works in place."""
    summed: Tensor = trainer.strategy.reduce(value.clone(), reduce_op="sum")
    return summed


def _wait_for_device(trainer: pl.Trainer) -> None:
    if trainer.strategy.root_device.type == "cuda":
        torch.cuda.synchronize()


def _own(module: pl.LightningModule) -> LanguageModelling:
    assert isinstance(module, LanguageModelling)
    return module


def process_age_s() -> float:
    """Seconds since this process began, its imports included."""
    try:
        started_ticks = int(Path("/proc/self/stat").read_text().rsplit(") ", 1)[1].split()[19])
        uptime_s = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError, IndexError):  # no Linux: since this module was imported
        return time.monotonic() - _IMPORTED_S
    return uptime_s - started_ticks / os.sysconf("SC_CLK_TCK")


_IMPORTED_AT_AGE_S = process_age_s()
