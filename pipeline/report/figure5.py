"""Figure 5: how much of each completion the training text holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from pipeline.report.study import Study
from pipeline.report.style import (
    INK,
    MUTED,
    Form,
    is_narrow,
    panels,
    save,
    say_why_empty,
    size_looks,
)


def draw_figure5(study: Study, folder: Path, form: Form) -> None:
    """The distribution of each completion's overlap with the training text."""
    figure, (axes,) = panels(form=form, width=6.4, height=3.7)
    curves = study.overlap["figure5"]
    for size, look in zip(study.sizes, size_looks(len(study.sizes)), strict=True):
        label = f"samples of {study.label(size)}"
        _distribution(axes, curves[curves["size"] == size], label, look.colour, 1.5)
    _distribution(axes, curves[curves["kind"] == "real"], "real completions", INK, 2.4)
    axes.set_xscale("symlog", linthresh=1.0, linscale=0.5)
    ticks = [0, 1, 2, 5, 10, 20, 50, 100]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(0, 100)
    lowest = curves["cumulative_fraction"].min() if len(curves) else 0.0
    axes.set_ylim(max(0.0, np.floor(10 * lowest - 1) / 10), 1.0 + 0.02 * (1.1 - lowest))
    axes.set_xlabel("8-grams of a document that the training text holds (%)")
    axes.set_ylabel("fraction of documents")
    axes.set_title("Overlap with the training text")
    if curves.empty:
        say_why_empty(axes, "not run", "no document is long enough for a context and a completion")
    else:
        share_nothing = sizes_that_share_nothing(study)
        axes.legend(loc="center right" if share_nothing and is_narrow(axes) else "lower right")
        if share_nothing:
            axes.text(
                *(0.02, 0.03),
                f"no sample of {', '.join(share_nothing)}\nshares an 8-gram with the training text",
                transform=axes.transAxes,
                color=MUTED,
                fontsize=8.0,
            )
    save(figure, folder, "figure5", form)


def sizes_that_share_nothing(study: Study) -> list[str]:
    """Labels of the sizes of whose samples none holds an 8-gram of the training text."""
    curves = study.overlap["figure5"]
    most = curves[curves["kind"] == "sample"].groupby("size")["overlap_percent"].max()
    return [study.label(size) for size in study.sizes if size in most.index and most[size] == 0]


def _distribution(
    axes: Axes, curve: pd.DataFrame, label: str, colour: str, linewidth: float
) -> None:
    if curve.empty:
        return
    percents = np.concatenate([[0.0], curve["overlap_percent"], [100.0]])
    fractions = np.concatenate([[0.0], curve["cumulative_fraction"], [1.0]])
    axes.step(percents, fractions, where="post", color=colour, linewidth=linewidth, label=label)
