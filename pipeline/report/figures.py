"""Figures 1 to 5 and the curves behind them. A panel of what was not run says so."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from pipeline.params import SIZES
from pipeline.report.study import Study
from pipeline.report.style import (
    BASELINE,
    SIZE_COLOURS,
    TEST,
    TRAIN,
    house_style,
    panels,
    plain_log_axis,
    save,
    size_axis,
)


def draw_all(study: Study, table: pd.DataFrame, folder: Path) -> None:
    """Draw every figure of the report into `folder`, as PNG and SVG."""
    with house_style():
        _figure1(study, folder)
        _figure2(study, folder)
        _figure3(study, folder)
        _figure4(study, table, folder)
        _figure5(study, folder)
        _training_curves(study, folder)
        _sweeps(study, folder)


def _figure4(study: Study, table: pd.DataFrame, folder: Path) -> None:
    figure, (axes,) = panels()
    for split, colour, marker in (("test", TEST, "o"), ("train", TRAIN, "s")):
        values = table[f"{split}_perplexity"]
        low, high = table[f"{split}_perplexity_low"], table[f"{split}_perplexity_high"]
        axes.errorbar(
            table["parameters"],
            values,
            yerr=[values - low, high - values],
            color=colour,
            marker=marker,
            capsize=3,
            elinewidth=1.1,
            label=f"{split} documents",
        )
    plain_log_axis(axes)
    size_axis(axes, table["parameters"].tolist(), [study.label(size) for size in SIZES])
    axes.set_ylabel("perplexity per token (log scale)")
    axes.set_title(
        "Perplexity falls together on train and test as the model grows"
        if _falls(table)
        else "Perplexity on train and test against model size"
    )
    axes.legend()
    save(figure, folder, "figure4")


def _falls(table: pd.DataFrame) -> bool:
    columns = table[["train_perplexity", "test_perplexity"]]
    return bool((columns.diff().iloc[1:] < 0).all(axis=None))


def _lines(
    study: Study, axes: Axes, eval_set: str, metrics: dict[str, str], *, percent: bool
) -> None:
    """One line a metric over the sizes, with intervals; says so where nothing was run."""
    drawn = False
    for (metric, label), colour in zip(metrics.items(), (TEST, TRAIN), strict=False):
        points = [
            (study.parameters(size), result.metrics[metric], result.intervals.get(metric))
            for size in SIZES
            if (result := study.results[size].get(eval_set)) and metric in result.metrics
        ]
        if not points:
            continue
        drawn = True
        factor = 100 if percent else 1
        values = [value * factor for _, value, _ in points]
        low = [
            value - interval.low * factor if interval else 0
            for value, (_, _, interval) in zip(values, points, strict=True)
        ]
        high = [
            interval.high * factor - value if interval else 0
            for value, (_, _, interval) in zip(values, points, strict=True)
        ]
        errors = [[max(0.0, error) for error in side] for side in (low, high)]
        axes.errorbar(
            [x for x, _, _ in points],
            values,
            yerr=errors,
            color=colour,
            marker="o",
            capsize=3,
            elinewidth=1.1,
            label=label,
        )
    if not drawn:
        axes.text(0.5, 0.5, "not run", transform=axes.transAxes, ha="center", color=BASELINE)
    sizes = [study.parameters(size) for size in SIZES]
    size_axis(axes, sizes, [study.label(size) for size in SIZES])


def _baseline(study: Study, axes: Axes, eval_set: str, metric: str, label: str) -> None:
    """A measured baseline, which no model's size changes."""
    value = study.metric(SIZES[-1], eval_set, metric)
    if value is not None:
        axes.axhline(value, color=BASELINE, linestyle="--", linewidth=1.1, label=label)


