"""Natural Questions: short answers after example pairs, and how often the surest are right."""

from __future__ import annotations

import math

import numpy as np

from pipeline.evaluate.answers import exact_match
from pipeline.evaluate.continuation import choose, continue_prompts, first_line, make_prompt
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session


def evaluate(session: Session, task: Task) -> Outcome:
    """Exact match over all questions, and over the 1 % that the model is surest of."""
    examples = choose(session, task.examples)
    pairs = task.pairs[: session.params.few_shot_pairs]
    shots = "".join(f"Q: {question}?\nA: {answer}\n" for question, answer in pairs)
    new_tokens = session.params.answer_tokens
    prompts = [
        make_prompt(session, f"{shots}Q: {example.context}?\nA:", new_tokens=new_tokens)
        for example in examples
    ]
    generated = continue_prompts(session, prompts, new_tokens=new_tokens, to_line_end=True)
    lines = [first_line(session, continuation) for continuation in generated]
    scores = [
        exact_match(line[0], example.references)
        for line, example in zip(lines, examples, strict=True)
    ]
    confidences = [math.exp(line[1]) for line in lines]
    outcome = Outcome(session, [example.id for example in examples])
    outcome.columns = {
        "exact_match": scores,
        "correct": scores,
        "confidence": confidences,
        "answer": [line[0] for line in lines],
        "question": [example.context for example in examples],
    }
    outcome.add_mean("exact_match", scores)
    outcome.add_mean("accuracy_top_1_percent", [scores[n] for n in surest(confidences)])
    outcome.protocol = {
        "prompt": "`Q: ...?` and `A: ...` lines of the example pairs, then the question and `A:`",
        "example_pairs": len(pairs),
        "decoding": f"greedy, at most {new_tokens} tokens, up to the end of the line",
        "confidence": "product of the probabilities of the answer's tokens",
        "prompts_cut_from_left": sum(prompt.cut for prompt in prompts),
    }
    return outcome


def surest(confidences: list[float]) -> list[int]:
    """Places of the 1 % highest confidences, rounded up: the paper's 63.1 % is their accuracy.

    >>> surest([0.1, 0.9, 0.5])
    [1]
    """
    count = math.ceil(len(confidences) / 100)
    return [int(n) for n in np.argsort(-np.asarray(confidences), kind="stable")[:count]]
