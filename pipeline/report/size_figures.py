"""Figures 1 to 3: scores against model size. A panel of what was not run says why."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from pipeline.report.beside_the_paper import published_baselines
from pipeline.report.study import Study
from pipeline.report.style import (
    MUTED,
    TEST,
    TRAIN,
    Form,
    panels,
    save,
    say_why_empty,
    size_axis,
)
from pipeline.report.tables import factor

Side = Literal["left", "right"]
_NOT_RUN_CHARACTERS = 30
_SIDES: tuple[Side, Side] = ("left", "right")
_MEASURED = {"lede3": "Lede-3", "random3": "Random-3"}  # here, on the same articles


class FigureLine(NamedTuple):
    """A metric to draw over the sizes."""

    metric: str
    label: str
    colour: str


class Panel(NamedTuple):
    """One panel of scores against model size."""

    eval_set: str
    title: str
    unit: str
    lines: list[FigureLine]


def draw_figure1(study: Study, folder: Path, form: Form) -> None:
    """Four tasks, with the baselines that were measured on the same examples."""
    figure, (coqa, wmt, summary, questions) = panels(4, form, columns=2, width=7.0, height=5.8)
    f1, bleu, exact = (FigureLine(metric, "", TEST) for metric in ("f1", "bleu", "exact_match"))
    hints = [
        FigureLine("rouge_average", "TL;DR:", TEST),
        FigureLine("no_hint_rouge_average", "no hint", TRAIN),
    ]
    _draw_panel(study, coqa, Panel("coqa", "Reading comprehension", "CoQA F1 (%)", [f1]))
    _draw_panel(study, wmt, Panel("wmt14_fr_en", "Translation", "Fr-En BLEU", [bleu]))
    if _draw_panel(study, summary, Panel("cnn_dm", "Summarisation", "mean ROUGE F1 (%)", hints)):
        for side, (name, label) in zip(_SIDES, _MEASURED.items(), strict=True):
            value = study.metric(study.sizes[-1], "cnn_dm", f"{name}_rouge_average")
            if value is not None:
                _draw_level(summary, 100 * value, label, "--", side)
    answers = Panel("natural_questions", "Question answering", "NQ accuracy (%)", [exact])
    _draw_panel(study, questions, answers)
    save(figure, folder, "figure1", form)


def draw_figure2(study: Study, folder: Path, form: Form) -> None:
    """The Children's Book Test; ten choices, so chance is 10 %."""
    figure, axes = panels(2, form, width=5.8, height=2.9)
    names = {"cbt_cn": "Common nouns", "cbt_ne": "Named entities"}
    for axis, (eval_set, title) in zip(axes, names.items(), strict=True):
        panel = Panel(eval_set, title, "accuracy (%)", [FigureLine("accuracy", "", TEST)])
        if _draw_panel(study, axis, panel):
            _draw_level(axis, 10.0, "chance", ":")
    save(figure, folder, "figure2", form)


def draw_figure3(study: Study, folder: Path, form: Form) -> None:
    """Winograd schemas; two candidates, so chance is 50 %."""
    figure, (axes,) = panels(form=form, width=4.1, height=2.9)
    lines = [
        FigureLine("accuracy_partial", "partial scoring", TEST),
        FigureLine("accuracy_full", "full scoring", TRAIN),
    ]
    if _draw_panel(study, axes, Panel("winograd", "Winograd schemas", "accuracy (%)", lines)):
        _draw_level(axes, 50.0, "chance", ":")
    save(figure, folder, "figure3", form)


def _draw_panel(study: Study, axes: Axes, panel: Panel) -> bool:
    """Lines over the sizes with their intervals; whether there was anything to draw."""
    axes.set_title(panel.title)
    drawn = [_draw_line(study, axes, panel.eval_set, line) for line in panel.lines]
    main = panel.lines[0].metric
    if not any(drawn):
        why = study.why_not(study.sizes[0], panel.eval_set, main)
        gap = study.gap(study.sizes[0], panel.eval_set, main)
        say_why_empty(axes, gap, why, width=_NOT_RUN_CHARACTERS)
        return False
    sizes = [study.parameters(size) for size in study.sizes]
    size_axis(axes, sizes, [study.label(size) for size in study.sizes])
    axes.set_ylabel(panel.unit)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1.0))  # four zeros are a line at the foot
    _mark_gaps(study, axes, panel.eval_set, main)
    for name, value in published_baselines(study, panel.eval_set, main).items():
        if name not in _MEASURED.values():
            _draw_level(axes, value * factor(main), name, "-.")
    if len(panel.lines) > 1:
        axes.legend(loc="best")
    return True


def _mark_gaps(study: Study, axes: Axes, eval_set: str, metric: str) -> None:
    """Say at the foot which sizes have no point, and in a word why."""
    for size in study.sizes:
        if study.metric(size, eval_set, metric) is None:
            axes.annotate(
                study.gap(size, eval_set, metric).removesuffix(" at this size"),
                (study.parameters(size), 0.02),
                xycoords=("data", "axes fraction"),
                color=MUTED,
                fontsize=8.0,
                rotation=90,
                ha="center",
                va="bottom",
                in_layout=False,  # else its height, in a low panel, leaves no room for axes
            )


def _draw_line(study: Study, axes: Axes, eval_set: str, line: FigureLine) -> bool:
    scale = factor(line.metric)
    points = []
    for size in study.sizes:
        result = study.results[size].get(eval_set)
        if result is not None and line.metric in result.metrics:
            value = result.metrics[line.metric]
            low, high = result.intervals.get(line.metric, (value, value))
            points.append((study.parameters(size), scale * value, scale * low, scale * high))
    if not points:
        return False
    places, values, low_ends, high_ends = np.array(points, dtype=float).T
    axes.errorbar(
        places,
        values,
        yerr=np.clip([values - low_ends, high_ends - values], 0, None),
        color=line.colour,
        marker="o" if line.colour == TEST else "s",
        capsize=3,
        elinewidth=1.1,
        label=line.label,
    )
    return True


def _draw_level(axes: Axes, value: float, label: str, style: str, side: Side = "left") -> None:
    """A level that no model's size changes, named at one end: close ones at different ends."""
    axes.axhline(value, color=MUTED, linestyle=style, linewidth=1.0, zorder=1)
    axes.set_ylim(top=max(axes.get_ylim()[1], 1.12 * value))
    axes.annotate(
        label,
        (0.0 if side == "left" else 1.0, value),
        xycoords=("axes fraction", "data"),
        xytext=(3 if side == "left" else -3, 2),
        textcoords="offset points",
        color=MUTED,
        fontsize=8.0,
        ha=side,
    )
