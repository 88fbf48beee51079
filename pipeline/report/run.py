"""The stage: artefacts in, figures, tables and one page out; then the study is put into MLflow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.files import open_atomic
from pipeline.report.beside_the_paper import comparison
from pipeline.report.calibration_figure import draw_calibration
from pipeline.report.figure4 import Finding, Step, as_text, compare_steps, figure4_table, find
from pipeline.report.other_figures import draw_figure5, draw_sweeps, draw_training_curves
from pipeline.report.page import render
from pipeline.report.size_figures import draw_figure1, draw_figure2, draw_figure3, draw_figure4
from pipeline.report.study import Study, read_study
from pipeline.report.style import house_style
from pipeline.report.tables import all_tables, calibrations
from pipeline.stage import Stage
from pipeline.tracking import record_study


def run(stage: Stage) -> dict[str, Any]:
    """Write the report; returns what Figure 4 says."""
    study = read_study(stage.profile, stage.params, stage.inputs["study"])
    table = figure4_table(study)
    finding, steps = find(table), compare_steps(study)
    tables = {"figure4": table, **all_tables(study)}
    if (beside_the_paper := comparison(study)) is not None:
        tables["comparison"] = beside_the_paper
    for name, frame in tables.items():
        with open_atomic(stage.staging / f"{name}.csv", "w") as file:
            frame.to_csv(file, index=False, lineterminator="\n")
    stage.log.info("drawing the figures")
    draw_all(study, table, stage.staging)
    page = render(study, tables, finding, steps, stage.staging)
    with open_atomic(stage.staging / "index.html", "w") as file:
        file.write(page)
    stage.log.info("Figure 4\n%s\n%s", as_text(table), finding.sentence)
    record_study(
        stage.profile, stage.params, stage.inputs["study"], stage.log, report=stage.staging
    )
    return _summarise(finding, steps)


def draw_all(study: Study, table: pd.DataFrame, folder: Path) -> None:
    """Draw every figure of the report into `folder`, as PNG and SVG."""
    with house_style():
        draw_figure1(study, folder)
        draw_figure2(study, folder)
        draw_figure3(study, folder)
        draw_figure4(study, table, folder)
        draw_figure5(study, folder)
        draw_training_curves(study, folder)
        draw_sweeps(study, folder)
        draw_calibration(study, calibrations(study), folder)


def _summarise(finding: Finding, steps: list[Step]) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for split, falls in finding.falls.items():
        summary |= {
            f"{split}_perplexity_falls": falls,
            f"{split}_perplexity_ratio": _rounded(finding.ratio[split]),
            f"{split}_exponent": _rounded(finding.exponent[split]),
        }
    clear = sum(step.low > 1 for step in steps)
    return summary | {"steps_that_fall_beyond_chance": clear, "steps": len(steps)}


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
