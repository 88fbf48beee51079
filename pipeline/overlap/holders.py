"""The training documents that share n-grams with a text, and the longest span each shares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pipeline.overlap.ngram_index import NgramIndex
from pipeline.overlap.spans import SoughtTexts
from pipeline.overlap.training_side import read_batches
from pipeline.shared.errors import UserError
from pipeline.shared.formats.documents import list_shards, read_verified_shard
from pipeline.shared.text.ngrams import ExactIndex, NgramHasher


class Holder(NamedTuple):
    """A training document that shares n-grams with a text."""

    document: str
    """Its id."""
    url: str
    shared: int
    """N-grams of the text that it holds; one that the text repeats counts each time."""
    words: int
    """Of the longest span that both hold."""
    span: str
    """The span, as normalised words."""


class Found(NamedTuple):
    """What the training text holds of one text."""

    num_ngrams: int
    """Of the text."""
    num_held: int
    """Of these, in any training document."""
    num_documents: int
    """That hold any of them."""
    holders: list[Holder]
    """The documents that hold the most, these first; then by the longest span and by id."""


def find_holders(index: NgramIndex, kept: Path, words: Sequence[str], *, most: int) -> Found:
    """The `most` documents that share the most n-grams with a text; `kept` holds their texts.

    Raises:
        UserError: `kept` lacks a document of the index: it was made anew since.
    """
    hashes = NgramHasher(index.num_words).hash_ngrams(words)
    pairs = index.find(hashes)
    documents, counts = np.unique(pairs.documents, return_counts=True)
    leading = np.argsort(-counts, kind="stable")[:most]
    rows = index.documents.take(documents[leading]).to_pylist()
    texts = _read_texts(kept, {row["shard"] for row in rows}, {row["id"] for row in rows})
    if len(texts) < len(rows):
        raise UserError(
            f"{kept}: lacks {len(rows) - len(texts)} of the documents that the index of n-grams "
            "names, which is of another corpus; run dvc repro overlap"
        )
    holders = [
        Holder(row["id"], row["url"], shared, *_longest_span(words, text, index.num_words))
        for row, shared in zip(rows, counts[leading].tolist(), strict=True)
        for text in [texts[row["id"]]]
    ]
    holders.sort(key=lambda holder: (-holder.shared, -holder.words, holder.document))
    return Found(len(hashes), len(np.unique(pairs.ngrams)), len(documents), holders)


def _read_texts(kept: Path, shards: Iterable[str], ids: set[str]) -> dict[str, str]:
    wanted = [shard for shard in list_shards(kept) if shard.path.name in shards]
    return {
        document.id: document.text
        for shard in wanted
        for document in read_verified_shard(shard)
        if document.id in ids
    }


def _longest_span(words: Sequence[str], text: str, num_words: int) -> tuple[int, str]:
    index = ExactIndex([words], num_words)
    (batch,) = read_batches([text], index, SoughtTexts.of([words], index))
    start, length = int(batch.spans.start[0]), int(batch.spans.words[0])
    return length, " ".join(words[start : start + length])
