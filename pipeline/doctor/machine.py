"""Processors, memory, disk and GPUs, held against what the profile asks for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil
import torch

from pipeline.doctor.finding import Finding, ok
from pipeline.shared.params.profile import ProfileParams

_GIB = 2**30
_LEAST_DISK_GIB = 2.0  # the tiny study's environment and artefacts
_LEAST_MEMORY_GIB = 2.0  # its two largest processes at once, and what runs beside them


def check_machine(params: ProfileParams, root: Path) -> Iterator[Finding]:
    """What the machine has; whether a study of this profile's kind can start on it."""
    yield from _check_cores(params)
    yield from _check_memory()
    yield from _check_disk(root)
    yield from _check_devices(params)


def _check_cores(params: ProfileParams) -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = params.compute.workers
    if cores and workers > cores:
        yield Finding(
            "note",
            f"processors: {cores}, and compute.workers = {workers}",
            f"set it to {cores}: more processes only share them",
        )
    else:
        yield ok(f"processors: {cores}")


def _check_memory() -> Iterator[Finding]:
    gib = psutil.virtual_memory().total / _GIB
    if gib < _LEAST_MEMORY_GIB:
        yield Finding(
            "wrong", f"memory: {gib:.1f} GiB, {_LEAST_MEMORY_GIB:g} are needed", "add some"
        )
    else:
        yield ok(f"memory: {gib:.1f} GiB")


def _check_disk(root: Path) -> Iterator[Finding]:
    """Free space where studies, unfinished work, the archive and DVC's cache lie."""
    free: dict[int, tuple[str, float]] = {}
    for name in ("data", "work", "archive", ".dvc"):
        place = root / name
        place = place if place.exists() else root
        names, _ = free.get(place.stat().st_dev, ("", 0.0))
        joined = f"{names}, {name}" if names else name
        free[place.stat().st_dev] = joined, shutil.disk_usage(place).free / _GIB
    for names, gib in free.values():
        if gib < _LEAST_DISK_GIB:
            yield Finding(
                "wrong",
                f"disk of {names}: {gib:.1f} GiB are free, {_LEAST_DISK_GIB:g} are needed",
                "free some, or make that folder a link to a larger disk",
            )
        else:
            yield ok(f"disk of {names}: {gib:,.0f} GiB are free")


def _check_devices(params: ProfileParams) -> Iterator[Finding]:
    compute = params.compute
    if compute.accelerator == "cpu":
        if (
            "bfloat16" in {params.train.precision, params.evaluate.precision}
            and not _has_bfloat16()
        ):
            yield Finding(
                "note",
                "this processor has no instructions for bfloat16, and emulates them slowly",
                "set train.precision and evaluate.precision to float32",
            )
        else:
            yield ok(f"trainings on the CPU, in {params.train.precision}")
        return
    count = torch.cuda.device_count()
    if count < compute.devices:
        why = "" if torch.version.cuda else "; this torch is built without CUDA"
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        why += "" if visible is None else f"; CUDA_VISIBLE_DEVICES is {visible!r}"
        yield Finding(
            "wrong",
            f"GPUs: {count} are seen, and compute.devices = {compute.devices}{why}",
            "check the driver by nvidia-smi, or set compute.accelerator: cpu",
        )
        return
    for number in range(count):
        device = torch.cuda.get_device_properties(number)
        yield ok(f"GPU {number}: {device.name}, {device.total_memory / _GIB:.0f} GiB")


def _has_bfloat16() -> bool:
    """Whether the processor computes with bfloat16 itself."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux: taken to have them, as Apple's processors do
        return True
    return any(name in flags for name in ("avx512_bf16", "amx_bf16", " bf16"))
