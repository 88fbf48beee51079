"""The chain in counts: what went into each stage, what came out, every drop with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from pipeline.report.study import Study
from pipeline.shared.study.places import SIZED_STAGES


class Drop(NamedTuple):
    """Items that a step left out."""

    reason: str
    num_items: int


class ChainStep(NamedTuple):
    """One step of the funnel."""

    name: str
    came_in: int
    kept: int
    unit: str
    drops: list[Drop]
    """By reason, most frequent first; they add up to `came_in - kept`."""


class Cost(NamedTuple):
    """What one stage took."""

    stage: str
    seconds: float
    peak_memory_mib: float
    attempts: int


def funnel(study: Study) -> list[ChainStep]:
    """The steps from links, or from a ready corpus, to training documents."""
    found = {key: study.stages[name].get(key) for name, key in _COUNTS}
    counts = {key: value for key, value in found.items() if value is not None}
    return [*_web_steps(counts), *_dedup_steps(study.stages["dedup"])]


_COUNTS = (("links", "links"), ("crawl", "fetch"), ("extract", "extract"), ("extract", "corpus"))
"""Stage and key of its counts; a study from links has others than one of a ready corpus."""


def _web_steps(metrics: Mapping[str, Any]) -> Iterator[ChainStep]:
    if "links" in metrics:
        links = metrics["links"]
        yield _step("Links of submissions", links["submissions"], "links", links, "kept")
    if "fetch" in metrics:
        fetch = metrics["fetch"]
        yield _step("Pages fetched", fetch["pages"], "pages", fetch["by_state"], "fetched")
    if "extract" in metrics:
        # A page that was not fetched stands in both counts; its reason is told by the fetch.
        states = metrics.get("fetch", {}).get("by_state", {})
        reasons = {
            reason: count - states.get(reason, 0)
            for reason, count in metrics["extract"]["by_reason"].items()
        }
        came_in = states.get("fetched", sum(reasons.values()))
        yield _step("Main text extracted", came_in, "pages", reasons, "document")
    if "corpus" in metrics:
        reasons = metrics["corpus"]["by_reason"]
        yield _step("Corpus read", sum(reasons.values()), "documents", reasons, "document")


def _dedup_steps(metrics: Mapping[str, Any]) -> Iterator[ChainStep]:
    counts = dict(metrics["removed_by_reason"])
    if metrics.get("eval_mode") == "report":
        counts.pop("eval_overlap", None)  # told, not removed
    counts["kept"] = metrics["kept"]["documents"]
    yield _step("De-duplicated", metrics["documents"], "documents", counts, "kept")


def _step(name: str, came_in: int, unit: str, counts: Mapping[str, int], kept_as: str) -> ChainStep:
    totals = {"submissions", kept_as}
    drops = [Drop(reason, n) for reason, n in counts.items() if reason not in totals and n > 0]
    drops.sort(key=lambda drop: (-drop.num_items, drop.reason))
    return ChainStep(name, came_in, counts.get(kept_as, 0), unit, drops)


def splits(study: Study) -> pd.DataFrame:
    """Documents, tokens and text of the train, valid and test split."""
    rows = [
        {
            "split": name,
            "documents": split["documents"],
            "tokens": split["tokens"],
            "text_bytes": split.get("text_bytes"),
        }
        for name, split in study.stages["tokenize"]["splits"].items()
    ]
    return pd.DataFrame(rows)


def costs(study: Study) -> list[Cost]:
    """Seconds and peak memory of every stage, as measured in this study, in order."""
    ordered = [name for name in study.stages if "@" not in name and name != "overlap"]
    ordered += [f"{name}@{size}" for name in SIZED_STAGES for size in study.sizes]
    return [
        Cost(
            name,
            float(study.stages[name]["seconds"]),
            float(study.stages[name]["peak_memory_mib"]),
            int(study.stages[name]["attempts"]),
        )
        for name in [*ordered, "overlap"]
    ]
