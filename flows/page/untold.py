"""How a run ended that its page could not be told: kept here, and told by the next start.

Without it a run that ended well while the server was away would be taken for one that was killed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from flows.chain.chain import Told

_FOLDER = Path(".prefect") / "untold"


class Ends(NamedTuple):
    """The last states of a run and of its tasks, by their ids."""

    run: Told
    tasks: Mapping[str, Told]


def keep(run_id: str, ends: Ends) -> None:
    """Note how a run of this checkout ended; a disk that takes nothing costs the page its truth."""
    try:
        (Path.cwd() / _FOLDER).mkdir(parents=True, exist_ok=True)
        _file(Path.cwd(), run_id).write_text(json.dumps(ends), encoding="utf-8")
    except OSError:
        return


def known(root: Path, run_id: str) -> Ends | None:
    """How a run ended, where its page was not told."""
    try:
        run, tasks = json.loads(_file(root, run_id).read_text(encoding="utf-8"))
        return Ends(Told(*run), {task: Told(*told) for task, told in tasks.items()})
    except (OSError, ValueError, TypeError, AttributeError):  # none, or torn
        return None


def forget(root: Path, run_id: str) -> None:
    """Its page has been told."""
    _file(root, run_id).unlink(missing_ok=True)


def _file(root: Path, run_id: str) -> Path:
    return root / _FOLDER / f"{run_id}.json"
