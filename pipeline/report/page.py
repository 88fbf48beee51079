"""The one page: everything inline, so that it opens anywhere and asks no other host."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from pipeline.report import markup, memory, provenance
from pipeline.report.beside_the_paper import PAPER_TABLE6, table6_comparison
from pipeline.report.chain import costs, funnel, splits
from pipeline.report.describe import describe_figures
from pipeline.report.earlier_runs import EarlierRuns
from pipeline.report.excerpts import answer_sets, samples
from pipeline.report.figure4 import Figure4
from pipeline.report.scale_law import limits
from pipeline.report.study import Study
from pipeline.report.style import BROAD, NARROW, size_looks
from pipeline.report.tables import ROUGE, TABLE3, TASKS, Column, factor, not_run, set_title
from pipeline.shared.running.progress import format_seconds
from pipeline.shared.scores.scaling import TRAINING_NOISE_NATS
from pipeline.shared.tracking.labels import short_count


def render(
    study: Study,
    tables: dict[str, pd.DataFrame],
    figure4: Figure4,
    folder: Path,
    *,
    earlier: EarlierRuns | None = None,
) -> str:
    """The HTML of the report; reads the figures that stand in `folder` as SVG."""
    spent = costs(study)
    descriptions = describe_figures(study, tables["figure4"])
    environment = _environment()
    looks = size_looks(len(study.sizes))
    environment.globals["figure"] = lambda name, form: markup.inline_svg(
        folder / f"{name}{form.suffix}.svg", f"{name}{form.suffix}", descriptions[name], looks
    )
    environment.globals["more"] = markup.MORE
    environment.globals["forms"] = {"broad": BROAD, "narrow": NARROW}
    return environment.get_template("page.html").render(
        title=study.params.report.title,
        study=study,
        sizes=study.sizes,
        finding=figure4.finding,
        steps=figure4.steps,
        law=figure4.law,
        limits=limits(len(study.sizes)),
        training_noise_nats=TRAINING_NOISE_NATS,
        verdict=figure4.verdict,
        samples=samples(study),
        answer_sets=answer_sets(study),
        tables=tables,
        table3=TABLE3,
        tasks=TASKS,
        titles=_titles,
        set_title=set_title,
        paper_sets=list(PAPER_TABLE6),
        rouge=ROUGE,
        missing=not_run(study),
        comparison=_by_metric(tables.get("comparison")),
        table6_comparison=table6_comparison(study),
        table6_means=memory.table6_means(study),
        copied=memory.copied_to_read(study, tables["copied"]),
        too_short=memory.too_short_to_read(study),
        highest=memory.highest_to_read(study),
        clean=memory.clean_to_read(study),
        domains=memory.domains_to_read(study),
        domains_of=memory.domains_size(study),
        funnel=funnel(study),
        splits=splits(study),
        costs=spent,
        total_seconds=sum(cost.seconds for cost in spent),
        peak_memory_mib=max(cost.peak_memory_mib for cost in spent),
        overlap=study.stages["overlap"],
        earlier=earlier,
        profile=study.profile,
        hashes=provenance.hashes(study),
        commit=provenance.commit(),
        commit_date=provenance.commit_date(),
        today=provenance.today(),
        machine=provenance.machine(),
        trained_on=provenance.trained_on(study),
        packages=provenance.packages(),
        parameters=provenance.parameters(study),
        downloads={
            name: markup.data_uri(frame.to_csv(index=False, lineterminator="\n"))
            for name, frame in tables.items()
        },
    )


def _by_metric(comparison: pd.DataFrame | None) -> list[list[dict[str, Any]]]:
    """The rows of `comparison`, those of one set and metric together: a line of the page each."""
    if comparison is None:
        return []
    rows = [
        {str(key): value for key, value in row.items()} for row in comparison.to_dict("records")
    ]
    return [list(group) for _, group in groupby(rows, lambda row: (row["set"], row["metric"]))]


def _titles(columns: Sequence[Column]) -> list[tuple[str, int]]:
    """Titles of the sets over their columns: title and number of columns, in order."""
    return [
        (title, len(list(group))) for title, group in groupby(column.title for column in columns)
    ]


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "number": markup.number,
        "score": markup.score,
        "signed": markup.signed,
        "between": markup.between,
        "estimate": markup.estimate,
        "ends": markup.ends,
        "exp": math.exp,
        "power": markup.power,
        "caption": markup.html_caption,
        "words": markup.words,
        "spelled": markup.spelled,
        "table": markup.html_table,
        "short": short_count,
        "seconds": format_seconds,
        "factor": factor,
    }
    environment.filters.update(filters)
    return environment
