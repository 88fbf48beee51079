"""The one door to MLflow; the only module that imports mlflow."""

from __future__ import annotations

import importlib.util
import logging
import os
from pathlib import Path
from typing import Any

from pipeline.shared.tracking.place import OFF, follow, tracking_uri
from pipeline.shared.tracking.store import RunStore


def why_not_tracked() -> str:
    """The reason for which nothing is sent to MLflow; empty where it is."""
    if tracking_uri() == OFF:
        return "MLFLOW_TRACKING_URI is off"
    if importlib.util.find_spec("mlflow") is None:
        return "MLflow is not installed here; `python -m pipeline.shared.tracking import` adds it"
    return ""


def open_store(profile: str) -> RunStore:
    """The runs of a profile; raises what MLflow, its database and its server raise."""
    return RunStore(_import_mlflow(), tracking_uri(), profile)


def _import_mlflow() -> Any:
    """Import MLflow quietly; an unreachable server must cost seconds, not its default minutes."""
    quiet = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    }
    for name, value in quiet.items():
        os.environ.setdefault(name, value)
    import mlflow

    logging.getLogger("alembic").setLevel(logging.WARNING)
    return mlflow


def system_monitor(run: Any) -> Any:
    """Load, memory, disk and network of a run each ten seconds, by a thread that mostly sleeps."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor: Any = SystemMetricsMonitor  # it has no types
    return monitor(run.info.run_id, resume_logging=True, tracking_uri=tracking_uri())


def say(error: Exception) -> str:
    """Kind and message of an error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def reconcile(profile: str, log: logging.Logger) -> int:
    """Mark runs of this machine that say RUNNING but whose process is gone as KILLED.

    Returns how many. A database that does not exist yet is not made for that.
    """
    uri = tracking_uri()
    path = Path(uri.removeprefix("sqlite:///"))
    follow(log)
    if why_not_tracked() or (uri.startswith("sqlite:") and not path.is_file()):
        return 0
    store = open_store(profile)
    with store.lock():
        return store.kill_dead(log)
