"""The view of a profile's runs that MLflow opens with: sizes in order, Figure 4, loss curves.

MLflow keeps a shared view as JSON in a tag of the experiment, in the format of its own page. That
format is not documented; tests/flows/test_study_in_a_browser.py sees that MLflow understands it.
"""

from __future__ import annotations

import json
from typing import Any

VIEW_TAG = "mlflow.sharedViewState.figure4"  # its last part is the `viewStateShareKey` of a link
_COLUMNS = (
    "attributes.`Created`",
    "metrics.`parameters`",
    "metrics.`train_perplexity`",
    "metrics.`test_perplexity`",
    "metrics.`valid_loss`",
    "params.`learning_rate`",
    "params.`n_layer`",
    "params.`n_embd`",
)


def shared_view() -> str:
    """The value of `VIEW_TAG`: the trainings of an experiment, small to large, with charts."""
    charts = [
        _figure4("train_perplexity"),
        _figure4("test_perplexity"),
        *(_curve(name) for name in ("train_loss", "valid_loss", "learning_rate")),
    ]
    sections = [_section("figure4", "Figure 4"), _section("curves", "Training, by tokens")]
    state = {
        # A killed attempt that was never gone on with would stand between the sizes.
        "searchFilter": "tags.stage = 'train' and attributes.status != 'KILLED'",
        "orderByKey": "metrics.`parameters`",
        "orderByAsc": True,
        "selectedColumns": _COLUMNS,
        "compareRunSections": sections,
        "compareRunCharts": charts,
        "isAccordionReordered": True,
    }
    return json.dumps(state)


def _figure4(perplexity: str) -> dict[str, Any]:
    axes = {
        # MLflow's scatter chart has no logarithmic axis.
        "xaxis": {"key": "log10_parameters", "type": "METRIC"},
        "yaxis": {"key": perplexity, "type": "METRIC"},
    }
    return _card(perplexity, "SCATTER", "figure4") | axes


def _curve(metric: str) -> dict[str, Any]:
    axes = {
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "yAxisKey": "metric",
        "lineSmoothness": 0,  # a curve is shown as it was measured
        "useGlobalLineSmoothing": False,
    }
    return _card(metric, "LINE", "curves") | axes


def _card(name: str, kind: str, section: str) -> dict[str, Any]:
    return {
        "uuid": f"figure4-{name}",
        "type": kind,
        "runsCountToCompare": 100,
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
    }


def _section(identity: str, name: str) -> dict[str, Any]:
    state = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return {"uuid": identity, "name": name} | state
