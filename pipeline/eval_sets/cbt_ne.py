"""Children's Book Test, named entities: which of ten words fills the blank."""

from __future__ import annotations

from pipeline.eval_sets.childrens_books import HUMANS, LICENCE, ODD, questions_file, read_questions
from pipeline.eval_sets.detokenizers import CHILDRENS_BOOKS
from pipeline.eval_sets.eval_set import EvalSet, Reproduction, by_size

CBT_NE = EvalSet(
    name="cbt_ne",
    title="CBT-NE",
    scoring="cloze",
    metrics=("accuracy",),
    higher_is_better=True,
    together="passages",
    licence=LICENCE,
    odd=ODD,
    test={"valid": questions_file("NE", "7f702d10bfb15937da7c6423f8ce0a1231447f17")},
    read_test=read_questions,
    detokenizer=CHILDRENS_BOOKS,
    paper={"accuracy": by_size(0.834, 0.871, 0.880, 0.8905)},
    reproductions=(Reproduction("accuracy", "117M", 0.7365, "transformers#13761"),),
    baselines={"accuracy": {"state of the art": 0.823, **HUMANS}},
)
