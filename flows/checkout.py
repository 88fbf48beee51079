"""The checkout a flow runs in: held by one flow at a time, its parameters, devices and leavings.

DVC's lock, Prefect and MLflow disagree after a kill. DVC is the truth, so at the start locks of
dead processes are cleared and MLflow's runs of dead processes are marked as killed.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

_RECONCILE_TIMEOUT_S = 60.0
Log = logging.Logger | logging.LoggerAdapter[logging.Logger]


class CheckoutError(Exception):
    """The flow cannot start here; says why and what to do."""


class Checkout(NamedTuple):
    """What the flow needs to know of the project."""

    root: Path
    profile: str
    sizes: list[str]
    devices: Sequence[str | None]
    """CUDA_VISIBLE_DEVICES of each stage that may run at a time; None: as the environment says."""


@contextmanager
def prepare(
    root: Path, profile: str | None, max_parallel: int | None, log: Log
) -> Iterator[Checkout]:
    """Hold the checkout, make `profile` the active study, and clear what dead processes left.

    Raises:
        CheckoutError: this is no checkout, another flow holds it, or there is no such profile.
    """
    if not (root / "dvc.yaml").is_file():
        raise CheckoutError(f"{root}: holds no dvc.yaml; start the flow in the project's folder")
    with _held(root / ".prefect" / "study.lock"):
        active = activate(root / "params.yaml", profile, log)
        params = read_params(root / "params.yaml")
        compute = params.get("defaults", {}).get("compute", {})
        compute = compute | params["profiles"][active]["compute"]
        clear_dead_lock(root / ".dvc" / "tmp" / "rwlock", log)
        _reconcile(root, active, log)
        devices = device_slots(compute, visible_gpus(compute), max_parallel)
        yield Checkout(root, active, list(params["sizes"]), devices)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CheckoutError(
                f"another flow (pid {lock.read().strip() or 'unknown'}) runs in this checkout, and "
                "DVC takes one at a time; wait for it or cancel it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def read_params(path: Path) -> dict[str, Any]:
    """params.yaml; only names and whole numbers are read here, the stages check the rest."""
    try:
        params: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise CheckoutError(f"{path}: cannot be read ({error}); restore it") from None
    return params


def activate(path: Path, profile: str | None, log: Log) -> str:
    """Make `profile` the active one in params.yaml, where DVC reads it; returns its name."""
    params = read_params(path)
    current = str(params["profile"])
    if profile in {None, current}:
        return current
    if profile not in params["profiles"]:
        raise CheckoutError(
            f"{path}: profile {profile!r} is not under profiles; "
            f"choose one of {sorted(params['profiles'])}"
        )
    text = re.sub(r"(?m)^profile:.*$", f"profile: {profile}", path.read_text(encoding="utf-8"))
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    log.info("%s: profile is now %s, before it was %s", path.name, profile, current)
    return str(profile)


def visible_gpus(compute: dict[str, Any]) -> list[str]:
    """The GPUs a study on GPUs may use, as CUDA_VISIBLE_DEVICES names them; [] on a CPU."""
    if compute["accelerator"] != "gpu":
        return []
    if given := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return given.split(",")
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []  # not NVIDIA's: one stage at a time, which finds its devices itself
    return [str(number) for number, _ in enumerate(done.stdout.splitlines())]


def device_slots(
    compute: dict[str, Any], gpus: Sequence[str], max_parallel: int | None
) -> list[str | None]:
    """CUDA_VISIBLE_DEVICES of each stage at a time: a training's GPUs or threads are its own.

    >>> device_slots({"accelerator": "gpu", "devices": 2}, ["0", "1", "2", "3"], None)
    ['0,1', '2,3']
    >>> device_slots({"accelerator": "cpu", "workers": 4, "threads": 2}, [], None)
    [None, None]
    """
    slots: list[str | None]
    if compute["accelerator"] == "gpu":
        each = int(compute["devices"])
        whole = len(gpus) - len(gpus) % each
        slots = [",".join(gpus[start : start + each]) for start in range(0, whole, each)]
    else:
        slots = [None] * (int(compute["workers"]) // int(compute["threads"]))
    slots = slots or [None]
    return list(itertools.islice(itertools.cycle(slots), max_parallel or len(slots)))


def clear_dead_lock(path: Path, log: Log) -> bool:
    """Remove DVC's file of read and write locks if no DVC process holds one; whether it did.

    DVC drops entries of processes that are gone, but a number that another process has got by
    now, as in a container started anew, blocks it for ever.
    """
    if not path.is_file():
        return False
    try:
        pids = set(_pids(json.loads(path.read_text() or "{}")))
    except ValueError:
        pids = set()  # torn by a kill
    if any(_is_dvc(pid) for pid in pids):
        return False
    path.unlink()
    if pids:
        log.warning("%s: removed, its owners %s are gone", path, sorted(pids))
    return True


def _pids(value: Any) -> Iterator[int]:
    """Every `pid` in the nested lists and mappings of DVC's lock file."""
    if isinstance(value, dict):
        if "pid" in value:
            yield int(value["pid"])
        for item in value.values():
            yield from _pids(item)
    elif isinstance(value, list):
        for item in value:
            yield from _pids(item)


def _is_dvc(pid: int) -> bool:
    """Whether a living process is DVC; where there is no /proc, whether it lives."""
    if not Path("/proc/self").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(Path(part).name == "dvc" for part in command)


def _reconcile(root: Path, profile: str, log: Log) -> None:
    """Have MLflow's runs of dead processes marked; tracking never stops a study."""
    command = [
        sys.executable,
        "-m",
        "pipeline.shared.tracking",
        "reconcile",
        "--profile",
        profile,
    ]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
            timeout=_RECONCILE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        log.warning("MLflow did not answer within %g s; the study goes on", _RECONCILE_TIMEOUT_S)
        return
    for line in done.stderr.splitlines():
        (log.info if done.returncode == 0 else log.warning)("%s", line)
