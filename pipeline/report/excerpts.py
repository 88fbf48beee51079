"""What the models wrote: samples side by side, and answers to examples of each task.

None is picked: the samples are the first of their file, which evaluate drew by hash, and the
answers are to examples that lie evenly over their set.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pipeline.eval_sets.registry import EVAL_SETS
from pipeline.report.study import Study
from pipeline.shared.formats.examples import Example, read_examples
from pipeline.shared.study import places

NUM_SAMPLES = 4
NUM_ANSWERS = 3
_CHARACTERS = 320  # of a context or a passage: a phone's screen
_BLANK = "XXXXX"


class Sample(NamedTuple):
    """One context, how it really went on, and how each size went on."""

    context: str
    real: str
    by_size: dict[str, str]


class ShownAnswer(NamedTuple):
    """One example with what the model made of it."""

    asked: str
    said: str
    wanted: str
    score: str
    """How well it did, in the measure of its set."""


class AnswerSet(NamedTuple):
    """Examples of one set."""

    title: str
    answers: list[ShownAnswer]


def samples(study: Study) -> list[Sample]:
    """The first contexts that every size has a sample for; empty where none were drawn."""
    if not all(study.artefacts.has_samples(size) for size in study.sizes):
        return []
    tables = {size: study.artefacts.samples(size).set_index("id") for size in study.sizes}
    first = tables[study.sizes[0]]
    shared = [id_ for id_ in first.index if all(id_ in table.index for table in tables.values())]
    return [
        Sample(
            context=_end(first.loc[id_, "context"]),
            real=_begin(first.loc[id_, "completion"]),
            by_size={
                study.label(size): _begin(table.loc[id_, "sample"])
                for size, table in tables.items()
            },
        )
        for id_ in shared[:NUM_SAMPLES]
    ]


def answer_sets(study: Study) -> list[AnswerSet]:
    """Examples of every task that the largest size was scored on, in the registry's order."""
    size = study.sizes[-1]
    found = []
    for name, eval_set in EVAL_SETS.items():
        result, show = study.results[size].get(name), _SHOWN.get(eval_set.scoring)
        path = study.artefacts.path(places.QUESTIONS, set=name)
        if show is None or result is None or result.not_run or not path.is_file():
            continue
        scored = study.artefacts.scores(size, name)
        answers = _answers(scored, path, show)
        if answers:
            found.append(AnswerSet(eval_set.title, answers))
    return found


def _answers(
    scored: pd.DataFrame, path: Path, show: Callable[[Example, Mapping[str, Any]], ShownAnswer]
) -> list[ShownAnswer]:
    places = [len(scored) * n // NUM_ANSWERS for n in range(min(NUM_ANSWERS, len(scored)))]
    rows = {
        str(row["id"]): {str(name): value for name, value in row.items()}
        for row in scored.iloc[places].to_dict("records")
    }
    examples = [example for example in read_examples(path) if example.id in rows]
    return [show(example, rows[example.id]) for example in examples]


def _conversation(example: Example, row: Mapping[str, Any]) -> ShownAnswer:
    passage = example.context.split("\n\nQ:")[0]
    asked = f"{_begin(passage)}\n\nQ: {example.target}"
    return ShownAnswer(asked, row["answer"], example.references[0], f"F1 {100 * row['f1']:.0f} %")


def _question(example: Example, row: Mapping[str, Any]) -> ShownAnswer:
    wanted = " / ".join(dict.fromkeys(example.references))
    confidence = f"{_right(row['correct'])}, confidence {100 * row['confidence']:.1f} %"
    return ShownAnswer(row["question"], row["answer"], wanted, confidence)


def _summary(example: Example, row: Mapping[str, Any]) -> ShownAnswer:
    score = f"mean ROUGE F1 {100 * row['rouge_average']:.0f} %"
    return ShownAnswer(
        _begin(example.context), row["summary"], _begin(example.references[0]), score
    )


def _translation(example: Example, row: Mapping[str, Any]) -> ShownAnswer:
    score = f"BLEU of the sentence {row['sentence_bleu']:.0f}"
    return ShownAnswer(example.context, row["translation"], row["reference"], score)


def _cloze(example: Example, row: Mapping[str, Any]) -> ShownAnswer:
    said = example.choices[int(row["predicted"])]
    asked = f"{_end(example.context)}\n{example.target.replace(_BLANK, '_____')}"
    return ShownAnswer(asked, said, example.choices[example.answer], _right(row["correct"]))


def _pronoun(example: Example, row: Mapping[str, Any]) -> ShownAnswer:
    right = row["correct_partial"] > 0
    other = [choice for n, choice in enumerate(example.choices) if n != example.answer]
    wanted = example.choices[example.answer]
    asked = f"{example.context}_____{example.target}"
    return ShownAnswer(asked, wanted if right else other[0], wanted, _right(right))


def _last_word(example: Example, row: Mapping[str, Any]) -> ShownAnswer:
    probability = f"probability of the word {math.exp(-row['loss_nats']):.2g}"
    said = example.target if row["correct"] > 0 else "another word"
    return ShownAnswer(f"{_end(example.context)} _____", said, example.target, probability)


_SHOWN: dict[str, Callable[[Example, Mapping[str, Any]], ShownAnswer]] = {
    "last_word": _last_word,
    "cloze": _cloze,
    "pronoun": _pronoun,
    "conversation": _conversation,
    "summary": _summary,
    "translation": _translation,
    "question": _question,
}


def _right(correct: float) -> str:
    return "right" if correct > 0 else "wrong"


def _begin(text: str) -> str:
    """The beginning of a long text; of many blank lines one is left, for a phone's sake."""
    text = _squeeze(text)
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS].rstrip()} ..."


def _end(text: str) -> str:
    """The end of a long text, likewise."""
    text = _squeeze(text)
    return text if len(text) <= _CHARACTERS else f"... {text[-_CHARACTERS:].lstrip()}"


def _squeeze(text: str) -> str:
    return re.sub(r"\n\s*\n", "\n\n", text)
