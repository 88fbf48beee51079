"""CoQA: the greedy answer after the passage, the conversation so far and a final `A:`."""

from __future__ import annotations

from pipeline.evaluate.answers import conversation_f1
from pipeline.evaluate.continuation import choose, continue_prompts, first_line, make_prompt
from pipeline.evaluate.outcome import Outcome, Task
from pipeline.evaluate.session import Session


def evaluate(session: Session, task: Task) -> Outcome:
    """Mean F1 of the first generated line."""
    examples = choose(session, task.examples)
    new_tokens = session.params.answer_tokens
    prompts = [make_prompt(session, e.context, new_tokens=new_tokens) for e in examples]
    generated = continue_prompts(session, prompts, new_tokens=new_tokens, to_line_end=True)
    answers = [first_line(session, continuation)[0] for continuation in generated]
    scores = [
        conversation_f1(answer, example.references)
        for answer, example in zip(answers, examples, strict=True)
    ]
    outcome = Outcome(session, [example.id for example in examples])
    outcome.columns = {
        "f1": scores,
        "answer": answers,
        "group": [example.group for example in examples],
    }
    outcome.add_mean("f1", scores)
    outcome.protocol = {
        "prompt": "passage, then `Q: ...` and `A: ...` lines, then `A:`",
        "history": "the published answers",
        "decoding": f"greedy, at most {new_tokens} tokens, up to the end of the line",
        "prompts_cut_from_left": sum(prompt.cut for prompt in prompts),
    }
    return outcome
