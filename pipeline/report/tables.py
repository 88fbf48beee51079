"""Tables 2 to 6 as data frames. What was not run is an empty cell with its reason, never a zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.report.memory import copied
from pipeline.report.rates import rates_table
from pipeline.report.study import Study
from pipeline.shared.scores.confidence import CALIBRATION_COLUMNS, calibration


class Column(NamedTuple):
    """One column of a table of scores."""

    set: str
    metric: str
    heading: str
    """What the table prints over it, under the set's title."""

    @property
    def name(self) -> str:
        """Its name in the CSV file."""
        return f"{self.set}_{self.metric}"

    @property
    def title(self) -> str:
        """The set's title as the paper prints it."""
        return set_title(self.set)


TABLE3 = (
    Column("lambada", "perplexity", "PPL"),
    Column("lambada", "accuracy", "ACC"),
    Column("cbt_cn", "accuracy", "ACC"),
    Column("cbt_ne", "accuracy", "ACC"),
    Column("wikitext2", "perplexity", "PPL"),
    Column("ptb", "perplexity", "PPL"),
    Column("enwik8", "bits_per_byte", "BPB"),
    Column("text8", "bits_per_character", "BPC"),
    Column("wikitext103", "perplexity", "PPL"),
    Column("one_billion_word", "perplexity", "PPL"),
)
TASKS = (
    Column("winograd", "accuracy_partial", "partial"),
    Column("winograd", "accuracy_full", "full"),
    Column("coqa", "f1", "F1"),
    Column("wmt14_en_fr", "bleu", "BLEU"),
    Column("wmt14_fr_en", "bleu", "BLEU"),
    Column("natural_questions", "exact_match", "ACC"),
    Column("natural_questions", "accuracy_top_1_percent", "ACC, surest 1 %"),
)
ROUGE = ("rouge_1", "rouge_2", "rouge_l", "rouge_average")
_SUMMARIES = (
    ("", "TL;DR:"),
    ("no_hint_", "no hint"),
    ("lede3_", "Lede-3"),
    ("random3_", "Random-3"),
)
_BASELINES = ("lede3_", "random3_")  # the same for every size, so shown once
NUM_ANSWERS = 30  # Table 5 of the paper shows the 30 most confident answers


def set_title(name: str) -> str:
    """A set's title as the paper prints it; its name where the registry has none."""
    return EVAL_SETS[name].title if name in EVAL_SETS else name


def factor(metric: str) -> float:
    """What turns a metric into the number that the paper prints: parts of one into percent.

    >>> factor("accuracy"), factor("perplexity"), factor("bleu")
    (100.0, 1.0, 1.0)
    """
    as_they_are = ("perplexity", "bits_per_", "bleu")
    return 1.0 if metric.startswith(as_they_are) else 100.0


def table2(study: Study) -> pd.DataFrame:
    """Shapes, exact counts and tuned learning rates."""
    rows = []
    for size in study.sizes:
        shape, trained = study.params.models[size], study.trained[size]
        rows.append({
            "size": size,
            "label": study.label(size),
            "parameters": study.parameters(size),
            "non_embedding_parameters": trained.non_embedding_parameters,
            "layers": shape.n_layer,
            "width": shape.n_embd,
            "heads": shape.n_head,
            "context": shape.context,
            "learning_rate": trained.learning_rate,
            "train_tokens": trained.tokens,
            "epochs": trained.epochs,
        })
    return pd.DataFrame(rows)


def scores(study: Study, columns: Sequence[Column]) -> pd.DataFrame:
    """One row a size and a column a metric; an empty cell's reason is in `not_run`."""
    rows = []
    for size in study.sizes:
        row: dict[str, object] = {"size": size, "parameters": study.parameters(size)}
        row |= {column.name: study.metric(size, column.set, column.metric) for column in columns}
        why = {column.name: _gap(study, size, column.set, column.metric) for column in columns}
        row["not_run"] = "; ".join(f"{name}: {reason}" for name, reason in why.items() if reason)
        rows.append(row)
    return pd.DataFrame(rows)


def _gap(study: Study, size: str, eval_set: str, metric: str) -> str:
    """What stands in place of a number, with the reason; empty where there is a number."""
    why = study.why_not(size, eval_set, metric)
    return f"{study.gap(size, eval_set, metric)}: {why}" if why else ""


