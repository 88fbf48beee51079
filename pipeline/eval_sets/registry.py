"""Every evaluation set, in the order of the paper's tables."""

from __future__ import annotations

from pipeline.eval_sets.cbt import CBT_CN, CBT_NE
from pipeline.eval_sets.cnn_dm import CNN_DM
from pipeline.eval_sets.coqa import COQA
from pipeline.eval_sets.eval_set import EvalSet
from pipeline.eval_sets.lambada import LAMBADA
from pipeline.eval_sets.natural_questions import NATURAL_QUESTIONS
from pipeline.eval_sets.one_billion_word import ONE_BILLION_WORD
from pipeline.eval_sets.ptb import PTB
from pipeline.eval_sets.webtext import WEBTEXT_TEST, WEBTEXT_TRAIN
from pipeline.eval_sets.wikipedia_2006 import ENWIK8, TEXT8
from pipeline.eval_sets.wikitext import WIKITEXT2, WIKITEXT103
from pipeline.eval_sets.winograd import WINOGRAD
from pipeline.eval_sets.wmt14 import WMT14_EN_FR, WMT14_FR_EN

EVAL_SETS: dict[str, EvalSet] = {
    eval_set.name: eval_set
    for eval_set in (
        LAMBADA,
        CBT_CN,
        CBT_NE,
        WIKITEXT2,
        PTB,
        ENWIK8,
        TEXT8,
        WIKITEXT103,
        ONE_BILLION_WORD,
        WINOGRAD,
        COQA,
        CNN_DM,
        WMT14_EN_FR,
        WMT14_FR_EN,
        NATURAL_QUESTIONS,
        WEBTEXT_TRAIN,
        WEBTEXT_TEST,
    )
}
