"""One Billion Word Benchmark: shuffled news sentences, tokenized."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pipeline.eval_sets.detokenizers import ONE_BILLION_WORD as DETOKENIZER
from pipeline.eval_sets.eval_set import EvalSet, Files, by_size
from pipeline.eval_sets.running_text import sentences
from pipeline.eval_sets.sources import Form, PublishedFile
from pipeline.shared.formats.examples import Example

_ROOT = "1-billion-word-language-modeling-benchmark-r13output"
_URL = f"http://www.statmt.org/lm-benchmark/{_ROOT}.tar.gz"
_ARCHIVE = "sha256:01ba60381110baf7f189dfd2b8374de371e8c9a340835793f190bdae9e90a34e"
_TRAIN = [f"news.en-{number:05d}-of-00100" for number in range(1, 100)]


def _read_train(files: Files) -> Iterator[Example]:
    for name, file in files.items():
        for example in sentences(file, DETOKENIZER):
            yield replace(example, id=f"{name}:{example.id}")


ONE_BILLION_WORD = EvalSet(
    name="one_billion_word",
    title="1BW",
    scoring="running_text",
    metrics=("perplexity",),
    higher_is_better=False,
    unit="word",
    licence="statmt / WMT news crawl, research use",
    odd=(
        "Sentences are shuffled, so nothing beyond a sentence helps; they are scored as one "
        "stream like the other sets. Words are counted with one end of sentence a line."
    ),
    test={
        "test": PublishedFile(
            folder="1bw",
            forms=(
                Form(
                    "news.en.heldout-00000-of-00050",
                    "sha256:265dccd51762253e20425c21ff6ddf09e6da2e11a365da399b0390eebb2d52c8",
                ),
            ),
            url=_URL,
            member=f"{_ROOT}/heldout-monolingual.tokenized.shuffled/news.en.heldout-00000-of-00050",
            archive_digest=_ARCHIVE,
        )
    },
    read_test=lambda files: sentences(files["test"], DETOKENIZER),
    train={
        name: PublishedFile(
            folder="1bw",
            forms=(Form(name),),
            url=_URL,
            member=f"{_ROOT}/training-monolingual.tokenized.shuffled/{name}",
            archive_digest=_ARCHIVE,
        )
        for name in _TRAIN
    },
    read_train=_read_train,
    detokenizer=DETOKENIZER,
    paper={"perplexity": by_size(75.20, 55.72, 44.575, 42.16)},
    baselines={"perplexity": {"state of the art": 21.8}},
)
