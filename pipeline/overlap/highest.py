"""The evaluation examples that overlap most, and the training documents that hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.overlap.holders import find_holders
from pipeline.overlap.ngram_index import NgramIndex
from pipeline.overlap.texts import Text

NUM_EXAMPLES = 3  # of each set
COLUMNS = [
    "set",
    "id",
    "num_ngrams",
    "num_overlapping",
    "overlap_percent",
    "num_documents",
    "document",
    "url",
    "shared",
    "words",
    "span",
]


def highest_overlap(
    texts: Sequence[Text], overlaps: Mapping[str, pd.DataFrame], index: NgramIndex, kept: Path
) -> pd.DataFrame:
    """The examples of each set of which most n-grams are in the training text.

    Columns: set, id, num_ngrams, num_overlapping, overlap_percent, num_documents (training
    documents that hold any of its n-grams), then of the one that holds the most: document, url,
    shared (n-grams), words and span of the longest passage that both hold. Examples without a
    shared n-gram, or shorter than one, are left out; of equal percentages the longer example
    comes first.
    """
    words = {(text.set, text.id): text.words for text in texts}
    rows = []
    for name, overlap in sorted(overlaps.items()):
        is_long = np.array([len(words[name, id_]) >= index.num_words for id_ in overlap["id"]])
        some = overlap[is_long & (overlap["num_overlapping"] > 0)]
        leading = some.sort_values(
            ["overlap_percent", "num_ngrams", "id"], ascending=[False, False, True]
        ).head(NUM_EXAMPLES)
        for example in leading.to_dict("records"):
            found = find_holders(index, kept, words[name, example["id"]], most=1)
            holder = found.holders[0]
            rows.append({
                "set": name,
                **{str(key): value for key, value in example.items()},
                "num_documents": found.num_documents,
                **holder._asdict(),
            })
    return pd.DataFrame(rows, columns=COLUMNS)
