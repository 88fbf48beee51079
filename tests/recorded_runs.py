"""What the tracking database of the working folder holds of the tiny study."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def client() -> Any:
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")


def runs(query: str = "") -> list[Any]:
    experiment = client().get_experiment_by_name("figure4-tiny")
    return list(client().search_runs([experiment.experiment_id], query))


def children(parent: Any) -> dict[str, Any]:
    found = runs(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    return {run.data.tags["size"]: run for run in found}


def curve(run: Any, name: str) -> list[tuple[int, float]]:
    history = client().get_metric_history(run.info.run_id, name)
    return [(point.step, point.value) for point in history]
