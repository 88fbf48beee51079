"""Scores of made-up models on made-up examples; they rise with size, with noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.shared.scores.results import Interval, Result, write_result

Scores = dict[str, list[Any]]


def write_set(folder: Path, name: str, ids: Sequence[str], rank: int) -> Result:
    """One set's result of the size of this rank (0 is the smallest)."""
    scoring = EVAL_SETS[name].scoring
    seed = int.from_bytes(name.encode()[:6], "big")
    noise = np.random.default_rng(seed).uniform(size=len(ids))
    scores, metrics = _SCORINGS[scoring](name, noise, rank)
    intervals = {
        metric: Interval(value - 0.04 * abs(value), value + 0.05 * abs(value))
        for metric, value in metrics.items()
    }
    result = Result(
        set=name,
        protocol={"unit": EVAL_SETS[name].unit, "made": "for tests"},
        metrics=metrics,
        intervals=intervals,
        num_examples=len(ids),
        seconds=1.0 + rank,
    )
    rows = [
        {"id": id_} | {key: values[n] for key, values in scores.items()}
        for n, id_ in enumerate(ids)
    ]
    write_result(folder, result, rows)
    return result


def _likelihood(name: str, noise: np.ndarray, rank: int) -> tuple[Scores, dict[str, float]]:
    units = [20 + 3 * n for n in range(len(noise))]
    level = 5.4 - 0.42 * rank + (0.06 if name == "webtext_test" else 0.0)
    own = np.random.default_rng(rank).uniform(size=len(noise))  # what differs from size to size
    losses = [u * (level + 0.4 * x + 0.2 * y) for u, x, y in zip(units, noise, own, strict=True)]
    mean = sum(losses) / sum(units)
    metric = EVAL_SETS[name].metrics[0]
    value = math.exp(mean) if metric == "perplexity" else mean / math.log(2)
    scores: Scores = {"loss_nats": losses, "num_units": units}
    metrics = {metric: value}
    if EVAL_SETS[name].scoring == "documents":
        scores["num_bytes"] = [3 * count for count in units]
        metrics["bits_per_byte"] = mean / math.log(2) / 3
    return scores, metrics


def _last_word(name: str, noise: np.ndarray, rank: int) -> tuple[Scores, dict[str, float]]:
    losses = [6 - 0.7 * rank + float(x) for x in noise]
    correct = _correct(noise, rank)
    filtered = _correct(noise, rank, 0.3)
    metrics = {
        "perplexity": math.exp(float(np.mean(losses))),
        "accuracy": float(np.mean(correct)),
        "accuracy@stop_word_filter": float(np.mean(filtered)),
    }
    scores = {"loss_nats": losses, "num_units": [1] * len(losses), "correct": correct}
    return scores | {"correct@stop_word_filter": filtered}, metrics


def _correct(noise: np.ndarray, rank: int, ease: float = 0.2) -> list[int]:
    return [int(x < ease + 0.12 * rank) for x in noise]


def _cloze(name: str, noise: np.ndarray, rank: int) -> tuple[Scores, dict[str, float]]:
    correct = _correct(noise, rank, 0.3)
    places = [n % 2 if right else 1 - n % 2 for n, right in enumerate(correct)]
    scores: Scores = {"correct": correct, "predicted": places}
    return scores, {"accuracy": float(np.mean(correct))}


def _pronoun(name: str, noise: np.ndarray, rank: int) -> tuple[Scores, dict[str, float]]:
    columns = {"correct_full": _correct(noise, rank, 0.4), "correct_partial": _correct(noise, rank)}
    return columns, {f"accuracy{key[7:]}": float(np.mean(v)) for key, v in columns.items()}


def _conversation(name: str, noise: np.ndarray, rank: int) -> tuple[Scores, dict[str, float]]:
    f1 = [float(x) * (0.1 + 0.05 * rank) for x in noise]
    said = [f"said <{n}> by rank {rank}" for n in range(len(noise))]
    domains = ["news" if n < 6 else "fiction" for n in range(len(noise))]
    stories = [n // 3 for n in range(len(noise))]
    scores = {"f1": f1, "answer": said, "group": domains, "cluster": stories}
    return scores, {"f1": float(np.mean(f1))}


def _summary(name: str, noise: np.ndarray, rank: int) -> tuple[Scores, dict[str, float]]:
    columns: Scores = {}
    for prefix, level in (
        ("", 0.10 + 0.01 * rank),
        ("no_hint_", 0.06 + 0.01 * rank),
        ("lede3_", 0.2),
        ("random3_", 0.16),
    ):
        for number, kind in enumerate(("rouge_1", "rouge_2", "rouge_l", "rouge_average")):
            columns[prefix + kind] = [level * (1 - 0.1 * number) * (0.5 + x) for x in noise]
    metrics = {key: float(np.mean(values)) for key, values in columns.items()}
    return columns | {"summary": [f"summary {n}" for n in range(len(noise))]}, metrics


def _translation(name: str, noise: np.ndarray, rank: int) -> tuple[Scores, dict[str, float]]:
    from sacrebleu.metrics.bleu import BLEU

    reference = "the quick brown fox jumps over the lazy dog tonight"
    given = [" ".join(reference.split()[: 4 + rank + int(3 * x)]) for x in noise]
    score = BLEU().corpus_score(given, [[reference] * len(given)]).score
    columns: Scores = {
        "translation": given,
        "reference": [reference] * len(given),
        "sentence_bleu": [score] * len(given),
    }
    return columns, {"bleu": score}


def _question(name: str, noise: np.ndarray, rank: int) -> tuple[Scores, dict[str, float]]:
    correct = [int(x > 0.93 - 0.05 * rank) for x in noise]
    columns: Scores = {
        "exact_match": correct,
        "correct": correct,
        "confidence": [float(x) for x in noise],
        "question": [f"who wrote module {n}" for n in range(len(noise))],
        "answer": [f"author <{n}>" for n in range(len(noise))],
    }
    surest = correct[int(np.argmax(noise))]
    return columns, {"exact_match": float(np.mean(correct)), "accuracy_top_1_percent": surest}


_SCORINGS: dict[str, Callable[[str, np.ndarray, int], tuple[Scores, dict[str, float]]]] = {
    "running_text": _likelihood,
    "documents": _likelihood,
    "last_word": _last_word,
    "cloze": _cloze,
    "pronoun": _pronoun,
    "conversation": _conversation,
    "summary": _summary,
    "translation": _translation,
    "question": _question,
}
