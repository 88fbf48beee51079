"""Winograd schemata: the noun for the pronoun that makes the sentence more probable.

Trinh and Le's two scores. Full: the probability of the whole sentence. Partial: the probability of
what follows the noun, given the sentence up to and with the noun.
"""

from __future__ import annotations

import numpy as np

from pipeline.evaluate.choices import Fitted, fit_choices
from pipeline.evaluate.likelihood import Losses, score_choices
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session
from pipeline.shared.formats.examples import Example


def evaluate(session: Session, task: Task) -> Outcome:
    """Accuracy of either score."""
    fitted = [_fit(session, example) for example in task.examples]
    losses = score_choices(session, [f.choices for f in fitted])
    outcome = Outcome.of(session, task, task.examples)
    correct: dict[str, list[int]] = {"full": [], "partial": []}
    for example, fit, choices in zip(task.examples, fitted, losses, strict=True):
        full = [float(loss.sum()) for loss in choices]
        partial = [
            _partial(session, example, choice, fit, loss)
            for choice, loss in zip(example.choices, choices, strict=True)
        ]
        correct["full"].append(int(np.argmin(full) == example.answer))
        correct["partial"].append(int(np.argmin(partial) == example.answer))
    outcome.columns = {"correct": correct["partial"]}
    for name, column in correct.items():
        outcome.columns[f"correct_{name}"] = column
        outcome.add_mean(f"accuracy_{name}", column)
    outcome.protocol = {
        "full": "P(sentence with the noun in the pronoun's place)",
        "partial": "P(what follows | sentence up to and with the noun)",
        "context_cut_from_left": sum(fit.cut_left for fit in fitted),
        "rest_cut_from_right": sum(fit.cut_right for fit in fitted),
    }
    return outcome


def _fit(session: Session, example: Example) -> Fitted:
    sentences = [f"{example.context}{choice}{example.target}" for choice in example.choices]
    return fit_choices(session, [], [session.tokenizer.encode(text) for text in sentences])


def _partial(session: Session, example: Example, choice: str, fit: Fitted, losses: Losses) -> float:
    """The loss of the tokens that begin after the noun."""
    before = f"{example.context}{choice}"
    placed = session.tokenizer.place(before + example.target)
    follows = placed.starts >= len(before.encode())
    follows = follows[fit.num_common : fit.num_common + len(losses)]
    return float(losses[follows].sum())
