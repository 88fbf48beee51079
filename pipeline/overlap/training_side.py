"""The training side, streamed once: which n-grams of the asked texts it holds, and a Bloom filter.

The exact index holds the small side (evaluation), so memory does not grow with the training text;
the Bloom filter is the paper's way and grows by 38.4 bits an n-gram. Both are reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.ngrams import BloomFilter, ExactIndex, Hashes, combine


@dataclass(frozen=True)
class Shared:
    """How many of a text's n-grams the training side holds."""

    num_ngrams: int
    """Of the text, repetitions counted; 1 for a text of fewer than n words, which counts whole."""
    num_overlapping: int

    @property
    def percent(self) -> float:
        """Overlap of the text; 0 for a text without words."""
        return 100 * self.num_overlapping / self.num_ngrams if self.num_ngrams else 0.0


class TrainingSide:
    """What the training documents hold of the asked texts' n-grams, counted exactly."""

    def __init__(self, texts: Iterable[Sequence[str]], num_words: int) -> None:
        """`texts` are the words of every text that will be asked for."""
        self.index = ExactIndex(texts, num_words)
        self.seen: npt.NDArray[np.bool_] = np.zeros(len(self.index), np.bool_)

    def add(self, word_hashes: Hashes) -> None:
        """Read one training document, its words hashed by `self.index.hasher`."""
        self.seen[self.index.match_hashes(word_hashes).places] = True

    def shared(self, words: Sequence[str]) -> Shared:
        """The overlap of one of the asked texts."""
        places = self.index.find(self.index.hasher.hash_item(words))
        return Shared(len(places), int(self.seen[places].sum()))


def fill_bloom(
    documents: Iterable[Hashes], num_ngrams: int, num_words: int, bound: float
) -> BloomFilter:
    """The paper's filter over the training n-grams; `num_ngrams` bounds the distinct ones."""
    bloom = BloomFilter(max(num_ngrams, 1), bound)
    for word_hashes in documents:
        bloom.add(np.unique(combine(word_hashes, num_words)))
    return bloom
