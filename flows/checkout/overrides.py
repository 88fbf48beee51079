"""Parameters of a run: keys of params.yaml and their values, checked and written where DVC reads.

They stay there, like the profile and as with `dvc exp run -S`: params.yaml says what the study's
data are, and a run that was stopped goes on as it began.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dvc.utils.serialize import modify_yaml

from flows.checkout.leavings import CheckoutError, Log

_TOP = ("profiles", "defaults", "sizes")


def override(path: Path, profile: str, values: Mapping[str, Any], log: Log) -> None:
    """Write values into params.yaml, all or none.

    A key is the profile's (`train.tokens`), or begins at the top (`defaults.train.dropout`).

    Raises:
        CheckoutError: a key or a value is none that the parameters take; the file is as before.
    """
    wished = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    wished.write_bytes(path.read_bytes())
    try:
        with modify_yaml(str(wished)) as data:
            said = [_set(data, _keys(key, profile), value) for key, value in values.items()]
        check(path, profile, wished=wished)
        for line in filter(None, said):
            log.info("%s: %s", path.name, line)
        wished.replace(path)
    finally:
        wished.unlink(missing_ok=True)


def _keys(key: str, profile: str) -> list[str]:
    parts = key.split(".")
    return parts if parts[0] in _TOP else ["profiles", profile, *parts]


def _set(data: Any, keys: list[str], value: Any) -> str | None:
    """Set one value; what has changed, in words."""
    *sections, last = keys
    where = data
    for depth, section in enumerate(sections):
        if section not in where or not isinstance(where[section], dict):
            name = ".".join(keys[: depth + 1])
            raise CheckoutError(f"overrides: {name} is no section of params.yaml; choose one")
        where = where[section]
    before = where.get(last)
    if before == value and last in where:
        return None
    where[last] = value
    return f"{'.'.join(keys)} is now {value}, before it was {before}"


def check(path: Path, profile: str, *, wished: Path | None = None) -> None:
    """Have the parameters' own types look at params.yaml, or at a file that is to take its place.

    Raises:
        CheckoutError: what they say, a line for each mistake.
    """
    file, before = (path, "") if wished is None else (wished, "overrides: ")
    command = [sys.executable, "-m", "pipeline.shared.params", file.name, "--profile", profile]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]),
                                os.environ.get("PYTHONPATH", "")])}  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=file.parent
    )
    if done.returncode:
        said = done.stderr.strip().replace(file.name, path.name)
        raise CheckoutError("\n".join(f"{before}{line}" for line in said.splitlines()))
