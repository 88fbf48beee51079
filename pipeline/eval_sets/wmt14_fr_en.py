"""WMT-14, French to English."""

from __future__ import annotations

from pipeline.eval_sets.eval_set import EvalSet
from pipeline.eval_sets.parallel_text import (
    LICENCE,
    ODD,
    news_test,
    read_examples_from,
    read_pairs_from,
)

WMT14_FR_EN = EvalSet(
    name="wmt14_fr_en",
    title="WMT14 Fr-En",
    scoring="translation",
    metrics=("bleu",),
    higher_is_better=True,
    together="neighbours",
    licence=LICENCE,
    odd=ODD,
    test=news_test(2014),
    read_test=read_examples_from("fr"),
    pairs=news_test(2013),
    read_pairs=read_pairs_from("fr"),
    paper={"bleu": {"1542M": 11.5}},
    baselines={"bleu": {"best unsupervised": 33.5}},
)
