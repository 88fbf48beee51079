"""A model's numbers beside the paper's and those that others measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from pipeline.eval_sets.eval_set import EvalSet
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.eval_sets.sources import departures
from pipeline.shared.scores.results import Result
from pipeline.zero_shot.weights import Weights

COLUMNS = (
    *("model", "parameters", "label", "set", "title", "metric", "main"),
    *("ours", "low", "high", "num_examples", "paper", "difference"),
    *("reproductions", "remark"),
)


def differences(
    model: Weights, results: Mapping[str, Result], records: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """One row a set and metric, in the paper's order; what was not run has its reason.

    `records` tells by set which files it was read from. Where those are not the published ones,
    the paper's number stands there without a difference. A difference is ours less the paper's; the
    remark says what else is not the paper's: a sample of the set, another context.
    """
    rows = [
        row
        for name, eval_set in EVAL_SETS.items()
        for row in _rows(model, eval_set, results.get(name), records.get(name, {}))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(
    model: Weights, eval_set: EvalSet, result: Result | None, record: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    head = {
        "model": model.name,
        "parameters": model.parameters,
        "label": model.label,
        "set": eval_set.name,
        "title": eval_set.title,
    }
    if result is None or result.not_run:
        reason = result.not_run if result else "no result"
        yield head | {"metric": eval_set.metrics[0], "main": True, "remark": f"{_NOT_RUN}{reason}"}
        return
    again = [other for other in eval_set.reproductions if other.label == model.label]
    shown = {*eval_set.metrics, *eval_set.paper, *(other.metric for other in again)}
    no_difference = departures(record.get("sources", {})) if eval_set.test else ""
    remark = no_difference or "; ".join(result.departures)
    for metric, why in result.no_signal.items():
        yield head | {"metric": metric, "main": metric in shown, "remark": f"no signal: {why}"}
    for metric, value in result.metrics.items():
        interval = result.intervals.get(metric)
        paper = eval_set.paper.get(metric, {}).get(model.label or "", math.nan)
        yield head | {
            "metric": metric,
            "main": metric in shown,
            "ours": value,
            "low": interval.low if interval else math.nan,
            "high": interval.high if interval else math.nan,
            "num_examples": result.num_examples,
            "paper": paper,
            "difference": math.nan if no_difference else value - paper,
            "reproductions": "; ".join(
                f"{other.value:g} ({other.source})" for other in again if other.metric == metric
            ),
            "remark": remark,
        }


def as_text(table: pd.DataFrame) -> str:
    """The main numbers for a terminal, model by model, and at the end once what was not run."""
    run = ~table["remark"].astype(str).str.startswith(_NOT_RUN)
    parts = [_one_model(part) for _, part in table[run].groupby("model", sort=False)]
    return "\n\n".join([*parts, *_not_run(table[~run])])


_NOT_RUN = "not run: "


def _not_run(table: pd.DataFrame) -> list[str]:
    """The sets without numbers by the beginning of their reason; the table tells it all."""
    titles: dict[str, dict[str, None]] = {}
    for title, remark in zip(table["title"], table["remark"], strict=True):
        titles.setdefault(remark.removeprefix(_NOT_RUN).partition(";")[0], {})[title] = None
    lines = [f"  {', '.join(names)}: {reason}" for reason, names in titles.items()]
    return ["\n".join(["Not run (the column remark tells what would help):", *lines])] * bool(lines)


def _one_model(table: pd.DataFrame) -> str:
    shown = table[table["main"].astype(bool)]
    first = shown.iloc[0]
    label = f", {first['label']} in the paper" if isinstance(first["label"], str) else ""
    lines = [
        f"{first['model']}: {first['parameters']:,} parameters{label}",
        f"  {'set':<18} {'metric':<26} {'ours':>9} {'95 % interval':>20} "
        f"{'paper':>8} {'difference':>11}  reproductions",
    ]
    remarks: dict[str, list[str]] = {}
    for row in shown.to_dict("records"):
        if isinstance(row["remark"], str) and row["remark"]:
            remarks.setdefault(row["remark"], []).append(row["title"])
        if not math.isnan(row["ours"]):
            lines.append("  " + _line(row).rstrip())
    for remark, titles in remarks.items():
        lines.append(f"  {', '.join(dict.fromkeys(titles))}: {remark}")
    return "\n".join(lines)


def _line(row: Mapping[Any, Any]) -> str:
    interval = "" if math.isnan(row["low"]) else f"[{_number(row['low'])}, {_number(row['high'])}]"
    difference = "" if math.isnan(row["difference"]) else f"{row['difference']:+.4g}"
    return (
        f"{row['title']:<18} {row['metric']:<26} {_number(row['ours']):>9} {interval:>20} "
        f"{_number(row['paper']):>8} {difference:>11}  {row['reproductions']}"
    )


def _number(value: float) -> str:
    """Four figures, or two decimals of what is large.

    >>> _number(0.12345), _number(1234.567), _number(float("nan"))
    ('0.1234', '1234.57', '')
    """
    if math.isnan(value):
        return ""
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4g}"
