"""What decides a stage's result beside its inputs and parameters, each by name with its hash.

Files of its code, versions of the packages these import, and what lies at the places that its
section of the profile names. DVC (by the stage `watch`) and the work folder both go by this.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pipeline
from pipeline.code_closure import CodeTree
from pipeline.outside import hash_place, places
from pipeline.package_pins import read_pins, versions
from pipeline.params import ProfileParams

ROOT = Path(pipeline.__file__).parent.parent


def code_deciders(tree: CodeTree, stage: str, pins: Mapping[str, str]) -> dict[str, str]:
    """Hash of each file of a stage's code, and version of each package that it imports.

    Raises:
        UserError: a package has no pin.
    """
    closure = tree.closure(f"pipeline.{stage}.__main__")
    pinned = versions(closure.packages, pins)
    return tree.files(closure) | {f"{name}==": version for name, version in pinned.items()}


def place_deciders(
    stage: str, params: ProfileParams, memory: Path, log: logging.Logger
) -> dict[str, str]:
    """Hash of the listing of each place that the stage's own section names.

    `memory` is a folder for what URLs said.
    """
    section = getattr(params, stage, None)
    named = places(section) if section else {}
    return {
        f"{stage}.{key} {place}": hash_place(place, memory, log)
        for key, found in named.items()
        for place in found
    }


class Deciders(NamedTuple):
    """All that decides a stage's result beside its inputs and parameters."""

    code: dict[str, str]
    """Its code and packages, which decide the result of a single shard as well."""
    places: dict[str, str]

    @property
    def all(self) -> dict[str, str]:
        """Both."""
        return self.code | self.places


def deciders(stage: str, params: ProfileParams, *, memory: Path, log: logging.Logger) -> Deciders:
    """What decides a stage's result now.

    Raises:
        UserError: a package has no pin, or nothing speaks a URL's scheme.
    """
    pins = read_pins(ROOT / "constraints.txt")
    code = code_deciders(CodeTree(ROOT), stage, pins)
    return Deciders(code, place_deciders(stage, params, memory, log))


def digest(found: Mapping[str, str]) -> str:
    """16 hexadecimal digits for all that decides a result."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
