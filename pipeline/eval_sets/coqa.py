"""CoQA: questions in conversation about a passage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pipeline.eval_sets.eval_set import EvalSet, Files
from pipeline.eval_sets.sources import Form, PublishedFile
from pipeline.shared.errors import CorruptDataError
from pipeline.shared.formats.examples import Example


def _read(files: Files) -> Iterator[Example]:
    """One example a question: passage, history with the published answers, and a final `A:`."""
    file = files["dev"]
    try:
        stories = json.loads(file.read_bytes())["data"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptDataError(f"{file.path}: not CoQA's JSON ({error}); fetch it again") from None
    for number, story in enumerate(stories):
        try:
            yield from _questions(story)
        except (KeyError, TypeError, IndexError) as error:
            raise CorruptDataError(
                f"{file.path}: story {number}: no CoQA story ({error!r}); fetch it again"
            ) from None


def _questions(story: dict[str, Any]) -> Iterator[Example]:
    prompt = f"{story['story']}\n\n"
    more = list(story.get("additional_answers", {}).values())
    for turn, question in enumerate(story["questions"]):
        answers = [answers[turn]["input_text"] for answers in (story["answers"], *more)]
        prompt += f"Q: {question['input_text']}\nA:"
        yield Example(
            id=f"{story['id']}:{turn + 1}",
            text=f"{story['story']}\n{question['input_text']}\n{answers[0]}",
            context=prompt,
            target=question["input_text"],
            references=answers,
            group=story["source"],
        )
        prompt += f" {answers[0]}\n"


COQA = EvalSet(
    name="coqa",
    title="CoQA",
    scoring="conversation",
    metrics=("f1",),
    higher_is_better=True,
    together="stories",
    licence="CC BY-SA 4.0, MSR-LA, RACE's and Apache-2.0 parts",
    odd=(
        "The dev set of five domains. The history holds the published answers, not the model's. "
        "The prompt's exact format is known only from the paper's samples: `Q:` and `A:`."
    ),
    test={
        "dev": PublishedFile(
            folder="coqa",
            forms=(
                Form("coqa-dev-v1.0.json", "git:b2a8eea9bb4f08ce322c2a141014e35ae2747f8c"),
                Form(
                    "coqa-dev-v1.0.rebuilt.json",
                    "sha256:2ce26e5c05cbddf8e363e3e887ca915faf82989bd2df9670d172c85e7cacd042",
                    "rebuilt from per-question records: complete but for the evidence spans",
                ),
            ),
            url="https://nlp.stanford.edu/data/coqa/coqa-dev-v1.0.json",
        )
    },
    read_test=_read,
    paper={"f1": {"1542M": 0.55}},
    baselines={"f1": {"human": 0.89}},
)
