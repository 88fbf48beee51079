"""Where MLflow keeps a checkout's runs: beside it, wherever it lies and is moved to.

MLflow notes where artefacts lie from the root on, so what it noted follows a
checkout that was moved, and that of a copy is led away from the original.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from pipeline.shared.running.origin import origin

OFF = "off"  # MLFLOW_TRACKING_URI=off: curves stay in their files

_DATABASE = "mlflow.db"
_ARTIFACTS = "mlartifacts"


def experiment_of_dvc() -> str:
    """The name of the experiment of DVC that this stage runs in; empty outside `dvc exp run`."""
    return os.environ.get("DVC_EXP_NAME", "")


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI or, without it, mlflow.db in the project's folder."""
    path = str(_database())
    if set(path) & set("?#%"):  # they mean something in an address: named from here on instead
        path = os.path.relpath(path)
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{path}"


def artifacts_uri(experiment: str) -> str:
    """Where the artefacts of an experiment go that no server keeps.

    MLFLOW_ARTIFACTS_DESTINATION, e.g. s3://bucket, or without it the checkout's own folder.
    """
    elsewhere = os.environ.get("MLFLOW_ARTIFACTS_DESTINATION", "").rstrip("/")
    if elsewhere and not has_own_database():
        return f"{elsewhere}/{experiment}"
    return (origin() / _ARTIFACTS / experiment).as_uri()


def has_own_database() -> bool:
    """Whether runs are kept in the checkout's own database, which goes where the checkout goes."""
    return not os.environ.get("MLFLOW_TRACKING_URI")


def follow(log: logging.Logger) -> None:
    """Have a checkout's own database look for artefacts where the checkout is now."""
    if not (has_own_database() and _database().is_file()):
        return
    with closing(sqlite3.connect(_database())) as database, database:
        query = "SELECT experiment_id, name, artifact_location FROM experiments"
        tables = "SELECT name FROM sqlite_master WHERE name IN ('experiments', 'runs')"
        found = database.execute(query) if len(database.execute(tables).fetchall()) > 1 else ()
        for identity, name, old in list(found):
            own = str(old).startswith("file:") and str(old).endswith(f"/{_ARTIFACTS}/{name}")
            if own and old != (new := artifacts_uri(name)):
                _lead(database, identity, old, new)
                log.info("MLflow: artefacts of %s are now looked for in %s", name, new)


def _lead(database: sqlite3.Connection, experiment: int, old: str, new: str) -> None:
    database.execute(
        "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (new, experiment)
    )
    database.execute(
        "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?)"
        " WHERE experiment_id = ? AND substr(artifact_uri, 1, ?) = ?",
        (new, len(old) + 1, experiment, len(old) + 1, f"{old}/"),
    )


def lock_file() -> Path:
    """Held by the one process that finds or makes runs."""
    return origin() / f"{_DATABASE}.lock"


def _database() -> Path:
    return origin() / _DATABASE


def remedy(error: Exception) -> str:
    """What to do about an error of MLflow's before a study is imported."""
    damaged = "malformed" in str(error) or "file is not a database" in str(error)
    if damaged and not os.environ.get("MLFLOW_TRACKING_URI"):
        return (
            f"{_database()} is damaged: put back a copy of it or move it away, then add the study: "
            "python -m pipeline.shared.tracking import"
        )
    return "to import it: python -m pipeline.shared.tracking import"