def _figure1(study: Study, folder: Path) -> None:
    figure, (coqa, wmt, summary, questions) = panels(4, width=12.8, height=3.4)
    _lines(study, coqa, "coqa", {"f1": "CoQA"}, percent=False)
    coqa.set_title("Reading: CoQA F1")
    _lines(study, wmt, "wmt14_fr_en", {"bleu": "Fr-En"}, percent=False)
    wmt.set_title("Translation: Fr-En BLEU")
    _lines(
        study,
        summary,
        "cnn_dm",
        {"rouge_average": "TL;DR:", "no_hint_rouge_average": "no hint"},
        percent=False,
    )
    _baseline(study, summary, "cnn_dm", "lede3_rouge_average", "Lede-3")
    _baseline(study, summary, "cnn_dm", "random3_rouge_average", "Random-3")
    summary.set_title("Summary: mean ROUGE")
    if summary.get_legend_handles_labels()[0]:
        summary.legend(fontsize=8)
    _lines(study, questions, "natural_questions", {"exact_match": "NQ"}, percent=False)
    questions.set_title("Questions: exact match")
    save(figure, folder, "figure1")


def _figure2(study: Study, folder: Path) -> None:
    figure, axes = panels(2, width=8.4, height=3.6)
    for panel, eval_set, name in zip(
        axes, ("cbt_cn", "cbt_ne"), ("common nouns", "named entities"), strict=True
    ):
        _lines(study, panel, eval_set, {"accuracy": name}, percent=False)
        panel.set_title(f"Children's Book Test, {name}")
    axes[0].set_ylabel("accuracy")
    save(figure, folder, "figure2")


def _figure3(study: Study, folder: Path) -> None:
    figure, (axes,) = panels(height=3.6)
    metrics = {"accuracy_partial": "partial scoring", "accuracy_full": "full scoring"}
    _lines(study, axes, "winograd", metrics, percent=False)
    axes.set_title("Winograd schemas")
    axes.set_ylabel("accuracy")
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    save(figure, folder, "figure3")


def _figure5(study: Study, folder: Path) -> None:
    figure, (axes,) = panels(height=3.8)
    for (kind, group), colour in zip(
        study.overlap["figure5"].groupby("kind", sort=False), (TEST, *SIZE_COLOURS), strict=False
    ):
        axes.step(
            group["overlap_percent"],
            group["cumulative_fraction"],
            where="post",
            color=colour,
            label=str(kind),
        )
    axes.set_xscale("symlog", linthresh=1.0)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("8-grams shared with the training text, per document (%)")
    axes.set_ylabel("part of the documents")
    axes.set_title("Overlap with the training text: real completions and samples")
    axes.legend(loc="lower right")
    save(figure, folder, "figure5")


def _training_curves(study: Study, folder: Path) -> None:
    figure, (axes,) = panels()
    for size, colour in zip(SIZES, SIZE_COLOURS, strict=True):
        curve = study.curves[size]
        axes.plot(curve["tokens"], curve["train_loss"], color=colour, alpha=0.35, linewidth=1.0)
        held_out = curve.dropna(subset=["valid_loss"])
        axes.plot(
            held_out["tokens"],
            held_out["valid_loss"],
            color=colour,
            marker="o",
            markersize=3.5,
            label=study.label(size),
        )
    axes.set_xlabel("training tokens")
    axes.set_ylabel("loss (nats per token)")
    axes.set_title("Training: every batch (pale) and held-out text")
    axes.legend()
    save(figure, folder, "training_curves")


def _sweeps(study: Study, folder: Path) -> None:
    figure, (axes,) = panels(height=3.6)
    for size, colour in zip(SIZES, SIZE_COLOURS, strict=True):
        sweep = study.sweeps[size].sort_values("learning_rate")
        axes.plot(
            sweep["learning_rate"],
            sweep["valid_loss"],
            color=colour,
            marker="o",
            label=study.label(size),
        )
        best = sweep.nsmallest(1, "valid_loss")
        axes.plot(
            best["learning_rate"], best["valid_loss"], color=colour, marker="*", markersize=13
        )
    axes.set_xscale("log")
    axes.set_xlabel("learning rate (star: chosen)")
    axes.set_ylabel("held-out loss (nats per token)")
    axes.set_title("Each size's learning rate, tuned on held-out text")
    axes.legend()
    save(figure, folder, "learning_rates")