def table4(study: Study) -> pd.DataFrame:
    """Summaries by ROUGE F1: every size with and without the hint, and the measured baselines."""
    rows = []
    for prefix, name in _SUMMARIES:
        for size in study.sizes[-1:] if prefix in _BASELINES else study.sizes:
            row: dict[str, object] = {
                "system": name,
                "size": "" if prefix in _BASELINES else size,
            }
            row |= {metric: study.metric(size, "cnn_dm", prefix + metric) for metric in ROUGE}
            row["not_run"] = _gap(study, size, "cnn_dm", prefix + ROUGE[-1])
            rows.append(row)
    return pd.DataFrame(rows)


def table5(study: Study) -> pd.DataFrame:
    """The largest size's most confident answers to Natural Questions; empty where there are none.

    A question that was answered with nothing has no row.
    """
    size = study.sizes[-1]
    columns = ["question", "answer", "correct", "probability"]
    if study.why_not(size, "natural_questions", "exact_match"):
        return pd.DataFrame(columns=columns)
    frame = study.artefacts.scores(size, "natural_questions")
    said = frame[frame["answer"] != ""]
    ordered = said.sort_values(["confidence", "id"], ascending=[False, True]).head(NUM_ANSWERS)
    return pd.DataFrame({
        "question": ordered["question"].to_numpy(),
        "answer": ordered["answer"].to_numpy(),
        "correct": (ordered["correct"] > 0).to_numpy(),
        "probability": ordered["confidence"].to_numpy(),
    })


def calibrations(study: Study) -> pd.DataFrame:
    """How often answers to Natural Questions are right by how sure the model is, size by size."""
    pieces = []
    for size in study.sizes:
        if not study.why_not(size, "natural_questions", "exact_match"):
            frame = study.artefacts.scores(size, "natural_questions")
            values = (frame[name].tolist() for name in ("confidence", "correct", "answer"))
            pieces.append(calibration(*values).assign(size=size))
    columns = ["size", *CALIBRATION_COLUMNS]
    return pd.concat(pieces)[columns] if pieces else pd.DataFrame(columns=columns)


def all_scores(study: Study) -> pd.DataFrame:
    """Every number of every size, variants included, one a row; or the reason for its absence."""
    rows: list[dict[str, object]] = []
    for size in study.sizes:
        for name, result in study.results[size].items():
            head = {"size": size, "set": name}
            for metric, value in result.metrics.items():
                interval = result.intervals.get(metric)
                rows.append(
                    head
                    | {
                        "metric": metric,
                        "value": value,
                        "low": interval.low if interval else None,
                        "high": interval.high if interval else None,
                        "num_examples": result.num_examples,
                        "not_run": "",
                    }
                )
            for metric, why in result.no_signal.items():
                rows.append({**head, "metric": metric, "not_run": f"no signal at this size: {why}"})
            if result.not_run:
                rows.append({**head, "not_run": result.not_run})
    columns = ["size", "set", "metric", "value", "low", "high", "num_examples", "not_run"]
    return pd.DataFrame(rows, columns=columns)


def not_run(study: Study) -> pd.DataFrame:
    """Every set that could not be scored, with the reason and what would help."""
    rows = [
        {
            "set": set_title(name),
            "sizes": study.label(size),
            "reason": result.not_run,
        }
        for size in study.sizes
        for name, result in study.results[size].items()
        if result.not_run
    ]
    frame = pd.DataFrame(rows, columns=["set", "sizes", "reason"])
    return frame.groupby(["set", "reason"], as_index=False, sort=False).agg({"sizes": ", ".join})


def all_tables(study: Study) -> dict[str, pd.DataFrame]:
    """The tables that become CSV files, by file name."""
    return {
        "table2": table2(study),
        "rates": rates_table(study),
        "table3": scores(study, TABLE3),
        "table4": table4(study),
        "table5": table5(study),
        "table6": study.overlap["table6"],
        "calibration": calibrations(study),
        "tasks": scores(study, TASKS),
        "clean_subset": study.overlap["clean_subset"],
        "coqa_domains": study.overlap["coqa_domains"],
        "copied": copied(study),
        "highest_overlap": study.overlap["highest_overlap"],
        "scores": all_scores(study),
    }
