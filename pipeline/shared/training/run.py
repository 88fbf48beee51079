"""Run one training with Lightning, to its end or a part of the way: for train and tune.

Lightning drives devices, precision, accumulation and gradients. What must survive a kill is ours
(`training_watch`), and a training counts as done only when its last checkpoint is there: Lightning
itself ends a SIGTERM as if it were a success.
"""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from torch import Tensor
from torch.utils.data import DataLoader

from models.gpt2 import GPT2, empty_model
from models.loss_spikes import Spike
from models.training import LanguageModelling
from pipeline.shared.formats.loss_curve import CurvePoint
from pipeline.shared.params.types import Precision
from pipeline.shared.running.executor import end_with_parent
from pipeline.shared.running.stage import Stage
from pipeline.shared.training.batches import MicroBatches, held_out_windows
from pipeline.shared.training.group import check_start, joined_group
from pipeline.shared.training.job import Job, Listeners, TrainingOutcome
from pipeline.shared.training.ranks import run_ranks
from pipeline.shared.training.state import load_state, newest_step
from pipeline.shared.training.watch import TrainingWatch

_LOG = logging.getLogger("figure4")  # the stage's own
_PRECISIONS: dict[Precision, Literal["32-true", "bf16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
}


def train_to(
    stage: Stage, job: Job, name: str, on_point: Callable[[CurvePoint], None] = lambda point: None
) -> TrainingOutcome:
    """Train up to `job.until_step`, going on from the newest checkpoint in `job.folder`.

    `on_point` gets new points. A training that has gone farther already is left as it is.

    Raises:
        NonFiniteLossError: naming the step and the documents of its batch.
        SystemExit: 143 after SIGTERM, once a checkpoint is written.
    """
    found = None
    while found is None or found[0] < job.until_step:  # twice if the last one is damaged
        done_steps = newest_step(job.folder)
        if done_steps < job.until_step:
            _train(stage, job, name, done_steps=done_steps, on_point=on_point)
        found = load_state(job.folder, job.identity, stage.log)
    state = found[1]
    model = empty_model(job.config)
    model.load_state_dict(state["model"])
    return TrainingOutcome(
        model=model.eval(),
        curve=[CurvePoint(int(row[0]), *row[1:]) for row in state["curve"]],
        spikes=[Spike(int(row[0]), *row[1:]) for row in state["spikes"]],
        start_up_s=state["start_up_s"],
        first_step_s=state["first_step_s"],
        step_s=state["step_s"],
        timed_tokens=state["timed_tokens"],
    )


def _train(
    stage: Stage, job: Job, name: str, *, done_steps: int, on_point: Callable[[CurvePoint], None]
) -> None:
    group = joined_group()
    check_start(stage, job, group)
    if done_steps:
        stage.log.info("going on after step %s of %s", done_steps, job.recipe.num_steps)
    batch_tokens = job.recipe.batch_tokens
    total, done = job.until_step * batch_tokens, done_steps * batch_tokens
    with stage.progress(name, total=total, unit="tokens", done=done) as progress:

        def on_progress(tokens: int, note: str) -> None:
            progress.update(tokens - progress.done, note)

        def on_spike(spike: Spike) -> None:
            stage.log.warning(
                "the loss leapt at step %s to %.3f from about %.3f", spike.step, *spike[1:]
            )

        listeners = Listeners(on_point, on_progress, on_spike)
        if group:
            group.hand_out(job)
            fit(job, 0, listeners)
        elif job.num_ranks == 1:
            fit(job, 0, listeners)
        else:
            run_ranks(fit, job, listeners)


def fit(job: Job, rank: int, listeners: Listeners) -> None:
    """Train on one device, in this process, from the newest checkpoint to `until_step`."""
    if job.compute.accelerator == "cpu":
        torch.set_num_threads(max(1, job.compute.threads // job.compute.devices))
    step, state = load_state(job.folder, job.identity, _LOG) or (0, None)
    module = LanguageModelling(make_model(job, fill=state is None), job.recipe, first_step=step)
    windows = held_out_windows(job.valid, job.config.n_positions, job.params.valid_tokens)
    watch = TrainingWatch(job, windows, state, listeners)
    del state  # the watch lets go of it when it is used, and nobody else holds it
    with _quiet():
        make_trainer(job, [watch]).fit(module, make_loader(job, step, rank))


def make_model(job: Job, *, fill: bool) -> GPT2:
    """The job's model; `fill` initialises its weights, which a checkpoint would overwrite."""
    model = empty_model(job.config)
    if fill:
        generator = torch.Generator().manual_seed(job.recipe.initialisation_seed)
        model.initialise(generator, job.recipe.residual_init)
    if job.params.compile:
        model.compile_parts()
    return model


def make_trainer(job: Job, callbacks: list[pl.Callback]) -> pl.Trainer:
    """A Trainer that does nothing but train: no files, no bars, no advice."""
    group = joined_group()
    return pl.Trainer(
        # By itself Lightning takes a script of sbatch that was not started by srun for one rank.
        plugins=[group.environment if group else LightningEnvironment()],
        accelerator=job.compute.accelerator,
        devices=job.compute.devices,
        num_nodes=job.compute.nodes,
        strategy=_make_strategy(job),
        precision=_PRECISIONS[job.params.precision],
        accumulate_grad_batches=job.layout.num_micro_batches,
        max_epochs=1,  # one pass over the steps that are left; epochs of the data are `batches`'
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _make_strategy(job: Job) -> str | Strategy:
    if job.compute.strategy == "fsdp":
        return ModelParallelStrategy(data_parallel_size=job.num_ranks, tensor_parallel_size=1)
    return job.compute.strategy


def make_loader(job: Job, first_step: int, rank: int) -> DataLoader[Tensor]:
    """The micro-batches of one rank from `first_step` on; its workers read ahead."""
    batches = MicroBatches(
        job.order, job.layout, first_step=first_step, num_steps=job.until_step, rank=rank
    )
    gpu = job.compute.accelerator == "gpu"
    return DataLoader(
        batches,
        batch_size=None,
        num_workers=job.compute.data_workers,
        worker_init_fn=_begin_data_worker,
        # Forked by this process itself, whose end they then see; a rank's default is a server.
        multiprocessing_context="fork" if job.compute.data_workers else None,
        pin_memory=gpu,
        # Its own generator: the loader must draw nothing from the one that dropout uses.
        generator=torch.Generator(),
    )


def _begin_data_worker(worker: int) -> None:
    """A signal reaches the whole group; the training needs its batches until it has saved."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(signal.SIGKILL)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's hints and advertisements; errors stay."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning\.(pytorch|fabric)\b")
            yield
    finally:
        logger.setLevel(level)
