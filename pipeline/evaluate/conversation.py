"""CoQA: the greedy answer after the passage, the conversation so far and a final `A:`."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.evaluate.answers import conversation_f1
from pipeline.evaluate.continuation import (
    Prompt,
    choose,
    continue_chains,
    count_answers,
    first_line,
    make_prompt,
)
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session


def evaluate(session: Session, task: Task) -> Outcome:
    """Mean F1 of the first generated line."""
    examples = choose(session, task.examples)
    new_tokens = session.params.answer_tokens
    prompts = [make_prompt(session, e.context, new_tokens=new_tokens) for e in examples]
    chains = _chains(prompts)
    generated = continue_chains(session, chains, new_tokens=new_tokens)
    lines = [first_line(session, found) for chain in generated for found in chain]
    answers = [line.text for line in lines]
    scores = [
        conversation_f1(answer, example.references)
        for answer, example in zip(answers, examples, strict=True)
    ]
    outcome = Outcome.of(session, task, examples)
    outcome.columns = {
        "f1": scores,
        "answer": answers,
        "group": [example.group for example in examples],
    }
    outcome.add_mean("f1", scores)
    outcome.drop_without_signal(["f1"], answers)
    outcome.protocol = {
        "prompt": "passage, then `Q: ...` and `A: ...` lines, then `A:`",
        "history": "the published answers",
        "decoding": f"greedy, at most {new_tokens} tokens, up to the end of the line",
        "prompts_cut_from_left": sum(prompt.cut for prompt in prompts),
        **count_answers(lines),
    }
    return outcome


def _chains(prompts: Sequence[Prompt]) -> list[list[Prompt]]:
    """The prompts in their order, where one begins with the one before it in the same chain.

    The questions about a story follow one another, so a story is one chain unless it is too long
    for the context: then its beginning is cut, each time by another length.
    """
    chains: list[list[Prompt]] = []
    for prompt in prompts:
        last = chains[-1][-1].tokens if chains else prompt.tokens
        if len(last) < len(prompt.tokens) and prompt.tokens[: len(last)] == last:
            chains[-1].append(prompt)
        else:
            chains.append([prompt])
    return chains
