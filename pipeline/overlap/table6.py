"""Table 6: the percentage of each test set's 8-grams that a training text also holds.

Only whole n-grams count here, so that the exact column and the Bloom filter's mean the same. An
n-gram never reaches from one example into the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.overlap.texts import Text
from pipeline.overlap.training_side import SeenIndex
from pipeline.shared.formats.examples import read_examples
from pipeline.shared.text.words import split_words

PAPER_SETS = ("ptb", "wikitext2", "enwik8", "text8", "wikitext103", "one_billion_word")
"""The sets of the paper's Table 6, in its order; others follow by name."""
MEAN = "mean"
"""The row that follows the paper's sets: the mean of each column over those that have it."""
COLUMNS = (
    "set",
    "num_ngrams",
    "own_train_percent",
    "webtext_train_percent",
    "webtext_train_bloom_percent",
)
Claims = npt.NDArray[np.bool_]


def table6(
    texts: Sequence[Text], side: SeenIndex, claimed: Claims, own_train: Path
) -> pd.DataFrame:
    """One row a set: exact counts against the training text and the set's own train text.

    `claimed` says of each n-gram of `side` whether the Bloom filter claims to hold it. A set
    without a train text in `own_train` has an empty cell. After the paper's sets comes their mean,
    each set counting once as in the paper.
    """
    by_set: dict[str, list[Text]] = {}
    for text in texts:
        if len(text.words) >= side.index.hasher.num_words:
            by_set.setdefault(text.set, []).append(text)
    papers = [name for name in PAPER_SETS if name in by_set]
    others = sorted(set(by_set) - set(papers))
    first, rest = (
        pd.DataFrame(
            [_row(name, by_set[name], side, claimed, own_train) for name in names],
            columns=list(COLUMNS),
        )
        for names in (papers, others)
    )
    if papers:
        percents = first[list(COLUMNS[2:])].astype(float).mean()
        first = pd.concat([first, pd.DataFrame([{"set": MEAN, **percents}])])
    return pd.concat([first, rest], ignore_index=True).astype({"num_ngrams": "Int64"})


def _row(
    name: str, texts: Sequence[Text], side: SeenIndex, claimed: Claims, own_train: Path
) -> dict[str, Any]:
    hasher = side.index.hasher
    places = [side.index.find(hasher.hash_ngrams(text.words)) for text in texts]
    num_ngrams = sum(map(len, places))
    shared, claims = (
        sum(int(holds[own].sum()) for own in places) for holds in (side.seen, claimed)
    )
    own = _count_own(own_train / f"{name}.parquet", texts, hasher.num_words)
    return {
        "set": name,
        "num_ngrams": num_ngrams,
        "own_train_percent": None if own is None else 100 * own / num_ngrams,
        "webtext_train_percent": 100 * shared / num_ngrams,
        "webtext_train_bloom_percent": 100 * claims / num_ngrams,
    }


def _count_own(path: Path, texts: Sequence[Text], num_words: int) -> int | None:
    """How many of the n-grams a set's own train file holds; None where there is no file."""
    if not path.is_file():
        return None
    side = SeenIndex((text.words for text in texts), num_words)
    for example in read_examples(path):
        side.add(split_words(example.text))
    return sum(side.shared(text.words).num_overlapping for text in texts)
