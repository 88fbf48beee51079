"""Natural Questions: short answers after example pairs, and how often the surest are right."""

from __future__ import annotations

import math

from pipeline.evaluate.answers import exact_match
from pipeline.evaluate.continuation import (
    choose,
    continue_prompts,
    count_answers,
    first_line,
    make_prompt,
)
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session
from pipeline.shared.scores.confidence import surest


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
    generated = continue_prompts(
        session, prompts, new_tokens=new_tokens, stop_tokens=session.line_ends
    )
    lines = [first_line(session, continuation) for continuation in generated]
    scores = [
        exact_match(line.text, example.references)
        for line, example in zip(lines, examples, strict=True)
    ]
    answers = [line.text for line in lines]
    confidences = [math.exp(line.log_probability) for line in lines]
    outcome = Outcome(session, [example.id for example in examples])
    outcome.columns = {
        "exact_match": scores,
        "correct": scores,
        "confidence": confidences,
        "answer": answers,
        "ended": [line.ended for line in lines],
        "question": [example.context for example in examples],
    }
    outcome.add_mean("exact_match", scores)
    top = [scores[n] for n in surest(confidences, answers)]
    outcome.add_mean("accuracy_top_1_percent", top)
    outcome.drop_without_signal(["exact_match", "accuracy_top_1_percent"], answers)
    outcome.protocol = {
        "prompt": "`Q: ...?` and `A: ...` lines of the example pairs, then the question and `A:`",
        "example_pairs": len(pairs),
        "decoding": f"greedy, at most {new_tokens} tokens, up to the end of the line",
        "confidence": "product of the probabilities of the answer's tokens and of its end; "
        "of an answer that the limit of tokens cut, of its tokens alone",
        "surest": f"{len(top)} answers, the empty ones last",
        "prompts_cut_from_left": sum(prompt.cut for prompt in prompts),
        **count_answers(lines),
    }
    return outcome
