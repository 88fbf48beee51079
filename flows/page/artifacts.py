"""What a stage left, as Markdown for Prefect's pages: its metrics, and Figure 4.

Where artefacts lie is read from dvc.lock, since only dvc.yaml names paths.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from PIL import Image

_METRICS = "metrics.json"
_FIGURE = "figure4.png"
_TABLE = "figure4.csv"
_PAGE = "index.html"
# What CommonMark and its extensions may take for markup; a colon and an at sign make addresses.
_MARKUP = re.compile(r"[\\`*_{}\[\]()<>#+!|~&:@]")
_WHOLE_WITHIN_S = 5.0  # while it is written; one that a kill has torn stays so
_MAX_PNG_BYTES = 75_000  # 100 kB as base64: artifacts lie in Prefect's database


class ArtifactPage(NamedTuple):
    """One Markdown artifact."""

    key: str
    """Lower-case letters, digits and dashes: Prefect's rule."""
    title: str
    markdown: str


def pages(root: Path, stage: str, *, linked: bool) -> Iterator[ArtifactPage]:
    """The pages about a finished stage; `linked` where their server shows the report too."""
    key = stage.replace("@", "-").replace("_", "-").lower()
    for path in outputs(root, stage):
        metrics, figure = find_file(path, _METRICS), find_file(path, _FIGURE)
        if metrics:
            yield ArtifactPage(key, f"Metrics of {stage}", metrics_markdown(stage, metrics))
        if figure:
            yield ArtifactPage(
                "figure-4", "Figure 4", figure4_markdown(figure.parent, linked=linked)
            )


def outputs(root: Path, stage: str) -> list[Path]:
    """The files and folders a stage made, by dvc.lock."""
    recorded = _recorded(root / "dvc.lock").get(stage, {})
    return [root / out["path"] for out in recorded.get("outs", [])]


def _recorded(lock: Path) -> dict[str, Any]:
    """The stages in dvc.lock, which DVC writes in place whenever a stage beside this one ends."""
    ends_s = time.monotonic() + _WHOLE_WITHIN_S
    while lock.is_file():
        with suppress(yaml.YAMLError):
            content: Any = yaml.safe_load(lock.read_text())
            stages = content.get("stages") if isinstance(content, dict) else None
            if isinstance(stages, dict):
                return stages
        if time.monotonic() > ends_s:
            break
        time.sleep(0.1)
    return {}


def find_file(path: Path, name: str) -> Path | None:
    """`path` itself if it is called `name`, or `name` in the folder `path`."""
    found = path if path.name == name else path / name
    return found if found.is_file() else None


def metrics_markdown(stage: str, path: Path) -> str:
    """A stage's metrics.json as a table; what is nested is written as `outer.inner`."""
    rows = list(_flatten(json.loads(path.read_bytes())))
    lines = [f"# {stage}", "", "| metric | value |", "|---|---:|"]
    lines += [f"| {as_text(name)} | {as_text(_format(value))} |" for name, value in rows]
    return "\n".join(lines)


def _flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flatten(item, f"{prefix}{key}.")
        elif key != "sha256":  # of files: a list
            yield prefix + key, item


def _format(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    return "" if value is None else str(value)


def as_text(text: str) -> str:
    r"""A text as Markdown that shows it and is no markup: addresses and titles come from outside.

    >>> as_text("[x](javascript:alert(1))")
    '\\[x\\]\\(javascript\\:alert\\(1\\)\\)'
    """
    return _MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def figure4_markdown(folder: Path, *, linked: bool) -> str:
    """Figure 4 as an inline picture over its table, and where the whole report is."""
    image = base64.b64encode(small_png(folder / _FIGURE)).decode()
    lines = ["# Figure 4", "", f"![Figure 4](data:image/png;base64,{image})", ""]
    if (folder / _TABLE).is_file():
        try:
            with (folder / _TABLE).open(newline="", encoding="utf-8") as file:
                lines += figure4_table(list(csv.DictReader(file)))
        except (ValueError, KeyError, TypeError):  # the stage is done, and has said what it had to
            lines += [f"{_TABLE} is damaged: run `python -m flows.repair`, then `dvc repro`"]
    whole = "The whole report, with every table and figure,"
    if linked:  # flows.servers.prefect_server
        whole = f"[{whole}](/report/{folder.parent.name}/{_PAGE})"
    return "\n".join([*lines, "", f"{whole} is the file", "", f"`{folder / _PAGE}`"])


def figure4_table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Figure 4's rows as Markdown, each perplexity with its 95 % interval."""
    lines = ["| size | parameters | train perplexity | test perplexity |", "|---|---:|---:|---:|"]
    for row in rows:
        cells = [as_text(row["size"]), f"{int(float(row['parameters'])):,}"]
        for split in ("train", "test"):
            value, low, high = (
                float(row[f"{split}_perplexity{end}"]) for end in ("", "_low", "_high")
            )
            cells.append(f"{value:.2f} ({low:.2f} to {high:.2f})")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def small_png(path: Path) -> bytes:
    """A PNG's bytes, with fewer colours and then fewer pixels while it is too large to inline."""
    content = path.read_bytes()
    scale = 1.0
    while len(content) > _MAX_PNG_BYTES:
        with Image.open(path) as image:
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            smaller = image.convert("RGB").resize(size).quantize(64)
        buffer = io.BytesIO()
        smaller.save(buffer, "PNG", optimize=True)
        content = buffer.getvalue()
        scale *= 0.8
    return content
