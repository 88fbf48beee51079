"""WMT-14, English to French."""

from __future__ import annotations

from pipeline.eval_sets.eval_set import EvalSet
from pipeline.eval_sets.parallel_text import (
    LICENCE,
    ODD,
    news_test,
    read_examples_from,
    read_pairs_from,
)

WMT14_EN_FR = EvalSet(
    name="wmt14_en_fr",
    title="WMT14 En-Fr",
    scoring="translation",
    metrics=("bleu",),
    higher_is_better=True,
    together="neighbours",
    licence=LICENCE,
    odd=ODD,
    test=news_test(2014),
    read_test=read_examples_from("en"),
    pairs=news_test(2013),
    read_pairs=read_pairs_from("en"),
    paper={"bleu": {"1542M": 5.0}},
)
