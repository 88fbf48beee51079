"""The views of a profile's runs that MLflow's page offers: Sizes, Studies, Replicates.

Each is there a second time for narrow windows, where MLflow's navigation and list of runs would
leave no room for a number: without the list, and with one chart a row.

MLflow keeps a saved view as JSON in a tag of the experiment, in the format of its own page. That
format is not documented; tests/flows/test_study_in_a_browser.py sees that MLflow understands it.
"""

from __future__ import annotations

import json
from typing import Any

_TAG = "mlflow.sharedViewState."  # and the key, which is the `viewStateShareKey` of a link
_NARROW = "-narrow"  # flows/servers/mlflow_server.py opens it
# A killed attempt that was never gone on with would stand between the sizes, as would a rate's that
# diverged.
_TRAININGS = (
    "tags.stage = 'train' and attributes.status != 'KILLED' and attributes.status != 'FAILED'"
)
_NAME = "attributes.`Run Name`"
_ORIGIN = ("tags.`study_name`", "tags.`seed`", "tags.`budget`", "attributes.`Version`")
_FIGURE_4 = (
    *("metrics.`parameters`", "metrics.`train_perplexity`", "metrics.`test_perplexity`"),
    "metrics.`gap_nats`",
)
_TABLE_3 = (
    *("metrics.`lambada_perplexity`", "metrics.`lambada_accuracy`", "metrics.`cbt_cn_accuracy`"),
    *("metrics.`cbt_ne_accuracy`", "metrics.`wikitext2_perplexity`", "metrics.`ptb_perplexity`"),
    *("metrics.`enwik8_bits_per_byte`", "metrics.`text8_bits_per_character`"),
    *("metrics.`wikitext103_perplexity`", "metrics.`one_billion_word_perplexity`"),
)
_STUDIES = (
    *("metrics.`test_exponent`", "metrics.`largest_train_perplexity`"),
    *("metrics.`largest_test_perplexity`", "attributes.`Version`", "tags.`seed`", "tags.`budget`"),
    *("metrics.`train_exponent`", "metrics.`largest_parameters`", "metrics.`training_petaflops`"),
    "tags.`study_name`",
)


def saved_views(latest: str | None) -> dict[str, str]:
    """Tags of an experiment, one a view; `latest` is the run of the study that *Sizes* shows."""
    of_latest = f" and tags.`mlflow.parentRunId` = '{latest}'" if latest else ""
    views = {"sizes": _sizes(of_latest), "studies": _studies(), "replicates": _replicates()}
    views |= {f"{key}{_NARROW}": _narrow(state) for key, state in views.items()}
    # The page lists the newest first; a time of each view's own would be another tag each time.
    return {
        f"{_TAG}{key}": json.dumps({
            "name": key.capitalize().replace("-", ", "),
            "createdAt": len(views) - number,
            "state": json.dumps(state),
        })
        for number, (key, state) in enumerate(views.items())
    }


def _narrow(state: dict[str, Any]) -> dict[str, Any]:
    sections = [section | {"columns": 1} for section in state["compareRunSections"]]
    return state | {"compareRunSections": sections, "runListHidden": True}


def _sizes(of_latest: str) -> dict[str, Any]:
    return _state(
        search=_TRAININGS + of_latest,
        order="metrics.`parameters`",
        columns=(*_FIGURE_4, *_TABLE_3, "params.`peak_learning_rate`", *_ORIGIN),
        sections=[
            _section("figure4", "Figure 4", columns=2),
            _section("curves", "Loss by tokens and by FLOPs", columns=2),
            _section("numbers", "Figure 4 and Table 3 in numbers", columns=1, height=900),
        ],
        charts=[
            _scatter("train_perplexity"),
            _scatter("test_perplexity"),
            _curve("valid_loss_nats"),
            _curve("valid_loss_nats", by="training_petaflops"),
            _curve("train_loss_nats"),
            _curve("scheduled_learning_rate"),
            _numbers(),
        ],
    )


