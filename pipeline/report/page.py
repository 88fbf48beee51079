"""The one page: everything inline, so that it opens anywhere and asks no other host."""

from __future__ import annotations

import base64
import json
import math
import re
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from pipeline.progress import format_seconds
from pipeline.report.figure4 import find
from pipeline.report.study import Study
from pipeline.report.tables import TABLE3, TASKS, costs, differences, not_run


def render(study: Study, table: pd.DataFrame, tables: dict[str, pd.DataFrame], folder: Path) -> str:
    """The HTML of the report; reads the figures that stand in `folder` as SVG."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["table"] = html_table
    environment.globals["figure"] = lambda name: inline_svg(folder / f"{name}.svg", name)
    downloads = {"figure4": table, **tables}
    compared = {"Table 3": differences(study, TABLE3), "tasks": differences(study, TASKS)}
    return environment.get_template("page.html").render(
        title=study.params.report.title,
        study=study,
        table=table,
        tables=tables,
        finding=find(table),
        costs=_readable_costs(costs(study)),
        total=format_seconds(float(costs(study)["seconds"].sum())),
        missing=not_run(study),
        compared={name: frame for name, frame in compared.items() if frame is not None},
        chain=[(name, *_chain_row(metrics)) for name, metrics in study.stages.items()],
        downloads={name: data_uri(frame.to_csv(index=False)) for name, frame in downloads.items()},
        params=json.dumps(study.params.model_dump(mode="json"), indent=2),
        sections=_SECTIONS,
    )


_SECTIONS = (
    ("figure4", "Figure 4"),
    ("models", "Models"),
    ("training", "Training"),
    ("scores", "Zero-shot"),
    ("memory", "Memory or gain?"),
    ("chain", "The chain"),
    ("cost", "Cost"),
    ("provenance", "Provenance"),
)


def _chain_row(metrics: dict[str, Any]) -> tuple[str, str]:
    """A stage's flat numbers, and its nested counts (by reason, by kind) below one another."""
    skipped = {"stage", "profile", "size", "seconds", "attempts", "peak_memory_mib"}
    flat = [
        f"{_words(key)} {_number(value)}"
        for key, value in metrics.items()
        if key not in skipped and isinstance(value, int | float) and not isinstance(value, bool)
    ]
    nested = [
        f"{_words(key)}: " + ", ".join(f"{_words(name)} {_number(n)}" for name, n in value.items())
        for key, value in metrics.items()
        if isinstance(value, dict) and value and all(isinstance(n, int) for n in value.values())
    ]
    return "; ".join(flat), " | ".join(nested)


def _words(key: str) -> str:
    return str(key).replace("_", " ")


def _number(value: object) -> str:
    """A number for reading: grouped integers, four significant digits, and - for a gap.

    >>> _number(1234567), _number(3.14159), _number(None), _number(0.00012)
    ('1,234,567', '3.142', '-', '0.00012')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _readable_costs(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        seconds=[format_seconds(value) for value in frame["seconds"]],
        peak_memory_mib=[f"{value:,.0f}" for value in frame["peak_memory_mib"]],
    )


def html_table(frame: pd.DataFrame, caption: str = "") -> Markup:
    """A data frame as an accessible table; a gap shows as a dash."""
    head = "".join(f'<th scope="col">{escape(_words(name))}</th>' for name in frame.columns)
    rows = []
    for values in frame.itertuples(index=False):
        cells = [_cell(value, first=number == 0) for number, value in enumerate(values)]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    text = f"<caption>{escape(caption)}</caption>" if caption else ""
    return Markup(
        f'<div class="scroll"><table>{text}<thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(value: Any, *, first: bool) -> str:
    if hasattr(value, "item"):
        value = value.item()  # numpy's scalars
    text = escape(_number(value))
    if first:
        return f'<th scope="row">{text}</th>'
    numeric = isinstance(value, int | float)
    return f'<td class="number">{text}</td>' if numeric else f"<td>{text}</td>"


def inline_svg(path: Path, name: str) -> Markup:
    """An SVG for the page itself: no XML head, scalable, ids made unique by the figure's name."""
    text = path.read_text(encoding="utf-8")
    svg = text[text.index("<svg") :]
    svg = re.sub(r' width="[^"]+pt"| height="[^"]+pt"', "", svg, count=2)
    svg = re.sub(r'(id="|href="#|url\(#)', lambda match: f"{match[1]}{name}-", svg)
    return Markup(svg)


def data_uri(csv: str) -> str:
    """A CSV as a link that downloads it."""
    return "data:text/csv;base64," + base64.b64encode(csv.encode()).decode()
