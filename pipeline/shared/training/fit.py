"""One device's part of a training, by Lightning, which drives devices, precision and gradients."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from torch import Tensor
from torch.utils.data import DataLoader

from models.gpt2 import GPT2, empty_model
from models.training import LanguageModelling
from pipeline.shared.params.types import Precision
from pipeline.shared.running.executor import end_with_parent
from pipeline.shared.training.batches import MicroBatches, held_out_windows
from pipeline.shared.training.group import joined_group
from pipeline.shared.training.job import Job, Listeners
from pipeline.shared.training.state import load_state
from pipeline.shared.training.watch import TrainingWatch

_LOG = logging.getLogger("figure4")  # the stage's own
_PRECISIONS: dict[Precision, Literal["32-true", "bf16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
}


def fit(job: Job, rank: int, listeners: Listeners) -> None:
    """Train on one device, in this process, from the newest checkpoint to `until_step`."""
    job.hardware.take_threads()
    step, state = load_state(job.folder, job.identity, _LOG) or (0, None)
    module = LanguageModelling(make_model(job, fill=state is None), job.recipe, first_step=step)
    windows = held_out_windows(job.valid, job.config.n_positions, job.params.valid_tokens)
    watch = TrainingWatch(job, windows, state, listeners)
    del state  # the watch lets go of it when it is used, and nobody else holds it
    with _quiet(), _interruptible():
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
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt again, of which Lightning makes a plain exit with 1."""
    try:
        yield
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            raise stop.__context__ from None
        raise


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
