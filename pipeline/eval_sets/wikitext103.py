"""WikiText-103: the test articles of WikiText-2 with few words as <unk>."""

from __future__ import annotations

from pipeline.eval_sets.detokenizers import WIKITEXT
from pipeline.eval_sets.eval_set import EvalSet, by_size
from pipeline.eval_sets.running_text import articles
from pipeline.eval_sets.sources import Form, PublishedFile

_URL = "https://wikitext.smerity.com/wikitext-103-v1.zip"
_ARCHIVE = "sha256:242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590"

WIKITEXT103 = EvalSet(
    name="wikitext103",
    title="WikiText103",
    scoring="running_text",
    metrics=("perplexity",),
    higher_is_better=False,
    unit="word",
    licence="CC BY-SA 3.0",
    odd=(
        "The same 60 articles as WikiText-2's test set: the paper's 29.41 and 37.50 for one model "
        "on one text can only differ by units or de-tokenizers, which it does not tell."
    ),
    test={
        "test": PublishedFile(
            folder="wikitext103",
            forms=(
                Form(
                    "wiki.test.tokens",
                    "sha256:56db52eb157b1ab5c89646eef70510c1eca6e12a3bfdb99f0d6b05b4eacb75b9",
                ),
            ),
            url=_URL,
            member="wikitext-103/wiki.test.tokens",
            archive_digest=_ARCHIVE,
        )
    },
    read_test=lambda files: articles(files["test"], WIKITEXT),
    train={
        "train": PublishedFile(
            folder="wikitext103",
            forms=(Form("wiki.train.tokens"),),
            url=_URL,
            member="wikitext-103/wiki.train.tokens",
            archive_digest=_ARCHIVE,
        )
    },
    read_train=lambda files: articles(files["train"], WIKITEXT),
    detokenizer=WIKITEXT,
    paper={"perplexity": by_size(37.50, 26.37, 22.05, 17.48)},
    baselines={"perplexity": {"state of the art": 18.3}},
)
