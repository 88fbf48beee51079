"""Children's Book Test, common nouns: which of ten words fills the blank."""

from __future__ import annotations

from pipeline.eval_sets.childrens_books import HUMANS, LICENCE, ODD, questions_file, read_questions
from pipeline.eval_sets.detokenizers import CHILDRENS_BOOKS
from pipeline.eval_sets.eval_set import EvalSet, Reproduction, by_size

CBT_CN = EvalSet(
    name="cbt_cn",
    title="CBT-CN",
    scoring="cloze",
    metrics=("accuracy",),
    higher_is_better=True,
    together="passages",
    licence=LICENCE,
    odd=ODD,
    test={"valid": questions_file("CN", "dbe54c05644234ca1fe988238a535c13eb440d91")},
    read_test=read_questions,
    detokenizer=CHILDRENS_BOOKS,
    paper={"accuracy": by_size(0.8765, 0.9235, 0.9345, 0.9330)},
    reproductions=(Reproduction("accuracy", "117M", 0.8435, "transformers#13761"),),
    baselines={"accuracy": {"state of the art": 0.857, **HUMANS}},
)
