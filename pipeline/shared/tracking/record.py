"""MLflow: one parent run per study, one child per size. The only module that imports mlflow.

Artefacts are the truth and MLflow is a view of them: a training logs its points live, and at the
end `record_study` adds whatever is missing. So nothing here may stop a stage, and a study made
where MLflow is not installed is imported afterwards: `python -m pipeline.shared.tracking import`.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.tracking.labels import read_labels
from pipeline.shared.tracking.live import TrackedRun
from pipeline.shared.tracking.place import OFF, follow, remedy, tracking_uri
from pipeline.shared.tracking.store import RunStore
from pipeline.shared.tracking.study import LoggedValue, metric_name, read_study, scale, size_params

if TYPE_CHECKING:
    from pipeline.shared.running.stage import Stage


def why_not_tracked() -> str:
    """The reason for which nothing is sent to MLflow; empty where it is."""
    if tracking_uri() == OFF:
        return "MLFLOW_TRACKING_URI is off"
    if importlib.util.find_spec("mlflow") is None:
        return "MLflow is not installed here; `python -m pipeline.shared.tracking import` adds it"
    return ""


def open_run(
    stage: Stage, *, learning_rate: float | None = None, num_parameters: int | None = None
) -> TrackedRun:
    """The run of one attempt at a stage, as a context manager; logging never blocks or raises.

    A training has a peak learning rate and a number of parameters. The same work (by its
    fingerprint and rate) goes on in the same MLflow run after a kill.
    """
    rank = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
    reason = why_not_tracked() if rank == "0" else "only rank 0 tracks"
    tags = {
        "stage": stage.name,
        "size": stage.size or "",
        "profile": stage.profile,
        "fingerprint": stage.fingerprint,
    }
    labels = read_labels(stage.params)
    if stage.size is not None and learning_rate is not None:
        params = size_params(stage.params, stage.size, learning_rate)
    else:
        section = getattr(stage.params, stage.name).model_dump()
        params = {name: str(value) for name, value in section.items()}

    def connect() -> _LiveRun:
        store = _open_store(stage.profile)
        with store.lock():
            parent = store.begin_study(labels)
            run = store.begin_child(parent, tags, labels, params)
            store.add_values(run, scale(num_parameters))
        return _LiveRun(store, run)

    if reason:
        stage.log.info("not tracked in MLflow: %s", reason)
    path = stage.work / "tracking.jsonl" if rank == "0" else None
    return TrackedRun(path, None if reason else connect, stage.log)


def record_study(
    profile: str,
    params: ProfileParams,
    study: Path,
    log: logging.Logger,
    *,
    report: Path | None = None,
    said: Mapping[str, Any] | None = None,
) -> None:
    """Bring the study's runs in MLflow in line with its artefacts; twice is as good as once.

    `study` is data/<profile>; `report` is where the report's files are while they are not
    published, and `said` what its metrics.json will say. A size that did not rerun is carried over
    into a new study's parent. A failure is one warning with its reason and stops nothing.
    """
    if reason := why_not_tracked():
        log.info("not tracked in MLflow: %s", reason)
        return
    try:
        log.info("recorded in MLflow: %s", record(profile, params, study, report, said))
    except Exception as error:  # whatever a database or a server raises, the study is whole
        log.warning(
            "MLflow: %s; %s",
            *(say(error), remedy(error)),
        )


def record_comparison(
    params: Mapping[str, str],
    metrics: Mapping[str, float],
    files: list[Path],
    log: logging.Logger,
) -> None:
    """Put a comparison of studies into the experiment `figure4-compare`, with its files.

    The same files are the same run. A failure is one warning with its reason and stops nothing.
    """
    if reason := why_not_tracked():
        log.info("not tracked in MLflow: %s", reason)
        return
    points = [LoggedValue(metric_name(name), value, 0) for name, value in metrics.items()]
    try:
        store = _open_store("compare")
        with store.lock():
            store.fill_comparison(params, points, files)
        log.info("recorded in MLflow: %s", store.experiment_name)
    except Exception as error:  # whatever a database or a server raises, the files are whole
        log.warning("MLflow: %s; the comparison is in %s", say(error), files[0].parent)


def record(
    profile: str,
    params: ProfileParams,
    study: Path,
    report: Path | None = None,
    said: Mapping[str, Any] | None = None,
) -> str:
    """What `record_study` does; raises what MLflow raises. Returns what it did, in words."""
    record = read_study(profile, params, study, report, said)
    store = _open_store(profile)
    with store.lock():
        parent = store.study_of(record) or store.create_study(record.labels)
        parent = store.name_study(parent, record.labels)
        for size in record.sizes:
            store.fill(store.child_of(parent, size, record.labels), size, record, parent)
        store.fill_study(parent, record)
    return f"{store.experiment_name}, {len(record.sizes)} sizes"


class _LiveRun:
    """An open MLflow run, as `TrackedRun`'s background thread uses it."""

    def __init__(self, store: RunStore, run: Any) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        self._store, self._run = store, run
        self._known: dict[str, set[int]] = {}
        # Load, memory, disk and network each ten seconds, from a thread that mostly sleeps.
        monitor: Any = SystemMetricsMonitor  # it has no types
        self._machine = monitor(run.info.run_id, resume_logging=True, tracking_uri=tracking_uri())
        self._machine.start()

    def send(self, points: Iterable[LoggedValue]) -> None:
        """Log the points that are not there yet."""
        self._store.add_curve(self._run, points, self._known)

    def end(self, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED."""
        self._machine.finish()
        self._store.client.set_terminated(self._run.info.run_id, status)


def _open_store(profile: str) -> RunStore:
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
    store = _open_store(profile)
    with store.lock():
        return store.kill_dead(log)
