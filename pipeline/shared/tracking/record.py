"""The MLflow run of one attempt at a stage, logged while it goes on.

Artefacts are the truth and MLflow is a view of them: nothing here may stop a stage, and at the end
`record_study` adds whatever is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pipeline.shared.tracking.door import open_store, system_monitor, why_not_tracked
from pipeline.shared.tracking.labels import read_labels
from pipeline.shared.tracking.live import TrackedRun
from pipeline.shared.tracking.store import RunStore
from pipeline.shared.tracking.values import LoggedValue, scale, size_params

if TYPE_CHECKING:
    from pipeline.shared.running.stage import Stage


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
        store = open_store(stage.profile)
        with store.lock():
            parent = store.begin_study(labels)
            run = store.begin_child(parent, tags, labels, params)
            store.add_values(run, scale(num_parameters))
        return _LiveRun(store, run)

    if reason:
        stage.log.info("not tracked in MLflow: %s", reason)
    path = stage.work / "tracking.jsonl" if rank == "0" else None
    return TrackedRun(path, None if reason else connect, stage.log)


class _LiveRun:
    """An open MLflow run, as `TrackedRun`'s background thread uses it."""

    def __init__(self, store: RunStore, run: Any) -> None:
        self._store, self._run = store, run
        self._known: dict[str, set[int]] = {}
        self._machine = system_monitor(run)
        self._machine.start()

    def send(self, points: Iterable[LoggedValue]) -> None:
        """Log the points that are not there yet."""
        self._store.add_curve(self._run, points, self._known)

    def end(self, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED."""
        self._machine.finish()
        self._store.client.set_terminated(self._run.info.run_id, status)
