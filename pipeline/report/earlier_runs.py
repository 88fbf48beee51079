"""Earlier runs of the study beside this one, as `history/<profile>.jsonl` notes them.

The one thing on the page that is no artefact, and no input of the stage: what earlier runs found
decides no number, so a longer history is no reason to run again. Nor does the section go out of
date: a run is noted where its numbers are others than before, and then this page is made anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from pipeline.report.figure4 import Figure4
from pipeline.report.markup import number, score
from pipeline.report.study import Study
from pipeline.shared.running.origin import origin

FOUND = "found.json"
"""What `found` says of the study, for whoever keeps the history: flows/page/history.py."""
_SHOWN_RUNS = 12
_WIDTH, _HEIGHT = 88, 20  # of a sparkline, in pixels

Numbers = dict[str, float]
"""By column: `documents`, `test xl`."""


def found(study: Study, figure4: Figure4) -> dict[str, Any]:
    """The numbers by which runs of one study are told apart; nested ones by reason and by size."""
    dedup, overlap = study.stages["dedup"], study.stages["overlap"]
    said: dict[str, Any] = {
        "documents": dedup["documents"],
        "kept": dedup["kept"]["documents"],
        "removed": dedup["removed_by_reason"],
    }
    if overlap.get("asked_ngrams"):
        percent = 100 * overlap["asked_ngrams_found"] / overlap["asked_ngrams"]
        said["overlap_percent"] = round(percent, 4)
    perplexities = zip(figure4.table["size"], figure4.table["test_perplexity"], strict=True)
    said["test_perplexity"] = {
        size: round(float(value), 4) for size, value in perplexities if math.isfinite(value)
    }
    return said


class Run(NamedTuple):
    """A row of the table."""

    when: str
    """UTC; of this study: `this page`."""
    numbers: Numbers


class EarlierRuns(NamedTuple):
    """What the section shows."""

    columns: list[str]
    runs: list[Run]
    """Newest first: this study, then those before it."""
    change: Numbers
    """Of this study since the run before."""
    lines: dict[str, Markup]
    """A sparkline by column, oldest run to this one."""
    more: int
    """Runs that were noted before those shown."""

    def cell(self, column: str, value: float | None) -> str:
        """A number as this column's are written."""
        return number(value) if column in {"documents", "kept"} else score(value)

    def changed(self, column: str) -> str:
        """A change with its sign; a dash where there is none to tell."""
        value = self.change.get(column)
        if value is None:
            return "-"
        return f"{value:+,}" if column in {"documents", "kept"} else f"{value:+,.2f}"


def earlier_runs(
    profile: str, now: Mapping[str, Any], labels: Mapping[str, str]
) -> EarlierRuns | None:
    """The runs noted before this one; None where there are none. `labels` names each size."""
    noted = list(_noted(history_file(profile)))
    if noted and {name: value for name, value in noted[-1].items() if name != "at"} == now:
        noted.pop()  # this study, of which the page was made again
    if not noted:
        return None
    runs = [Run(str(row["at"])[:16].replace("T", " "), _numbers(row, labels)) for row in noted]
    runs.append(Run("this page", _numbers(now, labels)))
    columns = list(runs[-1].numbers)
    before, last = runs[-2].numbers, runs[-1].numbers
    change = {column: last[column] - before[column] for column in columns if column in before}
    shown = runs[-_SHOWN_RUNS:]
    lines = {
        column: sparkline(column, [run.numbers.get(column) for run in shown]) for column in columns
    }
    return EarlierRuns(columns, shown[::-1], change, lines, len(runs) - len(shown))


def history_file(profile: str) -> Path:
    """Where the runs of a profile are noted, beside dvc.lock."""
    return origin() / "history" / f"{profile}.jsonl"


def _noted(path: Path) -> Iterator[dict[str, Any]]:
    """The runs, oldest first; a line that a kill has torn is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "at" in row:
            yield row


def _numbers(row: Mapping[str, Any], labels: Mapping[str, str]) -> Numbers:
    """Those that are shown, by the headings of their columns."""
    shown = {
        name.replace("_percent", ", %"): row[name]
        for name in ("documents", "kept", "overlap_percent")
        if name in row
    }
    perplexities = row.get("test_perplexity", {})
    return shown | {
        f"test {label}": perplexities[size]
        for size, label in labels.items()
        if size in perplexities
    }


def sparkline(name: str, values: Sequence[float | None]) -> Markup:
    """A column's numbers as a line, with a point at the last; a gap is passed over.

    >>> "<polyline" in sparkline("kept", [1, None, 3]), "<polyline" in sparkline("kept", [3])
    (True, False)
    >>> "kept: 1 to 3" in sparkline("kept", [1, None, 3])
    True
    """
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    low, high = min(value for _, value in known), max(value for _, value in known)
    margin = 3
    points = [
        (
            margin + (_WIDTH - 2 * margin) * place / max(1, len(values) - 1),
            _HEIGHT / 2
            if low == high
            else _HEIGHT - margin - (_HEIGHT - 2 * margin) * (value - low) / (high - low),
        )
        for place, value in known
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    return Markup(
        '<svg class="spark" role="img" aria-label="{name}: {first} to {last}" width="{width}"'
        ' height="{height}">{line}<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5"/></svg>'
    ).format(
        name=name,
        first=number(known[0][1]),
        last=number(known[-1][1]),
        width=_WIDTH,
        height=_HEIGHT,
        line=Markup('<polyline points="{}"/>').format(line) if len(points) > 1 else "",
        x=x,
        y=y,
    )
