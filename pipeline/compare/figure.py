"""compare.png and compare.svg: perplexity by size of every group, and each against the first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from pipeline.compare.studies import Group
from pipeline.compare.tables import Figure4
from pipeline.report.style import (
    MUTED,
    SIZE_MARKERS,
    TEST,
    TRAIN,
    house_style,
    panels,
    plain_log_axis,
    save,
    size_axis,
)
from pipeline.shared.tracking.labels import short_count

# Blue and red have a twin in the page's dark theme; all keep apart for any colour vision.
_COLOURS = (TRAIN, TEST, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_APART = 0.03  # of a group's points from the next one's, in parts of their place


def draw(groups: Sequence[Group], figure4: Figure4, ratios: pd.DataFrame, folder: Path) -> None:
    """Draw into `folder`; a panel of ratios where there is more than one group."""
    count = 3 if len(ratios) else 2
    with house_style():
        figure, axes = panels(count, width=4.3 * count, height=3.9)
        for axis, split in zip(axes, ("test", "train"), strict=False):
            _draw_split(groups, figure4, split, axis)
        if len(groups) > 1:
            axes[0].legend(loc="best")
        if len(ratios):
            _draw_ratios(groups, ratios, axes[2])
        save(figure, folder, "compare")


def _draw_split(groups: Sequence[Group], figure4: Figure4, split: str, axes: Axes) -> None:
    axes.set_title(f"Perplexity on {split} documents")
    for number, group in enumerate(groups):
        measured = figure4[group.label].get(split)
        if measured is None:
            continue
        places = _places(group, measured.sizes, number, len(groups))
        rows = np.array([measured.at(size) for size in measured.sizes])
        _bars(axes, places, rows, number, group.label)
        if len(group.studies) > 1:
            for losses in measured.by_replicate:
                axes.plot(
                    places * (1 + _APART),
                    measured.metric.of_ratio(losses),
                    color=_COLOURS[number % len(_COLOURS)],
                    linestyle="none",
                    marker="_",
                    markeredgewidth=1.0,
                    zorder=2,
                )
    plain_log_axis(axes)
    _axis_of_sizes(groups, axes)
    axes.set_ylabel("perplexity per token (log scale)")


def _draw_ratios(groups: Sequence[Group], ratios: pd.DataFrame, axes: Axes) -> None:
    shown = ratios[(ratios["set"] == "webtext_test") & (ratios["kind"] == "ratio")]
    names = shown["metric"].unique().tolist()
    axes.set_title(f"Test, against {groups[0].label}")
    for number, group in enumerate(groups):
        of_group = shown[shown["study"] == group.label]
        if len(of_group):
            places = _places(group, of_group["size"].tolist(), number, len(groups))
            rows = of_group[["value", "low", "high"]].to_numpy(dtype=float)
            _bars(axes, places, rows, number, group.label)
    axes.axhline(1.0, color=MUTED, linewidth=1.0, linestyle=":", zorder=1)
    _axis_of_sizes(groups, axes)
    what = "perplexity" if names == ["perplexity"] else " or ".join(names).replace("_", " ")
    axes.set_ylabel(f"ratio of {what}; below 1 is better")


def _places(group: Group, sizes: Sequence[str], number: int, of: int) -> np.ndarray:
    """Parameters, each group a little to the side so that bars do not hide one another."""
    counts = np.array([group.training(size, "parameters") for size in sizes], dtype=float)
    return np.asarray(counts * (1 + _APART) ** (2 * number - of + 1))


def _bars(axes: Axes, places: np.ndarray, rows: np.ndarray, number: int, label: str) -> None:
    """Values [points, (value, low, high)] with their intervals."""
    values, low, high = rows.T
    axes.errorbar(
        places,
        values,
        yerr=np.clip([values - low, high - values], 0, None),
        color=_COLOURS[number % len(_COLOURS)],
        marker=SIZE_MARKERS[number % len(SIZE_MARKERS)],
        capsize=3,
        elinewidth=1.2,
        label=label,
        zorder=3,
    )


def _axis_of_sizes(groups: Sequence[Group], axes: Axes) -> None:
    """A tick at each size of the first group, and at sizes that only another one has."""
    names: dict[int, str] = {}
    for group in groups:
        for size in group.sizes:
            names.setdefault(int(group.training(size, "parameters")), size)
    kept: list[int] = []
    for count in sorted(names):
        if not kept or count > 1.25 * kept[-1]:  # nearer, their labels would touch
            kept.append(count)
    size_axis(axes, kept, [names[count] for count in kept])
    axes.set_xlabel(f"parameters, {short_count(min(names))} to {short_count(max(names))}")
