"""What an earlier run left behind in the checkout, and what DVC is set up with."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path

from pipeline.doctor.finding import Finding, ok
from pipeline.shared.errors import UserError
from pipeline.shared.params.yaml_file import load_yaml
from pipeline.shared.running.listing import COMPLETE

_LOCK = "dvc.lock"


def check_leftovers(root: Path, profile: str) -> Iterator[Finding]:
    """Locks of dead processes, a torn dvc.lock, unfinished work, and where artefacts go."""
    index_lock = root / ".git" / "index.lock"
    if index_lock.is_file():
        yield Finding(
            "wrong", f"{index_lock}: Git was killed here", "if no Git runs, delete that file"
        )
    yield from _check_lock(root / _LOCK)
    unfinished = sorted(_unfinished(root / "work" / profile))
    if unfinished:
        yield Finding(
            "note",
            f"unfinished work: {', '.join(unfinished)}",
            "the next run goes on there; `make clean` forgets it",
        )
    else:
        yield ok("unfinished work: none")
    yield from _check_remote(root)


def _check_lock(path: Path) -> Iterator[Finding]:
    if not path.is_file():
        yield ok(f"{path.name}: none yet, so nothing has run")
        return
    try:
        stages = len((load_yaml(path) or {})["stages"])
    except (UserError, KeyError, TypeError):
        yield Finding(
            "wrong",
            f"{path.name}: cut short or damaged, so DVC knows of no stage that ran",
            f"git checkout {path.name}, or delete it: what is done is taken from work/ again",
        )
        return
    yield ok(f"{path.name}: {stages} stages are recorded")


def _unfinished(work: Path) -> Iterator[str]:
    """Stages whose newest attempt did not come to its end."""
    for stage in work.iterdir() if work.is_dir() else ():
        attempts = [path for path in stage.glob("*") if (path / "attempts").is_file()]
        if attempts and not any((path / COMPLETE).is_file() for path in attempts):
            yield stage.name


def _check_remote(root: Path) -> Iterator[Finding]:
    config = configparser.ConfigParser()
    config.read([root / ".dvc" / "config", root / ".dvc" / "config.local"])
    default = config.get("core", "remote", fallback="")
    if not default:
        yield Finding(
            "note",
            "DVC remote: none, so `dvc push` and `dvc pull` have nowhere to go",
            "dvc remote add --default NAME PLACE",
        )
        return
    section = f"'remote \"{default}\"'"
    url = config.get(section, "url", fallback="") if config.has_section(section) else ""
    yield ok(f"DVC remote: {default} ({url or 'no url'})")
