"""Children's Book Test: which of ten words fills the blank.

The paper's rule: the probability of a choice times that of the rest of the sentence given the
choice; the most probable choice is the answer.
"""

from __future__ import annotations

import numpy as np

from pipeline.eval_sets.cbt import BLANK
from pipeline.evaluate.choices import Fitted, fit_choices
from pipeline.evaluate.likelihood import score_choices
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session
from pipeline.shared.formats.examples import Example


def evaluate(session: Session, task: Task) -> Outcome:
    """Accuracy of the most probable choice."""
    fitted = [_fit(session, task, example) for example in task.examples]
    losses = score_choices(session, [f.choices for f in fitted])
    predicted = [int(np.argmin([loss.sum() for loss in choices])) for choices in losses]
    outcome = Outcome.of(session, task, task.examples)
    correct = [
        int(choice == example.answer)
        for choice, example in zip(predicted, task.examples, strict=True)
    ]
    outcome.columns = {"correct": correct, "predicted": predicted}
    outcome.add_mean("accuracy", correct)
    detokenizer = task.eval_set.detokenizer
    outcome.protocol = {
        "score": "P(choice) * P(rest of the sentence | choice), sums of log-probabilities",
        "detokenizer": detokenizer.name if detokenizer else None,
        "context_cut_from_left": sum(f.cut_left for f in fitted),
        "rest_cut_from_right": sum(f.cut_right for f in fitted),
    }
    return outcome


def _fit(session: Session, task: Task, example: Example) -> Fitted:
    """The twenty sentences in one paragraph, then the question with each choice in its blank."""
    context = session.tokenizer.encode(_natural(task, example.context))
    # A token never spans the end of a word and a space, so the two parts tokenize apart.
    alternatives = [
        session.tokenizer.encode(" " + _natural(task, example.target.replace(BLANK, choice)))
        for choice in example.choices
    ]
    return fit_choices(session, context, alternatives)


def _natural(task: Task, text: str) -> str:
    if task.eval_set.detokenizer is not None:
        text = task.eval_set.detokenizer.detokenize(f"{text}\n").text
    return " ".join(text.split("\n")).strip()
