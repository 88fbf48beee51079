"""Which of the documents left share too much with the evaluation sets.

How often an n-gram occurs is counted over these documents alone: one that many of them hold is
commonplace and condemns none of them by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.dedup.eval_index import EvalIndex
from pipeline.dedup.features import Features
from pipeline.shared.params.text import DedupParams
from pipeline.shared.text.words import Numbers

EXAMPLE_COLUMNS = ["document", "example", "num_matches", "start", "end"]
PASSAGE_COLUMNS = ["document", "example", "start", "end"]


class EvalMatches(NamedTuple):
    """What condemns documents."""

    examples: pd.DataFrame
    """A row for each example that condemns a document, the strongest of a document first: document
    (its number), example (its number), num_matches, and the longest passage: start, end (words)."""
    passages: pd.DataFrame
    """A row for each passage that such an example shares: document, example, start, end."""
    num_commonplace: int


def match_eval_sets(
    features: Features, is_left: npt.NDArray[np.bool_], index: EvalIndex, params: DedupParams
) -> EvalMatches:
    """Judge the documents of `is_left` [documents]."""
    occurrences = np.zeros(len(index.ngrams), np.int64)
    for _, matches in _matches_of_shards(features, is_left):
        holders = np.unique(matches[:, 0] * max(len(index.ngrams), 1) + matches[:, 1])
        np.add.at(occurrences, holders % max(len(index.ngrams), 1), 1)
    commonplace = occurrences > params.eval_max_occurrences
    examples: list[tuple[int, ...]] = []
    passages: list[tuple[int, ...]] = []
    for first, matches in _matches_of_shards(features, is_left):
        rows = np.unique(matches[~commonplace[matches[:, 1]], 0])
        bounds = np.searchsorted(matches[:, 0], np.stack([rows, rows + 1]))
        for row, start, end in zip(rows.tolist(), *bounds.tolist(), strict=True):
            own = matches[start:end, 1:]
            for condemned in index.condemn(own, commonplace, params.eval_min_matches):
                document, example = first + row, condemned.example
                examples.append((document, example, condemned.num_matches, *condemned.passages[0]))
                passages += [(document, example, *passage) for passage in condemned.passages]
    return EvalMatches(
        pd.DataFrame(examples, columns=EXAMPLE_COLUMNS, dtype="int64"),
        pd.DataFrame(passages, columns=PASSAGE_COLUMNS, dtype="int64"),
        int(commonplace.sum()),
    )


def _matches_of_shards(
    features: Features, is_left: npt.NDArray[np.bool_]
) -> Iterator[tuple[int, Numbers]]:
    """The number of each shard's first document, and its matches, those left alone."""
    for shard, first in enumerate(features.firsts[:-1].tolist()):
        if first < len(is_left):
            matches = features.eval_matches(shard)
            yield first, matches[is_left[first + matches[:, 0]]]
