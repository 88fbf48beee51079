"""The paper's numbers beside ours, and only where they measure the same thing.

A study of the sample web is compared with nothing. Elsewhere a number is compared where the size
has the paper's label and the set was read from the published file; a file that departs from it
(the first 500 articles, say) shows the paper's number without a difference, and says why. What else
differs (a sample of the set, another context, a corpus without the sets' texts) is said beside the
difference, in the words of the stage that made it differ.
"""

from __future__ import annotations

import math

import pandas as pd

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.eval_sets.sources import departures
from pipeline.report.study import Study

PAPER_TABLE6 = {
    "ptb": (2.67, 0.88),
    "wikitext2": (0.66, 1.63),
    "enwik8": (7.50, 6.31),
    "text8": (2.34, 3.94),
    "wikitext103": (9.09, 2.42),
    "one_billion_word": (13.19, 3.75),
}
"""Percent of 8-grams in the set's own train text and in WebText's (Table 6 of the paper)."""
_WEBTEXT = "webtext_train_percent"
COLUMNS = ("set", "metric", "label", "ours", "paper", "difference", "num_examples", "remark")


def why_not_comparable(study: Study, eval_set: str) -> str:
    """Why a set's numbers may not be held against the paper's; empty where they may."""
    if study.is_sample:
        return "a sample made from documentation"
    record = study.stages["eval_sets"].get("sets", {}).get(eval_set, {})
    return departures(record.get("sources", {}))


def comparison(study: Study) -> pd.DataFrame | None:
    """Ours and the paper's number by set, metric and label; None where nothing is comparable."""
    if study.is_sample:
        return None
    rows = []
    for name, eval_set in EVAL_SETS.items():
        for metric, numbers in eval_set.paper.items():
            for size in study.sizes:
                paper = numbers.get(study.params.models[size].label)
                if paper is not None:
                    rows.append(_row(study, name, metric, size, paper))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(study: Study, name: str, metric: str, size: str, paper: float) -> dict[str, object]:
    ours = study.metric(size, name, metric)
    why_not = study.why_not(size, name, metric)
    gap = study.gap(size, name, metric)
    no_difference = f"{gap}: {why_not}" if why_not else why_not_comparable(study, name)
    result = study.results[size].get(name)
    differs = [*result.departures, *corpus_departures(study)] if result else []
    return {
        "set": EVAL_SETS[name].title,
        "metric": metric,
        "label": study.label(size),
        "ours": math.nan if ours is None else ours,
        "paper": paper,
        "difference": math.nan if ours is None or no_difference else ours - paper,
        "num_examples": result.num_examples if result else None,
        "remark": no_difference or "; ".join(differs),
    }


def corpus_departures(study: Study) -> list[str]:
    """How the corpus was treated otherwise than the paper's."""
    return list(study.stages["dedup"].get("departures", []))


def published_baselines(study: Study, eval_set: str, metric: str) -> dict[str, float]:
    """What the paper sets beside a metric, where the set is the published one, whole."""
    record = study.stages["eval_sets"].get("sets", {}).get(eval_set, {})
    if why_not_comparable(study, eval_set) or record.get("departures"):
        return {}
    scored = [own[eval_set] for own in study.results.values() if eval_set in own]
    whole = record.get("num_examples")
    if any(result.num_examples != whole for result in scored if not result.not_run):
        return {}  # a sample of the set was scored
    return dict(EVAL_SETS[eval_set].baselines.get(metric, {}))


def table6_comparison(study: Study) -> pd.DataFrame | None:
    """Table 6 beside the paper's; None for a study of the sample web."""
    if study.is_sample:
        return None
    ours = study.overlap["table6"].set_index("set")
    rows = []
    for name, (own, webtext) in PAPER_TABLE6.items():
        if name in ours.index:
            rows.append({
                "set": EVAL_SETS[name].title,
                "own_train_percent": ours.loc[name, "own_train_percent"],
                "paper_own_train_percent": own,
                "webtext_train_percent": ours.loc[name, "webtext_train_percent"],
                "paper_webtext_train_percent": webtext,
                "remark": "; ".join(_table6_remarks(study, name)),
            })
    table = pd.DataFrame(rows)
    if len(rows) == len(PAPER_TABLE6):
        mean = pd.DataFrame([_table6_mean(table)])
        return pd.concat([table, mean], ignore_index=True)
    return table


def _table6_mean(table: pd.DataFrame) -> dict[str, object]:
    """Ours and the paper's mean over the same sets: those that ours has a number of."""
    means: dict[str, object] = {"set": "Mean"}
    remarks = ["of sets with a remark"] if table["remark"].any() else []
    for name, title in (
        ("own_train_percent", "own train text"),
        (_WEBTEXT, "documents trained on"),
    ):
        pair = table[[name, f"paper_{name}"]].astype(float).dropna()
        means |= {str(column): float(pair[column].mean()) for column in pair}
        if len(pair) < len(table):
            remarks.append(f"{title}: of {len(pair)} of the {len(table)} sets, the paper's too")
    return means | {"remark": "; ".join(remarks)}


def _table6_remarks(study: Study, name: str) -> list[str]:
    record = study.stages["eval_sets"].get("sets", {}).get(name, {})
    file = why_not_comparable(study, name)
    parts = [*record.get("departures", []), *record.get("train_departures", [])]
    return [*([file] if file else []), *parts, *corpus_departures(study)]
