"""The stage: artefacts in, figures, tables and one page out; then the study is put into MLflow."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from pipeline.report.beside_the_paper import comparison
from pipeline.report.calibration_figure import draw_calibration
from pipeline.report.dvc_metrics import scores_to_compare
from pipeline.report.earlier_runs import FOUND, earlier_runs, found
from pipeline.report.figure4 import Figure4, as_text, read_figure4
from pipeline.report.figure4_plot import draw_figure4
from pipeline.report.figure5 import draw_figure5
from pipeline.report.page import render
from pipeline.report.rates import draw_sweeps
from pipeline.report.scale_law import EXPONENT_SUFFIX
from pipeline.report.size_figures import draw_figure1, draw_figure2, draw_figure3
from pipeline.report.study import Study, read_study
from pipeline.report.style import BROAD, NARROW, house_style
from pipeline.report.tables import all_tables, calibrations
from pipeline.report.training_curves import draw_loss_by_flops, draw_training_curves
from pipeline.shared.files import open_atomic, write_json
from pipeline.shared.running.stage import Stage
from pipeline.shared.study.folder import StudyFolder
from pipeline.shared.tracking.finished import record_study


def run(stage: Stage) -> dict[str, Any]:
    """Write the report; returns what Figure 4 says."""
    study = read_study(stage.profile, stage.params, stage.inputs["study"])
    figure4 = read_figure4(study)
    tables = {"figure4": figure4.table, **all_tables(study)}
    if (beside_the_paper := comparison(study)) is not None:
        tables["comparison"] = beside_the_paper
    for name, frame in tables.items():
        with open_atomic(stage.staging / f"{name}.csv", "w") as file:
            frame.to_csv(file, index=False, lineterminator="\n")
    for size, scores in scores_to_compare(figure4.table, tables["table3"]).items():
        write_json(stage.staging / "sizes" / f"{size}.json", scores)
    stage.log.info("drawing the figures")
    draw_all(study, figure4, stage.staging)
    now = found(study, figure4)
    write_json(stage.staging / FOUND, now)
    earlier = earlier_runs(stage.profile, now, study.labels)
    page = render(study, tables, figure4, stage.staging, earlier=earlier)
    with open_atomic(stage.staging / "index.html", "w") as file:
        file.write(page)
    words = (
        as_text(figure4.table, study.labels),
        figure4.finding.sentence,
        figure4.verdict.sentence,
    )
    stage.log.info("Figure 4\n%s\n%s\n%s", *words)
    said = _summarise(figure4)
    record_study(
        stage.profile,
        stage.params,
        StudyFolder(stage.inputs["study"], stage.staging),
        stage.log,
        said=said,
    )
    return said


def draw_all(study: Study, figure4: Figure4, folder: Path) -> None:
    """Draw every figure of the report into `folder`: as PNG and SVG, and as SVG for a phone."""
    answers = calibrations(study)
    with house_style():
        for form in (BROAD, NARROW):
            draw_figure1(study, folder, form)
            draw_figure2(study, folder, form)
            draw_figure3(study, folder, form)
            draw_figure4(study, figure4, folder, form)
            draw_figure5(study, folder, form)
            draw_training_curves(study, folder, form)
            draw_loss_by_flops(study, folder, form)
            draw_sweeps(study, folder, form)
            draw_calibration(study, answers, folder, form)


def _summarise(figure4: Figure4) -> dict[str, Any]:
    finding, steps = figure4.finding, figure4.steps
    summary: dict[str, Any] = {}
    for split, falls in finding.falls.items():
        summary |= {
            f"{split}_perplexity_falls": falls,
            f"{split}_perplexity_ratio": _rounded(finding.ratio[split]),
        }
        for count, slope in figure4.law.slopes[split].items():
            name = f"{split}_exponent{EXPONENT_SUFFIX[count]}"
            summary |= {
                f"{name}{end}": _rounded(value)
                for end, value in zip(("", "_low", "_high"), slope, strict=True)
            }
    clear = sum(step.low > 1 for step in steps)
    return summary | {
        "steps_that_fall_beyond_chance": clear,
        "steps": len(steps),
        "still_underfits": figure4.verdict.kind,
    }


def _rounded(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
