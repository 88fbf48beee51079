"""The checkout a flow runs in: held by one flow at a time, its parameters, devices and leavings.

DVC's lock, Prefect and MLflow disagree after a kill. DVC is the truth, so at the start locks of
dead processes are cleared and MLflow's runs of dead processes are marked as killed.
"""

from __future__ import annotations

import difflib
import fcntl
import itertools
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import yaml

from flows.checkout.leavings import (
    CheckoutError,
    Log,
    clear_dead_lock,
    mend_lock_file,
    refuse_gits_lock,
)
from flows.checkout.overrides import check, override

_RECONCILE_TIMEOUT_S = 60.0
_HELD_WAIT_S = 3.0  # `make ui` holds a checkout while it closes dead runs
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # DVC writes names into commands and paths


class HeldError(CheckoutError):
    """Another flow is at work in the checkout."""


class Checkout(NamedTuple):
    """What the flow needs to know of the project."""

    root: Path
    profile: str
    sizes: list[str]
    devices: Sequence[str | None]
    """CUDA_VISIBLE_DEVICES of each stage that may run at a time; None: as the environment says."""


@contextmanager
def prepare(
    root: Path,
    profile: str | None,
    max_parallel: int | None,
    log: Log,
    overrides: Mapping[str, Any] | None = None,
) -> Iterator[Checkout]:
    """Hold the checkout, make `profile` the active study, and clear what dead processes left.

    Raises:
        HeldError: another flow holds it.
        CheckoutError: this is no checkout, or it has no such profile or parameter.
    """
    path = root / "params.yaml"
    with held(root):
        active = activate(path, profile, log)
        if overrides:
            override(path, active, overrides, log)
        params = read_params(path)
        devices = _devices(path, params, active, max_parallel)
        clear_dead_lock(root / ".dvc" / "tmp" / "rwlock", log)
        mend_lock_file(root, log)
        refuse_gits_lock(root)
        _reconcile(root, active, log)
        yield Checkout(root, active, list(params["sizes"]), devices)


@contextmanager
def held(root: Path) -> Iterator[None]:
    """Keep other flows out of a checkout; the lock falls with the process.

    Raises:
        HeldError: another flow holds it.
        CheckoutError: this is no checkout.
    """
    if not (root / "dvc.yaml").is_file():
        raise CheckoutError(f"{root}: holds no dvc.yaml; start the flow in the project's folder")
    path = root / ".prefect" / "study.lock"
    try:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    except OSError as error:
        raise CheckoutError(f"{path}: {error.strerror}; the study needs to write there") from None
    with path.open("a+") as lock:
        ends_s = time.monotonic() + _HELD_WAIT_S
        while not _locked(lock):
            if time.monotonic() > ends_s:
                lock.seek(0)
                raise HeldError(
                    f"another flow (pid {lock.read().strip() or 'unknown'}) runs in this checkout, "
                    "and DVC takes one at a time; wait for it or cancel it"
                )
            time.sleep(0.1)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_params(path: Path) -> dict[str, Any]:
    """params.yaml; only names and whole numbers are read here, the stages check the rest.

    Raises:
        CheckoutError: it is missing, damaged, or has a name that is none for a folder.
    """
    try:
        params: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        names = [params["profile"], *params["profiles"], *params["sizes"]]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CheckoutError(f"{path}: cannot be read ({error}); restore it") from None
    except (KeyError, TypeError):
        raise CheckoutError(
            f"{path}: no profile, profiles and sizes in it; restore it, e.g. git checkout {path}"
        ) from None
    for name in names:
        check_name(name, path)
    return params


def check_name(name: Any, path: Path) -> None:
    """Refuse a profile or size that is no plain name, which DVC would write into commands.

    Raises:
        CheckoutError: it has other characters than letters, digits, _ and -, or begins with -.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise CheckoutError(
            f"{path}: the name {name!r}: names of profiles and sizes are text of letters, digits, "
            "_ and -, not - first; change it (a number in quotes is text)"
        )


def activate(path: Path, profile: str | None, log: Log) -> str:
    """Make `profile` the active one in params.yaml, where DVC reads it; returns its name."""
    params = read_params(path)
    current = str(params["profile"])
    wanted = profile or current
    if wanted not in params["profiles"]:
        near = difflib.get_close_matches(wanted, params["profiles"], n=1)
        raise CheckoutError(
            f"{path}: profile {wanted!r} is not under profiles; "
            + (
                f"did you mean {near[0]}?"
                if near
                else f"choose one of {sorted(params['profiles'])}"
            )
        )
    if wanted == current:
        return current
    text = re.sub(r"(?m)^profile:.*$", f"profile: {wanted}", path.read_text(encoding="utf-8"))
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    log.info("%s: profile is now %s, before it was %s", path.name, wanted, current)
    return wanted


def _devices(
    path: Path, params: dict[str, Any], profile: str, max_parallel: int | None
) -> list[str | None]:
    """The devices of each stage that may run at a time, as the profile's `compute` has them.

    Raises:
        CheckoutError: it does not tell them; says what the parameters' own types find wrong.
    """
    try:
        shared = params.get("defaults", {}).get("compute", {})
        compute = shared | params["profiles"][profile]["compute"]
        return device_slots(compute, visible_gpus(compute), max_parallel)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        # Not before each run: it starts a Python with pydantic, and every stage checks them anyway.
        check(path, profile)
        raise CheckoutError(
            f"{path}: the compute of {profile} tells no devices ({type(error).__name__}: {error}); "
            "write its numbers as plain digits"
        ) from None


def visible_gpus(compute: dict[str, Any]) -> list[str]:
    """The GPUs a study on GPUs may use, as CUDA_VISIBLE_DEVICES names them; [] on a CPU."""
    if compute["accelerator"] != "gpu":
        return []
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:  # empty: none at all
        return [name.strip() for name in given.split(",") if name.strip() not in {"", "-1"}]
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []  # not NVIDIA's: one stage at a time, which finds its devices itself
    return listed_gpus(done.stdout)


def listed_gpus(listing: str) -> list[str]:
    r"""The devices of `nvidia-smi -L`, as CUDA_VISIBLE_DEVICES names them.

    A GPU that is cut into MIG devices is those, and a process may use one of them.

    >>> listed_gpus("GPU 0: H100 (UUID: GPU-a)\n  MIG 1g.10gb Device 0: (UUID: MIG-b)\n")
    ['MIG-b']
    """
    gpus: dict[str, list[str]] = {}
    migs: list[str] = []
    for line in listing.splitlines():
        if gpu := re.match(r"GPU (\d+):", line):
            gpus[gpu[1]] = migs = []
        elif mig := re.match(r"\s+MIG .*UUID: ([^)\s]+)", line):
            migs.append(mig[1])
    return [name for number, cut in gpus.items() for name in cut or [number]]


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
