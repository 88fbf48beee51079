"""Where a named study lies: in this checkout, in any folder, or in DVC's cache at a revision."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from pipeline.shared.errors import UserError
from pipeline.shared.params.yaml_file import load_yaml
from pipeline.shared.running.recorded import recorded_stages
from pipeline.shared.study import places
from pipeline.shared.study.places import every
from pipeline.shared.tracking.labels import NO_SETTINGS

_RECORDS = ("params.yaml", "dvc.lock")
READS = (
    every(places.SIZED_COUNTS, stage="train"),
    *(every(place) for place in (places.RESULT, places.SCORES)),
)
"""The files of data/<profile>/ that are read."""
_LATER = ("overlap", "report")  # stages after the scores


class StudyPlace(NamedTuple):
    """A study's artefacts on disk."""

    name: str
    """As a table calls it."""
    folder: Path
    """data/<profile>; params.yaml and dvc.lock lie two folders up, if they are known."""
    origin: str
    """Folder, or revision with its commit."""


def find(where: str, data: Path, scratch: Path) -> StudyPlace:
    """The artefacts of a study; those of a revision are copied to `scratch`, an empty folder.

    Raises:
        UserError: there is no such study, or its artefacts are not in DVC's cache.
    """
    for folder in (Path(where).expanduser(), data / where):
        if (folder / "train").is_dir():
            return StudyPlace(where, folder.resolve(), str(folder))
    profile, at, revision = where.partition("@")
    return _copy(where, revision if at else where, profile if at else "", scratch)


def _copy(where: str, revision: str, profile: str, scratch: Path) -> StudyPlace:
    """Copy what is read of a study at a revision, DVC's outs from its cache or remote."""
    from dvc.api import DVCFileSystem

    commit = _commit(where, revision)
    files = DVCFileSystem(str(Path.cwd()), rev=commit)
    for record in _RECORDS:
        if files.isfile(f"/{record}"):
            (scratch / record).write_text(files.read_text(f"/{record}"))
    profile = profile or _active_profile(scratch, where)
    root = f"/data/{profile}"
    if not files.isdir(f"{root}/train"):
        raise UserError(
            f"{where}: commit {commit[:7]} has no study in data/{profile}; commit dvc.lock and "
            "metrics.json after `dvc repro`, or name a profile: PROFILE@REVISION"
        )
    for stage in ("train", "evaluate"):
        _get(files, f"{root}/{stage}", scratch, f"{where} (commit {commit[:7]})")
    return StudyPlace(where, scratch / "data" / profile, f"{revision}, commit {commit[:7]}")


def _get(files: Any, folder: str, scratch: Path, title: str) -> None:
    """Copy what is read of a stage, by DVC or by Git, whichever keeps it."""
    try:
        for path in files.find(folder):
            if any(PurePosixPath(path).match(pattern) for pattern in READS):
                target = scratch / path.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                files.get_file(path, str(target))
    except Exception as error:  # DVC, its index and its remotes raise dozens of kinds
        raise UserError(
            f"{title}: {folder.lstrip('/')} is not in DVC's cache; get it by "
            "`dvc fetch --all-commits` where a remote has it, else run that study again "
            "(`dvc exp apply` or `git checkout`, then `dvc repro`)"
        ) from error


def _commit(where: str, revision: str) -> str:
    """The commit of a branch, a tag, a hash or an experiment's name."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import resolve_rev

    try:
        with Repo(str(Path.cwd())) as repo:
            return str(resolve_rev(repo.scm, revision))
    except (DvcException, NotImplementedError):  # no repository, or one without Git
        raise UserError(
            f"{where}: no profile with artefacts in data/, no study's folder, and no Git revision "
            "or `dvc exp` experiment of this checkout; `dvc exp show` and `git tag` list those"
        ) from None


def _active_profile(root: Path, where: str) -> str:
    params = _read(root / "params.yaml")
    if "profile" not in params:
        raise UserError(f"{where}: its params.yaml names no profile; say PROFILE@{where}")
    return str(params["profile"])


def settings(place: StudyPlace) -> dict[str, Any]:
    """The parameters that a study was made with, by dotted name; empty where none are recorded.

    dvc.lock tells what the stages ran with. Where it tells nothing of this profile, params.yaml
    does. Left out is what decides nothing that is compared: where the study ran, how it fetched,
    what it has of memory, and its page's title.
    """
    root, profile = place.folder.parent.parent, place.folder.name
    found: dict[str, Any] = {}
    own: dict[str, Any] = {}
    for stage_name, stage in recorded_stages(root).items():
        if stage_name in _LATER:
            continue
        for name, value in stage.get("params", {}).get("params.yaml", {}).items():
            if name.startswith("defaults."):
                found |= _flatten(name.removeprefix("defaults."), value)
            if name.startswith(f"profiles.{profile}."):
                own |= _flatten(name.removeprefix(f"profiles.{profile}."), value)
    if not own:
        params = _read(root / "params.yaml")
        found = _flatten("", params.get("defaults", {}))
        own = _flatten("", params.get("profiles", {}).get(profile, {}))
    found |= own
    left_out = {*NO_SETTINGS, *_LATER}
    return {key: value for key, value in found.items() if key.split(".")[0] not in left_out}


def _read(path: Path) -> dict[str, Any]:
    content = load_yaml(path) if path.is_file() else None
    return content if isinstance(content, dict) else {}


def _flatten(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _flatten(f"{name}.{key}" if name else str(key), inner)
    return found
