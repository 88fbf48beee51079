"""What decides a stage's result beside its inputs and parameters, each by name with its hash.

Files of its code, versions of the packages these import, and what lies at the places that its
section of the profile names. DVC (by the stage `watch`) and the work folder both go by this.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pipeline
from pipeline.shared.errors import UserError
from pipeline.shared.files import read_json
from pipeline.shared.params.file import ActiveStudy
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.code_closure import CodeTree
from pipeline.shared.running.outside import hash_place, places
from pipeline.shared.running.package_pins import PINS, read_pins, versions

WATCHED = "watch"  # folder of a profile's work
SEEN = "seen.json"  # in it: what `watch` saw last of each stage
URLS = "urls"  # in it: what URLs said last

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


def deciders(stage: str, study: ActiveStudy, *, work: Path, log: logging.Logger) -> Deciders:
    """What decides the result of a stage that is to run.

    Raises:
        UserError: a package has no pin, nothing speaks a URL's scheme, or DVC started the stage and
            something is no longer as `watch` saw it.
    """
    watched = work / study.profile / WATCHED
    pins = read_pins(ROOT / PINS)
    code = code_deciders(CodeTree(ROOT), stage, pins)
    found = Deciders(code, place_deciders(stage, study.params, watched / URLS, log))
    if "DVC_STAGE" in os.environ:
        check_seen(stage, found.all, watched / SEEN)
    return found


def check_seen(stage: str, found: Mapping[str, str], note: Path) -> None:
    """Refuse to run on what is no longer as this `dvc repro` saw it, which it records at the end.

    `note` is what the stage `watch` left; without it there is nothing to compare.

    Raises:
        UserError: naming what changed.
    """
    seen = read_json(note).get(stage) if note.is_file() else None
    if seen is None or seen == found:
        return
    other = [name for name in sorted(found.keys() | seen) if found.get(name) != seen.get(name)]
    raise UserError(
        f"{', '.join(name.removesuffix('==') for name in other)}: changed since this `dvc repro` "
        "looked at it; run `dvc repro` again (or `dvc repro watch` before a stage alone)"
    )


def digest(found: Mapping[str, str]) -> str:
    """16 hexadecimal digits for all that decides a result."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
