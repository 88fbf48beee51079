"""One look for all figures, and files whose bytes depend on the data alone.

Colours are the light theme's; `page.css` gives each a dark twin by the same name, and the page
swaps them, so that a figure is drawn once and read in both.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)

from pipeline.shared.tracking.labels import short_count

THEME = {
    "#ffffff": "--sheet",
    "#1f2328": "--ink",
    "#5f6a74": "--muted",
    "#e3e7ea": "--grid",
    "#0072b2": "--train",
    "#d55e00": "--test",
    "#7aa6cf": "--size-1",
    "#4481ba": "--size-2",
    "#1f5c99": "--size-3",
    "#0b2f5c": "--size-4",
}
"""Colour of the files -> the page's variable that takes its place."""
PAPER, INK, MUTED, GRID, TRAIN, TEST, *_SIZES = THEME
SIZE_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p")
_LADDERS = (
    (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0),
    (1.0, 1.5, 2.0, 3.0, 5.0, 7.0),
    (1.0, 2.0, 5.0),
    (1.0, 3.0),
    (1.0,),
)

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9.0,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "lines.markeredgewidth": 0.0,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "savefig.facecolor": PAPER,
    "savefig.dpi": 200,
    "svg.hashsalt": "figure4",  # else ids in the SVG change from run to run
    "svg.fonttype": "path",
}


class SizeLook(NamedTuple):
    """How one size is drawn."""

    colour: str
    css: str
    """The colour as the page says it, which has a dark twin."""
    marker: str


def size_looks(count: int) -> list[SizeLook]:
    """A look for each of `count` sizes, smallest first.

    One hue, darker with size, so that the order survives any colour vision: the theme's colours at
    even steps, or what lies between two of them.

    >>> [look.colour for look in size_looks(4)] == list(THEME)[-4:]
    True
    >>> size_looks(3)[1].css
    'color-mix(in srgb, var(--size-3, #1f5c99) 50%, var(--size-2, #4481ba))'
    """
    last = len(_SIZES) - 1
    places = np.linspace(0, last, count) if count > 1 else np.array([last])
    looks = []
    for number, place in enumerate(places.tolist()):
        low, part = int(place), place % 1
        css = css_colour(_SIZES[low])
        colour = _SIZES[low]
        if part:
            colour = _mix(_SIZES[low], _SIZES[low + 1], part)
            css = f"color-mix(in srgb, {css_colour(_SIZES[low + 1])} {100 * part:.0f}%, {css})"
        looks.append(SizeLook(colour, css, SIZE_MARKERS[number % len(SIZE_MARKERS)]))
    return looks


def css_colour(colour: str) -> str:
    """A colour of the theme as the page says it."""
    fallback = "transparent" if colour == PAPER else colour
    return f"var({THEME[colour]}, {fallback})"


def _mix(one: str, other: str, part: float) -> str:
    """`part` of the other colour, the rest of the one.

    >>> _mix("#000000", "#ff8000", 0.5)
    '#804000'
    """
    pairs = ((int(one[n : n + 2], 16), int(other[n : n + 2], 16)) for n in (1, 3, 5))
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in pairs)


class Form(NamedTuple):
    """What a figure is drawn for."""

    suffix: str
    """Of the file's name."""
    width: float | None
    """Of every figure, in inches; None where each has its own."""


BROAD = Form("", None)
NARROW = Form("_narrow", 3.25)
"""For a phone: shown 340 pixels wide, 8 points are 11 pixels."""
_NARROW_TITLE_CHARACTERS = 32
_NARROW_LABEL_CHARACTERS = 36
_NARROW_REASON_CHARACTERS = 34
_MOST_LEVEL_TICKS = 5  # of a narrow figure's axis; more stand aslant


@contextmanager
def house_style() -> Iterator[None]:
    """Draw inside this context."""
    with mpl.rc_context(_SETTINGS):
        yield


def panels(
    count: int = 1,
    form: Form = BROAD,
    *,
    columns: int | None = None,
    width: float = 6.0,
    height: float = 3.7,
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, `columns` of them side by side (all, unless said), in inches.

    A narrow one has them below one another, each as high as all are in a broad one of one row.
    """
    columns = columns or count
    if form.width is not None:
        height *= columns
        width, columns = form.width, 1
    rows = -(-count // columns)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = [figure.add_subplot(rows, columns, number + 1) for number in range(count)]
    return figure, axes


def is_narrow(axes: Axes) -> bool:
    """Whether the panel is one of a figure for a phone."""
    figure = axes.get_figure(root=True)
    return figure is not None and figure.get_figwidth() == NARROW.width


def size_axis(axes: Axes, parameters: list[int], labels: list[str]) -> None:
    """A log axis of parameters with a tick at each size: its label and its exact count."""
    axes.set_xscale("log")
    ticks = [f"{label}\n{short_count(n)}" for n, label in zip(parameters, labels, strict=True)]
    axes.set_xticks(parameters, ticks)
    if is_narrow(axes) and len(ticks) > _MOST_LEVEL_TICKS:
        axes.tick_params(axis="x", labelrotation=60)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=False, axis="x")
    axes.margins(x=0.09)
    axes.set_xlabel("parameters (log scale)")


def plain_log_axis(axes: Axes) -> None:
    """A log y axis with about six ticks at plain numbers, whatever its range."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(FixedLocator(nice_ticks(low, high)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def nice_ticks(low: float, high: float, most: int = 7) -> list[float]:
    """Round numbers in a range, at most `most` of them, for a log axis of any length.

    >>> nice_ticks(9, 52)
    [10.0, 15.0, 20.0, 30.0, 50.0]
    >>> nice_ticks(800, 90_000)
    [1000.0, 2000.0, 5000.0, 10000.0, 20000.0, 50000.0]
    >>> nice_ticks(103, 141)
    [110.0, 120.0, 130.0, 140.0]
    """
    if high / low < 2:  # so short that a log axis is as good as even
        ticks = MaxNLocator(most - 1, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        return [float(tick) for tick in ticks if low <= tick <= high]
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    found: list[float] = []
    for ladder in _LADDERS:
        found = [float(d * step) for d in decades for step in ladder if low <= d * step <= high]
        if len(found) <= most:
            break
    return found


def say_why_empty(axes: Axes, gap: str, why: str, *, width: int = 44) -> None:
    """Write into an empty panel why it is empty, in lines of `width` characters."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    width = min(width, _NARROW_REASON_CHARACTERS) if is_narrow(axes) else width
    text = textwrap.fill(f"{gap}: {why}", width, max_lines=9, placeholder=" ...")
    axes.text(
        0.5,
        0.5,
        text,
        transform=axes.transAxes,
        ha="center",
        va="center",
        color=MUTED,
        fontsize=8.0,
        in_layout=False,
    )


def save(figure: Figure, folder: Path, name: str, form: Form = BROAD) -> None:
    """Write `name.png` and `name.svg` without dates or versions in them; a narrow form as SVG."""
    if form == NARROW:
        for axes in figure.axes:
            title = axes.get_title(loc="left")
            axes.set_title(textwrap.fill(title, _NARROW_TITLE_CHARACTERS))
            axes.set_xlabel(textwrap.fill(axes.get_xlabel(), _NARROW_LABEL_CHARACTERS))
    else:
        figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    path = folder / f"{name}{form.suffix}.svg"
    figure.savefig(path, metadata={"Date": None, "Creator": None})
