"""One meaning of "overlap": normalised words, n-grams, and an exact way to count shared ones.

The paper (section 4) fills Bloom filters with the training side's 8-grams of lower-case
alphanumeric words (`pipeline.overlap.bloom`). The other way round needs little memory: an exact
index of the evaluation side, over which the training side is streamed once (`ExactIndex`). Both see
n-grams as 64-bit hashes, made here and stable over runs and machines.

Odds of a collision: two different n-grams share a hash with probability 2^-64, so streaming
WebText (7e9 distinct n-grams) over an index of 5e6 gives 5e6 * 7e9 / 2^64 = 0.002 false matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.shared.files import open_atomic
from pipeline.shared.text.words import Hashes, hash_words, mix

Places = npt.NDArray[np.int64]

_LENGTH = 0xD1B54A32D192ED03


class NgramHasher:
    """Hashes n-grams of words to 64 bits."""

    def __init__(self, num_words: int) -> None:
        self.num_words = num_words

    def hash_ngrams(self, words: Sequence[str]) -> Hashes:
        """One hash per n-gram, in order: [len(words) - n + 1], empty for a shorter text."""
        return combine(hash_words(words), self.num_words)

    def hash_item(self, words: Sequence[str]) -> Hashes:
        """The n-grams of an item; of one with fewer than n words, its one hash as a whole."""
        return combine(hash_words(words), min(self.num_words, len(words)))


def combine(word_hashes: Hashes, num_words: int) -> Hashes:
    """Hashes of all runs of `num_words` words: [len(word_hashes) - num_words + 1]."""
    if not 0 < num_words <= len(word_hashes):
        return np.empty(0, np.uint64)
    return next(combine_lengths(word_hashes, [num_words]))


def combine_lengths(word_hashes: Hashes, lengths: Sequence[int]) -> Iterator[Hashes]:
    """As `combine`, for several lengths in one pass; `lengths` rise from 1 or more.

    A word's hash is multiplied by the number of its place in the run, so that order counts; the
    length is added: a short item taken whole never equals an n-gram by construction.
    """
    sums = np.zeros(len(word_hashes), np.uint64)
    done = 0
    for length in map(int, lengths):
        for place in range(done, length):
            count = max(len(word_hashes) - place, 0)
            sums = sums[:count]
            sums += word_hashes[place:] * _place_factor(place)
        done = length
        yield mix(sums + np.uint64(length * _LENGTH % 2**64))


@cache
def _place_factor(place: int) -> np.uint64:
    number: np.uint64 = mix(np.array([place + 1], np.uint64))[0]
    return number | np.uint64(1)


class Matches(NamedTuple):
    """Where a text meets an index, by length and then by position in the text; all [matches]."""

    places: Places
    """Which of the index's hashes."""
    starts: Places
    """Which word of the text the shared n-gram begins at."""
    lengths: Places
    """How many words it has: n, or those of a short item matched whole."""


class ExactIndex:
    """The n-grams of the evaluation side, for a training side that is streamed past them."""

    def __init__(self, items: Iterable[Sequence[str]], num_words: int) -> None:
        """Index the words of each item; one of fewer than `num_words` words counts as a whole."""
        self.hasher = NgramHasher(num_words)
        pieces: list[Hashes] = [np.empty(0, np.uint64)]
        lengths: set[int] = set()
        for words in items:
            if words:
                pieces.append(self.hasher.hash_item(words))
                lengths.add(min(len(words), num_words))
        self._settle(np.unique(np.concatenate(pieces)), sorted(lengths))

    def _settle(self, hashes: Hashes, lengths: list[int]) -> None:
        self.hashes = hashes
        """[n-grams], sorted and distinct."""
        self.lengths = lengths
        """Numbers of words: n, and those of the items that count as a whole."""
        # A table over the leading bits turns 9 of 10 absent hashes away without a search.
        bits = max(len(self.hashes), 1).bit_length() + 3
        self._shift = np.uint64(64 - bits)
        self._occupied = np.zeros(2**bits, np.bool_)
        self._occupied[self.hashes >> self._shift] = True

    def save(self, path: Path) -> None:
        """Write the index for `load`, in this process or another."""
        with open_atomic(path) as file:
            np.savez(
                file, hashes=self.hashes, lengths=self.lengths, num_words=self.hasher.num_words
            )

    @classmethod
    def load(cls, path: Path) -> ExactIndex:
        """The index that `save` wrote."""
        with np.load(path) as arrays:
            index = cls([], int(arrays["num_words"]))
            index._settle(arrays["hashes"], arrays["lengths"].tolist())
        return index

    def __len__(self) -> int:
        return len(self.hashes)

    def find(self, hashes: Hashes) -> Places:
        """The place of each hash in `self.hashes`, or -1: [hashes]."""
        places = np.full(len(hashes), -1, np.int64)
        likely = np.flatnonzero(self._occupied[hashes >> self._shift])
        if len(likely):
            wanted = hashes[likely]
            found = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
            places[likely] = np.where(self.hashes[found] == wanted, found, -1)
        return places

    def match(self, words: Sequence[str]) -> Matches:
        """All n-grams, and all short items as a whole, that a text shares with the index."""
        return self.match_hashes(hash_words(words))

    def match_hashes(self, word_hashes: Hashes) -> Matches:
        """As `match`, for a text whose words are hashed already."""
        places, starts, lengths = [], [], []
        hashes = combine_lengths(word_hashes, self.lengths)
        for length, own in zip(self.lengths, hashes, strict=True):
            found = self.find(own)
            hits = np.flatnonzero(found >= 0)
            places.append(found[hits])
            starts.append(hits)
            lengths.append(np.full(len(hits), length, np.int64))
        if not places:
            return Matches(*(np.empty(0, np.int64) for _ in range(3)))
        return Matches(np.concatenate(places), np.concatenate(starts), np.concatenate(lengths))
