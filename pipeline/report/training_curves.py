"""Loss against tokens of every size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter

from pipeline.report.study import Study
from pipeline.report.style import panels, save, short_count, size_looks

_SMOOTHED_POINTS = 40  # of the training loss, so that several noisy curves stay readable


def draw_training_curves(study: Study, folder: Path) -> None:
    """Loss against tokens: held-out points, and the training loss behind them."""
    figure, (axes,) = panels(width=5.6, height=3.6)
    for size, look in zip(study.sizes, size_looks(len(study.sizes)), strict=True):
        curve, colour = study.curves[size], look.colour
        trained = curve.dropna(subset=["train_loss"])
        groups = np.arange(len(trained)) * _SMOOTHED_POINTS // max(len(trained), 1)
        smooth = trained[["tokens", "train_loss"]].groupby(groups).mean()
        axes.plot(smooth["tokens"], smooth["train_loss"], color=colour, alpha=0.4, linewidth=1.0)
        held_out = curve.dropna(subset=["valid_loss"])
        axes.plot(
            held_out["tokens"],
            held_out["valid_loss"],
            color=colour,
            marker=look.marker,
            markersize=4.5,
            label=study.label(size),
        )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
    axes.set_xlabel("training tokens")
    axes.set_ylabel("loss (nats per token)")
    axes.set_title("Held-out loss; the training loss pale behind")
    axes.legend()
    save(figure, folder, "training_curves")
