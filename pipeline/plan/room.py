"""What will not fit: disk, memory, memory of the GPUs that are here."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from pipeline.plan.cards import GIB, training_gib
from pipeline.plan.rungs import Rung
from pipeline.plan.speed import slots
from pipeline.plan.stages import StageCost
from pipeline.shared.params.profile import ProfileParams

_DISK_AT_WORK = 2.0  # unfinished work and sorted runs beside what a stage leaves


class Machine(NamedTuple):
    """What is here."""

    disk_bytes: float
    """Free."""
    memory_mib: float
    gpu_gib: tuple[float, ...]
    """Memory of each GPU."""


def this_machine(root: Path) -> Machine:
    """The machine that runs this."""
    import torch

    count = torch.cuda.device_count()
    gpus = (torch.cuda.get_device_properties(n).total_memory / GIB for n in range(count))
    memory = psutil.virtual_memory().total / 2**20
    return Machine(shutil.disk_usage(root).free, memory, tuple(gpus))


def misfits(
    params: ProfileParams, rungs: Sequence[Rung], costs: Sequence[StageCost], machine: Machine
) -> Iterator[str]:
    """What does not fit, a line each, with the number and what to lower."""
    disk = _DISK_AT_WORK * sum(cost.disk_bytes for cost in costs)
    if disk > machine.disk_bytes:
        yield (
            f"disk: {disk / 1e9:,.1f} GB are needed with the work beside the results, "
            f"{machine.disk_bytes / 1e9:,.1f} GB are free; free some or link data/ and work/ there"
        )
    memory = _memory_mib(params, costs)
    if memory > machine.memory_mib:
        yield (
            f"memory: {memory / 1024:,.1f} GiB are needed, there are "
            f"{machine.memory_mib / 1024:,.1f}; lower compute.workers or "
            "train.micro_batch_sequences"
        )
    if params.compute.accelerator == "gpu" and machine.gpu_gib:
        for rung in rungs:
            needed, there = training_gib(rung, params), min(machine.gpu_gib)
            if needed > there:
                yield (
                    f"GPU memory: {rung.size} needs {needed:,.1f} GiB, a GPU has {there:,.1f}; "
                    "lower train.micro_batch_sequences or use compute.strategy: fsdp"
                )


def _memory_mib(params: ProfileParams, costs: Sequence[StageCost]) -> float:
    """The largest stage, or the sizes that run side by side."""
    alone = max(cost.memory_mib for cost in costs if not cost.size)
    if params.compute.accelerator == "gpu":
        return alone
    by_size = sorted(
        (max(cost.memory_mib for cost in costs if cost.size == size) for size in params.sizes),
        reverse=True,
    )
    return max(alone, sum(by_size[: slots(params)]))
