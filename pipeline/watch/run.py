"""Hashes for DVC, which knows nothing of imports, packages or a profile's places.

DVC has each stage depend on its key of `stages.yaml`. The stage itself goes by the same hash in
its work folder (`deciders.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from pipeline.shared.files import open_atomic, read_json, write_json
from pipeline.shared.params.file import ActiveStudy
from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.running.code_closure import CodeTree
from pipeline.shared.running.deciders import (
    ROOT,
    SEEN,
    URLS,
    WATCHED,
    code_deciders,
    digest,
    place_deciders,
)
from pipeline.shared.running.package_pins import PINS, read_pins

STAGES_FILE = "stages.yaml"

Seen = Mapping[str, Mapping[str, str]]
"""Stage -> name of what decides its result -> hash."""


def watch(study: ActiveStudy, log: logging.Logger, *, work: Path, out: Path) -> None:
    """Write a hash for each stage into `out`, and say what changed since the last time.

    Raises:
        UserError: a package has no pin, or nothing speaks a URL's scheme.
    """
    watched = work / study.profile / WATCHED
    seen = look(study, watched / URLS, log)
    note = watched / SEEN
    if note.is_file():
        say_changes(read_json(note), seen, log)
    write_json(note, seen)
    with open_atomic(out / STAGES_FILE, "w") as file:
        file.write("# By stage: the hash of its code, its packages and its places outside\n")
        file.writelines(f'{stage}: "{digest(found)}"\n' for stage, found in seen.items())


def look(study: ActiveStudy, memory: Path, log: logging.Logger) -> dict[str, dict[str, str]]:
    """What decides each stage's result now; `memory` is a folder for what URLs said."""
    tree, pins = CodeTree(ROOT), read_pins(ROOT / PINS)
    return {
        stage: code_deciders(tree, stage, pins) | place_deciders(stage, study.params, memory, log)
        for stage in stages()
    }


def stages() -> list[str]:
    """The stages of the chain: packages that have a section in a profile, in its order."""
    mains = (ROOT / "pipeline").glob("*/__main__.py")
    packages = {path.parent.name for path in mains}
    return [name for name in ProfileParams.model_fields if name in packages]


def say_changes(before: Seen, now: Seen, log: logging.Logger) -> None:
    """A line for each thing that is new, other or gone, with the stages that it decides."""
    changed: dict[str, list[str]] = {}
    for stage, found in now.items():
        known = before.get(stage, {})
        for name in sorted(found.keys() | known.keys()):
            if found.get(name) != known.get(name):
                changed.setdefault(name, []).append(stage)
    for name, stages in changed.items():
        log.info("changed: %s, read by %s", name.removesuffix("=="), ", ".join(stages))
