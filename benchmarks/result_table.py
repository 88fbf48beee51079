"""What every benchmark writes: one row per case and peer, as JSON and as a Markdown table.

The ratio is made so that more than 1 always means that figure4 is better.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison; `ours` and `peer` in `unit`."""

    case: str
    ours: float
    peer: float
    peer_name: str
    unit: str
    ratio: float
    """Median of the paired rounds where there are any, so not always ours / peer."""
    higher_is_better: bool


def compare(
    case: str, ours: float, peer: float, peer_name: str, unit: str, *, higher_is_better: bool = True
) -> Row:
    """A row whose ratio is that of its two figures."""
    ratio = ours / peer if higher_is_better else peer / ours
    return Row(
        case=case,
        ours=ours,
        peer=peer,
        peer_name=peer_name,
        unit=unit,
        ratio=ratio,
        higher_is_better=higher_is_better,
    )


def hardware(device: str) -> str:
    """The processor or GPU that was measured, as a part of a file name."""
    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _processor() -> str:
    cores = len(_usable_cores())
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return f"{cores}-cores-{model}"


def _usable_cores() -> set[int]:
    import os

    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}


def write_results(
    script: str, device: str, rows: Sequence[Row], notes: str, folder: Path = RESULTS
) -> Path:
    """Write `<script>_<hardware>_<date>.json` and the table beside it; returns the table.

    `notes` is Markdown: versions, the command, what the figures mean.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{script}_{hardware(device)}_{dt.date.today().isoformat()}.json"
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    table = path.with_suffix(".md")
    table.write_text(f"# {script}, {hardware(device)}\n\n{notes}\n\n{markdown(rows)}")
    return table


def name_part(
    script: str, options: argparse.Namespace, wholes: Mapping[str, str | Iterable[object]]
) -> str:
    """A name for the results of a part of a benchmark: what was chosen, where it is not the whole.

    >>> options = argparse.Namespace(shapes=["s"], sizes=[1, 2])
    >>> name_part("train", options, {"shapes": ["s", "m"], "sizes": [1, 2]})
    'train_s'
    """
    chosen = [
        value if isinstance(value, str) else "-".join(map(str, value))
        for value, whole in ((vars(options)[key], whole) for key, whole in wholes.items())
        if set(value) != set(whole)
    ]
    return "_".join([script, *chosen]).replace(" ", "-")


def command_line(arguments: Sequence[str] | None = None) -> str:
    """The command line that was given, paths without what is of this machine alone.

    >>> command_line(["/home/me/benchmarks/corpus.py", "dedup", "--corpus", "/data/web"])
    'python benchmarks/corpus.py dedup --corpus web'
    """
    script, *rest = sys.argv if arguments is None else arguments
    shortened = [Path(one).name if "/" in one else one for one in rest]
    return " ".join(["python", f"benchmarks/{Path(script).name}", *shortened])


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a table.

    >>> print(markdown([compare("s", 3.0, 2.0, "nanoGPT", "tokens/s")]).splitlines()[2])
    | s | 3 | 2 | nanoGPT | tokens/s | 1.50x |
    """
    lines = ["| case | figure4 | peer | peer's name | unit | ratio |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row.case} | {_number(row.ours)} | {_number(row.peer)} | {row.peer_name} "
        f"| {row.unit} | {row.ratio:.2f}x |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
