"""Figure 4 drawn: perplexity against size, and below it the gap between train and test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from pipeline.report.figure4 import Figure4
from pipeline.report.losses import SPLITS
from pipeline.report.study import Study
from pipeline.report.style import INK, MUTED, TEST, TRAIN, Form, plain_log_axis, save, size_axis
from pipeline.shared.scores.scaling import power_law

_COLOURS = {"train": TRAIN, "test": TEST}
_MARKERS = {"train": "s", "test": "o"}
_HEIGHTS = (3.1, 1.0)  # of perplexity and gap


def draw_figure4(study: Study, figure4: Figure4, folder: Path, form: Form) -> None:
    """Perplexity on train and test documents with 95 % intervals, a power law, and the gap."""
    figure = Figure(figsize=(form.width or 6.4, 5.1), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=_HEIGHTS)
    _draw_perplexities(above, figure4)
    _draw_gap(below, figure4)
    labels = [study.label(size) for size in study.sizes]
    for axes in (above, below):
        size_axis(axes, figure4.table["parameters"].tolist(), labels)
    above.set_xlabel("")
    above.tick_params(axis="x", labelbottom=False)
    save(figure, folder, "figure4", form)


def _draw_perplexities(axes: Axes, figure4: Figure4) -> None:
    parameters = figure4.table["parameters"].to_numpy(dtype=float)
    for split in SPLITS:
        # The two lines nearly meet; a step of 2 % to either side keeps their bars apart.
        places = parameters * (1.02 if split == "test" else 0.98)
        values, arms = _with_arms(figure4, f"{split}_perplexity")
        axes.errorbar(
            places,
            values,
            yerr=arms,
            color=_COLOURS[split],
            marker=_MARKERS[split],
            markersize=6.5,
            capsize=3.5,
            elinewidth=1.3,
            capthick=1.3,
            label=f"{split} documents",
            zorder=3,
        )
    _draw_fit(axes, parameters, figure4.table["test_perplexity"].to_numpy(dtype=float))
    plain_log_axis(axes)
    axes.set_ylabel("perplexity per token (log scale)")
    fell = all(figure4.finding.falls.values())
    axes.set_title(
        "Perplexity falls with size, on train and test documents alike"
        if fell
        else "Perplexity on train and test documents against model size"
    )
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1])


def _draw_fit(axes: Axes, parameters: np.ndarray, values: np.ndarray) -> None:
    known = np.isfinite(values)
    if known.sum() < 2:
        return
    slope, intercept = (float(x) for x in power_law(parameters[known], np.log(values[known])))
    ends = np.array([parameters.min() * 0.8, parameters.max() * 1.25])
    axes.plot(
        ends,
        np.exp(intercept) * ends**slope,
        color=MUTED,
        linestyle=(0, (2, 3)),
        linewidth=1.0,
        zorder=1,
        label=f"test fit: power {slope:.3f}".replace("-", "\N{MINUS SIGN}"),
    )


def _draw_gap(axes: Axes, figure4: Figure4) -> None:
    values, arms = _with_arms(figure4, "gap_nats")
    axes.axhline(0.0, color=MUTED, linewidth=0.9, zorder=1)
    axes.errorbar(
        figure4.table["parameters"].to_numpy(dtype=float),
        values,
        yerr=arms,
        color=INK,
        marker="D",
        markersize=4.5,
        linewidth=1.2,
        capsize=3.5,
        elinewidth=1.1,
    )
    axes.set_ylabel("gap (nats)")
    axes.set_title("Gap: loss on test minus loss on train documents", fontsize=8.5)
    axes.margins(y=0.15)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.locator_params(axis="y", nbins=4)


def _with_arms(figure4: Figure4, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The column [sizes] and how far its interval reaches down and up [2, sizes]."""
    value, low, high = (
        figure4.table[f"{name}{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high")
    )
    return value, np.clip([value - low, high - value], 0, None)
