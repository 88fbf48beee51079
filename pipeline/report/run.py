"""The stage: artefacts in, figures, tables and one page out; then the study is put into MLflow."""

from __future__ import annotations

from typing import Any

from pipeline.files import open_atomic
from pipeline.report.figure4 import as_text, figure4_table, find
from pipeline.report.figures import draw_all
from pipeline.report.page import render
from pipeline.report.study import read_study
from pipeline.report.tables import all_tables
from pipeline.stage import Stage
from pipeline.tracking import record_study


def run(stage: Stage) -> dict[str, Any]:
    """Write the report; returns Figure 4's numbers and what it says."""
    study = read_study(stage.profile, stage.params, stage.inputs["study"])
    table = figure4_table(study)
    finding = find(table)
    tables = all_tables(study)
    for name, frame in {"figure4": table, **tables}.items():
        with open_atomic(stage.staging / f"{name}.csv", "w") as file:
            frame.to_csv(file, index=False)
    stage.log.info("drawing the figures")
    draw_all(study, table, stage.staging)
    with open_atomic(stage.staging / "index.html", "w") as file:
        file.write(render(study, table, tables, stage.staging))
    record_study(
        stage.profile, stage.params, stage.inputs["study"], stage.log, report=stage.staging
    )
    stage.log.info("Figure 4\n%s\n%s", as_text(table), finding.sentence)
    return {
        "train_perplexity_falls": finding.falls["train"],
        "test_perplexity_falls": finding.falls["test"],
        "test_perplexity_ratio": round(finding.ratio["test"], 4),
        "train_perplexity_ratio": round(finding.ratio["train"], 4),
        "test_exponent": round(finding.exponent["test"], 4),
    }
