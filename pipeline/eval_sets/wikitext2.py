"""WikiText-2: Wikipedia articles, tokenized, rare words as <unk>."""

from __future__ import annotations

from pipeline.eval_sets.detokenizers import WIKITEXT
from pipeline.eval_sets.eval_set import OPENAI_AGAIN, EvalSet, Reproduction, by_size
from pipeline.eval_sets.running_text import articles
from pipeline.eval_sets.sources import Form, PublishedFile

_URL = "https://wikitext.smerity.com/wikitext-2-v1.zip"
_ARCHIVE = "sha256:92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c"
_RECIPE = "transformers{}: the text without <unk>, blank lines doubled, no <|endoftext|> first"

WIKITEXT2 = EvalSet(
    name="wikitext2",
    title="WikiText2",
    scoring="running_text",
    metrics=("perplexity",),
    higher_is_better=False,
    unit="word",
    licence="CC BY-SA 3.0",
    odd=(
        "The same 60 articles as WikiText-103's test set, with more words as <unk>. "
        "Words are counted with one end of sentence a line, as in the literature."
    ),
    test={
        "test": PublishedFile(
            folder="wikitext2",
            forms=(
                Form(
                    "wiki.test.tokens",
                    "sha256:d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
                ),
            ),
            url=_URL,
            member="wikitext-2/wiki.test.tokens",
            archive_digest=_ARCHIVE,
        )
    },
    read_test=lambda files: articles(files["test"], WIKITEXT),
    train={
        "train": PublishedFile(
            folder="wikitext2",
            forms=(Form("wiki.train.tokens"),),
            url=_URL,
            member="wikitext-2/wiki.train.tokens",
            archive_digest=_ARCHIVE,
        )
    },
    read_train=lambda files: articles(files["train"], WIKITEXT),
    detokenizer=WIKITEXT,
    paper={"perplexity": by_size(29.41, 22.76, 19.93, 18.34)},
    reproductions=(
        Reproduction(
            "perplexity",
            "117M",
            37.3698,
            "ml-by-hand, by lm-eval: text without <unk>, a de-tokenizer of its own, page by page",
        ),
        Reproduction("perplexity@raw_per_token", "117M", 29.94, _RECIPE.format("#13761")),
        Reproduction("perplexity@raw_per_token", "762M", 19.44, _RECIPE.format("' documentation")),
        Reproduction(
            "perplexity@raw_per_token_stride_512", "762M", 16.45, _RECIPE.format("' documentation")
        ),
        Reproduction("perplexity", "1542M", 18.67, OPENAI_AGAIN),
    ),
    baselines={"perplexity": {"state of the art": 39.14}},
)
