"""Which counts of finished stages still hold: of those that `dvc repro` would not run again.

A stage's counts are those of its parameters, its code and what it read. dvc.lock has these of the
last run, and no other is told: of a profile that ran before it, it has nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from pipeline.shared.errors import UserError
from pipeline.shared.params.file import ActiveStudy
from pipeline.shared.params.yaml_file import load_yaml
from pipeline.shared.running.deciders import WATCHED, digest
from pipeline.shared.running.recorded import recorded_stages
from pipeline.shared.study import places
from pipeline.shared.study.folder import StudyFolder
from pipeline.watch.run import STAGES_FILE, look

_COUNTED = ("links", "crawl", "dedup", "tokenize")  # whose counts a plan can take


class Finished(NamedTuple):
    """The data stages of a study that are done."""

    folder: StudyFolder
    unchanged: frozenset[str]
    """Those that would not run again, with all that they read."""

    @property
    def outdated(self) -> list[str]:
        """Those whose counts a plan would take if they held, in the order of the chain."""
        done = filter(self.folder.is_done, _COUNTED)
        return [stage for stage in done if stage not in self.unchanged]


def look_at(study: ActiveStudy, folder: Path) -> Finished:
    """The finished stages of data/<profile>/; params.yaml and dvc.lock lie two folders up.

    Raises:
        UserError: a package has no pin, or nothing speaks the scheme of a place.
    """
    root, found = folder.parent.parent, StudyFolder(folder)
    own = folder.relative_to(root).as_posix()
    records = _records(root)
    done = [stage for stage in places.STAGES if stage in records and found.is_done(stage)]
    if not done:
        return Finished(found, frozenset())
    now = _Now(root, own, load_yaml(root / "params.yaml"), _hashes(study))
    unchanged: set[str] = set()
    for stage in done:
        if _is_unchanged(stage, records[stage], now) and _reads(records[stage], own) <= unchanged:
            unchanged.add(stage)
    return Finished(found, frozenset(unchanged))


class _Now(NamedTuple):
    """What a record is held against."""

    root: Path
    own: str
    """The study's folder as dvc.lock writes it."""
    params: Any
    hashes: Mapping[str, str]
    """Of each stage's code, packages and places."""


def _records(root: Path) -> dict[str, Any]:
    """The stages in dvc.lock; none where a kill has torn it."""
    try:
        return recorded_stages(root) or {}
    except (UserError, AttributeError):
        return {}


def _hashes(study: ActiveStudy) -> dict[str, str]:
    with TemporaryDirectory(prefix="figure4-plan-") as memory:
        seen = look(study, Path(memory), logging.getLogger("figure4"))
    return {stage: digest(found) for stage, found in seen.items()}


def _is_unchanged(stage: str, record: Any, now: _Now) -> bool:
    """Whether a stage's parameters, code, files read and files made are those of its record."""
    try:
        params = record["params"]
        return (
            params[f"{now.own}/{WATCHED}/{STAGES_FILE}"][stage] == now.hashes[stage]
            and all(_value(now.params, name) == v for name, v in params["params.yaml"].items())
            and all(_is_there(now.root, file) for file in [*record["deps"], *record["outs"]])
        )
    except (LookupError, TypeError, AttributeError):  # torn, or of an older version
        return False


def _value(params: Any, name: str) -> Any:
    return reduce(getitem, name.split("."), params)


def _is_there(root: Path, recorded: Mapping[str, Any]) -> bool:
    """Whether a file or folder has the recorded bytes and files; hashes would take minutes."""
    path = root / recorded["path"]
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return (size, len(files)) == (recorded["size"], recorded.get("nfiles", 1))


def _reads(record: Any, own: str) -> set[str]:
    """The stages of the study that a stage reads."""
    paths = (str(file["path"]) for file in record["deps"])
    return {path.split("/")[2] for path in paths if path.startswith(f"{own}/")}
