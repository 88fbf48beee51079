"""What is finished, put into MLflow: one parent run per study, one child per size; comparisons.

Artefacts are the truth and MLflow is a view of them, so nothing here may stop a stage. A study
made where MLflow is not installed is imported afterwards:
`python -m pipeline.shared.tracking import`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.shared.params.profile import ProfileParams
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking.door import open_store, say, why_not_tracked
from pipeline.shared.tracking.place import remedy
from pipeline.shared.tracking.study import read_study
from pipeline.shared.tracking.values import LoggedValue, metric_name


def record_study(
    profile: str,
    params: ProfileParams,
    study: StudyFolder,
    log: logging.Logger,
    *,
    said: Mapping[str, Any] | None = None,
) -> None:
    """Bring the study's runs in MLflow in line with its artefacts; twice is as good as once.

    `said` is what the report's metrics.json will say, while that is not written yet. A size that
    did not rerun is carried over into a new study's parent. A failure is one warning with its
    reason and stops nothing.
    """
    if reason := why_not_tracked():
        log.info("not tracked in MLflow: %s", reason)
        return
    try:
        log.info("recorded in MLflow: %s", record(profile, params, study, said))
    except Exception as error:  # whatever a database or a server raises, the study is whole
        log.warning("MLflow: %s; %s", say(error), remedy(error))


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
        store = open_store("compare")
        with store.lock():
            store.fill_comparison(params, points, files)
        log.info("recorded in MLflow: %s", store.experiment_name)
    except Exception as error:  # whatever a database or a server raises, the files are whole
        log.warning("MLflow: %s; the comparison is in %s", say(error), files[0].parent)


def record(
    profile: str, params: ProfileParams, study: StudyFolder, said: Mapping[str, Any] | None = None
) -> str:
    """What `record_study` does; raises what MLflow raises. Returns what it did, in words."""
    record = read_study(profile, params, study, said)
    store = open_store(profile)
    with store.lock():
        parent = store.study_of(record) or store.create_study(record.labels)
        parent = store.name_study(parent, record.labels)
        for size in record.sizes:
            store.fill(store.child_of(parent, size, record.labels), size, record, parent)
        store.fill_study(parent, record)
    return f"{store.experiment_name}, {len(record.sizes)} sizes"
