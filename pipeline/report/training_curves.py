"""Loss of every size while it trained: against tokens, and against what they cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from pipeline.report.study import Study
from pipeline.report.style import Form, SizeLook, panels, save, size_looks
from pipeline.shared.tracking.labels import short_count

_SMOOTHED_POINTS = 40  # of the training loss, so that several noisy curves stay readable


def draw_training_curves(study: Study, folder: Path, form: Form) -> None:
    """Loss against tokens: held-out points, and the training loss behind them."""
    figure, (axes,) = panels(form=form, width=5.0, height=3.4)
    for size, look in zip(study.sizes, size_looks(len(study.sizes)), strict=True):
        curve, colour = study.curves[size], look.colour
        trained = curve.dropna(subset=["train_loss"])
        groups = np.arange(len(trained)) * _SMOOTHED_POINTS // max(len(trained), 1)
        smooth = trained[["tokens", "train_loss"]].groupby(groups).mean()
        axes.plot(smooth["tokens"], smooth["train_loss"], color=colour, alpha=0.4, linewidth=1.0)
        _draw_held_out(axes, study, size, look)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_count(value)))
    axes.set_xlabel("training tokens")
    axes.set_ylabel("loss (nats per token)")
    axes.set_title("Held-out loss; the training loss pale behind")
    axes.legend()
    save(figure, folder, "training_curves", form)


def draw_loss_by_flops(study: Study, folder: Path, form: Form) -> None:
    """Held-out loss against the operations that its training took until then.

    Those of the search for the rate are not among them.
    """
    figure, (axes,) = panels(form=form, width=5.0, height=3.4)
    for size, look in zip(study.sizes, size_looks(len(study.sizes)), strict=True):
        _draw_held_out(axes, study, size, look, study.flops_per_token(size))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("training FLOPs (log scale)")
    axes.set_ylabel("held-out loss (nats per token)")
    axes.set_title("Held-out loss by what it cost")
    axes.legend()
    save(figure, folder, "loss_by_flops", form)


def _draw_held_out(
    axes: Axes, study: Study, size: str, look: SizeLook, per_token: float = 1.0
) -> None:
    """Held-out loss against `per_token` units a token."""
    held_out = study.curves[size].dropna(subset=["valid_loss"])
    axes.plot(
        per_token * held_out["tokens"],
        held_out["valid_loss"],
        color=look.colour,
        marker=look.marker,
        markersize=4.5,
        label=study.label(size),
    )
