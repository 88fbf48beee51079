"""WikiText-2 and WikiText-103: the same test articles of Wikipedia, with more and fewer <unk>."""

from __future__ import annotations

from pipeline.eval_sets.detokenizers import WIKITEXT
from pipeline.eval_sets.eval_set import OPENAI_AGAIN, EvalSet, Reproduction, by_size
from pipeline.eval_sets.running_text import articles
from pipeline.eval_sets.sources import Form, PublishedFile

_URL = "https://wikitext.smerity.com/wikitext-{}-v1.zip"
_RECIPE = "transformers{}: the text without <unk>, blank lines doubled, no <|endoftext|> first"


def _declare(
    words: int,
    digests: tuple[str, str],
    *,
    odd: str,
    paper: dict[str, float],
    best: float,
    reproductions: tuple[Reproduction, ...] = (),
) -> EvalSet:
    """`words`: millions of its training text; `digests`: of the archive and of the test file."""
    archive, test = (f"sha256:{digest}" for digest in digests)
    name = f"wikitext{words}"

    def file(part: str, digest: str = "") -> PublishedFile:
        form = Form(f"wiki.{part}.tokens", digest)
        return PublishedFile(
            folder=name,
            forms=(form,),
            url=_URL.format(words),
            member=f"wikitext-{words}/{form.name}",
            archive_digest=archive,
        )

    return EvalSet(
        name=name,
        title=f"WikiText{words}",
        scoring="running_text",
        metrics=("perplexity",),
        higher_is_better=False,
        unit="word",
        licence="CC BY-SA 3.0",
        odd=odd,
        test={"test": file("test", test)},
        read_test=lambda files: articles(files["test"], WIKITEXT),
        train={"train": file("train")},
        read_train=lambda files: articles(files["train"], WIKITEXT),
        detokenizer=WIKITEXT,
        paper={"perplexity": paper},
        reproductions=reproductions,
        baselines={"perplexity": {"state of the art": best}},
    )


WIKITEXT2 = _declare(
    2,
    (
        "92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
        "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    ),
    odd=(
        "The same 60 articles as WikiText-103's test set, with more words as <unk>. "
        "Words are counted with one end of sentence a line, as in the literature."
    ),
    paper=by_size(29.41, 22.76, 19.93, 18.34),
    best=39.14,
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
)
WIKITEXT103 = _declare(
    103,
    (
        "242ba0f20b329cfdf1ccc61e9e9e5b59becf189db7f7a81cd2a0e2fc31539590",
        "56db52eb157b1ab5c89646eef70510c1eca6e12a3bfdb99f0d6b05b4eacb75b9",
    ),
    odd=(
        "The same 60 articles as WikiText-2's test set: the paper's 29.41 and 37.50 for one model "
        "on one text can only differ by units or de-tokenizers, which it does not tell."
    ),
    paper=by_size(37.50, 26.37, 22.05, 17.48),
    best=18.3,
)
