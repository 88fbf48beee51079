"""What each figure shows, in words: alternative texts for readers who do not see it."""

from __future__ import annotations

import pandas as pd

from pipeline.report.figure5 import sizes_that_share_nothing
from pipeline.report.markup import number
from pipeline.report.memory import completions
from pipeline.report.rates import rates_table
from pipeline.report.study import Study
from pipeline.report.tables import calibrations, factor


def describe_figures(study: Study, figure4: pd.DataFrame) -> dict[str, str]:
    """Alternative text by figure name; every number in it is from the artefacts."""
    best = [
        f"{study.label(row['size'])} {number(row['learning_rate'])} ({row['valley']})"
        for row in rates_table(study).to_dict("records")
    ]
    losses = [
        f"{study.label(size)} {number(float(study.curves[size]['valid_loss'].dropna().iloc[-1]))}"
        for size in study.sizes
    ]
    costs = [
        f"{loss} for {study.training_flops(size):.2e} FLOPs"
        for size, loss in zip(study.sizes, losses, strict=True)
    ]
    return {
        "figure1": "Four panels of scores against model size. "
        + " ".join([
            _scores(study, "coqa", "f1", "CoQA F1 in percent"),
            _scores(study, "wmt14_fr_en", "bleu", "French to English BLEU"),
            _scores(study, "cnn_dm", "rouge_average", "mean ROUGE of summaries in percent"),
            _scores(study, "natural_questions", "exact_match", "Natural Questions accuracy"),
        ]),
        "figure2": "Two panels of accuracy in percent against model size. "
        + _scores(study, "cbt_cn", "accuracy", "Common nouns")
        + " "
        + _scores(study, "cbt_ne", "accuracy", "Named entities"),
        "figure3": "Accuracy in percent on Winograd schemas against model size. "
        + _scores(study, "winograd", "accuracy_partial", "Partial scoring")
        + " "
        + _scores(study, "winograd", "accuracy_full", "Full scoring"),
        "figure4": "Perplexity against number of parameters, both on log axes. "
        + " ".join(
            f"{split.capitalize()}: {_row(study, figure4, f'{split}_perplexity')}."
            for split in ("train", "test")
        ),
        "figure5": "Cumulative distributions of the percentage of a document's 8-grams that the "
        f"training text holds. {_medians(study)}{_silent(study)}",
        "calibration": "Percentage of right answers to Natural Questions against the probability "
        f"that the model gives its answers, in buckets of equal size. {_surest_buckets(study)}",
        "training_curves": "Held-out loss in nats per token against training tokens, one line a "
        f"size. At the end: {', '.join(losses)}.",
        "loss_by_flops": "Held-out loss in nats per token against training operations, one line a "
        f"size. At the end: {', '.join(costs)}.",
        "learning_rates": "Held-out loss against learning rate, one line a size and comparison. "
        f"Chosen rates: {', '.join(best)}.",
    }


def _scores(study: Study, eval_set: str, metric: str, name: str) -> str:
    values = [(size, study.metric(size, eval_set, metric)) for size in study.sizes]
    if all(value is None for _, value in values):
        return f"{name}: {study.gap(study.sizes[-1], eval_set, metric)}."
    scale = factor(metric)
    shown = [
        f"{study.label(size)} {number(None if value is None else scale * value)}"
        for size, value in values
    ]
    return f"{name}: {', '.join(shown)}."


def _row(study: Study, table: pd.DataFrame, column: str) -> str:
    pairs = zip(table["size"], table[column], strict=True)
    return ", ".join(f"{study.label(size)} {number(value)}" for size, value in pairs)


def _silent(study: Study) -> str:
    """Which sizes share nothing, where there are any."""
    labels = sizes_that_share_nothing(study)
    return f" No sample of {', '.join(labels)} shares any." if labels else ""


def _surest_buckets(study: Study) -> str:
    table = calibrations(study)
    last = table.groupby("size", sort=False).last()
    parts = [
        f"{study.label(str(size))} {100 * row['accuracy']:.1f} % right at a mean probability of "
        f"{100 * row['mean_confidence']:.1f} %"
        for size, row in last.iterrows()
    ]
    return f"Surest buckets: {', '.join(parts)}." if parts else "No size has answers to show."


def _medians(study: Study) -> str:
    summary: dict[str, dict[str, float]] = study.stages["overlap"].get("figure5", {})
    parts = [
        f"{completions(study, name)} {values['median_percent']:.2f} %"
        for name, values in summary.items()
    ]
    return f"Medians: {', '.join(parts)}." if parts else ""
