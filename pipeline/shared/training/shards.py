"""The state of a training on one or several devices: gathered whole, and dealt out again."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import ModelParallelStrategy

from models.gpt2 import GPT2
from pipeline.shared.errors import RetryableError
from pipeline.shared.training.state import State


def gather_state(trainer: pl.Trainer, model: GPT2) -> State:
    """Model and optimiser, whole, on every rank that needs them; all ranks must call."""
    if _is_split(trainer):
        from torch.distributed.checkpoint import state_dict  # here: it takes a second

        whole = state_dict.StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights, optimizer = state_dict.get_state_dict(model, trainer.optimizers, options=whole)
        return {"model": weights, "optimizer": optimizer}
    return {"model": model.state_dict(), "optimizer": trainer.optimizers[0].state_dict()}


def restore_state(trainer: pl.Trainer, model: GPT2, state: State) -> None:
    """Fill model, optimiser and this rank's random state from a checkpoint."""
    if _is_split(trainer):
        from torch.distributed.checkpoint import state_dict

        state_dict.set_state_dict(
            model,
            trainer.optimizers,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
            options=state_dict.StateDictOptions(full_state_dict=True, cpu_offload=True),
        )
    else:
        model.load_state_dict(state["model"])
        trainer.optimizers[0].load_state_dict(state["optimizer"])
    if len(state["random"]) == trainer.world_size:  # else: another number of devices
        _set_random_state(state["random"][trainer.global_rank])


def _is_split(trainer: pl.Trainer) -> bool:
    """Whether each rank holds a part of each parameter (FSDP2)."""
    return isinstance(trainer.strategy, ModelParallelStrategy)


def check_same_step(trainer: pl.Trainer, step: int) -> None:
    """See that all ranks go on from one checkpoint; all must call.

    Raises:
        RetryableError: this rank sees other files than rank 0.
    """
    if trainer.world_size > 1 and step != (first := trainer.strategy.broadcast(step)):
        raise RetryableError(
            f"the newest checkpoint here is of step {step}, that of rank 0 of step {first}; see "
            "that the work folder is on a file system that all nodes share, and start again"
        )


def seed_rank(seed: int, rank: int, step: int) -> None:
    """Seed dropout, which draws from torch's own generators, differently on each rank."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(2**62, (2,), generator=generator)
    torch.manual_seed(int(drawn[0]) ^ (rank << 32) ^ step)


def random_states(trainer: pl.Trainer) -> list[dict[str, Any]]:
    """The random state of every rank; all ranks must call."""
    own = {"cpu": torch.get_rng_state()}
    if trainer.strategy.root_device.type == "cuda":
        own["cuda"] = torch.cuda.get_rng_state()
    if trainer.world_size == 1:
        return [own]
    states: list[dict[str, Any]] = [{}] * trainer.world_size
    torch.distributed.all_gather_object(states, own)
    return states


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