def _studies() -> dict[str, Any]:
    return _state(
        search="tags.stage = 'study'",
        order="attributes.`Created`",
        rising=False,
        columns=_STUDIES,
        sections=[_section("studies", "Studies", columns=3)],
        charts=[_bar("test_exponent"), _bar("largest_test_perplexity"), _bar("training_petaflops")],
    )


def _replicates() -> dict[str, Any]:
    """Trainings of all studies; those that differ in seeds alone are one line each, their mean."""
    groups = [{"mode": "tag", "groupByData": name} for name in ("size", "design")]
    return _state(
        search=_TRAININGS,
        order="metrics.`parameters`",
        columns=(*_FIGURE_4, *_ORIGIN),
        sections=[_section("curves", "Means over seeds", columns=2)],
        charts=[
            _curve("valid_loss_nats"),
            _curve("valid_loss_nats", by="training_petaflops"),
            _curve("train_loss_nats"),
        ],
    ) | {"groupBy": {"aggregateFunction": "average", "groupByKeys": groups}}


def _state(
    *,
    search: str,
    order: str,
    columns: tuple[str, ...],
    sections: list[dict[str, Any]],
    charts: list[dict[str, Any]],
    rising: bool = True,
) -> dict[str, Any]:
    # What MLflow draws of each metric by itself comes last, closed.
    rest = [_section(name, name) | {"display": False} for name in ("Model metrics",)]
    return {
        "searchFilter": search,
        "orderByKey": order,
        "orderByAsc": rising,
        "startTime": "ALL",
        "selectedColumns": columns,
        "columnOrder": [_NAME, *columns],
        "columnWidths": {_NAME: 300} | {column: _width(column) for column in columns},
        "compareRunSections": [*sections, *rest],
        "compareRunCharts": charts,
        "isAccordionReordered": True,
    }


def _width(column: str) -> int:
    """Pixels that a column's heading takes."""
    return max(100, 30 + 7 * len(column.split("`")[1]))


def _scatter(perplexity: str) -> dict[str, Any]:
    axes = {
        # MLflow's scatter chart has no logarithmic axis.
        "xaxis": {"key": "log10_parameters", "type": "METRIC"},
        "yaxis": {"key": perplexity, "type": "METRIC"},
    }
    return _card(perplexity, "SCATTER", "figure4") | axes


def _curve(metric: str, *, by: str = "") -> dict[str, Any]:
    """A metric by training tokens, which are its steps, or by another metric."""
    axes = {
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "xAxisKey": "metric" if by else "step",
        "selectedXAxisMetricKey": by,
        "useGlobalXaxisKey": False,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "yAxisKey": "metric",
        "lineSmoothness": 0,  # a curve is shown as it was measured
        "useGlobalLineSmoothing": False,
        "displayName": f"{metric} by {by or 'tokens'}",
    }
    return _card(f"{metric}-{by}", "LINE", "curves") | axes


def _bar(metric: str) -> dict[str, Any]:
    return _card(metric, "BAR", "studies") | {"metricKey": metric}


def _numbers() -> dict[str, Any]:
    """Every number, a column a run."""
    chosen = {
        "compareGroups": ["Model metrics"],
        "chartName": "Sizes side by side",
        "showChangeFromBaseline": False,
        "showDifferencesOnly": False,
        "baselineColumnUuid": "",
    }
    return _card("numbers", "DIFFERENCE", "numbers") | chosen


def _card(name: str, kind: str, section: str) -> dict[str, Any]:
    return {
        "uuid": f"figure4-{name}",
        "type": kind,
        "runsCountToCompare": 100,
        "metricSectionId": section,
        "deleted": False,
        "isGenerated": False,
    }


def _section(identity: str, name: str, *, columns: int = 3, height: int = 360) -> dict[str, Any]:
    """`columns` charts a row, each `height` pixels high."""
    layout = {"columns": columns, "cardHeight": height}
    state = {"display": True, "isReordered": True, "deleted": False, "isGenerated": False}
    return {"uuid": identity, "name": name} | layout | state
