"""Natural Questions: short factual answers without any passage."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.eval_sets.eval_set import EvalSet, Files
from pipeline.eval_sets.sources import Form, PublishedFile
from pipeline.shared.formats.examples import Example


def _read(files: Files) -> Iterator[Example]:
    for number, record in files["dev"].records("question", "answer"):
        answers = record["answer"]
        if not isinstance(answers, list) or not answers:
            raise files["dev"].bad_line(number, "no list of answers")
        yield Example(
            id=str(number),
            text=f"{record['question']} {answers[0]}",
            context=record["question"],
            references=[str(answer) for answer in answers],
        )


NATURAL_QUESTIONS = EvalSet(
    name="natural_questions",
    title="Natural Questions",
    scoring="question",
    metrics=("exact_match", "accuracy_top_1_percent"),
    higher_is_better=True,
    licence="CC BY-SA 3.0",
    odd=(
        "NQ-open's dev set, a later selection of the same questions. The example pairs of the "
        "prompts are set aside from it and not scored; the paper does not tell its own."
    ),
    test={
        "dev": PublishedFile(
            folder="nq_open",
            forms=(
                Form(
                    "NQ-open.dev.jsonl",
                    "sha256:f15567f38099f3615f5b8a685c0aef449c11ad90d3da3735e8d1b98115b40616",
                ),
            ),
            url="https://raw.githubusercontent.com/google-research-datasets/natural-questions/"
            "master/nq_open/NQ-open.dev.jsonl",
        )
    },
    read_test=_read,
    pairs_from_test=True,
    paper={"exact_match": {"1542M": 0.041}, "accuracy_top_1_percent": {"1542M": 0.631}},
    baselines={"exact_match": {"most common answer per type": 0.010}},
)
