"""What the search for each size's learning rate saw, as a figure and a table."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from pipeline.report.study import Study
from pipeline.report.style import MUTED, Form, SizeLook, panels, save, size_looks

_EARLIER = 0.35  # opacity of the comparisons before the last


class Valley(NamedTuple):
    """Whether the loss rises on either side of the chosen rate."""

    below: bool
    above: bool

    @property
    def words(self) -> str:
        """As the page says it."""
        if self.below and self.above:
            return "closed on both sides"
        sides = [name for name, closed in zip(("below", "above"), self, strict=True) if not closed]
        return f"open {' and '.join(sides)}"


def valley(sweep: pd.DataFrame, chosen: float) -> Valley:
    """Is some lower and some higher rate worse, where both were compared for the last time?

    A rate that diverged is worse than any.

    >>> sweep = pd.DataFrame({"learning_rate": [1.0, 2.0, 4.0, 2.0, 4.0],
    ...     "tokens": [10, 10, 10, 20, 20], "valid_loss": [3.0, 2.0, 2.5, 1.5, 1.4]})
    >>> valley(sweep, 4.0), valley(sweep, 4.0).words
    (Valley(below=True, above=False), 'open above')
    """
    names = ("learning_rate", "tokens", "valid_loss")
    trials = list(zip(*(sweep.sort_values("tokens")[name].tolist() for name in names), strict=True))
    diverged = {rate for rate, _, loss in trials if math.isinf(loss)}
    own = {tokens: loss for rate, tokens, loss in trials if rate == chosen}
    last = {rate: (tokens, loss) for rate, tokens, loss in trials if rate != chosen}
    worse = {
        rate: rate in diverged or loss > own.get(tokens, math.inf)
        for rate, (tokens, loss) in last.items()
    }
    return Valley(
        any(bad for rate, bad in worse.items() if rate < chosen),
        any(bad for rate, bad in worse.items() if rate > chosen),
    )


def rates_table(study: Study) -> pd.DataFrame:
    """One row a size: the chosen rate, what came next, and what the search cost.

    `behind_nats` is how much worse the next best rate of the last comparison was, in nats per
    held-out token; empty where only one was left. `cost_in_trainings`: tokens of the trials that
    did not become the training, over those of the training.
    """
    rows = []
    for size in study.sizes:
        sweep, tuned = study.sweeps[size], study.stages[f"tune@{size}"]
        chosen = study.learning_rate(size)
        finished = sweep[np.isfinite(sweep["valid_loss"])]
        last = finished[finished["tokens"] == finished["tokens"].max()].sort_values("valid_loss")
        rows.append({
            "size": size,
            "learning_rate": chosen,
            "rates_tried": sweep["learning_rate"].nunique(),
            "valley": valley(sweep, chosen).words,
            "next_best": last["learning_rate"].iloc[1] if len(last) > 1 else math.nan,
            "behind_nats": np.diff(last["valid_loss"])[0] if len(last) > 1 else math.nan,
            "cost_in_trainings": tuned.get("cost_in_trainings", math.nan),
        })
    return pd.DataFrame(rows)


def draw_sweeps(study: Study, folder: Path, form: Form) -> None:
    """Held-out loss against learning rate at each comparison; the chosen rate is ringed."""
    figure, (axes,) = panels(form=form, width=5.0, height=3.4)
    for size, look in zip(study.sizes, size_looks(len(study.sizes)), strict=True):
        chosen = study.learning_rate(size)
        _draw_sweep(axes, study.sweeps[size], chosen, look, study.label(size))
    rates = sorted({rate for size in study.sizes for rate in study.sweeps[size]["learning_rate"]})
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(rates))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.tick_params(axis="x", labelrotation=30 if len(rates) > 5 else 0)
    axes.margins(0.08, 0.12)
    axes.set_xlabel("learning rate (log scale)")
    axes.set_ylabel("held-out loss (nats per token)")
    axes.set_title("Each size's learning rate; the chosen one ringed")
    axes.legend()
    save(figure, folder, "learning_rates", form)


def _draw_sweep(axes: Axes, sweep: pd.DataFrame, chosen: float, look: SizeLook, label: str) -> None:
    finished = sweep[np.isfinite(sweep["valid_loss"])]
    last = finished["tokens"].max()
    for tokens, trials in finished.groupby("tokens"):
        ordered = trials.sort_values("learning_rate")
        axes.plot(
            ordered["learning_rate"],
            ordered["valid_loss"],
            color=look.colour,
            marker=look.marker,
            alpha=1.0 if tokens == last else _EARLIER,
            label=label if tokens == last else None,
        )
    best = finished[(finished["tokens"] == last) & (finished["learning_rate"] == chosen)]
    axes.plot(
        best["learning_rate"],
        best["valid_loss"],
        linestyle="none",
        marker="o",
        markersize=13,
        markerfacecolor="none",
        markeredgecolor=look.colour,
        markeredgewidth=1.6,
    )
    for rate in sweep.loc[~np.isfinite(sweep["valid_loss"]), "learning_rate"]:
        axes.annotate("diverged", (rate, 1.0), xycoords=("data", "axes fraction"), color=MUTED)
