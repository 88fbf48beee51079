"""What each run of a study found, a line a run, and a page that sets the last beside the others.

`history/<profile>.jsonl` lies beside dvc.lock and belongs to it: Git has both, and a clone both. It
is staged where DVC stages its lock. No result depends on it; the report shows it.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.page.artifacts import ArtifactPage, as_text, find_file, outputs

Row = dict[str, Any]
"""`at`, then numbers by name, nested: `removed` by reason, `test_perplexity` by size."""
_FOUND = "found.json"  # the report's, of these numbers
_SHOWN_RUNS = 24


def path_of(root: Path, profile: str) -> Path:
    """Where the runs of a profile are noted."""
    return root / "history" / f"{profile}.jsonl"


def note(root: Path, profile: str) -> list[Row]:
    """Add what lies in the study now, unless the last run found the same; all runs, oldest first.

    Raises:
        OSError: it cannot be written.
    """
    path, rows = path_of(root, profile), read(root, profile)
    row = found(root, profile)
    if row and (not rows or _without_time(rows[-1]) != row):
        row = {"at": datetime.now(UTC).isoformat(timespec="seconds")} | row
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        rows.append(row)
        _stage(root, path)
    return rows


def _stage(root: Path, path: Path) -> None:
    """Have Git take the file along with dvc.lock, which DVC stages by this setting."""
    if not (root / ".git").exists():
        return
    asked = [sys.executable, "-m", "dvc", "config", "core.autostage"]
    told = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=False)
    if told.stdout.strip() == "true":
        # Best effort: while Git is at work there, the file stays untracked.
        subprocess.run(["git", "add", "--", str(path)], cwd=root, capture_output=True, check=False)


def read(root: Path, profile: str) -> list[Row]:
    """The runs noted so far, oldest first; a line that a kill has torn is none."""
    try:
        lines = path_of(root, profile).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [row for row in map(_parsed, lines) if row]


def _parsed(line: str) -> Row | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("at"), str) else None


def _without_time(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "at"}


def found(root: Path, profile: str) -> Row:
    """What the study's report found: documents, what was removed, overlap, Figure 4's test.

    Empty before the first report of this profile.
    """
    for path in _files(root, profile, "report", _FOUND):
        try:
            row = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return {}
        return row if isinstance(row, dict) else {}
    return {}


def perplexities_on_test(root: Path, profile: str) -> dict[str, float]:
    """Figure 4's test perplexities by size, smallest first; empty before the first report."""
    perplexities: dict[str, float] = found(root, profile).get("test_perplexity", {})
    return perplexities


def _files(root: Path, profile: str, stage: str, name: str) -> Iterator[Path]:
    """Files of a name among a stage's outs, where dvc.lock has those of this profile."""
    for out in outputs(root, stage):
        file = find_file(out, name)
        if file and profile in out.relative_to(root).parts:
            yield file


def drift_page(profile: str, rows: Sequence[Row]) -> ArtifactPage:
    """The last run beside the one before and all earlier ones, as Markdown with a picture."""
    last, before = rows[-1], rows[-2] if len(rows) > 1 else None
    lines = [f"# Drift of the study {as_text(profile)}", "", *_against(last, before)]
    if len(rows) > 1:
        image = base64.b64encode(picture(rows[-_SHOWN_RUNS:])).decode()
        lines += ["", f"![Drift](data:image/png;base64,{image})", "", *_over_time(rows)]
    title = "Documents, removals, overlap and Figure 4, against the run before and over time"
    return ArtifactPage("drift", title, "\n".join(lines))


def _flat(row: Row) -> dict[str, float]:
    """Its numbers: `removed wikipedia`, `test perplexity xl`."""
    flat: dict[str, float] = {}
    for name, value in row.items():
        words = name.replace("_", " ")
        if isinstance(value, dict):
            flat |= {f"{words} {inner}": number for inner, number in value.items()}
        elif name != "at":
            flat[words] = value
    return flat


def _against(last: Row, before: Row | None) -> list[str]:
    earlier = _flat(before or {})
    when = before["at"][:16].replace("T", " ") if before else "no earlier run"
    now = last["at"][:16].replace("T", " ")
    lines = [f"| | {as_text(when)} | {as_text(now)} | change |", "|---|---:|---:|---:|"]
    for name, value in _flat(last).items():
        old = earlier.get(name)
        change = "" if old is None else f"{value - old:+,.6g}"
        lines.append(f"| {as_text(name)} | {_number(old)} | {_number(value)} | {as_text(change)} |")
    return lines


def _over_time(rows: Sequence[Row]) -> list[str]:
    names = [name for name in _flat(rows[-1]) if not name.startswith("removed ")]
    lines = [f"| run | {' | '.join(map(as_text, names))} |", f"|---|{'---:|' * len(names)}"]
    for row in reversed(rows[-_SHOWN_RUNS:]):
        flat = _flat(row)
        numbers = " | ".join(_number(flat.get(name)) for name in names)
        lines.append(f"| {as_text(row['at'][:16].replace('T', ' '))} | {numbers} |")
    return lines


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def picture(rows: Sequence[Row]) -> bytes:
    """A PNG of two panels over the runs: documents, and the test perplexity of each size."""
    from matplotlib.figure import Figure  # here: it takes a second

    figure = Figure(figsize=(7.5, 2.6), dpi=90, layout="constrained")
    documents, perplexity = figure.subplots(1, 2)
    times = [datetime.fromisoformat(row["at"]) for row in rows]
    for name in ("documents", "kept"):
        documents.plot(times, [row.get(name) for row in rows], marker="o", label=name)
    for size in rows[-1].get("test_perplexity", {}):
        values = [row.get("test_perplexity", {}).get(size) for row in rows]
        perplexity.plot(times, values, marker="o", label=size)
    for axes, title in ((documents, "documents"), (perplexity, "test perplexity")):
        axes.set_title(title, fontsize=9)
        axes.tick_params(labelsize=7, axis="both")
        axes.tick_params(labelrotation=30, axis="x")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
