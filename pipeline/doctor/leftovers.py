"""What an earlier run left behind in the checkout, and what DVC is set up with."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path

from pipeline.doctor.finding import Finding, ok
from pipeline.shared.running.attempts import have_been
from pipeline.shared.running.listing import COMPLETE


def check_leftovers(root: Path, profile: str) -> Iterator[Finding]:
    """Unfinished work, and where artefacts go."""
    unfinished = sorted(_unfinished(root / "work" / profile))
    if unfinished:
        yield Finding(
            "note",
            f"unfinished work: {', '.join(unfinished)}",
            "the next run goes on there; `rm -r work` forgets it",
        )
    else:
        yield ok("unfinished work: none")
    yield from _check_remote(root)


def _unfinished(work: Path) -> Iterator[str]:
    """Stages whose newest attempt did not come to its end."""
    for stage in work.iterdir() if work.is_dir() else ():
        begun = [path for path in stage.glob("*") if have_been(path)]
        if begun and not any((path / COMPLETE).is_file() for path in begun):
            yield stage.name


def _check_remote(root: Path) -> Iterator[Finding]:
    config = configparser.ConfigParser(interpolation=None)  # a URL may hold a %
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
