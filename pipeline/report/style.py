"""One look for all figures, and files whose bytes depend on the data alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

# Okabe and Ito's palette, told apart with any colour vision and in grey.
TEST, TRAIN, THIRD, FOURTH = "#D55E00", "#0072B2", "#009E73", "#CC79A7"
SIZE_COLOURS = ("#56B4E9", "#009E73", "#E69F00", "#D55E00")
BASELINE = "#777777"

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "legend.frameon": False,
    "savefig.dpi": 160,
    "svg.hashsalt": "figure4",  # else ids in the SVG change from run to run
    "svg.fonttype": "path",
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw inside this context."""
    with mpl.rc_context(_SETTINGS):
        yield


def panels(count: int = 1, *, width: float = 6.4, height: float = 4.0) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels side by side, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = [figure.add_subplot(1, count, number + 1) for number in range(count)]
    return figure, axes


def size_axis(axes: Axes, parameters: list[int], labels: list[str]) -> None:
    """A log axis of parameters with a tick at each size: its count and its label."""
    axes.set_xscale("log")
    axes.set_xticks(parameters)
    ticks = [f"{label}\n{short_count(n)}" for n, label in zip(parameters, labels, strict=True)]
    axes.set_xticklabels(ticks)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.set_xlabel("size (parameters, log scale)")


def plain_log_axis(axes: Axes) -> None:
    """A log y axis whose ticks are plain numbers."""
    axes.set_yscale("log")
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(plain)
    axes.yaxis.set_minor_formatter(plain)


def short_count(number: float) -> str:
    """A count as people say it, to three significant digits.

    >>> short_count(36208), short_count(1557611200), short_count(640)
    ('36.2K', '1.56B', '640')
    """
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if number >= unit:
            return f"{number / unit:.3g}{name}"
    return f"{number:.3g}"


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write `name.png` and `name.svg` without dates or versions in them."""
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
