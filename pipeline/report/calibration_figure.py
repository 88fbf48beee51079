"""How often answers are right, against how sure the model is of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.report.study import Study
from pipeline.report.style import (
    MUTED,
    Form,
    panels,
    save,
    say_why_empty,
    size_looks,
)

_SET, _METRIC = "natural_questions", "exact_match"


def draw_calibration(study: Study, table: pd.DataFrame, folder: Path, form: Form) -> None:
    """Accuracy by bucket of confidence, both in percent; on the diagonal a model is calibrated."""
    figure, (axes,) = panels(form=form, width=5.2, height=3.4)
    axes.set_title("Natural Questions: right as often as sure?")
    if table.empty:
        size = study.sizes[-1]
        gap, why = study.gap(size, _SET, _METRIC), study.why_not(size, _SET, _METRIC)
        say_why_empty(axes, gap, why or "fewer than five answers that say anything")
        save(figure, folder, "calibration", form)
        return
    for size, look in zip(study.sizes, size_looks(len(study.sizes)), strict=True):
        buckets = table[table["size"] == size]
        if buckets.empty:
            continue
        columns = ("mean_confidence", "accuracy", "accuracy_low", "accuracy_high")
        sure, right, low, high = (100 * buckets[name].to_numpy(dtype=float) for name in columns)
        axes.errorbar(
            sure,
            right,
            yerr=np.clip([right - low, high - right], 0, None),
            color=look.colour,
            marker=look.marker,
            markersize=4.5,
            elinewidth=0.8,
            linewidth=1.2,
            label=study.label(size),
        )
    end = 100 * float(table["mean_confidence"].max())
    axes.plot([0, end], [0, end], color=MUTED, linestyle=":", linewidth=1.0, label="calibrated")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("mean probability of the answers of a bucket (%)")
    axes.set_ylabel("of them right (%)")
    axes.legend(loc="best")
    save(figure, folder, "calibration", form)
