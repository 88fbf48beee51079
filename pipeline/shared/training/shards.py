"""The state of a training on one or several devices: gathered whole, and dealt out again.

It has one form, whoever gathered it, so that a training goes on under another strategy: tensors are
whole, and the optimiser's are filed by the name of their parameter, as those of FSDP are gathered.
"""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.optim import Optimizer

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
    return {"model": model.state_dict(), "optimizer": _by_name(model, trainer.optimizers[0])}


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
        _fill(trainer.optimizers[0], model, state["optimizer"])
    if len(state["random"]) == trainer.world_size:  # else: another number of devices
        _set_random_state(state["random"][trainer.global_rank])


def _is_split(trainer: pl.Trainer) -> bool:
    """Whether each rank holds a part of each parameter (FSDP2)."""
    return isinstance(trainer.strategy, ModelParallelStrategy)


def _by_name(model: GPT2, optimizer: Optimizer) -> State:
    """The optimiser's state, in which torch numbers the parameters, with their names."""
    names, own = _names(model, optimizer), optimizer.state_dict()
    return {
        "state": {names[number]: state for number, state in own["state"].items()},
        "param_groups": [
            group | {"params": [names[number] for number in group["params"]]}
            for group in own["param_groups"]
        ],
    }


def _fill(optimizer: Optimizer, model: GPT2, by_name: State) -> None:
    """Load such a state; the groups' settings are the recipe's, which a checkpoint shares."""
    states = [by_name["state"][name] for name in _names(model, optimizer)]
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": dict(enumerate(states)), "param_groups": groups})


def _names(model: GPT2, optimizer: Optimizer) -> list[str]:
    """Of the optimiser's parameters, in the order in which it numbers them."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    return [names[one] for group in optimizer.param_groups for one in group["params"]]


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
