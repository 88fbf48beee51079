"""Tables 2 to 6 as data frames. What was not run is an empty cell with its reason, never a zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from pipeline.eval_sets.eval_set import EvalSet
from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.params import SIZES
from pipeline.report.study import Study
from pipeline.results import read_scores


class Column(NamedTuple):
    """One column of a table of scores."""

    set: str
    metric: str
    title: str


TABLE3 = (
    Column("lambada", "perplexity", "LAMBADA perplexity"),
    Column("lambada", "accuracy", "LAMBADA accuracy"),
    Column("cbt_cn", "accuracy", "CBT-CN accuracy"),
    Column("cbt_ne", "accuracy", "CBT-NE accuracy"),
    Column("wikitext2", "perplexity", "WikiText2 perplexity"),
    Column("ptb", "perplexity", "PTB perplexity"),
    Column("enwik8", "bits_per_byte", "enwik8 bits per byte"),
    Column("text8", "bits_per_character", "text8 bits per character"),
    Column("wikitext103", "perplexity", "WikiText103 perplexity"),
    Column("one_billion_word", "perplexity", "1BW perplexity"),
)
TASKS = (
    Column("winograd", "accuracy_partial", "Winograd accuracy, partial"),
    Column("winograd", "accuracy_full", "Winograd accuracy, full"),
    Column("coqa", "f1", "CoQA F1"),
    Column("wmt14_en_fr", "bleu", "WMT14 En-Fr BLEU"),
    Column("wmt14_fr_en", "bleu", "WMT14 Fr-En BLEU"),
    Column("natural_questions", "exact_match", "NQ exact match"),
    Column("natural_questions", "accuracy_top_1_percent", "NQ accuracy, most confident 1 %"),
)
_ROUGE = ("rouge_1", "rouge_2", "rouge_l", "rouge_average")
_SUMMARIES = (
    ("", "TL;DR:"),
    ("no_hint_", "no hint"),
    ("lede3_", "Lede-3"),
    ("random3_", "Random-3"),
)
NUM_ANSWERS = 30  # Table 5 of the paper shows the 30 most confident answers


def table2(study: Study) -> pd.DataFrame:
    """Shapes and exact counts."""
    rows = []
    for size in SIZES:
        shape, trained = study.params.models.of(size), study.stages[f"train@{size}"]
        rows.append({
            "size": size,
            "label": shape.label,
            "layers": shape.n_layer,
            "width": shape.n_embd,
            "heads": shape.n_head,
            "context": shape.context,
            "parameters": study.parameters(size),
            "non_embedding_parameters": trained["non_embedding_parameters"],
            "learning_rate": trained["learning_rate"],
        })
    return pd.DataFrame(rows)


def scores(study: Study, columns: Sequence[Column]) -> pd.DataFrame:
    """One row a size and a column a metric; NaN where it was not run."""
    rows = []
    for size in SIZES:
        row: dict[str, object] = {"size": size, "label": study.label(size)}
        for column in columns:
            row[column.title] = study.metric(size, column.set, column.metric)
        rows.append(row)
    return pd.DataFrame(rows)


def differences(study: Study, columns: Sequence[Column]) -> pd.DataFrame | None:
    """Ours less the paper's, by label and metric; None where no number may be compared.

    Sample sets are compared with nothing; nor is a size whose label is none of the paper's.
    """
    if study.is_sample:
        return None
    rows = []
    for size in SIZES:
        label = study.label(size)
        for column in columns:
            paper = EVAL_SETS[column.set].paper.get(column.metric, {}).get(label)
            ours = study.metric(size, column.set, column.metric)
            if paper is not None and ours is not None:
                rows.append({
                    "label": label,
                    "metric": column.title,
                    "ours": ours,
                    "paper": paper,
                    "difference": ours - paper,
                })
    return pd.DataFrame(rows, columns=["label", "metric", "ours", "paper", "difference"])


def table4(study: Study) -> pd.DataFrame:
    """Summaries by ROUGE F1: every size with and without the hint, and the measured baselines."""
    rows = []
    for prefix, name in _SUMMARIES:
        baseline = prefix in {"lede3_", "random3_"}
        for size in SIZES[-1:] if baseline else SIZES:
            row: dict[str, object] = {
                "system": name if baseline else f"{study.label(size)}, {name}"
            }
            row |= {metric: study.metric(size, "cnn_dm", prefix + metric) for metric in _ROUGE}
            rows.append(row)
    return pd.DataFrame(rows)


def table5(study: Study) -> pd.DataFrame:
    """The largest size's most confident answers to Natural Questions."""
    size = SIZES[-1]
    result = study.results[size].get("natural_questions")
    columns = ["question", "answer", "exact_match", "confidence"]
    if result is None or not result.metrics:
        return pd.DataFrame(columns=columns)
    frame = read_scores(study.folder / "evaluate" / size, "natural_questions")
    found = [name for name in columns if name in frame.columns]
    return (
        frame
        .sort_values(["confidence", "id"], ascending=[False, True])
        .head(NUM_ANSWERS)[found]
        .reset_index(drop=True)
    )


def not_run(study: Study) -> pd.DataFrame:
    """Every set that could not be scored, with the reason and what would help."""
    rows = [
        {"set": _title(name), "sizes": study.label(size), "why": result.not_run}
        for size in SIZES
        for name, result in study.results[size].items()
        if result.not_run
    ]
    frame = pd.DataFrame(rows, columns=["set", "sizes", "why"])
    return frame.groupby(["set", "why"], as_index=False, sort=False).agg({"sizes": ", ".join})


def _title(name: str) -> str:
    eval_set: EvalSet | None = EVAL_SETS.get(name)
    return eval_set.title if eval_set else name


def costs(study: Study) -> pd.DataFrame:
    """Seconds and peak memory of every stage, as measured in this study."""
    rows = [
        {
            "stage": name,
            "seconds": metrics["seconds"],
            "attempts": metrics["attempts"],
            "peak_memory_mib": metrics["peak_memory_mib"],
        }
        for name, metrics in study.stages.items()
    ]
    return pd.DataFrame(rows)


def all_tables(study: Study) -> dict[str, pd.DataFrame]:
    """The tables that become CSV files, by file name."""
    return {
        "table2": table2(study),
        "table3": scores(study, TABLE3),
        "tasks": scores(study, TASKS),
        "table4": table4(study),
        "table5": table5(study),
        "table6": study.overlap["table6"],
        "clean_subset": study.overlap["clean_subset"],
    }
