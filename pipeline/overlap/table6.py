"""Table 6: the percentage of each test set's 8-grams that a training text also holds.

Only whole n-grams count here, so that the exact column and the Bloom filter's mean the same. An
n-gram never reaches from one example into the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.examples import read_examples
from pipeline.ngrams import BloomFilter
from pipeline.overlap.texts import Text
from pipeline.overlap.training_side import SeenIndex
from pipeline.words import split_words

PAPER_SETS = ("ptb", "wikitext2", "enwik8", "text8", "wikitext103", "one_billion_word")
"""The sets of the paper's Table 6, in its order; others follow by name."""
COLUMNS = (
    "set",
    "num_ngrams",
    "own_train_percent",
    "webtext_train_percent",
    "webtext_train_bloom_percent",
)


def table6(
    texts: Sequence[Text], side: SeenIndex, bloom: BloomFilter, own_train: Path
) -> pd.DataFrame:
    """One row a set: exact counts against the study's train split and the set's own train text.

    A set without n-grams, or without a train text in `own_train`, has an empty cell.
    """
    by_set: dict[str, list[Text]] = {}
    for text in texts:
        if len(text.words) >= side.index.hasher.num_words:
            by_set.setdefault(text.set, []).append(text)
    names = [name for name in PAPER_SETS if name in by_set]
    names += sorted(set(by_set) - set(names))
    rows = [_row(name, by_set[name], side, bloom, own_train) for name in names]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _row(
    name: str, texts: Sequence[Text], side: SeenIndex, bloom: BloomFilter, own_train: Path
) -> dict[str, Any]:
    hasher = side.index.hasher
    num_ngrams = sum(len(text.words) - hasher.num_words + 1 for text in texts)
    shared = sum(side.shared(text.words).num_overlapping for text in texts)
    claimed = sum(int(bloom.contains(hasher.hash_ngrams(text.words)).sum()) for text in texts)
    own = _count_own(own_train / f"{name}.parquet", texts, hasher.num_words)
    return {
        "set": name,
        "num_ngrams": num_ngrams,
        "own_train_percent": None if own is None else 100 * own / num_ngrams,
        "webtext_train_percent": 100 * shared / num_ngrams,
        "webtext_train_bloom_percent": 100 * claimed / num_ngrams,
    }


def _count_own(path: Path, texts: Sequence[Text], num_words: int) -> int | None:
    """How many of the n-grams a set's own train file holds; None where there is no file."""
    if not path.is_file():
        return None
    side = SeenIndex((text.words for text in texts), num_words)
    for example in read_examples(path):
        side.add(split_words(example.text))
    return sum(side.shared(text.words).num_overlapping for text in texts)
