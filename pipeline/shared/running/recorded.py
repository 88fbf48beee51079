"""What DVC has recorded of a study: read from dvc.lock and its cache, never written."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pipeline.shared.errors import UserError
from pipeline.shared.files import read_json
from pipeline.shared.params.yaml_file import load_yaml
from pipeline.shared.running.listing import METRICS

_LOCK = "dvc.lock"
_CACHE = Path(".dvc/cache/files/md5")


def recorded_stages(root: Path = Path()) -> dict[str, Any]:
    """The stages of a checkout's dvc.lock by name; none where DVC did not run.

    Raises:
        UserError: the file is no YAML.
    """
    lock = root / _LOCK
    stages: dict[str, Any] = (load_yaml(lock) or {}).get("stages", {}) if lock.is_file() else {}
    return stages


def locked_hashes() -> dict[str, str]:
    """Paths in dvc.lock -> their hash in DVC's cache; empty where DVC did not run.

    What a stage reads stands there too: the parts of another's out by their own hash.
    """
    entries = [
        entry
        for stage in recorded_stages().values()
        for key in ("deps", "outs")
        for entry in stage.get(key, [])
    ]
    return {str(entry["path"]): str(entry["md5"]) for entry in entries if "md5" in entry}


def is_recorded(finished: Path, out: Path) -> bool:
    """Whether a folder of finished work is what DVC recorded last for the stage's folder `out`.

    Told by metrics.json, which holds the fingerprint and the seconds, so that no other attempt has
    the same. Where DVC's records cannot be read, the answer is no.
    """
    metrics = finished / METRICS
    if not metrics.is_file():
        return False
    return hashlib.md5(metrics.read_bytes(), usedforsecurity=False).hexdigest() == _recorded(out)


def _recorded(out: Path) -> str | None:
    """MD5 of the metrics.json of an out: of its own entry in dvc.lock, or of its folder's."""
    try:
        outs = [entry for stage in recorded_stages().values() for entry in stage.get("outs", [])]
        entries = {entry["path"]: entry for entry in outs}
        if own := entries.get((out / METRICS).as_posix()):
            return str(own["md5"])
        return _in_folder(entries.get(out.as_posix(), {}))
    except (UserError, KeyError, TypeError, AttributeError):  # torn by a kill, as its cache may be
        return None


def _in_folder(entry: dict[str, Any]) -> str | None:
    md5 = str(entry.get("md5", ""))
    listing = _CACHE / md5[:2] / md5[2:]
    if not listing.is_file():
        return None
    return next((file["md5"] for file in read_json(listing) if file["relpath"] == METRICS), None)
